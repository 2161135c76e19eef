"""Two numbers of one sentence and the word between them: "19.9, above the last reading of 21.1" cannot be."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.verdicts import LESS, MORE
from mm4st_agent.agent.clock_words import WHEN
from mm4st_agent.agent.quantities import NUMBER, SECONDS, WrittenNumber, converted, well_formed

_COMPARES = re.compile(
    rf"\b(?:(?P<more>{MORE})|(?P<less>{LESS}))\b(?!\s+(?:bounds?|ends?|limits?|edges?|in size|in magnitude)\b)",
    re.IGNORECASE,
)
_NEXT_CLAUSE = re.compile(r"[;:]|\b(?:and|but|while|whereas|although|so|which|who|where)\b", re.IGNORECASE)
_DIFFERENCE = re.compile(
    r"\s*(?:%|percent|per cent)?\s*(?:(?:slightly|well|far|just|much|clearly|directly)\s+)?", re.IGNORECASE
)
"""'12 km/h below the usual 50': the first number is how much."""
_LIMIT = re.compile(
    r"\b(?:fall|fell|drop|ris|rose|climb|stay|remain|dip|sink|sank)\w*\s+(?:\w+\s+)?$|\b(?:every|each|"
    r"no)\s+\w+[^,;]*$",
    re.IGNORECASE,
)
"""Before 'below 10', which is a limit that is passed, and not compared with the number before."""
_EQUALS = re.compile(
    r"\b(?:at|just|a little|average|of|by|equals|equal to|or|i\.e\.|means|makes|corresponds to)\s+$", re.IGNORECASE
)
_MOVES = re.compile(
    r"\b(?P<word>(?:(?P<up>climb|rise|rising|increase|recover|grow|jump)|(?:drop|fall|declin|decreas|sink|dip|"
    r"slip|eas))"
    r"(?:e?s|d|ed|e|ing|ping|n)?)\s+(?:\w+ly\s+)?(?:back\s+)?to\s+(?:a \w+ of\s+)?"
    r"(?:about |around |roughly |just |only |nearly )?(?=\d)",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\b(?P<word>(?P<up>up)|down) from (?:about |the |its |"
    r"a )?(?:[a-z]\w* ){0,3}?(?=\d)",
    re.IGNORECASE,
)
_PERCENT_MORE = re.compile(
    rf"(?P<percent>(?<![\w.,])\d+(?:\.\d+)?\s*(?:%|per ?cent))\s+(?:(?P<more>{MORE})|{LESS})\s+(?:than\s+)?"
    r"(?:[a-z]+\s+){0,3}?(?=\d)",
    re.IGNORECASE,
)
_REACH = 60
"""Characters from the word that compares to the number behind it."""
_WHY = "the two numbers beside it say otherwise"

Numbers = list[tuple[int, WrittenNumber]]
"""Where each number starts, and what it is."""


def read(reader: Reader) -> None:
    """Judge each word that compares two numbers of one unit, or that tells the way from one to the other."""
    clocks = [found.span() for found in WHEN.finditer(reader.own)]
    numbers = [
        (found.start(), written)
        for found in NUMBER.finditer(reader.own)
        if well_formed(found[0]) and not any(start <= found.start() < end for start, end in clocks)
        if not (written := reader.units.read(reader.own, found)).glued and written.unit not in SECONDS
    ]
    for found in _MOVES.finditer(reader.own):
        _judge_move(reader, found, numbers)
    for found in _FROM.finditer(reader.own):
        _judge_move(reader, found, numbers, back=True)
    for found in _COMPARES.finditer(reader.own):
        _judge_comparison(reader, found, numbers)
    for found in _PERCENT_MORE.finditer(reader.own):
        _judge_percent(reader, found, numbers)


def _judge_move(reader: Reader, found: re.Match[str], numbers: Numbers, *, back: bool = False) -> None:
    """Judge the second verb of "drops from 31 to 11, then climbs to 8"; `back` of "11, down from 31"."""
    start, _ = reader.sentence(found.start())
    before = [number for at, number in numbers if start <= at and number.end <= found.start() and number.unit != "%"]
    behind = [number for at, number in numbers if at == found.end()]
    if not before or not behind or not reader.free(*found.span("word")):
        return
    if before[-1].unit and behind[0].unit and before[-1].unit != behind[0].unit:
        return
    moved = (behind[0].value - before[-1].value) * (-1 if back else 1)
    if moved and (moved > 0) != (found["up"] is not None):
        reader.add(found.span("word"), "direction", found["word"], None, [], why=_WHY)


def _judge_comparison(reader: Reader, found: re.Match[str], numbers: Numbers) -> None:
    """Judge "the latest count of 1,610 is above the mean of 1,663"."""
    start, end = reader.sentence(found.start())
    before = [number for at, number in numbers if start <= at and number.end <= found.start()]
    behind = [(at, number) for at, number in numbers if found.end() <= at < min(end, found.end() + _REACH)]
    ahead = reader.own[start : found.start()]
    if not before or not behind or not reader.free(*found.span()) or re.match("better|worse", found[0], re.IGNORECASE):
        return
    one, (second, other) = before[-1], behind[0]
    between, clauses = reader.own[one.end : found.start()], reader.own[one.end : second]
    limit = _LIMIT.search(ahead) and not found[0].lower().startswith("short")
    if _EQUALS.search(ahead) or limit or _DIFFERENCE.fullmatch(between) or _NEXT_CLAUSE.search(clauses):
        return
    unit, theirs = one.unit or other.unit, other.unit or one.unit
    value = converted(other.value, theirs, unit) if unit and theirs and unit != "%" else None
    if value is not None and value != one.value and (one.value > value) != (found["more"] is not None):
        reader.add(found.span(), "comparison", found[0], None, [], why=_WHY)


def _judge_percent(reader: Reader, found: re.Match[str], numbers: Numbers) -> None:
    """Judge "1,690 vehicles, 21.7 % more than the usual 1,513"."""
    start, _ = reader.sentence(found.start())
    before = [number for at, number in numbers if start <= at and number.end <= found.start() and number.unit != "%"]
    behind = [number for at, number in numbers if at == found.end() and number.unit != "%"]
    said = next((number for at, number in numbers if at == found.start("percent")), None)
    if said is None or len(before) != 1 or not behind or not behind[0].value or not reader.free(*found.span("percent")):
        return
    unit = before[0].unit or behind[0].unit
    value = before[0].value
    if before[0].unit and behind[0].unit and before[0].unit != behind[0].unit:
        turned = converted(value, before[0].unit, behind[0].unit)
        if turned is None:
            return
        value = turned
    actual = 100 * (value / behind[0].value - 1) * (1 if found["more"] else -1)
    slack = 100 * (before[0].tolerance + behind[0].tolerance * abs(value / behind[0].value)) / abs(behind[0].value)
    if abs(actual - said.value) > said.tolerance + slack and unit != "":
        reader.add(found.span("percent"), "number", said.value, "%", [], why=_WHY)
