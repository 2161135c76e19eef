"""What a question says of a decision: the ends of a trip, a latency to stay below, rain that is too much, costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Decision = Literal["route", "capacity", "hazard"]

_ROUTE = re.compile(
    r"\b(?:ways?|routes?|roads?|paths?|detours?|itinerary|directions|navigate|drive|driving|how long|how many minutes"
    r"|how much time|journey|trip|travel times?|travel|quickest|fastest|eta|get|gets|go|goes|going|start(?:ing)?)\b"
    r".{0,60}\b(?:from\b.{1,60}\b(?:to|towards?|for|reach)|between\b.{1,60}\band|to\b.{1,60}\bfrom)\b"
    r"|\bfrom\b.{1,60}\bto\b.{1,60}\b(?:ways?|routes?|quicker|quickest|faster|fastest|how long|minutes)\b"
    r"|\b(?:at|leav\w+|start\w*)\b.{1,60}\b(?:to|for|reach|arrive|by)\b.{0,60}\b(?:ways?|routes?|how long|quickest)\b"
    r"|\b(?:arrive|be) at\b.{1,60}\b(?:leave|start|set off|depart)\b"
    r"|\b(?:which|what|best|shortest|faster|quicker|good|another) (?:is the )?(?:\w+ )?(?:way|route|path)\b"
    r".{0,20}\bto\b"
    r"|\b(?:fastest|quickest) (?:way|route)\b|^\W*eta\b"
    r"|\b(?:which|what) (?:(?:of (?:the|these|those) )?(?:two |three )?(?:ways|routes)|way|route)\b.{0,12}"
    r"\b(?:is|takes?|are|should|do|would|will)\b.{0,30}\b(?:fast\w*|quick\w*|short\w*|best|better|take)\b"
    r"|\bhow (?:do|should|can|would|could) (?:i|we|one|they|she|he) (?:best )?(?:get|drive|go|travel) to\b"
    r"|->|→",
    re.IGNORECASE,
)
_EITHER_BY = re.compile(r"\bor (?:past|via|by|through|over|along|the (?:one|tunnel|bridge))\b", re.IGNORECASE)
"""Two ways that the question names itself are two places, set against each other."""
_REPLICAS = (
    r"(?:replicas?|instances?|pods?|servers?|workers?|nodes|containers?|machines|vms|copies|capacity|boxes|backends?)"
)
_CAPACITY = re.compile(
    rf"\b(?:how (?:many|much|few)|number of|what number of|fewest|fewer|enough|count of|minimum)\b.{{0,30}}"
    rf"\b{_REPLICAS}\b"
    rf"|\b(?:size|scale|dimension|provision|plan|set|autoscale)\b.{{0,40}}\b(?:{_REPLICAS}|service|fleet|pool"
    rf"|deployment|autoscaler)\b|\bprovision\b"
    rf"|\b{_REPLICAS}\b.{{0,60}}\b(?:latency|response times?|ms|milliseconds?|p9[59]|slo|sla)\b"
    rf"|\b(?:latency|response times?|ms|milliseconds?|p9[59]|slo|sla)\b.{{0,60}}\b{_REPLICAS}\b",
    re.IGNORECASE,
)
_RAINY = r"(?:rain\w*|downpours?|precipitation|showers?|wet|flood\w*|cloudbursts?|mm|millimet\w+|storms?)"
_WARNING = (
    r"(?:warn(?:ings?|ed|ing)?|alerts?|alarm|caution|advisory|(?:yellow|orange|red) (?:level|warning|alert)"
    r"|precautions?|tell people|close the underpass|sandbags?)"
)
_HAZARD = re.compile(
    rf"\b{_WARNING}\b"
    r"|\b(?:chance|likel\w+|probab\w+|risk|odds)\b.{0,40}\b(?:of|that)\b"
    r"|\bwill\b.{0,30}\b(?:rain|precipitation)\b.{0,40}\b(?:exceed|reach|add up|pass|top|more than|over|above)\b",
    re.IGNORECASE,
)
_WET = re.compile(rf"\b{_RAINY}\b", re.IGNORECASE)

_FROM = re.compile(
    r"\b(?:from|leav(?:e|ing)|start(?:ing)?(?: at| from)?|departing(?: from)?|between|out of)\s+(?:the\s+)?"
    r"(?:(?:road )?(?:station|sensor)\s+)?$",
    re.IGNORECASE,
)
_TO = re.compile(
    r"(?:\b(?:to|towards?|reach(?:ing)?|into|for|destination|and|until)|->|→)\s+(?:the\s+)?"
    r"(?:(?:road )?(?:station|sensor)\s+)?$",
    re.IGNORECASE,
)

_AMOUNT = r"(?P<n>\d+(?:[.,]\d+)?|half an?|an?|one|two|three)"
_TIME = re.compile(
    rf"(?<![\w.,]){_AMOUNT}\s*-?(?P<unit>ms|msec|milliseconds?|millis|s|secs?|seconds?)(?!\w)", re.IGNORECASE
)
_WORK_BEFORE = re.compile(
    r"\b(?:takes?|needs?|service times?|works?|work on|processing(?: time)?|handles? (?:a|one|each)|costs?"
    r"|per request|spends?)\b(?:(?!below|under|within|keep|stay|less|hold|meet)[^,;.?!]){0,25}$",
    re.IGNORECASE,
)
_WORK_BEHIND = re.compile(
    r"\s*(?:of (?:work|cpu|compute|service)|per request|(?:a|each|every|for (?:a|each|one)) request"
    r"|(?:of )?service time|to (?:process|serve|answer|handle)|processing)\b",
    re.IGNORECASE,
)
_WORDS = {"half a": 0.5, "half an": 0.5, "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0}
_MEAN = re.compile(r"\b(?:mean|average|on average|avg)\b", re.IGNORECASE)
_P99 = re.compile(r"\bp99\b|\b99(?:th)?\b(?:\s*%| per ?cent)?", re.IGNORECASE)
_PLANNED = re.compile(
    r"\b(?P<q>50|75|90)\s*(?:%|percent|per cent|th percentile)(?:\s+(?:of the load|load|sure|certain|confiden\w+"
    r"|quantile))|\b(?P<median>median|expected|typical) load\b|\bp(?P<p>75|90) load\b",
    re.IGNORECASE,
)
_RAIN_MM = re.compile(
    r"(?<![\w.,])(?P<n>\d+(?:[.,]\d+)?)\s*-?(?P<unit>mm|millimet(?:re|er)s?|inch(?:es)?|in(?= of (?:rain|precip)))"
    r"(?![\w/])(?!\s+(?:an|per|a|each|every) h)",
    re.IGNORECASE,
)
_LEVEL = re.compile(r"\b(yellow|orange|red)\b", re.IGNORECASE)
_RATIO = re.compile(
    r"\b(?:cost[- /]*(?:to[- ])?loss(?:[- ]ratio)?|ratio)\s*(?:of|is|at|=|:)?\s*(?P<r>0?[.,]\d+|\d+(?:[.,]\d+)?\s*"
    r"(?:%|per ?cent))"
    r"|\b(?:warning|alarm|alert|closing|closure|action|acting|precaution\w*)\b[^.;?!]{0,25}\bcosts?\b[^.;?!]{0,12}?"
    r"(?P<c>\d+(?:[.,]\d+)?\s*(?:%|per ?cent))",
    re.IGNORECASE,
)


def decision(question: str) -> Decision | None:
    """Which decision a question's words may be about.

    >>> decision("which way is faster from the station to the station?")
    'route'
    >>> decision("how many replicas keep us below 200 ms?")
    'capacity'
    >>> decision("should we warn about heavy rain tonight?")
    'hazard'
    """
    if _CAPACITY.search(question):
        return "capacity"
    if _HAZARD.search(question) and _WET.search(question):
        return "hazard"
    return "route" if _ROUTE.search(question) and not _EITHER_BY.search(question) else None


def ends(question: str, places: Sequence[str]) -> tuple[str | None, str | None]:
    """Where a trip begins and where it ends, of the words that name places.

    >>> ends("to S040 from S012, which way?", ["S040", "S012"])
    ('S012', 'S040')
    >>> ends("how do I get to S040?", ["S040"])
    (None, 'S040')
    """
    origin, destination, others = None, None, []
    for words in places:
        at = question.casefold().find(words.casefold())
        before = question[:at] if at >= 0 else ""
        if origin is None and _FROM.search(before):
            origin = words
        elif destination is None and _TO.search(before):
            destination = words
        else:
            others.append(words)
    if origin is None and others:
        origin = others.pop(0)
    if destination is None and others:
        destination = others.pop(0)
    return origin, destination


def latency_ms(question: str) -> float | None:
    """The latency to stay below.

    >>> latency_ms("how many pods for under half a second if a request takes 40 ms?")
    500.0
    """
    return next((_ms(found) for found in _TIME.finditer(question) if not _is_work(question, found)), None)


def service_ms(question: str) -> float | None:
    """How long a replica works on a request.

    >>> service_ms("each request takes 40 ms; which number of servers keeps p99 below 1 s?")
    40.0
    """
    return next((_ms(found) for found in _TIME.finditer(question) if _is_work(question, found)), None)


def without_latencies(question: str) -> str:
    """The question with ';' for each latency, which is no time that a plan is made for."""
    return _TIME.sub(lambda found: ";" * len(found[0]), question)


def _is_work(question: str, found: re.Match[str]) -> bool:
    behind = _WORK_BEHIND.match(question, found.end())
    return behind is not None or _WORK_BEFORE.search(question[: found.start()]) is not None


def _ms(found: re.Match[str]) -> float:
    words = found["n"].casefold()
    amount = _WORDS[words] if words in _WORDS else float(words.replace(",", "."))
    return amount if found["unit"].casefold().startswith("m") else 1000 * amount


def statistic(question: str) -> Literal["mean", "p99"] | None:
    """What of the latency is meant, where it is not what 95 % of the requests stay below."""
    if _P99.search(question):
        return "p99"
    return "mean" if _MEAN.search(question) else None


def planned_quantile(question: str) -> int | None:
    """The quantile of the load that is planned for, in %, where one is named."""
    found = _PLANNED.search(question)
    return None if found is None else 50 if found["median"] else int(found["q"] or found["p"])


def rain_mm(question: str) -> float | None:
    """How much rain is too much.

    >>> rain_mm("do we warn if more than 1.5 mm falls?")
    1.5
    """
    found = _RAIN_MM.search(question)
    if found is None:
        return None
    value = float(found["n"].replace(",", "."))
    return round(value * (25.4 if found["unit"].casefold().startswith("in") else 1.0), 3) or None


def warning_level(question: str) -> str | None:
    """The colour of a weather service's warning."""
    found = _LEVEL.search(question)
    return None if found is None else found[1].casefold()


def cost_loss(question: str) -> float | None:
    """What a warning costs as a share of the loss that it saves.

    >>> cost_loss("with a cost-loss ratio of 0.1"), cost_loss("a warning costs 30 % of the damage")
    (0.1, 0.3)
    """
    found = _RATIO.search(question)
    if found is None:
        return None
    words = (found["r"] or found["c"]).replace(",", ".")
    value = float(re.sub(r"[^\d.]", "", words)) / (1 if re.fullmatch(r"[\d.]+", words) else 100)
    return value if 0 < value < 1 else None
