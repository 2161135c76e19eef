"""A text is read with its numbers in digits and its tables as sentences; claims keep the words that were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench.claims import load_evidence
from mm4st_agent.agent.claims import MARK, check
from mm4st_agent.agent.claims.as_read import AsRead
from mm4st_agent.agent.claims.sources import sources
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.quantities import UnitReader

TABLE = """| Station | km/h now | % of usual |
|---|---|---|
| S096 | 14.0 | 28 |
| S095 | 30.5 | 65 |
"""
RANGES = """| | low | median | high |
|---|---|---|---|
| S039, next hour, km/h | 11.1 | 15.3 | 18.6 |
"""


@pytest.fixture(scope="module")
def replies() -> dict[str, Evidence]:
    return load_evidence()


def _units() -> UnitReader:
    return UnitReader({"km/h"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It went on for an hour and fifty minutes.", "It went on for 110 minutes."),
        ("It went on for 1 h 50 min.", "It went on for 110 minutes."),
        ("The gap took nine and a half hours.", "The gap took 9.5 hours."),
        ("An hour and a quarter later", "75 minutes later"),
        ("a quarter of an hour from now", "15 minutes from now"),
        ("two dozen air stations, half a dozen buses", "24 air stations, 6 buses"),
        ("Nineteen thousand two hundred and eighty-seven vehicles", "19287 vehicles"),
        ("about eighteen hundred vehicles", "about 1800 vehicles"),
        ("fifteen point three km/h", "15.3 km/h"),
        ("S025 is in 5th place.", "S025 is in fifth place."),
        # no number, or one that is read elsewhere
        ("an hour and five stations", "an hour and five stations"),
        ("one or two stations, a hundred cars, a dozen", "one or two stations, a hundred cars, a dozen"),
        ("between one and two", "between one and two"),
        ("between one hundred and two hundred cars", "between one hundred and two hundred cars"),
        ("two thousand to three thousand cars", "2000 to 3000 cars"),
        ("a quarter of an hour's average", "a quarter of an hour's average"),
        ("on the 5th of October", "on the 5th of October"),
        ('It says "two dozen cars" [E1].', 'It says "two dozen cars" [E1].'),
        ("| no | table |", "| no | table |"),
    ],
)
def test_numbers_are_put_in_digits(written: str, read: str) -> None:
    assert AsRead(written, _units).text == read


def test_a_row_is_read_as_a_sentence() -> None:
    read = AsRead(TABLE, _units).text

    assert read.splitlines()[2:] == [
        "| S096 : 14.0 km/h now , 28 % of usual .",
        "| S095 : 30.5 km/h now , 65 % of usual .",
    ]


@given(st.lists(st.sampled_from(["two dozen", "nine and a half", "S039", " ", ", ", "12 km/h", "µ", "1 h 5 min"])))
def test_what_was_not_changed_leads_back_to_itself(parts: list[str]) -> None:
    written = " ".join(parts)
    said = AsRead(written, _units)

    for word in ("S039", "12 km/h"):
        at = said.text.find(word)
        if at >= 0:
            assert written[slice(*said.back((at, at + len(word))))] == word
    if said.text:
        assert said.back((0, len(said.text))) == (0, len(written))


def test_cells_are_judged_by_their_row_and_column(replies: dict[str, Evidence]) -> None:
    checked = check(TABLE, [replies["E5"]])

    assert {claim.text: claim.status for claim in checked.claims} == {
        "S096": "verified", "14.0": "verified", "28": "verified",
        "S095": "verified", "30.5": "verified", "65": "unsupported",
    }  # fmt: skip
    assert checked.text == TABLE.replace("65", f"65{MARK}")


def test_a_cell_is_corrected_without_the_words_of_its_column(replies: dict[str, Evidence]) -> None:
    checked = check(RANGES, [replies["E2"]])

    (corrected,) = (claim for claim in checked.claims if claim.status == "corrected")
    assert corrected.text == "15.2"
    assert checked.text == RANGES.replace("15.3", "15.2").replace("18.6", f"18.6{MARK}")


def test_a_claim_in_words_is_marked_where_it_stands(replies: dict[str, Evidence]) -> None:
    text = "The gap at S022 dragged on for nine and a half hours, until five past three."

    checked = check(text, [replies["E29"]])

    assert checked.text == text.replace("hours,", f"hours{MARK},")


@pytest.mark.parametrize(
    ("ids", "text", "said", "path"),
    [
        ("E5", TABLE, "28", "ranking[0].level"),
        ("E5", TABLE, "30.5", "ranking[1].value"),
        ("E12", "There are two dozen air stations.", "two dozen", "kinds[1].nodes"),
    ],
)
def test_where_it_comes_from_is_told_all_the_same(
    ids: str, text: str, said: str, path: str, replies: dict[str, Evidence]
) -> None:
    evidence = [replies[ids]]
    checked = check(text, evidence)
    (claim,) = (claim for claim in checked.claims if claim.text == said)

    assert path in [source.path for source in sources(claim, checked.text, evidence)]
