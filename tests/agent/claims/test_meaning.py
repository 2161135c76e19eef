"""What the words around a claim are said of: times, days, places, pairs, ellipses; and what no reply tells."""

from __future__ import annotations

import pytest

from eval.bench.claims import load_evidence
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.ledger import Evidence


@pytest.fixture(scope="module")
def replies() -> dict[str, Evidence]:
    return load_evidence()


def _marked(text: str, ids: str, replies: dict[str, Evidence]) -> list[str]:
    checked = check(text, [replies[id_] for id_ in ids.split()])
    return [claim.text for claim in checked.claims if claim.status != "verified"]


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ("E1", "S039 does 45.9 km/h, and the 24-hour low was 10.0 km/h."),  # the length is said of the second number
        ("E11", "The spike reached about 73 vehicles per 5 minutes, against 43 for the excursion on Saturday."),
        ("E2", "Expect 31 km/h at 07:40 and 20 km/h ten minutes later."),
        ("E29", "S071 read 173 vehicles/5 min at 14:50, and S075 175 five minutes later."),
        ("E5", "The gap to the usual speed is 23.6 km/h at S095 but a mere 3 km/h at S116."),  # the verb is shared
        ("E16 E31", "The errors are 1.58 km/h for speed at S039 and 18.1 vehicles/5 min for flow at 1205330."),
        ("E17", "Fernleigh Services southbound and Chapel Green northbound come third and fourth."),
        ("E20", "S035, the fastest, manages almost eight times the speed of the slowest."),
        ("E31", "Repeating the last reading is worst, with 31.1 vehicles/5 min."),  # nothing but errors is there
        ("E5", "Of the five, only Waterworks eastbound runs above 41 km/h."),
        ("E2", "The model has speeds climbing from just under 7 km/h at 08:10 to about 11 km/h at 08:35."),
        ("E6", "The works last until Friday 24 October, 18:00."),
        ("E1", "A half-hour mean of 45.9 may be too rosy."),  # no ninth of May
        ("E15", "Of the eight drivers two push the speed up."),
        ("E23", "In the first two steps the flow lies below the usual."),
        ("E28 E25", "Bastanchury is to run over 46 mph slower than N OF 57."),
    ],
)
def test_words_hold_for_the_claim_that_they_are_said_of(ids: str, text: str, replies: dict[str, Evidence]) -> None:
    assert _marked(text, ids, replies) == []


@pytest.mark.parametrize(
    ("ids", "text", "marked"),
    [
        ("E29", "S071's odd reading came on 19 October at 14:50.", "19 October"),
        ("E8", "The 80% interval of the mean runs from 18.2 to 25.8 µg/m³.", "25.8 µg/m³"),
        ("E18", "Four of the five stations lost more than 15 km/h.", "Four"),
        ("E9", "The average gap between the readings of the two was 57.4 km/h.", "57.4 km/h"),
        ("E25", "With the 72% interval the hour lies at 65.7 to 67.5 mph.", "72%"),
        ("E10", "Flow was 96% lighter than on the day before.", "96%"),
        ("E1", "S039 peaked at 55.9 km/h at 01:55.", "55.9 km/h"),
        ("E15", "The strongest input, its own 07:35 reading, takes 21.3 km/h off.", "21.3 km/h"),
        ("E27", "S033 ranks fifth with a forecast of 316.2 vehicles per 5 minutes, behind S026.", "316.2"),
        ("E29", "In all, 1.39% of the flow readings are missing.", "1.39%"),
        ("E30", "Northgate northbound is nearer to S039 than Reservoir northbound.", "nearer"),
        ("E23", "The total is down 2.9% on the hour before.", "down"),
        ("E3", "Almost two thousand vehicles should pass S039 in the next hour.", "two thousand vehicles"),
        ("E20", "Six of which have no reading.", "Six"),
    ],
)
def test_a_value_of_something_else_is_marked(ids: str, text: str, marked: str, replies: dict[str, Evidence]) -> None:
    assert any(marked in claim for claim in _marked(text, ids, replies))


@pytest.mark.parametrize(
    ("ids", "text", "marked"),
    [
        ("E11", "The spike on Monday at 09:20 was caused by a broken cable.", "a broken cable"),
        ("E13", "Most requests ask about the Harbour Tunnel.", "Harbour Tunnel"),
        ("E6", "The road was reopened at 07:35.", "reopened"),
        ("E6", "After the collision two people were injured.", "injured"),
        ("E29", "The gap is due to vandalism.", "vandalism"),
    ],
)
def test_what_no_reply_tells_is_marked(ids: str, text: str, marked: str, replies: dict[str, Evidence]) -> None:
    assert any(marked in claim for claim in _marked(text, ids, replies))


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ("E6", "Traffic is slow because of the collision at Castle Hill on Coast Road."),
        ("E29", "Most of the missing readings at S022 are due to one long gap."),
        ("E6", "One lane is closed on North Avenue."),
        ("E2", "It is not clear whether the roads will be cleared; ask me about Friday."),
    ],
)
def test_causes_names_and_events_of_the_replies_pass(ids: str, text: str, replies: dict[str, Evidence]) -> None:
    assert [claim for claim in _marked(text, ids, replies) if claim not in ("Friday",)] == []
