"""What a question takes for granted of readings and log: "why did the flow fall so sharply?" says that it fell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Premise = Literal["rose", "fell", "high", "low", "broken", "closed"]

_RISE = (
    r"(?:ris(?:e|en|ing)|rose|increas\w*|jump\w*|climb\w*|surg\w*|grow\w*|grew|soar\w*|shoot up|shot up"
    r"|go(?:ne)? up|went up)"
)
_FALL = (
    r"(?:fall(?:en|ing)?|fell|drop\w*|declin\w*|decreas\w*|sink\w*|sank|collaps\w*|slump\w*|plung\w*|plummet\w*"
    r"|go(?:ne)? down|went down)"
)
_REASON = re.compile(
    r"\b(?:why|how come|what (?:made|let|caused|has made|is making|was behind|led)|explain|reasons?|cause[sd]? of"
    r"|because of what)\b",
    re.IGNORECASE,
)
_GIVEN = re.compile(r"\b(?:since|after|now that|because|ever since|given that|as)\b", re.IGNORECASE)
_BROKEN = re.compile(
    r"\b(?:sensors?|detectors?|stations?|counters?|loops?|monitors?"
    r"|\w*\d+)\s+(?:\w+\s+){0,2}?(?:broke(?:n)?(?: down)?|failed"
    r"|died|(?:is|was|went|has gone|been) (?:down|dead|offline|out of order)|stopped (?:working|reporting"
    r"|measuring))\b",
    re.IGNORECASE,
)
CLOSED = re.compile(r"\b(?:clos(?:e|ed|es|ing|ures?)|shut(?: down)?|blocked|sealed off)\b", re.IGNORECASE)
_SUCH = r"(?:so|this|that|unusually|extremely|very|exceptionally|such an?|abnormally)"
_WORDS: dict[Premise, re.Pattern[str]] = {
    "rose": re.compile(rf"\b{_RISE}\b", re.IGNORECASE),
    "fell": re.compile(rf"\b{_FALL}\b", re.IGNORECASE),
    "high": re.compile(rf"\b{_SUCH}\s+(?:high|busy|full|much|many|fast|quick|polluted|dirty|heavy)\b", re.IGNORECASE),
    "low": re.compile(rf"\b{_SUCH}\s+(?:low|quiet|empty|little|few|slow|calm|clean)\b", re.IGNORECASE),
}
NOTABLE = 0.05
"""By less than this share of the first half, the second does not differ."""


def premise(question: str) -> Premise | None:
    """What a question takes for granted before it asks, mostly for reasons; None where it takes nothing for granted.

    >>> premise("Why did the flow fall so sharply from 7 to 9?"), premise("Did the flow fall?")
    ('fell', None)
    """
    asked_why = _REASON.search(question) is not None
    given = _GIVEN.match(question.lstrip(" ,.;:-"))
    if (asked_why or given) and _BROKEN.search(question):
        return "broken"
    if not asked_why:
        return None
    if CLOSED.search(question):
        return "closed"
    return next((kind for kind, pattern in _WORDS.items() if pattern.search(question)), None)


@dataclass(frozen=True)
class Course:
    """How a window went, against what was taken for granted.

    Attributes:
        claimed: That it rose, or that it fell.
        did: What it did, from the mean of its first half to that of its second.
        early, late: The replies of `query_series` about the halves.
        evidence: Their entries of the ledger.
    """

    claimed: Premise
    did: Literal["rose", "fell", "stayed"]
    early: dict[str, Any]
    late: dict[str, Any]
    evidence: tuple[str, str]

    @property
    def wrong(self) -> bool:
        return self.did != self.claimed


def course(claimed: Premise, early: dict[str, Any], late: dict[str, Any]) -> Course | None:
    """Compare the halves of a window; None where one of them was not measured.

    Args:
        claimed: 'rose' or 'fell'.
        early: Reply of `query_series` about the first half, with its entry as `evidence`.
        late: The same about the second.
    """
    before, after = early.get("mean"), late.get("mean")
    if before is None or after is None:
        return None
    change = after - before
    did: Literal["rose", "fell", "stayed"] = "rose" if change > 0 else "fell"
    if abs(change) <= NOTABLE * abs(before):
        did = "stayed"
    return Course(claimed, did, early, late, (str(early["evidence"]), str(late["evidence"])))
