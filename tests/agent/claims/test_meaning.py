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


@pytest.mark.parametrize(
    ("ids", "text", "marked"),
    [
        ("E16", "The model's error is larger than that of every simple rule.", "larger than"),
        ("E31", "The model's error shrinks with the horizon.", "shrinks"),
        ("E2", "The coming hour at S039 will be far quicker than the one just gone.", "quicker than"),
        ("E21", "The forecast lies well above what the similar days brought.", "above"),
        ("E11", "The excursion was larger than the spike.", "larger than"),
        ("E15", "The series has a larger share than the text.", "larger share than"),
        ("E30", "Hillside southbound has more lanes than Reservoir southbound.", "more lanes than"),
        ("E10", "The second day was busier at S039.", "busier"),
    ],
)
def test_the_two_sides_of_a_comparison_are_found_by_their_words(
    ids: str, text: str, marked: str, replies: dict[str, Evidence]
) -> None:
    assert any(marked in claim for claim in _marked(text, ids, replies))


@pytest.mark.parametrize(
    ("ids", "text", "marked"),
    [
        ("E2", "In the hour before, S039 averaged 13.6 km/h.", "13.6 km/h"),
        ("E24", "The half-hour mean at N OF 57 is 423 vehicles/5 min.", "423"),
        ("E4", "On a typical Wednesday at this time, Castle Hill southbound would do 56.9 km/h.", "56.9 km/h"),
        ("E4", "The minimum of the last 24 hours was 5.1 km/h.", "5.1 km/h"),
        ("E10", "The day before, S039 averaged 61.3 vehicles/5 min.", "61.3"),
        ("E14", "With the incident left out, the hourly mean is 11.36 km/h.", "11.36 km/h"),
        ("E21", "Before the best match the speed was 32.7 km/h.", "32.7 km/h"),
        ("E21", "The closest analog dates from 22 September.", "22 September"),
        ("E31", "The model's coverage was 77 %.", "77 %"),
        ("E3", "The 80 % interval for the total starts at 1,690 vehicles.", "1,690 vehicles"),
        ("E8", "At S039 NO2 should average 19.9 µg/m³ in the next hour.", "S039"),
        ("E4", "Central Park southbound is at 28 % of its usual speed.", "Central Park southbound"),
    ],
)
def test_a_number_is_what_its_own_words_call_it(ids: str, text: str, marked: str, replies: dict[str, Evidence]) -> None:
    assert any(marked in claim for claim in _marked(text, ids, replies))


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ("E1", "S039, half-hour mean: 45.9 km/h. Usual: 38.7 km/h."),
        ("E5", "Relative to what it normally does, S095 is slow; it manages 30.5 km/h in place of 54.1."),
        ("E17", "S029, S030 and S026 lead the field with 344, 337 and 323 vehicles per five minutes."),
        ("E2", "The mean lies between 11.1 and 16.9 km/h in four cases out of five."),
        ("E15", "Without the 07:35 reading the forecast would be 15.7 km/h higher."),
        ("E15", "The reading of 07:20 works the other way and lifts the forecast by 2 km/h."),
        ("E8", "NO2 dips to 18.6 µg/m³ around eight and is back up at 21.5 µg/m³ by 08:35."),
        ("E27", "None of the five top places is expected to fall below 280 vehicles per five minutes."),
        ("E31", "The error grows from 17.6 at 15 minutes to 18.9 vehicles/5 min at an hour."),
        ("E22", "S075 carried 129 vehicles in the five minutes up to 17:00."),
    ],
)
def test_other_ways_to_say_a_value_pass(ids: str, text: str, replies: dict[str, Evidence]) -> None:
    assert _marked(text, ids, replies) == []
