"""Counts: a whole number, in digits or words, of the things that the words behind it name."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.happenings import HAPPENINGS, NAMES
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.tallies import THINGS, columns, counted, not_forecast, with_property, with_sign
from mm4st_agent.agent.number_words import COUNT, MULTIPLE, count_of, multiple_of

_NOUN = re.compile(
    rf"[\s-]*(?:(?:out )?of (?:the|those|these) )?(?:\(?\w+(?:(?<=day|our|eek)'s)?\)?[\s-]+){{0,3}}?"
    rf"(?P<noun>{'|'.join(noun for noun, _ in THINGS)}|{NAMES})\b(?!'s)",
    re.IGNORECASE,
)
_HEAD = re.compile(rf"\s+(?P<noun>{'|'.join(noun for noun, _ in THINGS)})\b", re.IGNORECASE)
_SUBSET = re.compile(r"\s+(?:out\s+)?of\s+(?:the|those|these|all|them)\b", re.IGNORECASE)
_OF_THEM = re.compile(r"^\W*(?:out )?of (?:the|these|those) [^,;]{3,40},\s+(?:only |just )?$", re.IGNORECASE)
"""'Of the five stations listed, four ...'."""
_ALL = re.compile(r"\ball\s+$", re.IGNORECASE)
_FOUR_OF_FIVE = re.compile(
    r"\b(?:four|4) (?:(?:times|cases) )?(?:out of|in|of) (?:five|5)\b(?: cases| times)?|"
    r"\b(?:eight|8) (?:(?:times|cases) )?(?:out of|in|of) (?:ten|10)\b(?: cases| times)?",
    re.IGNORECASE,
)
"""The share of truths that the intervals of all forecasts are made for."""
BEYOND = re.compile(
    r"\b(?:(?:less|more|fewer|higher|lower|faster|slower) than|below|above|under|at least|at most|"
    r"exceed\w*|or more|or less)\b",
    re.IGNORECASE,
)


def is_count(reader: Reader, span: tuple[int, int]) -> bool:
    """Whether a number without a unit counts something: its sentence names no unit, or a noun for things follows."""
    found = _NOUN.match(reader.own, span[1])
    between = reader.own[span[1] : found.start("noun")] if found is not None else ""
    if re.search(
        r"\b(?:is|are|was|were|will|be|could|can|on|at|in|for|to|by|from|than|and|with|as|below|above|under|over|"
        r"off|behind|ahead|short)\b",
        between,
    ):
        return False
    return found is not None and "." not in reader.text[slice(*span)] and found.end() <= reader.sentence(span[0])[1]


def read_words(reader: Reader) -> None:
    """Counts in words, such as 'two incidents', and multiples such as 'three times as fast'."""
    for found in MULTIPLE.finditer(reader.own):
        if reader.free(*found.span()) and multiple_of(found) is not None:
            reader.take(*found.span())  # `comparisons` judges it
    for found in _FOUR_OF_FIVE.finditer(reader.own):
        at_hand = [facts for facts in reader.facts if facts.entry.id in reader.allowed(found.end())]
        ids = [facts.entry.id for facts in at_hand for fact in facts.numbers if fact.role == "interval"]
        if ids and reader.free(*found.span()) and cues.RANGE.search(reader.own[slice(*reader.sentence(found.start()))]):
            reader.add(found.span(), "number", found[0], None, ids)
    for found in COUNT.finditer(reader.own):
        if not reader.free(*found.span()) or cues.ADVICE.search(reader.own[slice(*reader.sentence(found.start()))]):
            continue
        if re.search(r"\b(?:first|top|last|next|remaining|other)\s+$", reader.own[: found.start()], re.IGNORECASE):
            continue
        noun = _NOUN.match(reader.own, found.end())
        if (
            re.search(r"\b(?:the|these|those|both)\s+$", reader.own[: found.start()], re.IGNORECASE)
            and found[0].lower() == "two"
        ):
            continue
        plural = found[0].lower() != "one"
        if noun is None and plural and re.match(r"\s+of (?:them|which|whom)\b", reader.own[found.end() :]):
            judge(reader, found.span(), float(count_of(found[0])), about=False)
            continue
        if noun is None and _OF_THEM.search(reader.own[reader.sentence(found.start())[0] : found.start()]):
            judge(reader, found.span(), float(count_of(found[0])), about=False)
            continue
        if noun is None or noun.end() > reader.sentence(found.start())[1] or not _adjacent(found[0], noun):
            continue
        if found[0].lower() == "one" and not HAPPENINGS.fullmatch(noun["noun"]) and not _plain_one(reader, found):
            continue
        judge(reader, found.span(), float(count_of(found[0])), about=False)


def _adjacent(word: str, noun: re.Match[str]) -> bool:
    """'One' is a count only right before its noun; other numbers may have words between."""
    between = noun[0][: noun.start("noun") - noun.start()].split()
    if re.search(
        r"\b(?:of|per|in|is|are|was|were|be|could|can|not|the|and|with|that|which)\b", " ".join(between)
    ) and not re.match(r"of (?:the|all)\b|of\b", " ".join(between)):
        return False
    return word.lower() != "one" or not between or between == ["ongoing"]


def _plain_one(reader: Reader, found: re.Match[str]) -> bool:
    return (
        re.search(
            r"(?:\b(?:has|had|have|is|was|are|just|only|exactly|with|found|shows?)|,)\s+$", reader.own[: found.start()]
        )
        is not None
    )


def judge(reader: Reader, span: tuple[int, int], value: float, *, about: bool) -> None:
    """Judge one count by the noun behind it, else by any count of the evidence."""
    scope = Scope(reader, span)
    found = _NOUN.match(reader.own, span[1])
    noun = found["noun"].lower() if found is not None else ""
    if found is not None and (head := _HEAD.match(reader.own, found.end())):
        noun = head["noun"].lower()  # "twelve forecast steps"
    allowed = reader.allowed(span[1])
    words = reader.own[span[1] : found.end()] if found is not None else ""
    slack = 0.05 * value if about else 0.0
    subset = _SUBSET.match(reader.own, span[1]) or _OF_THEM.search(scope.ahead)
    beyond = subset is not None and BEYOND.search(scope.sentence) is not None
    right = []
    there = {facts.entry.id for facts in reader.facts if facts.entry.id in allowed and _tells_of(facts, scope.places)}
    for facts in reader.facts:
        if facts.entry.id in allowed and (not facts.about or not there or facts.entry.id in there):
            ranked = "ranking[0].id" in facts.entry.values and not not_forecast(scope)
            told = list(with_property(facts, scope)) if beyond or ranked else []
            told += list(with_sign(facts, scope)) if subset is not None else []
            told += [] if beyond else counted(facts, noun, words, scope)
            told += [float(len(one)) for one in columns(facts, scope)] if _ALL.search(scope.ahead) else []
            right += [facts.entry.id] if any(abs(count - value) <= slack for count in told) else []
    reader.add(span, "number", value, None, right, why=f"the evidence counts no such number of {noun or 'things'}")


def _tells_of(facts: Facts, places: frozenset[str]) -> bool:
    """Whether an entry is about one of the places, or has a value of one."""
    return bool(facts.about & places) or any(fact.places & places for fact in facts.numbers)
