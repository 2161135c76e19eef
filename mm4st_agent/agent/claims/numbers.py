"""Numbers with a unit: the facts that a number may be, and the one that it was meant to be."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from mm4st_agent.agent.claims import counts, cues, durations, shares, tallies
from mm4st_agent.agent.claims.computed import follows
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.fitting import SIGNS, why_not
from mm4st_agent.agent.claims.percentages import Uncued
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.said_units import (
    BOUND,
    NEGATED,
    PLAIN,
    bounds,
    full_unit,
    in_named_units,
    in_unit,
    named_units,
    rounded,
)
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import same_time
from mm4st_agent.agent.number_words import COUNT, LARGE, count_of, large_of
from mm4st_agent.agent.quantities import NUMBER, SECONDS, WrittenNumber, plain, well_formed

NEAR = 0.05
"""A number that is off by at most this share of the only value it can be is corrected."""
_LIMIT = re.compile(
    r"\b(?:(?P<stays>stay\w*|remain\w*|keep\w*|never)|drop\w*|fall\w*|dip\w*|sink\w*|ris\w+|climb\w*|"
    r"slow\w*)\s+(?:\w+\s+)?"
    r"(?:(?P<over>above|over)|below|under|beneath)\s+(?:about |the )?$|\b(?P<exceeds>exceed)\s+$",
    re.IGNORECASE,
)
_TELLING = 3
"""A bare number with so many digits is no chance hit on a value of any unit."""
_GIVEN_IN = re.compile(
    r"\b(?:reported|measured|given|recorded|stored|stated|published|counted|shown)\s+in\s+(?=[^\W\d]|%|°)",
    re.IGNORECASE,
)
_JUST_UNDER = re.compile(r"\b(?:just|a little|slightly|a bit) (?:under|below|less than)\s+$", re.IGNORECASE)
_ALMOST = re.compile(r"\b(?:almost|nearly)\s+$", re.IGNORECASE)
_NEARLY = 0.9
"""The least share of a number that is almost it; of one that is rounded, it may be a little more."""
_JUST_OVER = re.compile(r"\b(?:just|a little|slightly|a bit) (?:over|above|more than)\s+$", re.IGNORECASE)
_LOWER_END = re.compile(
    r"(?<![\w:.,])(\d[\d,]*(?:\.\d+)?)\s*(?:[^\s\d]\S*\s+){0,2}(?:to|and|–|-)\s*(?:about |around )?$"
)
_PAIR = re.compile(
    r"\((?:[^()\d]*\d[\d.,]*){2}[^()\d]*(?:\d+ min[^()\d]*)?\)",
)
"""'(3.26 against 2.88 km/h of error)'."""
_FEW = 12
_EXACT = 1e-9
_NOMINAL = 80.0
"""Percent of truths that the intervals of all forecasts are made for."""


def read(reader: Reader) -> None:
    """Judge every number that is left."""
    clock = _clock(reader)
    for found in NUMBER.finditer(reader.text):
        if not reader.free(*found.span()):
            continue
        written = reader.units.read(reader.text, found)
        span = (found.start(), written.end)
        text = reader.text[slice(*span)]
        if written.glued or not well_formed(found[0]):
            reader.add(span, "number", text, None, [], why="this is no number that can be read")
            continue
        if written.unit in SECONDS:
            durations.judge(reader, span, written.value, written.unit, written.tolerance)
        elif written.unit is None and (unit := _listed_time(reader, span)) is not None:
            durations.judge(reader, span, written.value, unit, written.tolerance)
        elif written.unit is None and counts.is_count(reader, span):
            counts.judge(reader, span, written.value, about=written.about)
        else:
            _judge(reader, span, written, clock)
    _read_in_words(reader, clock)
    counts.read_words(reader)
    shares.read(reader, clock)
    _read_units(reader)


def _read_in_words(reader: Reader, clock: datetime | None) -> None:
    """Values in words: 'nearly five km/h', 'about eighteen hundred vehicles', 'three percent'."""
    for pattern, value_of in ((LARGE, large_of), (COUNT, lambda found: count_of(found[0]))):
        for found in pattern.finditer(reader.own):
            unit = reader.units.after(reader.own, found.end())
            if not reader.free(found.start(), unit.end) or unit.unit is None or unit.unit in SECONDS:
                continue
            if re.fullmatch(r"[a-z]{5,}", unit.unit) and pattern is COUNT and count_of(found[0]) <= _FEW:
                continue  # "two vehicles" is a count
            about = re.search(
                r"\b(?:about|around|nearly|almost|roughly|just (?:over|under)|some)\s+$", reader.own[: found.start()]
            )
            written = WrittenNumber(str(value_of(found)), unit.unit, unit.end, about=about is not None)
            _judge(reader, (found.start(), unit.end), written, clock)


def _listed_time(reader: Reader, span: tuple[int, int]) -> str | None:
    """'1.54 at 15 minutes, 1.57 at 30 and 1.74 at 60': the unit that the last two leave out."""
    start = reader.sentence(span[0])[0]
    text = reader.own[start : span[0]]
    if (
        listed := re.match(r"(?:,\s*\d+)*,?\s*(?:and|or)\s+\d+\s+(minutes|hours)\b", reader.own[span[1] :])
    ) is not None:
        return {"minutes": "min", "hours": "h"}[listed[1]]
    if re.search(r"\bthe\s+$", text) and re.match(r"\s+(?:before|earlier)\b", reader.own[span[1] :]):
        return "h" if re.search(rf"\b{re.escape(reader.text[slice(*span)])} hours\b", text) else None
    if not re.search(r"\b(?:at|for|after)\s+$", text):
        return None
    found = re.search(r"\b(?:at|for|after)\s+\d+[\s-](minutes|hours)\b", text, re.IGNORECASE)
    return None if found is None else {"minutes": "min", "hours": "h"}[found[1].lower()]


def _clock(reader: Reader) -> datetime | None:
    clocks = [entry.as_of for entry in reader.ledger if entry.as_of is not None]
    return datetime.fromisoformat(clocks[0]) if clocks else None


def _judge(reader: Reader, span: tuple[int, int], written: WrittenNumber, clock: datetime | None) -> None:
    scope = Scope(reader, span, bare=written.unit is None)
    allowed = reader.allowed(span[1])
    if (limit := _LIMIT.search(scope.before)) is not None:
        holding = [f.entry.id for f in reader.facts if f.entry.id in allowed and _keeps(f, written, limit, scope)]
        if holding:
            return reader.add(span, "number", written.value, written.unit or None, holding)
    bound, many = BOUND.search(scope.ahead), tallies.QUANTIFIED.search(scope.sentence)
    if reader.places(*reader.part(*span)) and not tallies.QUANTIFIED.search(scope.part):
        many = None  # "of the five, only S031 is above 100 km/h"
    if bound is not None and many is not None:
        over, unit = bound["over"] is not None, written.unit
        lists = [(f, tallies.columns(f, scope, unit)) for f in reader.facts if f.entry.id in allowed]
        holding = [f.entry.id for f, found in lists if tallies.so_many_beyond(many, found, written.value, over=over)]
        if holding:
            return reader.add(span, "number", written.value, unit or None, holding)
        if any(found for _, found in lists) and tallies.says_how_many(many):
            return reader.take(*span)  # the count is judged
    right, uncued, near, reasons = [], [], [], []
    named: set[str] | None = None
    telling = len(re.sub(r"\D|^[0.]+", "", written.text)) >= _TELLING
    for fact in reader.all_facts:
        if fact.entry not in allowed:
            continue
        if written.unit is None and fact.unit not in PLAIN:
            named = named_units(reader, scope) if named is None else named
            said = list(in_named_units(fact, named, scope, telling=telling))
        else:
            unit = full_unit(fact, written.unit, scope)
            exact = in_unit(fact, unit)
            turned_too = in_unit(rounded(fact), unit) if exact is not None and unit and unit != fact.unit else None
            said = [value for value in (exact, turned_too) if value is not None]
        if not said:
            continue
        actual = next((value for value in said if written.says(value)), said[0])
        turned = (
            telling and actual != fact.value and replace(written, about=True).says(actual)
        )  # converted, it is rounded
        told = (turned or written.says(actual)) and _on_its_side(scope, written.value, actual)
        if told or (many is None and bounds(written, actual, scope)):
            why = why_not(fact, scope, clock)
            if not why:
                right.append(fact)
            else:
                reasons.append(why)
                uncued += [fact] if isinstance(why, Uncued) else []
        elif abs(abs(actual) - abs(written.value)) <= NEAR * abs(actual) and not fact.of[0]:
            near.append((fact, actual))
    if not right and written.unit == "%" and re.match(r"\s*(?:interval|range|band)", scope.after):
        right = [f for f in reader.all_facts if f.role == "low" and f.entry in allowed and written.value == _NOMINAL][
            :1
        ]
    if not right and allowed and follows(written, scope):
        right = [fact for fact in reader.all_facts if fact.entry in allowed][:1]
    if not right and uncued and not _others_fit(reader, uncued[0], scope, clock):
        right = uncued
    if right and (torn := _torn(reader, right, scope)):
        right, reasons = [], [torn]
    if right:
        ids = list(dict.fromkeys(fact.entry for fact in right))
        return reader.add(span, "number", written.value, written.unit or None, ids)
    meant = [(fact, actual) for fact, actual in near if not why_not(fact, scope, clock)] if scope.places else []
    correct = None
    if not reasons and meant and not BOUND.search(scope.ahead) and len({round(actual, 6) for _, actual in meant}) == 1:
        correct = _rewritten(reader.text[slice(*span)], written, meant[0][1])
    why = reasons[0] if reasons else "no value of the evidence is this number in this unit"
    if reasons and all(why.startswith("that is at ") for why in reasons) and _time_marked(reader, scope):
        return reader.take(*span)  # the time beside it is marked
    if reasons and _compared_in_brackets(reader, span):
        return reader.take(*span)  # the comparison before the brackets is marked
    if any(why in SIGNS for why in reasons) and _direction_marked(reader, scope):
        return reader.take(*span)  # the direction beside it is marked
    ids = [meant[0][0].entry] if correct else []
    reader.add(
        span, "number", meant[0][1] if correct else written.value, written.unit or None, ids, why=why, correct=correct
    )


def _torn(reader: Reader, right: list[Fact], scope: Scope) -> str:
    """What says that the upper end of an interval belongs to another one than the lower end before it."""
    first = _LOWER_END.search(scope.before)
    if first is None or not cues.INTERVAL.search(scope.part) or cues.END_OF_INTERVAL.search(scope.part):
        return ""
    value = float(first[1].replace(",", ""))
    slack = 0.5 * 10.0 ** -len(first[1].partition(".")[2]) + _EXACT
    lows = [
        fact
        for facts in reader.facts
        for fact in facts.numbers
        if fact.role == "low" and abs(fact.value - value) <= slack
    ]
    objects = {(fact.entry, fact.path.rpartition(".")[0]) for fact in lows}
    highs = [fact for fact in right if fact.role == "high"]
    same = not lows or any((fact.entry, fact.path.rpartition(".")[0]) in objects for fact in highs)
    return "" if same else "the two ends are of different intervals"


def _others_fit(reader: Reader, fact: Fact, scope: Scope, clock: datetime | None) -> bool:
    """Whether the sentence, as it stands, may speak of another measured value in the unit of a fact."""
    allowed = reader.allowed(scope.span[1])
    others = (other for facts in reader.facts if facts.entry.id in allowed for other in facts.numbers)
    return any(
        plain(other.unit) == plain(fact.unit) and other.value != fact.value and not why_not(other, scope, clock)
        for other in others
    )


def _on_its_side(scope: Scope, value: float, actual: float) -> bool:
    """Whether it is less where the text says "just under", and more where it says "just over"."""
    if _ALMOST.search(scope.ahead):
        return _NEARLY * abs(value) <= abs(actual) <= (1 + NEAR) * abs(value)
    if _JUST_UNDER.search(scope.ahead):
        return abs(actual) <= abs(value) * (1 + _EXACT)
    return not _JUST_OVER.search(scope.ahead) or abs(actual) >= abs(value) * (1 - _EXACT)


def _direction_marked(reader: Reader, scope: Scope) -> bool:
    """Whether a direction or comparison of the part has been found wrong."""
    start, end = reader.part(*scope.span)
    wrong = (one.claim for one in reader.judged if one.why and one.claim.kind in ("direction", "comparison"))
    return any(start <= claim.span[0] < end for claim in wrong)


def _compared_in_brackets(reader: Reader, span: tuple[int, int]) -> bool:
    """Whether it is one of two numbers in brackets behind a comparison that has been found wrong."""
    start, end = reader.sentence(span[0])
    pair = next((m for m in _PAIR.finditer(reader.own, start, end) if m.start() < span[0] < m.end()), None)
    wrong = (one.claim for one in reader.judged if one.why and one.claim.kind == "comparison")
    return pair is not None and any(start <= claim.span[0] < pair.start() for claim in wrong)


def _time_marked(reader: Reader, scope: Scope) -> bool:
    """Whether a time of the part has been found wrong."""
    start, end = reader.part(*scope.span)
    return any(one.why and one.claim.kind == "time" and start <= one.claim.span[0] < end for one in reader.judged)


def _keeps(facts: Facts, written: WrittenNumber, limit: re.Match[str], scope: Scope) -> bool:
    """Whether the steps of a forecast are beyond a limit: 'drops below 30 by 07:45', 'stays under 10 until 08:25'."""
    steps = [f for f in facts.numbers if f.group == "steps" and f.role == "median" and f.moment is not None]
    if written.unit is not None:
        steps = [fact for fact in steps if plain(fact.unit) == plain(written.unit)]
    said = [fact for fact in steps if any(same_time(wanted, fact.moment) for wanted in scope.times if fact.moment)]
    if limit["stays"] and len(said) > 1:
        said = [fact for fact in steps if said[0].path <= fact.path <= said[-1].path or fact in said]
    over = limit["over"] is not None or limit["exceeds"] is not None
    if NEGATED.search(scope.ahead):
        after = [wanted for wanted in scope.all_times if wanted.hour is not None]
        told = [
            f for f in steps if f.moment and all((f.moment.hour, f.moment.minute) > (w.hour, w.minute) for w in after)
        ]
        return bool(told) and not any((fact.value > written.value) == over for fact in told)
    tests = [(fact.value > written.value) == over for fact in said or steps]
    return bool(tests) and (all(tests) if limit["stays"] else any(tests))


def _rewritten(text: str, written: WrittenNumber, actual: float) -> str | None:
    """The words of a number with the ledger's value, as precise as they were; None where that cannot be."""
    if written.scale != 1.0:
        return None
    digits = written.text.lstrip("+-−")
    value = actual if written.signed else abs(actual)
    decimals = len(digits.partition(".")[2])
    said = f"{abs(value):,.{decimals}f}" if "," in digits else f"{abs(value):.{decimals}f}"
    at = text.find(digits)
    return None if at < 0 or said == digits else text[:at] + said + text[at + len(digits) :]


def _read_units(reader: Reader) -> None:
    """'Speeds are recorded in mph': a unit of the evidence, where that has any of its kind."""
    known = {plain(value.unit) for entry in reader.ledger for value in entry.values.values()}
    for found in _GIVEN_IN.finditer(reader.own):
        unit = reader.units.after(reader.own, found.end())
        if unit.unit is None or unit.unit in SECONDS or not reader.free(found.end(), unit.end):
            continue
        ids = [e.id for e in reader.ledger if any(plain(v.unit) == plain(unit.unit) for v in e.values.values())]
        if known - {"", "id", "time", "1"}:
            span = (found.end(), unit.end)
            reader.add(span, "number", unit.unit, unit.unit, ids, why="the evidence has no such unit")
