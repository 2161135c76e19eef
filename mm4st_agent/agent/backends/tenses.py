"""Whether a question speaks of what was, is or will be."""

from __future__ import annotations

import re

from mm4st_agent.agent.backends.clock_times import PAST_THE_HOUR, TIME
from mm4st_agent.agent.backends.dates import Tense
from mm4st_agent.agent.backends.durations import COUNT, UNIT

_FUTURE = re.compile(
    r"\b(?:will|won't|shall|going to|goin to|gonna|forecasts?|forecasting|predict\w*|expect\w*|tomorrow|next(?! (?:to"
    r"|station|sensor|one|detector|place|door|neighbou?r|counter|monitor)\b)|coming"
    r"|(?<!\bi'm )(?<!\bi am )(?<!\bwe're )(?<!\bwe are )(?<!\bim )(?<!\bjust )about to|likely to|shortly"
    r"|outlook|prognosis|foresee\w*|headed|to come|any ?time soon|in a (?:bit|while|moment)"
    r"|upcoming|ahead|from now|should (?:i|we) (?:expect|plan|leave)|soon|later (?:today|on|this|tonight))\b|\w'll\b"
)
_PAST = re.compile(
    r"\b(?:was|were|wasn't|weren't|did|didn't|had|happened|passed|went|has been|have been|there been|came|drove|crashed"
    r"|carried|ran|peaked|reached|logged|recorded"
    rf"|yesterday|ago|so far|earlier|last|in the past|past\s+(?:(?:{COUNT})\s*-?)?(?:{UNIT})|past\s+few|previous|since"
    r"|until now)\b"
)
PRESENT = re.compile(
    r"\b(?:right now|now|currently|current|at the (?:very )?(?:moment|minute)|at present|just now|presently"
    r"|(?:at )?this (?:very )?(?:moment|minute|instant|second)|as we speak|as of now|for the moment|rn|atm)\b"
)
COMPARED = re.compile(
    r"\b(?:than|compared (?:to|with)|as (?:it was|they were)|vs\.?|versus)\s+(?:it (?:was|is)\s+|on\s+|the\s+|in\s+)*"
    r"(?:yesterday|today|now|(?:last|this|previous|next|same)\s+\w+(?:\s+last\s+\w+)?|(?:mon|tues|wednes|thurs|fri"
    r"|satur|sun)days?"
    r"|an hour ago|(?:an?\s+)?\w+\s+\w+\s+ago)\b"
)
OF_THE_WEEK = re.compile(r"\b(?:this|that|the same)\s+(?:time|hour)\s+of\s+(?:the\s+)?(?:day|week|year)\b")
_CLOCK_TIME = re.compile(rf"{TIME}|{PAST_THE_HOUR}")


def tense_of(question: str) -> Tense | None:
    """Whether a question speaks of what was, is or will be; None where it does not say."""
    text = OF_THE_WEEK.sub(" ", COMPARED.sub(" ", _CLOCK_TIME.sub(" ", question.lower())))
    if _FUTURE.search(text):
        return "future"
    if _PAST.search(text):
        return "past"
    if PRESENT.search(text) or re.search(r"\b(?:is|are)\b|\w'(?:s|re)\b", text):
        return "present"
    return None
