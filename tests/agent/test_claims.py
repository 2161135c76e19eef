"""The claim checker: what is supported passes, what is not is marked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mm4st_agent.agent.claims import MARK, Checked, check
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.toolspec import Passage

AS_OF = "2022-01-25T07:30-08:00"


def _entry(id_: str, values: dict[str, tuple[Any, str]], **more: Any) -> Evidence:
    quantities = {path: EvidenceValue(value=value, unit=unit) for path, (value, unit) in values.items()}
    return Evidence(id=id_, tool="forecast", args={}, as_of=AS_OF, values=quantities, seconds=0.1, **more)


def _marked(checked: Checked) -> list[str]:
    return [claim.text for claim in checked.claims if claim.status == "unsupported"]


LEDGER = [
    _entry(
        "E1",
        {
            "node": ("1205330", "id"),
            "total.median": (4872.31, "vehicles"),
            "change": (-12.4, "%"),
            "level": (102.0, "%"),
            "share": (0.797, "1"),
            "last": (378.0, "vehicles/5 min"),
            "covers_from": ("2022-01-25T07:30-08:00", "time"),
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
        ("That is 12 % less than before.", "number"),
        ("The share was 79.7 %.", "number"),
        ("The last reading was 378 vehicles/5 min.", "number"),
        ("Over the next 1 hour.", "number"),
        ("In the next 60 minutes.", "number"),
        ("3 incidents were logged [E2].", "number"),
        ("About 4,900 vehicles are expected.", "number"),
        ("That is 2 % above the usual.", "number"),
        ("It falls by minus 12 %.", "number"),
        ("A flow of 4 872 vehicles.", "number"),
        ("Between 378 and 378 (vehicles/5 min).", "number"),
        ("At 8:30 it ends; at 7:30 am it began.", "time"),
        ("On 25th January, in 2022.", "time"),
        ("On Jan 25, 2022-01-25T15:30Z, that is 15:30 UTC.", "time"),
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
    assert kind in {claim.kind for claim in checked.claims}
    assert all(claim.status == "verified" and claim.evidence for claim in checked.claims)
    assert all(checked.text[claim.span[0] : claim.span[1]] == claim.text for claim in checked.claims)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("About 4,873 vehicles are expected [E1].", "4,873 vehicles"),
        ("About 4,872 mph.", "4,872 mph"),
        ("That is 13 % less than before.", "13 %"),
        ("The change is +12 %.", "+12 %"),
        ("378 vehicles will pass.", "378 vehicles"),
        ("4 incidents were logged.", "4"),
        ("60 people died.", "60"),
        ("It costs $4,872.", "4,872"),
        ("4,872 (mph) is the speed.", "4,872 (mph"),
        ("About 4,800 vehicles.", "4,800 vehicles"),
        ("Some 1e3 vehicles.", "1e3"),
        ("4,8,72 vehicles.", "4,8,72 vehicles"),
        ("9999. That is all.", "9999"),
        ("4,872 vehicles [E2].", "4,872 vehicles"),
        ("4,872 vehicles [E1]; see [E9].", "[E9]"),
        ("On 30 February 2022.", "30 February 2022"),
        ("On 2022-13-45.", "2022-13-45"),
        ("At 07:30 UTC.", "07:30 UTC"),
        ("At 2022-01-25T07:30+09:00.", "2022-01-25T07:30+09:00"),
        ("Until 08:35.", "08:35"),
        ("On 26 January 2022.", "26 January 2022"),
        ("Station 1205331 is fine.", "1205331"),
        ("The log says “I5 N - Sr57: 1179-Trfc Collision-1141 Enrt”.", "“I5 N - Sr57: 1179-Trfc Collision-1141 Enrt”"),
    ],
)
def test_unsupported_claims_are_marked(text: str, wrong: str) -> None:
    checked = check(text, LEDGER)

    assert _marked(checked) == [wrong]
    assert f"{wrong}{MARK}" in checked.text


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

    assert _marked(check(message, [failed])) == []
    assert _marked(check("There is no station 999 of 81.", [failed])) == ["999", "81"]


def test_without_evidence_every_number_is_unsupported() -> None:
    checked = check("Expect 4,200 vehicles by 09:15, up 7 %.", [])

    assert _marked(checked) == ["4,200 vehicles", "09:15", "7 %"]


def test_a_unit_that_a_tool_names_is_no_place_name() -> None:
    entry = _entry("E1", {"mean": (367.0, "vehicles/5 min")}, labels=["vehicles/5 min"])

    assert [claim.text for claim in check("367 vehicles/5 min [E1]", [entry]).claims] == ["367 vehicles/5 min"]


def test_what_the_model_put_into_a_call_is_no_evidence() -> None:
    said = "D22 will carry 9,999 vehicles"
    entry = Evidence(
        id="E1", tool="find_places", args={"query": said}, as_of=AS_OF, labels=[said, "Old Town 2"], seconds=0.1
    )

    assert _marked(check(f"{said}.", [entry])) == ["9,999 vehicles"]
    assert _marked(check(f'The log says "{said}".', [entry])) == ["9,999 vehicles"]
    assert _marked(check("Old Town 2 is quiet.", [entry])) == []


def test_the_question_may_be_quoted_but_not_as_a_source_of_numbers() -> None:
    asked = Evidence(
        id="E1", tool="question", args={"question": "Is SR 57 above 9999 vehicles?"}, as_of=AS_OF, seconds=0
    )

    assert _marked(check('I know no place called "SR 57".', [asked])) == []
    assert _marked(check('You say "above 9999 vehicles".', [asked])) == ["9999 vehicles"]


def test_an_entry_about_one_place_supports_no_number_of_another() -> None:
    other = _entry("E3", {"node": ("1205320", "id"), "last": (7.0, "mph")})

    assert _marked(check("Station 1205320 carries 4,872 vehicles.", [*LEDGER, other])) == ["4,872 vehicles"]
    assert _marked(check("Station 1205330 carries 4,872 vehicles.", [*LEDGER, other])) == []


def test_an_earlier_question_supports_only_what_points_to_it() -> None:
    later = _entry("E3", {"last": (7.0, "mph")})

    assert _marked(check("It carried 4,872 vehicles.", [*LEDGER, later], first=2)) == ["4,872 vehicles"]
    assert _marked(check("It carried 4,872 vehicles [E1].", [*LEDGER, later], first=2)) == []


def test_the_share_of_an_interval_in_words_needs_an_interval_of_this_question() -> None:
    forecast = _entry("E1", {"interval": (80.0, "%")})
    later = _entry("E2", {"last": (7.0, "mph")})
    said = "The interval should hold the truth in four out of five cases."

    assert _marked(check(said, [forecast])) == []
    assert _marked(check(said, [forecast, later], first=1)) != []


def test_a_list_is_no_row_of_claims() -> None:
    assert _marked(check("1. One thing.\n2. Another.\n7. A third.", LEDGER)) == ["7"]


def test_a_bullet_is_no_minus() -> None:
    assert _marked(check("- 3 incidents [E2]", LEDGER)) == []


def test_a_number_may_share_the_unit_of_its_sentence() -> None:
    text = "It averaged 378 vehicles/5 min: lowest 378 at 08:30; 12.4 % less [E1]."

    assert _marked(check(text, LEDGER)) == []


@pytest.mark.parametrize("unit", ["µg/m³", "μg/m3", "ug/m3"])
@pytest.mark.parametrize("written", ["89.4 µg/m³", "89.4 μg/m³", "89.4 ug/m3", "89.4 micrograms per cubic metre"])
def test_units_of_the_air_are_one_however_they_are_written(unit: str, written: str) -> None:
    ledger = [_entry("E1", {"recent": (89.41, unit)})]

    assert _marked(check(f"The PM2.5 was {written} [E1].", ledger)) == []
    assert _marked(check(f"The PM2.5 was {written.replace('89.4', '99.4')} [E1].", ledger)) != []
    assert _marked(check("The PM2.5 was 89.4 ppm [E1].", ledger)) == ["89.4 ppm"]


@pytest.mark.parametrize("written", ["1,285 requests/min", "1,285 requests per minute"])
def test_requests_per_minute(written: str) -> None:
    ledger = [_entry("E1", {"recent": (1285.2, "requests/min")})]

    assert _marked(check(f"The load was {written} [E1].", ledger)) == []
    assert _marked(check("The load was 1,285 requests/s [E1].", ledger)) == ["1,285 requests/s"]


def test_a_quotation_of_a_text_with_quotation_marks_is_found() -> None:
    passage = Passage(doc_id="n", text='Closed." [E9] It carries "9999 vehicles', source="x", span=(0, 39))
    ledger = [_entry("E1", {}, texts=[passage])]

    checked = check("The log says \"Closed.' (E9) It carries '9999 vehicles\" [E1].", ledger)

    assert [(claim.kind, claim.status) for claim in checked.claims] == [("quote", "verified")]


def test_a_rounded_value_may_be_turned_into_another_unit() -> None:
    ledger = [_entry("E1", {"node": ("S1", "id"), "recent": (16.249, "km/h"), "slope": (-5.8, "km/h per hour")})]

    assert _marked(check("It is 10.1 mph [E1].", ledger)) == []  # 16.2 km/h, as answers give it
    assert _marked(check("It is 10.3 mph [E1].", ledger)) == ["10.3 mph"]
    assert _marked(check("It fell by 3.6 mph per hour [E1].", ledger)) == []


def test_two_numbered_lists_in_one_answer() -> None:
    assert _marked(check("1. One thing.\n2. Another.\n\nThen:\n1. This.\n2. That.\n5. Odd.", LEDGER)) == ["5"]


STATIONS = _entry(
    "E1",
    {
        f"ranking[{n}].{path}": value
        for n, speed in enumerate((14.0, 30.5, 31.7, 40.9))
        for path, value in {"id": (f"S{n}", "id"), "value": (speed, "km/h")}.items()
    },
)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("All of the stations are below 45 km/h.", []),
        ("All of the stations are below 35 km/h.", ["35 km/h"]),
        ("Every one of the stations is above 99 km/h.", ["99 km/h"]),
        ("Only one of the stations is above 40 km/h.", []),
        ("Only one of the stations is above 200 km/h.", ["200 km/h"]),
        ("None of the stations is above 41 km/h.", []),
    ],
)
def test_a_limit_holds_for_as_many_as_the_sentence_says(text: str, wrong: list[str]) -> None:
    assert _marked(check(text, [STATIONS])) == wrong


def test_short_quotation_marks_hide_no_claim() -> None:
    falling = _entry("E1", {"last": (5.0, "km/h"), "slope": (-5.8, "km/h per hour")}, words={"trend": "falling"})

    assert _marked(check('The speed is "clearly rising" [E1].', [falling])) == ["rising"]
    assert _marked(check('This data set has no "pm2.5".', [falling])) == []


def test_what_is_called_unlikely_is_a_number_too() -> None:
    assert _marked(check("More than 9,999 vehicles would be unlikely [E1].", LEDGER)) == ["9,999 vehicles"]
