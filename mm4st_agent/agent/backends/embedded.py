"""The embedded chat model: no language model, no network, no GPU, no key.

It plans by similarity of the question to examples (`intents`), fills the tools' arguments
from the question (`slots`), and writes from templates in `prompts/`. It speaks the same
interface as a served model and goes through the same graph, tools and claim checker. What it
can say is what its templates say; it names itself `embedded` in every answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict

import prompts
from mm4st_agent.agent.backends import slots
from mm4st_agent.agent.backends.intents import Intent, IntentMatcher, other_language
from mm4st_agent.agent.backends.turns import Result, Turn, read_turn

SURE = 85
"""Place scores from here on (0..100) are taken without asking."""
CLOSE = 4
"""Places whose scores lie this close are told apart by asking."""

AS_USUAL = 15
"""A level within so many % of the usual one is called usual."""

Driver = Literal["incident", "unusual", "rhythm"]
_NOTES_ABOUT: dict[Driver, str] = {
    "incident": "how an incident that blocks lanes cuts capacity",
    "unusual": "what makes demand or congestion differ from the usual",
    "rhythm": "daily and weekly rhythm of demand",
}

Step = tuple[str, dict[str, Any]]
"""A tool call to make: name and arguments."""


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
        if language is not None:
            return _say("other_language", turn, language=language)
        intent = self.intents.match(_plain(turn))
        if intent in ("status", "events") and _span(turn).minutes is not None:
            intent = "forecast"  # what lies ahead of the clock can only be forecast
        return _PLANS[intent](turn)


def _say(template: str, turn: Turn, **more: Any) -> str:
    return prompts.load(f"say_{template}").render(session=turn.session, question=turn.question, **more)


def _plain(turn: Turn) -> str:
    """The question with its place name replaced by the place word, so that names don't sway the intent."""
    place = slots.place(turn.question, turn.session.place_word, _span(turn).words)
    return turn.question.replace(place, f"the {turn.session.place_word}") if place else turn.question


def _span(turn: Turn) -> slots.Span:
    return slots.time_span(turn.question, datetime.fromisoformat(turn.session.as_of))


def _find_place(turn: Turn) -> dict[str, Any] | list[Step] | str:
    """The place meant: a match of find_places, or the call that finds it, or a question back."""
    found = turn.result("find_places")
    if found is None:
        words = slots.place(turn.question, turn.session.place_word, _span(turn).words)
        query = words or turn.earlier_node or slots.content_words(turn.question, _span(turn).words)
        if not query:
            return _say("which_place", turn, matches=[])
        return [("find_places", {"dataset": turn.session.dataset, "query": query, "limit": 6})]
    if found.error is not None:
        return _say("error", turn, error=found.error)
    matches: list[dict[str, Any]] = found.reply["matches"]
    best = [m for m in matches if m["exact"]] or [
        m for m in matches if m["score"] >= SURE and m["score"] >= matches[0]["score"] - CLOSE
    ]
    if len(best) == 1:
        place = best[0]
        told = place["description"]
        return {**place, "label": place["id"] if told == place["id"] else f"{place['id']} ({told})"}
    if best:
        return _say("which_place", turn, matches=best, evidence=found.evidence)
    return _say("unknown_place", turn, query=found.args["query"], matches=matches, evidence=found.evidence)


def _at_place(
    turn: Turn, steps: Callable[[str], list[Step]], write: Callable[[dict[str, Any]], str]
) -> list[Step] | str:
    """Find the place, make the calls about it, then write."""
    place = _find_place(turn)
    if not isinstance(place, dict):
        return place
    missing = [(name, args) for name, args in steps(place["id"]) if turn.result(name, **args) is None]
    return missing or write(place)


def _forecast(turn: Turn) -> list[Step] | str:
    span = _span(turn)
    if span.now or span.past_hours is not None:
        return _status(turn)
    dataset, channel = turn.session.dataset, slots.channel(turn.question, turn.session.channels)

    def steps(node: str) -> list[Step]:
        about = {"dataset": dataset, "node": node}
        calls: list[Step] = [
            ("forecast", {**about, "channel": channel, "minutes": span.minutes or 60}),
            ("query_series", {**about, "channel": channel, "hours": 24}),
            ("retrieve_context", {**about, "query": turn.question, "kind": "event", "hours": 24, "limit": 3}),
        ]
        driver = _driver(turn)
        if driver is not None:
            query = f"{turn.session.domain}: {_NOTES_ABOUT[driver]}"
            calls.append(("retrieve_context", {"dataset": dataset, "query": query, "kind": "note", "limit": 1}))
        return calls

    def write(place: dict[str, Any]) -> str:
        forecast = _result(turn, "forecast")
        if forecast.error is not None:
            return _say("error", turn, error=forecast.error)
        step = _step_at(forecast, span.moment)
        return _write("forecast", turn, place, forecast=forecast, asked_step=step, driver=_driver(turn))

    return _at_place(turn, steps, write)


