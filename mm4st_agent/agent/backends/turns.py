"""The turns of a thread, as the embedded chat model reads them from the messages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from mm4st_agent.agent.chat import Session
from mm4st_agent.agent.clarify import CLARIFY
from mm4st_agent.errors import UsageError

SURE = 85
"""Place scores from here on (0..100) are taken without asking."""
LIKELY, APART = 78, 7
"""A place from the lower score on is taken too where it leads the next one by so much."""
CLOSE = 4
"""Places whose scores lie this close are told apart by asking."""
_OWN_QUESTION = re.compile(
    r"\W*(?:(?:no|never ?mind|forget (?:it|that)|actually|sorry|instead|ok(?:ay)?|well|rather)\b\W*)*"
    r"(?:what|how|will|is|are|was|were|why|when|where|which|who|show|forecast|predict|tell|list|do|does|did|can|could"
    r"|draw|plot|compare|any)\b.+",
    re.IGNORECASE | re.DOTALL,
)
"""Such words, where the person was asked what is meant, are no answer to that but a new question."""


@dataclass(frozen=True)
class Result:
    """One finished tool call: its arguments, and its reply or its error."""

    tool: str
    args: dict[str, Any]
    reply: dict[str, Any]

    @property
    def evidence(self) -> str:
        return str(self.reply["evidence"])

    @property
    def error(self) -> dict[str, str] | None:
        """`{kind, message, hint}` of a call that failed."""
        error: dict[str, str] | None = self.reply.get("error")
        return error

    @property
    def best_places(self) -> list[dict[str, Any]]:
        """Of a reply of find_places: the matches that may be meant; one if it is clear."""
        matches: list[dict[str, Any]] = self.reply.get("matches", [])
        exact = [m for m in matches if m["exact"]]
        if exact or not matches:
            return exact
        best = matches[0]["score"]
        second = matches[1]["score"] if len(matches) > 1 else 0.0
        least = SURE if best - second < APART else LIKELY
        return [m for m in matches if m["score"] >= least and m["score"] >= best - CLOSE]


@dataclass(frozen=True)
class Exchange:
    """One question and what the tools have said to it so far."""

    question: str
    results: list[Result] = field(default_factory=list)

    def result(self, tool: str, **args: Any) -> Result | None:
        """The latest call of `tool` whose arguments include `args`."""
        for result in reversed(self.results):
            if result.tool == tool and args.items() <= result.args.items():
                return result
        return None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The places that it came to speak of: those asked about, else clearly found, else first of a ranking."""
        asked = [result.args[key] for result in self.results for key in ("node", "other") if result.args.get(key)]
        found = [r.best_places[0]["id"] for r in self.results if r.tool == "find_places" and len(r.best_places) == 1]
        ranked = [r.reply["ranking"][0]["id"] for r in self.results if r.reply.get("ranking")]
        return tuple(dict.fromkeys(asked or found or ranked))

    def renewed(self) -> Exchange:
        """The same with the question that the person asked instead of saying what was meant, if so."""
        for position, result in enumerate(self.results):
            said = str(result.reply.get("answer", "")) if result.tool == CLARIFY else ""
            if said not in result.args.get("choices", []) and _OWN_QUESTION.fullmatch(said) and len(said.split()) > 2:
                return Exchange(said, self.results[position + 1 :]).renewed()
        return self


@dataclass(frozen=True)
class Turn(Exchange):
    """The present exchange, with the session and the exchanges before it."""

    session: Session = field(kw_only=True)
    earlier: list[Exchange] = field(default_factory=list)


def read_turn(messages: Sequence[BaseMessage]) -> Turn:
    """Find the session, the questions, and the tool replies behind each.

    Raises:
        UsageError: the messages hold no session or no question.
    """
    session = next((m.additional_kwargs.get("session") for m in messages if isinstance(m, SystemMessage)), None)
    asked = [n for n, m in enumerate(messages) if isinstance(m, HumanMessage)]
    if session is None or not asked:
        raise UsageError("The embedded chat model needs a session message and a question.")
    calls = {
        call["id"]: call
        for m in messages
        if isinstance(m, AIMessage)
        for call in m.tool_calls
        if call["id"] is not None
    }
    exchanges = [
        Exchange(
            messages[start].text,
            [
                Result(calls[m.tool_call_id]["name"], calls[m.tool_call_id]["args"], json.loads(m.text))
                for m in messages[start + 1 : end]
                if isinstance(m, ToolMessage) and m.tool_call_id in calls
            ],
        )
        for start, end in zip(asked, [*asked[1:], len(messages)], strict=True)
    ]
    exchanges = [exchange.renewed() for exchange in exchanges]
    last = exchanges.pop()
    return Turn(last.question, last.results, session=Session.model_validate(session), earlier=exchanges)
