"""Which questions ask for a ranking of all places, and by what."""

from __future__ import annotations

import pytest

from mm4st_agent.agent.backends.rankings import Ranking, described, ranking, turned, without_pace


@pytest.mark.parametrize(
    ("question", "by", "first"),
    [
        ("Which place is the busiest right now?", "level", "highest"),
        ("which stations are lowest", "level", "lowest"),
        ("Where is traffic slowest?", "level", "lowest"),
        ("Where is it quietest at the moment?", "level", "lowest"),
        ("Which air station has the worst air right now?", "level", "highest"),
        ("Which district has the cleanest air?", "level", "lowest"),
        ("the most congested road", "level", "highest"),
        ("rank the stations by flow", "level", "highest"),
        ("Which sensors are far above their usual level?", "usual", "highest"),
        ("Which stations are quieter than usual?", "usual", "lowest"),
        ("Where is it unusually busy?", "usual", "highest"),
        ("Which stations are rising fastest?", "change", "highest"),
        ("Where is PM2.5 falling most?", "change", "lowest"),
        ("stations whose speed is dropping", "change", "lowest"),
        ("Is there a jam anywhere?", "level", "highest"),
        ("Is it unusually busy anywhere?", "usual", "highest"),
        ("Which sensors stand furthest above their habitual flow?", "usual", "highest"),
        ("Which sensors stand furthest below their habitual flow?", "usual", "lowest"),
        ("Which stations lost the most speed?", "change", "lowest"),
    ],
)
def test_rankings(question: str, by: str, first: str) -> None:
    found = ranking(question)

    assert found is not None
    assert (found.by, found.first(low_is_bad=False)) == (by, first)


@pytest.mark.parametrize(
    "question",
    [
        "How busy is the station right now?",
        "What was the highest flow at the station last night?",
        "Which hour is the busiest?",
        "Is it rising?",
        "How is the station doing, is it rising?",
        "Which stations have the most missing data?",
        "How many stations are there?",
        "Where is the station?",
        "Which stations are on the freeway northbound?",
        "Is this level normal for the station?",
        "What is the best model?",
    ],
)
def test_other_questions(question: str) -> None:
    assert ranking(question) is None


def test_the_worst_of_speed_is_the_lowest() -> None:
    worst, best = ranking("Which station is the worst?"), ranking("Which station is the best?")

    assert worst is not None
    assert best is not None
    assert (worst.first(low_is_bad=True), best.first(low_is_bad=True)) == ("lowest", "highest")


@pytest.mark.parametrize(
    ("question", "limit"),
    [("top 3 stations by speed", 3), ("the five busiest stations", 5), ("top ninety stations now", None),
     ("the 40 busiest stations", 20), ("which station is busiest", None)],
)  # fmt: skip
def test_how_many(question: str, limit: int | None) -> None:
    found = ranking(question)

    assert found is not None
    assert found.limit == limit


def test_a_ranking_is_turned_round() -> None:
    before = Ranking("level", None, limit=3)

    assert turned("and the lowest?", before) == Ranking("level", "lowest", limit=3)
    assert turned("what about the best ones?", before) == Ranking("level", None, best=True, limit=3)
    assert turned("and the lowest at D05?", before) is None
    assert turned("and tomorrow?", before) is None


@pytest.mark.parametrize(
    ("question", "limit"),
    [("make it ten", 10), ("give me 7 please", 7), ("just the three of them", 3), ("no more than 400", None)],
)
def test_as_many_as_are_wanted_of_the_same_ranking(question: str, limit: int | None) -> None:
    before = Ranking("level", "highest", limit=3)

    found = turned(question, before)

    assert (found.limit if found else None) == limit


@pytest.mark.parametrize("question", ["which sensors are stuck or have holes?", "stations with outages or dropouts"])
def test_what_is_about_the_data_is_no_ranking(question: str) -> None:
    assert ranking(question) is None


def test_the_number_of_a_quantity_is_no_count_of_places() -> None:
    assert described("anything rising fast at the PM2.5 stations") == Ranking("change", "highest")


def test_becoming_slower_is_a_change() -> None:
    assert described("which roads got slower since seven?") == Ranking("change", "lowest")


def test_the_pace_of_a_change_is_no_speed() -> None:
    assert "fastest" not in without_pace("Which stations are rising fastest?")
    assert without_pace("Which station is fastest?") == "Which station is fastest?"


def test_the_card_s_word_for_a_place_counts() -> None:
    assert ranking("which intersections are busiest", "intersection") == Ranking("level", "highest")
    assert ranking("which intersections are busiest") is None


@pytest.mark.parametrize(
    ("question", "limit"),
    [
        ("predicted worst 5 speeds", 5),
        ("what are four air place with biggest NO2?", 4),
        ("the half dozen stations with the most vehicles", 6),
        ("a handful of the quietest roads", 5),
        ("lowest NO2 now, 3 stations", 3),
        ("rank the stations by speed, only 4", 4),
        ("which stations were busiest over the past two hours", None),
        ("the busiest stations of the first 20 minutes", None),
    ],
)
def test_how_many_places(question: str, limit: int | None) -> None:
    assert described(question).limit == limit
