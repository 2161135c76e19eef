"""A second path beside the eyes: what a chat model sees in a picture is measured in the readings, too.

A chat model that sees pictures may misread one. So whenever it gets a rendered series of one
place, `detect_patterns` measures the same window; the model is told the result in text, and
statements of its answer that disagree with it become warnings.

Only plain statements are compared, sentence by sentence: direction, anomalies, cycles and lasting
changes of level. A sentence about another place, about what is to come or about a part of the
window ("in the evening it falls") is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.toolspec import ToolSpec

LOOK = "render_series"
MEASURE = "detect_patterns"
NOTE = "The drawn window, measured by detect_patterns: where the picture seems to say something else, this holds."

_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?!\[E)|\n+")
_POINTER = re.compile(r"\[(E\d+(?:\s*,\s*E\d+)*)\]")
_DIRECTIONS = {
    "rising": r"ris(?:es?|ing|en)|rose|increas\w+|climb\w*|grow(?:s|n|ing)?|grew|upwards?|going up",
    "falling": r"fall(?:s|en|ing)?|fell|declin\w+|decreas\w+|drop(?:s|ped|ping)?|downwards?|s[ia]nk\w*|going down",
    "steady": r"steady|stable|flat|unchanged|constant|(?:no|without an?) (?:\w+ ){0,2}trend|neither ris\w+ nor fall\w+",
}
_ANOMALY = r"anomal\w+|spikes?|outliers?|unusual (?:reading|value|point|stretch)\w*"
_CHANGE = (
    r"level shifts?|step changes?|(?:shift|jump)(?:s|ed)? (?:in|to) (?:the |a )?(?:new |higher |lower )?level"
    r"|changes? (?:of|in) (?:the )?level"
)
_CYCLE = (
    r"(?:(?P<adjective>hourly|daily|weekly) )?(?:cycl\w+|periodic\w*|rhythms?|seasonality)"
    r"|repeats? (?:itself )?(?:every (?P<noun>hour|day|week)|(?P<adverb>hourly|daily|weekly))"
    r"|(?P<pattern>hourly|daily|weekly) patterns?"
)
_HOURS = {"hour": 1.0, "hourly": 1.0, "day": 24.0, "daily": 24.0, "week": 168.0, "weekly": 168.0}
_NOT = r"\b(?:no|not|never|without|neither|nor|none|free of|lacks?)\b(?:\W+\w+){0,4}\W*$"
"""In front of a statement, in its sentence: it is denied."""
_PART = (
    r"morning|noon|afternoon|evening|night|midnight|rush|peak|until|then|first|later|before|after|between"
    r"|each day|every day|weekends?|\d{1,2}:\d{2}"
)
_AHEAD = r"will|forecast\w*|expect\w*|predict\w*|next|tomorrow|would|if"
_SAME_PERIOD = 0.1
"""Periods that differ by less than this share are the same."""
_LEAST_CYCLES = 3
"""A cycle can be found where the window holds so many of it."""


def arguments(
    call: Mapping[str, Any], look: ToolSpec[Any, Any, Any], measure: ToolSpec[Any, Any, Any]
) -> dict[str, Any] | None:
    """The arguments that measure the drawn window: those that both tools take; None for a picture of many places.

    Args:
        call: Arguments of a call that succeeded.
        look: The tool that drew.
        measure: The tool that measures.
    """
    drawn = look.input_model.model_validate(call).model_dump(mode="json", exclude_none=True)
    shared = {name: value for name, value in drawn.items() if name in measure.input_model.model_fields}
    return shared if "node" in shared else None


def disagreements(text: str, entries: Sequence[Evidence], tools: Mapping[str, ToolSpec[Any, Any, Any]]) -> list[str]:
    """What the text says of drawn places and the readings do not, a sentence each.

    Args:
        text: The answer.
        entries: The ledger from the present question on.
        tools: By name.
    """
    nodes = {str(v.value) for e in entries for v in e.values.values() if v.unit == "id"}
    nodes |= {str(e.args["node"]) for e in entries if e.args.get("node")}
    measured = [e for e in entries if e.tool == MEASURE and e.error is None]
    found: list[str] = []
    for look in (e for e in entries if e.tool == LOOK and e.error is None):
        window = arguments(look.args, tools[LOOK], tools[MEASURE])
        for entry in (e for e in measured if e.args == window):
            for sentence in _SENTENCE.split(text):
                if _is_about(sentence, str(entry.args["node"]), nodes, {look.id, entry.id}):
                    found += (f"The picture was read as {words} [{entry.id}]." for words in _compared(sentence, entry))
    return list(dict.fromkeys(found))


def _is_about(sentence: str, node: str, nodes: set[str], ids: set[str]) -> bool:
    """Whether a sentence speaks of the drawn place and window as a whole."""
    named = {n for n in nodes if re.search(rf"(?<![\w.]){re.escape(n)}(?!\w)", sentence)}
    pointed = {i for found in _POINTER.findall(sentence) for i in re.findall(r"E\d+", found)}
    elsewhere = (named and node not in named) or (pointed and not pointed & ids)
    return not elsewhere and not _find(_AHEAD, sentence) and not _find(_PART, sentence)


def _compared(sentence: str, entry: Evidence) -> Iterator[str]:
    """What was read and what the readings say, where they differ."""
    said, direction = _directions(sentence), _direction(entry)
    if len(said) == 1 and direction is not None and direction not in said:
        yield f"{said.pop()}; the readings say {'no lasting rise or fall' if direction == 'steady' else direction}"
    for pattern, path, name in ((_ANOMALY, "anomaly_count", "anomalies"), (_CHANGE, "change_count", "lasting changes")):
        found, count = _find(pattern, sentence), _number(entry, path)
        if found and count is not None and _denied(sentence, found) == (count > 0):
            read = "without" if count else "with"
            yield f"{read} {name}; the readings say {f'{count:g}' if count else 'none'}"
    cycle = _find(_CYCLE, sentence)
    if cycle:
        yield from _cycles(cycle, _denied(sentence, cycle), entry)


def _cycles(found: re.Match[str], denied: bool, entry: Evidence) -> Iterator[str]:
    periods = [float(v.value) for path, v in entry.values.items() if re.fullmatch(r"periods\[\d+\]\.hours", path)]
    measured = f"one of {periods[0]:g} h" if periods else "none"
    named = next((word.lower() for word in found.groupdict().values() if word), None)
    if denied:
        if periods and named is None:
            yield f"without a cycle; the readings say {measured}"
    elif named is None:
        if not periods:
            yield f"with a cycle; the readings say {measured}"
    elif entry.args.get("hours", 0) >= _LEAST_CYCLES * _HOURS[named] and not any(
        abs(period - _HOURS[named]) < _SAME_PERIOD * _HOURS[named] for period in periods
    ):
        yield f"with a cycle of {_HOURS[named]:g} h; the readings say {measured}"


def _directions(sentence: str) -> set[str]:
    found = {name: _find(pattern, sentence) for name, pattern in _DIRECTIONS.items()}
    return {name for name, match in found.items() if match and (name == "steady" or not _denied(sentence, match))}


def _direction(entry: Evidence) -> str | None:
    """Of the trend; None where it could not be measured."""
    change = _number(entry, "trend.change")
    if change:
        return "rising" if change > 0 else "falling"
    return "steady" if _number(entry, "trend.p_value") is not None else None


def _number(entry: Evidence, path: str) -> float | None:
    value = entry.values.get(path)
    return float(value.value) if value is not None else None


def _find(pattern: str, sentence: str) -> re.Match[str] | None:
    return re.search(rf"\b(?:{pattern})\b", sentence, re.IGNORECASE)


def _denied(sentence: str, found: re.Match[str]) -> bool:
    return re.search(_NOT, sentence[: found.start()], re.IGNORECASE) is not None
