"""Parts of the day: "this morning", "in the evening peak", "since breakfast", "the rest of the day", "late tonight"."""

from __future__ import annotations

import re

_HOURS: dict[str, tuple[float, float]] = {
    "early morning": (5, 8), "mid morning": (9, 11), "late morning": (10, 12), "morning": (6, 12),
    "early afternoon": (12, 15), "mid afternoon": (14, 16), "late afternoon": (15, 18), "afternoon": (12, 18),
    "early evening": (17, 19), "late evening": (20, 23), "evening": (18, 22),
    "late night": (22, 28), "night": (18, 30), "small hours": (0, 5), "dawn": (5, 7),
    "first thing": (6, 9), "dusk": (18, 20),
    "breakfast": (7, 8), "lunch": (12, 14), "teatime": (16, 17), "dinner": (18, 20), "school run": (8, 9),
    "morning rush": (7, 9), "evening rush": (16, 19),
}  # fmt: skip
"""First hour and the one after the last, on the day of the first."""
_SAME = {
    "tonight": "night", "overnight": "night", "sunrise": "dawn", "daybreak": "dawn", "first light": "dawn",
    "sunset": "dusk", "nightfall": "dusk", "lunchtime": "lunch", "lunch time": "lunch", "lunch hour": "lunch",
    "lunch break": "lunch", "noontime": "lunch", "breakfast time": "breakfast", "tea time": "teatime",
    "dinnertime": "dinner", "dinner time": "dinner", "supper": "dinner", "wee hours": "small hours",
    "early hours": "small hours",
}  # fmt: skip
_PEAK = (
    r"(?:rush(?:[\s-]+hours?)?|peak(?:[\s-]+(?:hours?|period|traffic))?|commut(?:e|er|ing)(?:\s+(?:time|hours?|peak))?)"
)
_RUSH = (
    rf"(?P<half>morning|am|a\.m\.|afternoon|evening|pm|p\.m\.|night|tonight)(?:['’]?s)?\s+{_PEAK}"
    rf"|{_PEAK}\s+(?:this|in\s+the|of\s+the|tomorrow|yesterday)\s+(?P<half2>morning|afternoon|evening)"
)
_WORDS = "|".join(sorted((re.escape(word) for word in (*_HOURS, *_SAME)), key=len, reverse=True))
PART = re.compile(
    r"(?<!good )(?!^\W*(?:morning|afternoon|evening)s?\s*(?:[,!.:–-]|all\b|there\b))"
    r"(?:\b(?P<soon>early|late)\s+(?=this|in\s|on\s|yesterday|tomorrow))?"
    r"(?:\b(?P<which>this|last|in the|during the|at the|over|over the|through the|throughout the|for the|by|at|since"
    r"|until|till|before|after|around|from)(?:\s+(?P<this>this|the|last))?\s+)?"
    rf"(?:\b(?P<rush>{_RUSH})|(?:\b(?P<early>early|late|mid)[\s-]+|(?<!\w))"
    rf"(?P<part>{_WORDS}))(?P<many>s)?\b(?!\s+(?:shift|brief\w*|news|bulletin|report|team|all\b|to you))"
    rf"(?:['’]s)?"
)
"""A part of the day and the word that leads to it."""
RUSH = re.compile(r"\b(?:rush|peak)(?:\s+|-)hours?\b")
"""Where nothing tells which of the two."""
REST = re.compile(
    r"\b(?:(?:for|over|during|in)\s+)?(?:the\s+)?(?:rest|remainder|remaining\s+(?:part|hours))\s+of\s+"
    r"(?P<whose>the|this|today['’]?s?|tonight)?\s*(?P<part>morning|afternoon|evening|night|day|hour|week)?\b"
    r"|\b(?:until|till|to|up to|through to|by|before)\s+(?:the\s+)?end\s+of\s+(?:the|this|today['’]?s?)\s*"
    r"(?P<part2>morning|afternoon|evening|night|day|hour|week)?\b"
)
"""What is left of a part, seen from the clock."""


def hours_of(found: re.Match[str]) -> tuple[float, float]:
    """The hours of a match of `PART`.

    >>> hours_of(PART.search("in the evening peak")), hours_of(PART.search("late tonight"))
    ((16, 19), (22, 28))
    """
    if found["rush"]:
        half = (found["half"] or found["half2"]).replace(".", "")
        return _HOURS["morning rush" if half in ("morning", "am") else "evening rush"]
    name = _SAME.get(found["part"], found["part"])
    return _HOURS.get(f"{found['early'] or found['soon']} {name}", _HOURS[name])


def half_of(found: re.Match[str] | None) -> str:
    """Which half of the day a match of `PART` lies in, 'am', 'pm' or 'night', which spans both; '' if it tells none."""
    if found is None:
        return ""
    first, last = hours_of(found)
    if first >= 12 and last > 24:
        return "night"
    return "am" if last <= 12 else "pm" if first >= 12 else ""
