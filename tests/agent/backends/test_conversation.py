"""Messages with several questions, questions that go on from others, and what is asked back: the calls that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from mm4st_agent.agent.backends.embedded import EmbeddedChatModel, embedded_chat_model
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.turns import Exchange, Result, Turn
from mm4st_agent.agent.chat import Session
from mm4st_agent.agent.clarify import CLARIFY
from mm4st_agent.knowledge.embedding import minilm
from mm4st_agent.runtime import Runtime

LOOKED_UP = {"find_places", "describe_dataset"}
Ask = Callable[..., tuple[list[Step], str | None]]


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return embedded_chat_model(lambda texts: minilm().encode(texts))


@pytest.fixture(scope="module")
def session(runtime: Runtime) -> Session:
    whole = runtime.registry.open("demo")
    return Session.of(whole.until(whole.now))


@pytest.fixture(scope="module")
def ask(runtime: Runtime, model: EmbeddedChatModel, session: Session) -> Ask:
    def call(*questions: str, told: str | None = None) -> tuple[list[Step], str | None]:
        """The calls for the last of the questions of a thread and its text; `told` answers what is asked back."""
        earlier: list[Exchange] = []
        for question in questions:
            found: list[Result] = []
            while True:
                said = model.answer(Turn(question, found, session=session, earlier=earlier))
                if isinstance(said, str) or (said[0][0] == CLARIFY and told is None):
                    break
                for name, args in said:
                    if name == CLARIFY:
                        reply: dict[str, Any] = {"answer": told}
                    elif name in LOOKED_UP:
                        reply = runtime.tool(name, args).model_dump(mode="json")
                    else:
                        reply = {}
                    found.append(Result(name, args, {"evidence": f"E{len(found) + 1}", **reply}))
                if any(name not in {*LOOKED_UP, CLARIFY} for name, _ in said):
                    break
            earlier = [*earlier, Exchange(question, found)]
        open_ = said if not isinstance(said, str) and said[0][0] == CLARIFY and told is None else []
        calls = [*((result.tool, result.args) for result in found), *open_]
        return calls, said if isinstance(said, str) else None

    return call


def _args(calls: list[Step], tool: str) -> list[dict[str, Any]]:
    return [args for name, args in calls if name == tool]


def _tasks(model: EmbeddedChatModel, session: Session, message: str) -> list[str]:
    system = SystemMessage("", additional_kwargs={"session": session.model_dump()})
    return list(model.tasks([system, HumanMessage(message)]))


# -- several questions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "tasks"),
    [
        (
            "How busy is S039 now, and will it get worse by nine? Any incidents nearby?",
            ["status", "forecast", "events"],
        ),
        ("Forecast S012 for half an hour. Is that sensor broken?", ["forecast", "quality"]),
        ("Hello! What is the speed at S012?", ["status"]),
        ("speed and flow at S012 now", ["status"]),
        ("Which stations are slowest, and what is a capacity drop?", ["rank", "concept"]),
        ("Thanks a lot!", ["thanks"]),
    ],
)
def test_each_question_is_told(model: EmbeddedChatModel, session: Session, message: str, tasks: list[str]) -> None:
    assert _tasks(model, session, message) == tasks


def test_a_message_gets_the_calls_of_all_its_questions(ask: Ask) -> None:
    calls, _ = ask("What is the speed at S012 now, and how much traffic will it carry in the next 30 minutes?")

    read = _args(calls, "query_series")[0]
    assert (read["node"], read["channel"]) == ("S012", "speed")
    assert [(args["node"], args["minutes"]) for args in _args(calls, "forecast")] == [("S012", 30)]
    assert len(_args(calls, "find_places")) == 1


def test_each_of_several_quantities_is_asked_for(ask: Ask) -> None:
    calls, _ = ask("Forecast NO2 and PM2.5 at A12")

    assert [args["channel"] for args in _args(calls, "forecast")] == ["no2", "pm25"]


def test_a_question_without_a_place_means_the_next_one(ask: Ask) -> None:
    calls, _ = ask("Is it busy now, and how will it be at S012 in an hour?")

    assert {args["node"] for args in _args(calls, "query_series")} == {"S012"}


# -- threads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("questions", "tool", "expected"),
    [
        (("How is S039 now?", "and the next station north?"), "query_series", {"node": "S038"}),
        (("How is S039 now?", "in the opposite direction?"), "query_series", {"node": "S042"}),
        (("Forecast S039 for the next hour", "and the hour after that?"), "forecast", {"start_in_minutes": 60}),
        (("Forecast S039", "why isn't it more?"), "explain_forecast", {"node": "S039"}),
        (("Forecast S039", "can you draw it?"), "render_series", {"node": "S039", "method": "line"}),
        (("Forecast S039", "ok, make that 90 minutes"), "forecast", {"node": "S039", "minutes": 90}),
        (("Forecast S039", "and for the rest of the day?"), "forecast", {"node": "S039", "minutes": 980}),
        (("What is the NO2 at A12?", "is that usual?"), "query_series", {"node": "A12", "channel": "no2"}),
        (("Which stations are slowest?", "just the top two"), "rank_places", {"channel": "speed", "limit": 2}),
        (("Which stations are slowest?", "and the other end?"), "rank_places", {"order": "highest"}),
        (("Which stations are slowest?", "and in the coming hour?"), "rank_forecasts", {"order": "lowest"}),
        (("How is S039?", "thanks", "and the speed at S041?"), "query_series", {"node": "S041", "channel": "speed"}),
    ],
)
def test_a_question_goes_on(ask: Ask, questions: tuple[str, ...], tool: str, expected: dict[str, Any]) -> None:
    (args, *_) = _args(ask(*questions)[0], tool)

    assert expected.items() <= args.items()


# -- what is asked back -----------------------------------------------------------------------------


def test_several_places_are_offered(ask: Ask) -> None:
    calls, _ = ask("How fast is it at Castle Hill?")

    (asked,) = _args(calls, CLARIFY)
    assert [choice.partition(" ")[0] for choice in asked["choices"]] == ["S096", "S097"]


@pytest.mark.parametrize(
    ("told", "node"),
    [
        ("S097 (Castle Hill northbound, Coast Road, 1 lane, residential)", "S097"),
        ("the second", "S097"),
        ("southbound", "S096"),
        ("Guildhall northbound", "S041"),
    ],
)
def test_the_answer_is_gone_on_with(ask: Ask, told: str, node: str) -> None:
    calls, _ = ask("How fast is it at Castle Hill?", told=told)

    assert [(args["node"], args["channel"]) for args in _args(calls, "query_series")] == [(node, "speed")]


def test_a_place_is_asked_for_where_none_is_named(ask: Ask) -> None:
    calls, _ = ask("How much traffic will there be in the next hour?", told="at S012 please")

    assert [(args["node"], args["minutes"]) for args in _args(calls, "forecast")] == [("S012", 60)]


def test_another_question_in_place_of_an_answer_is_answered() -> None:
    asked = Result(CLARIFY, {"choices": ["S096", "S097"]}, {"answer": "Never mind, which stations are slowest?"})
    renewed = Exchange("How is Castle Hill?", [asked]).renewed()

    assert (renewed.question, renewed.results) == ("Never mind, which stations are slowest?", [])
    answered = Result(CLARIFY, {"choices": ["S096", "S097"]}, {"answer": "S097"})
    assert Exchange("How is Castle Hill?", [answered]).renewed().question == "How is Castle Hill?"
