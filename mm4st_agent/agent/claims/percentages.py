"""Whether the words around a percentage let it be a coverage, a share, a level or a change."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.models import LEAD, other_model
from mm4st_agent.agent.claims.scope import Scope

_NOMINAL = re.compile(f"{cues.INTERVAL.pattern}|nominal|target|level", re.IGNORECASE)
_LISTED = re.compile(r";\s*$")
"""The sentence before goes on."""
NOMINAL_BEHIND = re.compile(
    r"[\s-]*(?:prediction |forecast |confidence )?(?:interval|range|band|level)s?\b", re.IGNORECASE
)
_COVERAGE_BEHIND = re.compile(r"\s*(?:interval )?coverage\b", re.IGNORECASE)
SO_MUCH_MORE = re.compile(
    r"\W*(?:\w+\s+)?(?:above|below|over|under|more|less|fewer|higher|lower|faster|slower|lighter|heavier|busier|"
    r"quieter|down|up)\b",
    re.IGNORECASE,
)
_BY_SO_MUCH = re.compile(
    r"\b(?:exceed|differ|rise|rose|f[ae]ll|drop|increase|decrease|slow|up|down|above|below|"
    r"usual)\w*\b[^.;]{0,30}\bby\s+(?:about |only |just |between )?(?:[\d.,]+%?\s+(?:to|and)\s+)?$",
    re.IGNORECASE,
)


class Uncued(str):
    """That a number may be a fact only where some word says so, and none does.

    It speaks against the fact as long as the evidence has another that the sentence fits as it stands.
    """

    __slots__ = ()


def said(role: str) -> str:
    """A role as people call it."""
    return role.replace("_", " ")


def percentage_against(fact: Fact, scope: Scope) -> str:
    """What says that a percentage is another than the fact; "" where nothing does."""
    role, sentence, part = fact.role, scope.sentence, scope.part
    words = part + " " + sentence
    needs = {
        "coverage": cues.COVERAGE, "coverage80": cues.HELD, "total_coverage80": cues.HELD, "interval": _NOMINAL,
        "strength_percent": re.compile(r"varia|explain|strength|strong", re.IGNORECASE),
        "confidence_percent": re.compile(r"confiden|sure|certain|agree", re.IGNORECASE),
        "shares_percent": re.compile(r"time|steps|state", re.IGNORECASE),
        "random_below_percent": re.compile(r"random", re.IGNORECASE),
        "text_percent": re.compile(r"text|bulletin|event|word", re.IGNORECASE),
        "vision_percent": re.compile(r"vision|picture|image|visual", re.IGNORECASE),
        "series_percent": re.compile(r"series|reading|number|numeric", re.IGNORECASE),
        "missing": re.compile(r"missing|miss(?:es|ed)?\b|gap|lack|without|lost|absent|complete", re.IGNORECASE),
        "imputed": re.compile(r"imput|filled|estimat", re.IGNORECASE),
        "missing_share": re.compile(r"missing|gap|lack|incomplete|without", re.IGNORECASE),
        "imputed_share": re.compile(r"imput|filled|estimated", re.IGNORECASE),
    }  # fmt: skip
    part_of = role in ("interval", "level") or (role == "percent" and fact.group != "difference")
    if part_of and (SO_MUCH_MORE.match(scope.after) or _BY_SO_MUCH.search(scope.before)):
        return "it is so much of it, not so much more or less"
    if role == "change" and cues.HELD.search(part) and not cues.COMPARED.search(part):
        return "that is a change"
    if _COVERAGE_BEHIND.match(scope.after) and role not in ("coverage", "coverage80", "total_coverage80", "interval"):
        return f"that is no coverage but the {said(role)}"
    if (
        role == "measured"
        and needs["missing"].search(part)
        and not re.search(r"\bmeasur|complete", part, re.IGNORECASE)
    ):
        return "that is the measured share"
    if role in needs:
        words = (
            scope.context
            if role == "coverage80" or (scope.sentence[:1] == " " and _LISTED.search(scope.previous))
            else words
        )
        near = part if role.endswith("_percent") and role[:4] in ("text", "visi", "seri") else words
        if not needs[role].search(near):
            return Uncued("that is the nominal level") if role == "interval" else f"that is the {said(role)}"
        if fact.ahead is not None and not LEAD.search(scope.context):
            return f"that is {fact.ahead:g} minutes ahead"
        if role == "coverage80" and fact.label and (other := other_model(fact, scope)):
            return other
        if role in ("coverage",) and cues.USUAL.search(part):
            return "that is the coverage"
        return ""
    if role == "level":
        if cues.HELD.search(part) and not cues.USUAL.search(part):
            return "that is the level"
        if not cues.USUAL.search(scope.context):
            return Uncued("that is the level")
    if role == "change" and cues.USUAL.search(part):
        return "that is the change from the time before, not from the usual"
    return ""
