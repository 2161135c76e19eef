"""Times of day as people write them: "8:15 pm", "noon", "half past eight", "ten to nine", "eight thirty", "0830"."""

from __future__ import annotations

import re

from mm4st_agent.agent.backends.durations import UNIT

_SPELLED = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_HOUR = "|".join(_SPELLED)
_MINUTES = {"five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_SHIFTS = {"quarter": 15, "half": 30, **_MINUTES}
_HALF_DAY = r"(?:\s*[ap]\.?m\b\.?)"
_SHIFT = r"(?:(?:an?\s+)?quarter|(?:five|ten|twenty(?:[- ]five)?|5|10|15|20|25)(?:\s+min(?:ute)?s?)?)"
_PAST_OR_TO = rf"(?:half\s+past|{_SHIFT}\s+(?:past|to|before|after))"
_NO_COUNT = (
    rf"(?!\s+(?:\w*km|{UNIT}|of|more|other|way|lanes?|places?|stations?|sensors?|cars?|vehicles?|monitors?|spots?|roads?"
    r"|minutes?|percent|slowest|fastest|busiest|quietest|highest|lowest|worst|best))"
)
BARE_END = (
    r"(?![\w:/%-])(?![.,]\d)"
    r"(?!\s*(?:km|mi|mph|m\b|ms|%|per|vehicles?|cars?|stations?|sensors?|places?|monitors?|spots?|roads?|of|north|south"
    r"|east|west|" + UNIT + "))"
)
_NIGHT_BEGINS, _NIGHT_ENDS = 18 * 60, 6 * 60
TIME = (
    r"(?:\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b\.?)?|\d{1,2}\s*[ap]\.?m\b\.?|(?:12\s+)?(?:noon|midday|midnight)\b"
    rf"|(?:\d{{1,2}}|{_HOUR})(?:\s*(?:o'?\s?clock|uhr)\b){_HALF_DAY}?"
    rf"|(?:half\s+past|{_SHIFT}\s+(?:past|before|after)|(?!\d){_SHIFT}\s+to)\s+"
    rf"(?:(?:{_HOUR})\b|noon\b|midday\b|midnight\b|\d{{1,2}}(?![\w:.])){_HALF_DAY}?{_NO_COUNT}"
    rf"|half\s+(?:{_HOUR})\b{_HALF_DAY}?{_NO_COUNT}"
    rf"|(?:{_HOUR})[- ](?:o[h' ]\s?five|(?:fifteen|(?:twenty|thirty|forty|fifty)(?:[- ]five)?)\b)"
    rf"{_HALF_DAY}?{_NO_COUNT}"
    rf"|(?:{_HOUR}){_HALF_DAY}"
    r"|\d{1,2}h\d{2}\b|(?<![\w.:-])(?:[01]\d|2[0-3])[0-5]\d\s?(?:h|hrs|hours)\b|(?<![\w.:])(?<![a-z]-)0\d[0-5]\d(?![\w.:])(?!-(?!\d{4}\b)))"
)  # fmt: skip
"""What is a time of day wherever it stands."""
PAST_THE_HOUR = rf"(?:{_PAST_OR_TO}(?:\s+the\s+hour)?)(?!\s+(?:{_HOUR}|\d|noon|midday|midnight))\b"
"""A time whose hour stands elsewhere: "till half past"."""
LOOSE = (
    rf"(?:{TIME}|{PAST_THE_HOUR}|\d{{1,2}}\.\d{{2}}(?![\d.])(?:\s*[ap]\.?m\b\.?)?(?!\s*(?:km|mi|%))"
    rf"|(?:{_HOUR})\b{_NO_COUNT}|\d{{1,2}}{BARE_END})"
)
"""Times that are only times behind a word such as 'at'."""


def readings(words: str, half: str) -> list[int]:
    """Minutes of the day that a time may mean, the likeliest first; empty when there is no such time.

    Args:
        words: Lower case, as `LOOSE` matches them.
        half: 'am', 'pm' or 'night' where other words tell it, else ''; hours of a night count on from its evening.

    >>> readings("8", ""), readings("8:15 pm", ""), readings("quarter to nine", "pm"), readings("25:99", "")
    ([480, 1200], [1215], [1245], [])
    >>> readings("eight thirty", "am"), readings("0830", ""), readings("half past", "")[:3]
    ([510], [510], [30, 90, 150])
    >>> readings("midnight", "night"), readings("five", "night"), readings("9", "night")
    ([1440], [1740], [1260])
    """
    if half == "night":
        either = readings(words, "")
        dark = [minutes + (1440 if minutes < _NIGHT_ENDS else 0) for minutes in either]
        return [minutes for minutes in dark if minutes >= _NIGHT_BEGINS] or either
    words = " ".join(words.strip().rstrip(".").replace(".m", "m").split())
    if words.removeprefix("12 ") in ("noon", "midday", "midnight"):
        return [0 if words.endswith("midnight") else 720]
    if said := re.fullmatch(r"(.+?)\s*(?<![a-z])(am|pm)", words):
        words, half = said[1], said[2]
        if said[1].isdigit() and not 1 <= int(said[1]) <= 12:
            return []
    if said := re.fullmatch(rf"({_PAST_OR_TO})(?:\s+the hour)?(?:\s+(\w+))?", words):
        shift = _shift(said[1])
        hours = readings(said[2], half) if said[2] else [60 * hour for hour in range(24)]
        return [(minutes + shift) % 1440 for minutes in hours]
    if said := re.fullmatch(rf"half ({_HOUR})", words):
        return [minutes + 30 for minutes in readings(said[1], half)]
    if said := re.fullmatch(rf"({_HOUR})[- ](.+)", words):
        minute = 5 if said[2].startswith("o") else sum(_MINUTES[part] for part in re.split(r"[- ]", said[2]) if part)
        if not said[2].startswith(("o'clock", "o clock", "oclock")):
            return [hour + minute for hour in readings(said[1], half)]
    if said := re.fullmatch(r"([012]\d)([0-5]\d)(?:\s?(?:h|hrs|hours))?", words):
        return [int(said[1]) * 60 + int(said[2])]
    said = re.fullmatch(r"(\d{1,2}|\w+?)(?:[:.h](\d{2})(?::\d{2})?)?\s*(?:o'?\s?clock|uhr)?", words)
    if said is None:
        return []
    hour = _SPELLED.index(said[1]) + 1 if said[1] in _SPELLED else int(said[1]) if said[1].isdigit() else 99
    minute = int(said[2] or 0)
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        return []
    if half and 1 <= hour <= 12:
        return [(hour % 12 + (12 if half == "pm" else 0)) * 60 + minute]
    literal = hour * 60 + minute
    return [literal] if said[2] or hour in (0, *range(12, 25)) else [literal, literal + 720]


def _shift(words: str) -> int:
    """Minutes past the hour, negative for those to it."""
    count = re.search(r"\d+", words)
    size = int(count[0]) if count else sum(_SHIFTS.get(part, 0) for part in re.findall(r"[a-z]+", words))
    return -size if re.search(r"\b(?:to|before)$", words) else size
