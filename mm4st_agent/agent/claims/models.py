"""Whether the words around a number let it be an error, a coverage or a width of the model or baseline meant."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.number_words import COUNT, count_of

_AHEAD = re.compile(
    r"(?<!per )\b(\d+)[\s-]minutes?(?:\s+(?:ahead|out)|[\s-](?:forecasts?|horizon|lead)|(?=\W*$))", re.IGNORECASE
)
_AT_A_LEAD = re.compile(
    r"\b(?:at|for|after)\s+(?:the\s+)?(\d+)[\s-]minutes?\b(?!\s+(?:before|ago|earlier|later))", re.IGNORECASE
)
_BEST = re.compile(r"\bbest (?:\w+ ){0,4}?(?:baselines?|rules?|methods?)\b", re.IGNORECASE)
_RIGHT_BEHIND = re.compile(
    r"\s*(?:[^\s\d;,.:]+\s+)?(?:at|for|after)\s+(?:the\s+)?(15|30|60)\b(?![.:]\d)", re.IGNORECASE
)
"""The lead right behind an error: '22.8 at 15 minutes to 44.5 at 60'."""
_OF_A_LEAD = re.compile(rf"\bahead\b|{_AT_A_LEAD.pattern}", re.IGNORECASE)
LEAD = re.compile(r"\b(?:ahead|out|leads?|horizons?|minutes?|hours?)\b", re.IGNORECASE)
"""Words without which no error at one of several leads is meant."""
_SAID = 0.4
"""A baseline is meant where more than this share of the words of its name is said."""
MODEL = re.compile(r"\bmodel\b|\bst-vlm\b", re.IGNORECASE)
_AGAINST = re.compile(
    r"\W*(?:[\w/%³µ]+\s+){0,2}?(?:against|versus|vs\.?|compared (?:with|to)|instead of)\b", re.IGNORECASE
)
_AGAINST_IT = re.compile(
    r"\b(?:against|versus|vs\.?|to)\s+(?:about )?(?:[\d.,]+(?:,| and)?\s+)*(?:and\s+)?$", re.IGNORECASE
)
_OVER_ALL = re.compile(r"\b(?:on average|overall|altogether|all (?:steps|horizons|lead times))\b", re.IGNORECASE)
_THAN_IT = re.compile(r"\b(?:than|beats?|outperforms?)\s+(?:the|its|every|any|a|all)\b", re.IGNORECASE)


def error_against(fact: Fact, scope: Scope) -> str:
    """What says that the number is another error than the fact; "" where nothing does."""
    it = re.search(r"\b(?:it|its)\b", scope.part) is not None and MODEL.search(scope.context) is None
    it = it and cues.BASELINE.search(scope.context) is not None
    baseline = it or cues.BASELINE.search(scope.part) is not None or (bool(fact.label) and _meant(scope) == fact.label)
    model = MODEL.search(scope.part) is not None
    baseline = baseline or (scope.dependent and cues.BASELINE.search(scope.sentence) is not None)
    second = _AGAINST_IT.search(scope.ahead) is not None and _THAN_IT.search(scope.sentence) is not None
    if fact.role == "width80" and fact.label and (wrong := other_model(fact, scope)):
        return wrong
    if fact.role == "baseline_mae" and not baseline and not second:
        return "that is the error of a baseline"
    first = _AGAINST.match(scope.after) is not None or _AGAINST.match(scope.reader.own, scope.span[1]) is not None
    if (
        fact.role in ("mae", "recent_mae")
        and baseline
        and not model
        and not (first and _THAN_IT.search(scope.sentence))
    ):
        return "that is the error of the model"
    if fact.role == "baseline_mae" and _BEST.search(scope.part) and fact.group == "rows" and fact.extreme != -1:
        return "that is another baseline"
    if fact.role == "baseline_mae" and fact.label and (other := _meant(scope)) is not None and other != fact.label:
        return f"that is the error of {fact.label}"
    lead = _RIGHT_BEHIND.match(scope.reader.own, scope.span[1])
    said = (
        [int(lead[1])]
        if lead
        else minutes_ahead(_beside(scope)) or ([] if _OVER_ALL.search(_beside(scope)) else minutes_ahead(scope.part))
    )
    said = said or ([] if _OVER_ALL.search(_beside(scope)) else minutes_ahead(scope.sentence))
    if fact.ahead is not None and not said and not LEAD.search(scope.context):
        return f"that is {fact.ahead:g} minutes ahead"
    if said and fact.ahead is None and fact.group == "rows" and _OF_A_LEAD.search(scope.sentence):
        return "that is over all steps ahead"
    if said and fact.ahead is not None and fact.ahead not in said:
        return f"that is {fact.ahead:g} minutes ahead"
    return ""


def _beside(scope: Scope) -> str:
    """The part between the numbers before and behind the claim."""
    return re.split(r"\d[\d.,]*+(?! ?min)", scope.before)[-1] + " " + scope.reach[len(scope.ahead) :]


def minutes_ahead(text: str) -> list[int]:
    """'15 minutes ahead', 'between 15 and 60 minutes ahead', 'at 15 minutes, 1.57 at 30 and 1.74 at 60'."""
    found = [int(m[1]) for m in _AHEAD.finditer(text)]
    found += [int(m[1]) for m in _AT_A_LEAD.finditer(text)]
    found += [int(m[1]) for m in re.finditer(r"\b(?:at|for|after) (15|30|60)(?=\W*$|,|\s+and\b)", text)]
    found += [count_of(m[1]) for m in re.finditer(rf"({COUNT.pattern}) minutes? (?:ahead|out)\b", text, re.IGNORECASE)]
    found += [60 for _ in re.finditer(r"\b(?:at|after) (?:an|one|a full) hour\b", text, re.IGNORECASE)]
    found += [30 for _ in re.finditer(r"\b(?:at|after) half an hour\b", text, re.IGNORECASE)]
    found += [15 for _ in re.finditer(r"\bquarter of an hour\b", text, re.IGNORECASE)]
    found += [30 for _ in re.finditer(r"\bhalf an hour (?:ahead|out)\b", text, re.IGNORECASE)]
    found += [60 for _ in re.finditer(r"(?<!half )\b(?:an|one|a full) hour (?:ahead|out)\b", text, re.IGNORECASE)]
    for several in re.finditer(r"\b(\d+(?:, ?\d+)*),? and \d+ minutes (?:ahead|out)\b", text, re.IGNORECASE):
        found += [int(number) for number in several[1].split(",")]
    if found:
        found += [
            int(m[1])
            for m in re.finditer(
                r"\b(?:between|from|at|and)\s+(\d+)(?=\s+(?:and|to|or)\b|"
                r"\W*$)",
                text,
            )
        ]
    return found


def other_model(fact: Fact, scope: Scope) -> str:
    """What says that the row of a backtest is another model's."""
    baselines = {f.label for facts in scope.reader.facts for f in facts.numbers if f.role == "baseline_mae"}
    if MODEL.search(scope.part if _meant(scope) else scope.reach) and fact.label not in baselines:
        return ""
    named = _meant(scope)
    if named is not None and named != fact.label:
        return f"that is of {fact.label}"
    trained = re.search(r"\btrained model|\bthe model|\bour model|\bst-vlm\b", scope.part, re.IGNORECASE) is not None
    return f"that is of {fact.label}" if named is None and trained and fact.label in baselines else ""


def _meant(scope: Scope) -> str | None:
    """The baseline whose name the part says, as far as it says any."""
    labels = {f.label for facts in scope.reader.facts for f in facts.numbers if f.role == "baseline_mae" and f.label}
    tail, head = re.split(r"\d[\d.,]*\s*%?", scope.before)[-1], re.split(r"\d", scope.after)[0]
    names = (named_model(text, labels) for text in (f"{tail} {head}", scope.part, scope.reach))
    return next((name for name in names if name is not None), None)


def named_model(text: str, labels: set[str]) -> str | None:
    """The one baseline whose name a text says, as far as it says any."""
    scores = {label: _overlap(label, text.casefold()) for label in labels}
    best = max(scores.values(), default=0.0)
    found = [label for label, score in scores.items() if score == best]
    return found[0] if best > _SAID and len(found) == 1 else None


def _overlap(label: str, said: str) -> float:
    words = [word for word in re.findall(r"\w{4,}", label.casefold()) if word not in ("this", "time")]
    return sum(word in said for word in words) / len(words) if words else 0.0
