"""The demo city, and the embedded model's plans for questions about it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from mm4st_agent.agent.backends.embedded import EmbeddedChatModel, embedded_chat_model
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.turns import Exchange, Result, Turn
from mm4st_agent.agent.chat import Session
from mm4st_agent.agent.clarify import CLARIFY
from mm4st_agent.knowledge.embedding import minilm
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

Plan = Callable[..., list[Step] | str]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def planner(runtime: Runtime) -> Callable[[Collection[str]], Plan]:
    """From the tools that only look up what is meant, to the calls of a question that follow theirs, or its text.

    What the person is asked in return counts as text.
    """
    model: EmbeddedChatModel = embedded_chat_model(lambda texts: minilm().encode(texts))
    whole = runtime.registry.open("demo")
    session = Session.of(whole.until(whole.now))

    def plan_after(looked_up: Collection[str]) -> Plan:
        def ask(question: str, *earlier: Exchange) -> list[Step] | str:
            found: list[Result] = []
            while True:
                said = model.answer(Turn(question, found, session=session, earlier=list(earlier)))
                if isinstance(said, list) and said[0][0] == CLARIFY:
                    return str(said[0][1]["question"])
                if isinstance(said, str) or any(name not in looked_up for name, _ in said):
                    return said
                for name, args in said:
                    reply = runtime.tool(name, args).model_dump(mode="json")
                    found.append(Result(name, args, {"evidence": f"E{len(found) + 1}", **reply}))

        return ask

    return plan_after
