"""Shares in words: "half its usual", "a third slower"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.fitting import why_not
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.said_units import MORE_OR_LESS
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.number_words import COUNT, SHARE, share_of

_BY = re.compile(
    r"\b(?:by|lost|loses|losing|shed)\s+(?:about |nearly |over |almost |roughly |more than |less than )?$",
    re.IGNORECASE,
)
_PARTS = ("level", "percent", "share")
_HELD = ("coverage80", "total_coverage80")
_ANY_SHARE = 0.04
_OF = re.compile(
    r"\s+(?:of\s+)?that of\b|\s*(?:of\s+)?(?:its|the|their|a)?\s*(?:usual|normal|typical)|"
    r"\s+of\s+(?:what|(?:the |all |its )?(?:\w+ )?(?:truths|outcomes|cases|flows|values|times|days|speeds))\b|"
    r"\s+(?:as|slower|faster|higher|lower|more|less|above|below)",
    re.IGNORECASE,
)


def read(reader: Reader, clock: datetime | None) -> None:
    """Judge every share in words."""
    for found in SHARE.finditer(reader.own):
        if not reader.free(*found.span()) or not _is_share(reader, found):
            continue
        scope = Scope(reader, found.span())
        share = 100 * share_of(found)
        right, reasons = [], []
        less = _BY.search(scope.ahead) is not None or MORE_OR_LESS.match(scope.after) is not None
        for fact in _shares(reader.all_facts, ("relative", "change") if less else (*_HELD, *_PARTS)):
            if fact.entry in reader.allowed(found.end()) and _says(scope, share, abs(fact.value)):
                why = why_not(fact, scope, clock)
                right += [] if why else [fact.entry]
                reasons += [why] if why else []
        why = reasons[0] if reasons else "no share in the evidence is that"
        reader.add(found.span(), "number", share, "%", list(dict.fromkeys(right)), why=why)


def _is_share(reader: Reader, found: re.Match[str]) -> bool:
    if re.search(rf"\b(?:{COUNT.pattern}|\d+)\s+and\s+(?:an?\s+)?$", reader.own[: found.start()], re.IGNORECASE):
        return False  # "six and a half"
    behind = reader.own[found.end() : found.end() + 40]
    return (
        _OF.match(behind) is not None
        or (
            re.match(r"\s+of\b", behind) is not None
            and cues.USUAL.search(reader.own[slice(*reader.sentence(found.start()))]) is not None
        )
        or _BY.search(reader.own[: found.start()]) is not None
    )


def _shares(facts: list[Fact], roles: tuple[str, ...]) -> Iterator[Fact]:
    return (fact for fact in facts if fact.unit == "%" and fact.role in roles)


def _says(scope: Scope, share: float, actual: float) -> bool:
    """Whether a share in words is `actual`, both in %."""
    off = actual - share
    if re.search(r"\b(?:more|over|a (?:little|bit) (?:over|more)(?: than)?) (?:than )?$", scope.ahead, re.IGNORECASE):
        return 0 < off <= 12
    if re.search(
        r"\b(?:less than|under|below|(?:just|a little|a bit) (?:under|less than)|not even|barely)\s+$",
        scope.ahead,
        re.IGNORECASE,
    ):
        return -12 <= off < 0
    return abs(off) <= 100 * _ANY_SHARE
