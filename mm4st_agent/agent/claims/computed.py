"""Numbers that follow from two others of their sentence, which are judged themselves."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.quantities import WrittenNumber

_SAID = re.compile(r"(?<![\w:.,])\d[\d,]*+(?:\.\d++)?(?![\d:]|[.,]\d|[ -](?:minute|hour|day|min\b|h\b))")
_SHARES = 200.0
_OTHER_SIDES = (
    (
        re.compile(
            r"\bthan (?:in )?the (?:hour before|previous hour)|\bon the (?:hour before|previous hour)", re.IGNORECASE
        ),
        "previous_mean",
    ),
)
"""Words for what a percentage is more or less than, and its role."""
_ROUNDED = 0.11
"""The difference of two rounded numbers may be off by the last digit of both."""


def follows(written: WrittenNumber, scope: Scope) -> bool:
    """Whether it is the difference or ratio of two other numbers of the sentence, which are judged themselves."""
    if cues.COMPARED.search(scope.sentence) is None or (written.unit == "%" and written.value > _SHARES):
        return False
    if written.unit == "%" and any(words.search(scope.part) and _is_told(scope, role) for words, role in _OTHER_SIDES):
        return False
    said = [float(found[0].replace(",", "")) for found in _SAID.finditer(scope.sentence)]
    others = [value for value in said if value != written.value]
    if written.unit == "%":
        told = (100 * (one / other - 1) for one in others for other in others if other and one != other)
    else:
        told = (one - other for one in others for other in others if one != other)
    return any(abs(abs(value) - abs(written.value)) <= max(written.tolerance, _ROUNDED) for value in told)


def _is_told(scope: Scope, role: str) -> bool:
    """Whether an entry itself says by how many percent something differs from the value of a role."""
    return any(fact.role == "relative" and fact.of[1] == role for fact in scope.reader.all_facts)
