"""The embedded chat model: no language model, no network, no GPU, no key.

It tells the questions of a message apart (`splitting`), plans each by its similarity to examples
(`intents`) and by what it reads in it (`understanding`: places, times, quantities, what the thread
spoke of), fills the tools' arguments from that (`plans`), asks where it is left open which place is
meant (`placing`), and writes from templates in `prompts/`. It speaks the same interface as a served
model and goes through the same graph, tools and claim checker. What it can say is what its
templates say; it names itself `embedded` in every answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict

import prompts
from mm4st_agent.agent.backends.intents import IntentMatcher
from mm4st_agent.agent.backends.languages import other_language
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.replaying import next_steps
from mm4st_agent.agent.backends.spelling import mended
from mm4st_agent.agent.backends.spoken_units import asked_units, in_units
from mm4st_agent.agent.backends.tasks import Task
from mm4st_agent.agent.backends.turns import Turn, read_turn
from mm4st_agent.agent.backends.understanding import understand


class EmbeddedChatModel(BaseChatModel):
    """Plans by examples, fills slots, writes from templates."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    intents: IntentMatcher

    @property
    def _llm_type(self) -> str:
        return "mm4st-embedded"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Accept the tools; this model knows them by name and needs no schemas."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        said = self.answer(read_turn(messages))
        if isinstance(said, str):
            message = AIMessage(said)
        else:
            calls = [tool_call(name=name, args=args, id=f"call_{uuid.uuid4().hex[:12]}") for name, args in said]
            message = AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def answer(self, turn: Turn) -> list[Step] | str:
        """The next tool calls, or the text that ends the turn."""
        language = other_language(turn.question)
        if language is not None and other_language(mended(turn.question, turn.session)) is not None:
            return prompts.load("say_other_language").render(session=turn.session, language=language)
        said = next_steps(turn, understand(turn, self.intents))
        if not isinstance(said, str):
            return said
        return in_units(said, asked_units(turn.question, [channel["unit"] for channel in turn.session.channels]))

    def tasks(self, messages: Sequence[BaseMessage]) -> list[Task]:
        """What the latest message asks for, in order, one task for each question that it holds."""
        requests = understand(read_turn(messages), self.intents)
        return [task for request in requests if not request.continued for task in request.tasks]


def embedded_chat_model(encode: Callable[[Sequence[str]], Any]) -> EmbeddedChatModel:
    """Make the model.

    Args:
        encode: Texts to L2-normalised sentence embeddings, `(n, d)`.
    """
    return EmbeddedChatModel(intents=IntentMatcher(encode))
