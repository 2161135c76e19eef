"""Which way the evidence says that something goes: by trends, slopes, changes, effects and steps of forecasts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import same_time

SMALL = 0.05
"""A forecast whose steps and mean all move by less than this share is steady."""
_NOTABLE = 0.005
_NEAR = 25
"""Characters behind a direction within which 'the usual' says what it is compared with."""
_SHARP = 0.1
"""A smaller move is not sharp."""
_THE_HOUR_BEFORE = re.compile(
    r"\b(?:previous|last|past|preceding) (?:hour|60 minutes)\b|\b(?:hour|60 minutes) before\b", re.IGNORECASE
)
_THEN = re.compile(r"\b(?:before|then|after|again)\b", re.IGNORECASE)
_AGAIN = re.compile(r"\b(?:has|have|again|back|recover\w*|a little|slightly|somewhat)\b", re.IGNORECASE)
_SHARPLY = re.compile(
    r"\b(?:sharply|steeply|strongly|markedly|considerably|dramatically|significantly)\b", re.IGNORECASE
)
_FILLING = frozenset(
    [
        "reading",
        "readings",
        "road",
        "station",
        "minutes",
        "before",
        "this",
        "time",
        "week",
        "course",
        "published",
        "southbound",
        "northbound",
    ]
)
"""Words of a driver's label that tell it from no other."""


def courses(facts: Facts, scope: Scope, coming: bool | None) -> Iterator[str]:
    """What one entry says of the subject of a claim: `up`, `down`, `steady`, `small` or `unclear`.

    Args:
        facts: The entry.
        scope: Around the claim.
        coming: Whether the claim is about the time after the clock; None where it may be about either.
    """
    trend = facts.word("trend")
    forecast = facts.time("covers_from") is not None
    usual = cues.USUAL.search(scope.after[:_NEAR]) is not None
    if trend and not coming and not usual:
        yield {"rising": "up", "falling": "down"}.get(trend, trend)
        for fact in facts.numbers:
            if fact.role == "slope" and trend in ("rising", "falling"):
                yield "up" if fact.value > 0 else "down"
            if fact.role == "shift" and re.search(r"jump|sudden|abrupt|latest|drop", scope.part, re.IGNORECASE):
                yield "up" if fact.value > 0 else "down"
    if usual and not coming:
        yield from (
            _of(fact.value / 100, 0.02)
            for fact in facts.derived
            if fact.role == "relative" and fact.of[1] == "usual" and (not scope.places or fact.places & scope.places)
        )
    if facts.word("trend.kind"):
        kind, change = facts.word("trend.kind"), [f.value for f in facts.numbers if f.path == "trend.change"]
        if not coming and not facts.time("covers_from"):
            if kind == "none":
                yield "steady"
            yield from ("up" if value > 0 else "down" for value in change)
            if re.search(r"\blevel\b|jump", scope.part):
                befores = {f.path: f.value for f in facts.numbers if f.group == "changes"}
                yield from (
                    "up" if value > befores.get(path.replace("after", "before"), value) else "down"
                    for path, value in befores.items() if path.endswith("after")
                )  # fmt: skip
    if forecast and (coming or not trend):
        yield from _forecast(facts, scope, coming)
    if not forecast:
        for fact in facts.numbers:
            if fact.role == "change" and fact.signed and fact.places & scope.places and fact.group == "ranking":
                yield "up" if fact.value > 0 else "down"
        if facts.word("first") and facts.word("second") and not coming:
            difference = [fact.value for fact in facts.numbers if fact.role == "difference"]
            if len(facts.about) == 1:
                yield from ("up" if value > 0 else "down" for value in difference)


def _forecast(facts: Facts, scope: Scope, coming: bool | None) -> Iterator[str]:
    effects = [fact for fact in facts.numbers if fact.role == "effect"]
    if effects:
        words = scope.raw.casefold()
        scores = []
        for fact in effects:
            label = [
                word
                for word in re.findall(r"[a-z]{4,}|\d\d:\d\d|[a-z]+\d+", fact.label.casefold())
                if word not in _FILLING
            ]
            scores.append((sum(word in words for word in label), len(fact.label) if fact.label in scope.raw else 0))
        if max(scores)[0]:
            fact = effects[scores.index(max(scores))]  # of several alike the first, whose effect is the largest
            yield "up" if fact.value > 0 else "down"
        return
    if any(fact.group == "difference" for fact in facts.numbers):
        for fact in facts.numbers:
            if fact.path == "difference.percent":
                yield _of(fact.value / 100, 0.02)
                yield "up" if fact.value > 0 else "down"
                if abs(fact.value) < 100 * SMALL / 2:
                    yield "steady"
        return
    if not coming:
        return
    steps = [fact.value for fact in facts.numbers if fact.group == "steps" and fact.role == "median"]
    change = [fact.value / 100 for fact in facts.numbers if fact.path == "change"]
    between = _between(facts, scope)
    if between and len(scope.times) == len(("from", "to")) and not _THEN.search(scope.sentence):
        yield "up" if between > 0 else "down"
        return
    if len(scope.times) == 1 and _AGAIN.search(scope.clause):
        yield from _at_then(facts, scope)
    moves = [steps[-1] / steps[0] - 1] if len(steps) > 1 and steps[0] > 0 else []
    if change and _THE_HOUR_BEFORE.search(scope.after):
        moves = change
    elif _within_span(scope) and moves:
        low = min(steps)
        if steps.index(low) not in (0, len(steps) - 1) and re.search(
            r"dip|before|then|again|recover|after", scope.sentence
        ):
            yield from ("up", "down")
        moves = [*moves, *change]
    elif change and re.search(r"previous|before|compared|relative|than|last hour|on the hour", scope.sentence):
        moves = change
    else:
        moves = [*moves, *change]
    least = _SHARP if _SHARPLY.search(scope.part) else _NOTABLE
    for move in moves:
        if abs(move) > least:
            yield "up" if move > 0 else "down"
    if all(abs(move) < SMALL for move in moves):
        yield "small"


def _between(facts: Facts, scope: Scope) -> float:
    """How the forecast moves between two of its steps whose times the part says; 0 where it says none."""
    steps = [f for f in facts.numbers if f.group == "steps" and f.role == "median" and f.moment is not None]
    said = [f.value for wanted in scope.times for f in steps if f.moment is not None and same_time(wanted, f.moment)]
    return said[-1] - said[0] if len(said) > 1 else 0.0


def _at_then(facts: Facts, scope: Scope) -> Iterator[str]:
    """Where the step at the one time of the part lies to the step before it."""
    steps = [f for f in facts.numbers if f.group == "steps" and f.role == "median" and f.moment is not None]
    for before, step in pairwise(steps):
        if step.moment is not None and same_time(scope.times[0], step.moment):
            yield "up" if step.value > before.value else "down"


def _within_span(scope: Scope) -> bool:
    return (
        re.search(
            r"\bfrom\b.*\bto\b|\bdips?\b|\bbefore\b|\bfirst\b|\bafter\b|\bthen\b|\bbottom|\bagain\b", scope.sentence
        )
        is not None
    )


def _of(share: float, least: float) -> str:
    return "small" if abs(share) < least else "up" if share > 0 else "down"
