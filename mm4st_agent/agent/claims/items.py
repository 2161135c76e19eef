"""Which object of a reply words such as "the spike", "the closest match", "without it" single out.

A number that stands with such words is no value of another object of the same reply.
"""

from __future__ import annotations

import re
from datetime import datetime

from mm4st_agent.agent.claims.calls import own_words
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import WrittenTime, same_time

_NTH = {"second": 1, "third": 2, "fourth": 3, "fifth": 4}
_MATCH = re.compile(
    rf"\b(?:(?P<nth>{'|'.join(_NTH)})[\s-]+)?(?:best|closest|nearest|most similar|top)(?:[\s-]\w+)?\s+"
    r"(?:match|analog(?:ue)?|case|precedent|day|morning|situation|hour)\b",
    re.IGNORECASE,
)
_WITHOUT = re.compile(
    r"\b(?:without|left out|taken out|removed|removing|dropped|dropping|deleted|deleting|leaving|stripped|absent|"
    r"had (?:\w+ ){1,4}(?:not|never)|if (?:\w+ ){1,4}(?:not|never))\b",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"\b(?:with (?:it|them|the (?:incident|entries|event|bulletins?)|incident)"
    r"(?! (?:left|taken|removed|dropped|deleted|out|gone))|as (?:things|it) (?:are|stands?|is)|"
    r"left in|included|unchanged|originally|actual(?:ly)?|from)\b",
    re.IGNORECASE,
)
_KEPT = re.compile(
    r"\b(?:kept|left|still|included) in\b|\bwith it\b|\bas (?:things|it) (?:are|stands?|is)\b", re.IGNORECASE
)
_ASIDE = re.compile(r"\b(?:than|against|versus|vs|compared|relative|unlike|from)\b", re.IGNORECASE)


def item_against(fact: Fact, scope: Scope) -> str:
    """What says that the number is of another object of the reply than the fact; "" where nothing does."""
    return _kind_against(fact, scope) or _match_against(fact, scope) or _scenario_against(fact, scope)


def _own_words(scope: Scope) -> str:
    return " _ ".join(own_words(scope))


def _kind_against(fact: Fact, scope: Scope) -> str:
    if fact.group != "anomalies" or not fact.label:
        return ""
    kinds = {f.label for facts in scope.reader.facts for f in facts.numbers if f.group == "anomalies"}
    said = {kind for kind in kinds if re.search(rf"\b{kind}s?\b", _own_words(scope), re.IGNORECASE)}
    return f"that is of the {fact.label}" if said and fact.label not in said else ""


def _match_against(fact: Fact, scope: Scope) -> str:
    """'The closest match' is the first of a list; a value of the present is none of a match."""
    found = _MATCH.search(_own_words(scope))
    if found is None or _ASIDE.search(_own_words(scope)[: found.start()]):
        return ""
    listed = [
        f for facts in scope.reader.facts if facts.entry.id == fact.entry for f in facts.numbers if f.group == "analogs"
    ]
    if not listed or fact.unit in ("", "1"):
        return ""
    index = _NTH.get((found["nth"] or "").lower(), 0)
    if fact.group == "analogs":
        return "" if fact.path.startswith(f"analogs[{index}]") else "that is of another match"
    return "that is of no match" if any(f.role == fact.role for f in listed) else ""


def _scenario_against(fact: Fact, scope: Scope) -> str:
    own = _own_words(scope)
    if fact.role in ("before", "after") or fact.path.startswith(("before.", "after.")):
        without = fact.role == "after" or fact.path.startswith("after.")
        if not without and _WITHOUT.search(own) and not _WITH.search(own):
            return "that is the forecast as things are"
        if without and _KEPT.search(own) and not _WITHOUT.search(own):
            return "that is the forecast without it"
    return ""


def match_time_against(reader: Reader, wanted: WrittenTime, scope: Scope) -> str:
    """What says that a time is not that of the match which the part singles out; "" where nothing does."""
    found = _MATCH.search(scope.part)
    if found is None:
        return ""
    index = _NTH.get((found["nth"] or "").lower(), 0)
    times: list[datetime] = []
    for facts in reader.facts:
        if (
            facts.entry.id in reader.allowed(scope.span[1])
            and (moment := facts.time(f"analogs[{index}].time")) is not None
        ):
            times.append(moment)
    return (
        "" if not times or any(same_time(wanted, moment) for moment in times) else f"that match is of {times[0]:%d %B}"
    )