def _driver(turn: Turn) -> Driver | None:
    """What the data suggest as the main driver; None while the tools have not said enough."""
    series, events = turn.result("query_series"), turn.result("retrieve_context", kind="event")
    if series is None or events is None or series.error or events.error:
        return None
    if any(event["ongoing"] for event in events.reply["events"]):
        return "incident"
    level = series.reply["level"]
    return "unusual" if level is None or abs(level - 100) > AS_USUAL else "rhythm"


def _step_at(forecast: Result, moment: datetime | None) -> dict[str, Any] | None:
    """The step that holds a single point in time that was asked for."""
    if moment is None:
        return None
    steps: list[dict[str, Any]] = forecast.reply["steps"]
    return next((s for s in reversed(steps) if datetime.fromisoformat(s["time"]) <= moment), None)


def _status(turn: Turn) -> list[Step] | str:
    hours = min(_span(turn).past_hours or 24, 336)
    channel = slots.channel(turn.question, turn.session.channels)
    dataset = turn.session.dataset

    def steps(node: str) -> list[Step]:
        about = {"dataset": dataset, "node": node}
        return [
            ("query_series", {**about, "channel": channel, "hours": hours}),
            ("render_series", {**about, "channel": channel, "hours": hours, "picture": "line"}),
            ("retrieve_context", {**about, "query": turn.question, "kind": "event", "hours": hours, "limit": 3}),
        ]

    return _at_place(turn, steps, lambda place: _write("status", turn, place))


def _events(turn: Turn) -> list[Step] | str:
    hours = min(_span(turn).past_hours or 24, 336)
    dataset = turn.session.dataset

    def steps(node: str) -> list[Step]:
        args = {"dataset": dataset, "node": node, "query": turn.question, "kind": "event", "hours": hours, "limit": 8}
        return [("retrieve_context", args)]

    return _at_place(turn, steps, lambda place: _write("events", turn, place))


def _places(turn: Turn) -> list[Step] | str:
    words = slots.place(turn.question, turn.session.place_word) or slots.content_words(turn.question)
    if not words:
        return _dataset(turn)
    found = turn.result("find_places")
    if found is None:
        return [("find_places", {"dataset": turn.session.dataset, "query": words, "limit": 20})]
    if found.error is not None:
        return _say("error", turn, error=found.error)
    return prompts.load("answer_places").render(session=turn.session, query=words, found=found)


def _dataset(turn: Turn) -> list[Step] | str:
    described = turn.result("describe_dataset")
    if described is None:
        return [("describe_dataset", {"dataset": turn.session.dataset})]
    if described.error is not None:
        return _say("error", turn, error=described.error)
    return prompts.load("answer_dataset").render(session=turn.session, described=described)


def _concept(turn: Turn) -> list[Step] | str:
    found = turn.result("retrieve_context")
    if found is None:
        return [
            ("retrieve_context", {"dataset": turn.session.dataset, "query": turn.question, "kind": "note", "limit": 2})
        ]
    if found.error is not None:
        return _say("error", turn, error=found.error)
    return prompts.load("answer_concept").render(session=turn.session, found=found)


def _result(turn: Turn, tool: str, **args: Any) -> Result:
    result = turn.result(tool, **args)
    assert result is not None, "written only after the call was made"
    return result


def _write(template: str, turn: Turn, place: dict[str, Any], **more: Any) -> str:
    """Fill an answer about one place from whatever the tools have said."""
    return prompts.load(f"answer_{template}").render(
        session=turn.session,
        place=place,
        series=turn.result("query_series"),
        events=turn.result("retrieve_context", kind="event"),
        notes=turn.result("retrieve_context", kind="note"),
        **more,
    )


_PLANS: dict[Intent, Callable[[Turn], list[Step] | str]] = {
    "forecast": _forecast,
    "status": _status,
    "events": _events,
    "places": _places,
    "dataset": _dataset,
    "concept": _concept,
    "chat": lambda turn: _say("chat", turn),
    "off_topic": lambda turn: _say("off_topic", turn),
}


def embedded_chat_model(encode: Callable[[Sequence[str]], Any]) -> EmbeddedChatModel:
    """Make the model.

    Args:
        encode: Texts to L2-normalised sentence embeddings, `(n, d)`.
    """
    return EmbeddedChatModel(intents=IntentMatcher(encode))
