"""The one call that a person answers: which place, quantity or time span is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from mm4st_agent.errors import ToolError
from mm4st_agent.toolspec import ToolIn, ToolOut, ToolSpec

CLARIFY = "clarify"


class ClarifyIn(ToolIn):
    """Ask the person which place, quantity or time span is meant, where several are possible and none is likelier."""

    question: str = Field(min_length=1, max_length=300, description="One short question.")
    choices: list[str] = Field(
        min_length=2, max_length=8, description="What may be meant, each as a person would say it, ids included."
    )


class ClarifyOut(ToolOut):
    """What the person said: one of the choices, or words of their own."""

    answer: str


def _ask(args: ClarifyIn, context: Any) -> ClarifyOut:
    raise ToolError(
        "This question was not put to the person: another one of the same message is.", "Ask one question at a time."
    )


CLARIFY_SPEC: ToolSpec[ClarifyIn, ClarifyOut, Any] = ToolSpec(
    CLARIFY, ClarifyIn, ClarifyOut, _ask, title="Asking what is meant"
)
"""Offered to chat models beside the tools; it never runs as one: the graph stops until the person has answered."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_PICK = re.compile(
    r"(?:(?:i mean|i meant|take|make it|number|no\.?|option|choice|the|#)\s*)*"
    rf"(?P<word>\d+|last|{'|'.join(_ORDINALS)}|{'|'.join(_CARDINALS)})(?:st|nd|rd|th|\.|\))?"
    r"(?:\s+(?:one|option|choice))?(?:,?\s*please)?[.!]*",
    re.IGNORECASE,
)


def chosen(words: str, choices: Sequence[str]) -> str:
    """The choice that the person's words pick, by its text or its number ("2", "the second one"); else their words.

    >>> chosen("the second one", ["S076 (north)", "S077 (south)"])
    'S077 (south)'
    >>> chosen("S096", ["S076 (north)", "S077 (south)"])
    'S096'
    """
    said = words.strip()
    for choice in choices:
        if said.casefold() == choice.casefold():
            return choice
    found = _PICK.fullmatch(said)
    if found is None:
        return said
    word = found["word"].lower()
    for names in (_ORDINALS, _CARDINALS):
        if word in names:
            word = str(names.index(word) + 1)
    number = len(choices) if word == "last" else int(word)
    return choices[number - 1] if 1 <= number <= len(choices) else said
