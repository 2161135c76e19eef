"""The claim checker: what is supported passes, what is not is marked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mm4st_agent.agent.claims import MARK, check
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.toolspec import Passage

AS_OF = "2022-01-25T07:30-08:00"


def _entry(id_: str, values: dict[str, tuple[Any, str]], **more: Any) -> Evidence:
    quantities = {path: EvidenceValue(value=value, unit=unit) for path, (value, unit) in values.items()}
    return Evidence(id=id_, tool="forecast", args={}, as_of=AS_OF, values=quantities, seconds=0.1, **more)


LEDGER = [
    _entry(
        "E1",
        {
            "node": ("1205330", "id"),
            "total.median": (4872.31, "vehicles"),
            "change": (-12.4, "%"),
            "share": (0.797, "1"),
            "last": (378.0, "vehicles/5 min"),
            "covers_until": ("2022-01-25T08:30-08:00", "time"),
            "minutes": (60, "min"),
        },
        labels=["I5-N, N OF 57, postmile 106.551"],
    ),
    _entry(
        "E2",
        {"events_found": (3, "")},
        texts=[
            Passage(
                doc_id="20702280",
                text="I5 N - Sr57: 1182-Trfc Collision-No Inj",
                source="CHP",
                span=(0, 39),
                published_at=datetime(2022, 1, 24, 18, 20, tzinfo=UTC),
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("About 4,872 vehicles are expected [E1].", "number"),
        ("It carries 4,872.3 vehicles.", "number"),
        ("That is 12 % below the usual.", "number"),
        ("The share was 79.7 %.", "number"),
        ("The last reading was 378 vehicles/5 min.", "number"),
        ("Over the next 1 hour.", "number"),
        ("In the next 60 minutes.", "number"),
        ("3 incidents were logged [E2].", "number"),
        ("Until 08:30 on 25 January 2022.", "time"),
        ("It is 7:30 am now.", "time"),
        ("The clock says 2022-01-25T07:30.", "time"),
        ("Logged on January 24.", "time"),
        ("Station 1205330 is fine.", "id"),
        ("At I5-N, N OF 57, postmile 106.551 it flows.", "id"),
        ("The log says “I5 N - Sr57: 1182-Trfc Collision-No Inj” [E2].", "quote"),
    ],
)
def test_supported_claims_are_verified(text: str, kind: str) -> None:
    checked = check(text, LEDGER)

    assert checked.text == text
    assert {claim.kind for claim in checked.claims} == {kind}
    assert all(claim.status == "verified" and claim.evidence for claim in checked.claims)
    assert all(checked.text[claim.span[0] : claim.span[1]] == claim.text for claim in checked.claims)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("About 4,873 vehicles are expected [E1].", "4,873 vehicles"),
        ("About 4,872 mph.", "4,872 mph"),
        ("That is 13 % below the usual.", "13 %"),
        ("The change is +12 %.", "+12 %"),
        ("378 vehicles will pass.", "378 vehicles"),
        ("4 incidents were logged.", "4"),
        ("Until 08:35.", "08:35"),
        ("On 26 January 2022.", "26 January 2022"),
        ("Station 1205331 is fine.", "1205331"),
        ("The log says “I5 N - Sr57: 1179-Trfc Collision-1141 Enrt”.", "“I5 N - Sr57: 1179-Trfc Collision-1141 Enrt”"),
    ],
)
def test_unsupported_claims_are_marked(text: str, wrong: str) -> None:
    checked = check(text, LEDGER)

    assert [claim.text for claim in checked.claims if claim.status == "unsupported"] == [wrong]
    assert f"{wrong}{MARK}" in checked.text
    assert checked.unsupported == 1


def test_spans_hold_after_marks_were_put_in() -> None:
    checked = check("5 % more, 4,872 vehicles [E1], 9 % less.", LEDGER)

    assert checked.text == f"5 %{MARK} more, 4,872 vehicles [E1], 9 %{MARK} less."
    assert [checked.text[slice(*claim.span)] for claim in checked.claims] == ["5 %", "4,872 vehicles", "9 %"]


def test_the_cited_entry_comes_first_and_a_range_shares_its_unit() -> None:
    both = [*LEDGER, _entry("E3", {"low": (4650.0, "vehicles"), "median": (4872.31, "vehicles")})]

    claims = check("4,872 vehicles [E1]; between 4,650 and 4,872 vehicles [E3].", both).claims

    assert [claim.evidence for claim in claims] == [["E1"], ["E3"], ["E3"]]
    assert claims[1].unit == "vehicles"


def test_numbers_in_words_of_the_tools_are_no_claims_of_the_answer() -> None:
    message = "'pems-orange' has no station '999'."
    failed = Evidence(id="E1", tool="forecast", args={}, as_of=AS_OF, labels=[message], error=message, seconds=0.0)

    assert check(message, [failed]).unsupported == 0
    assert check("There is no station 999 of 81.", [failed]).unsupported == 2


def test_without_evidence_every_number_is_unsupported() -> None:
    checked = check("Expect 4,200 vehicles by 09:15, up 7 %.", [])

    assert checked.unsupported == len(checked.claims) == 3


def test_a_unit_that_a_tool_names_is_no_place_name() -> None:
    entry = _entry("E1", {"mean": (367.0, "vehicles/5 min")}, labels=["vehicles/5 min"])

    assert [claim.text for claim in check("367 vehicles/5 min [E1]", [entry]).claims] == ["367 vehicles/5 min"]
