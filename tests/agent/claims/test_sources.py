"""A claim leads back to the values it rests on, by the rules that it was checked by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mm4st_agent.agent.claims import check
from mm4st_agent.agent.claims.sources import Source, sources, sources_of
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.toolspec import Passage

CLOCK = "2025-10-22T07:40+01:00"


def values(**given: tuple[Any, str]) -> dict[str, EvidenceValue]:
    return {
        path.replace("__", ".").replace("_0_", "[0].").replace("_1_", "[1]."): EvidenceValue(value=value, unit=unit)
        for path, (value, unit) in given.items()
    }


READING = Evidence(
    id="E1",
    tool="query_series",
    args={"dataset": "demo", "node": "S096"},
    as_of=CLOCK,
    values=values(
        node=("S096", "id"),
        as_of=(CLOCK, "time"),
        last=(35.0, "vehicles/5 min"),
        last_time=("2025-10-22T07:35+01:00", "time"),
        recent=(41.3333, "vehicles/5 min"),
        recent_minutes=(30.0, "min"),
        usual=(77.1587, "vehicles/5 min"),
        usual_weeks=(7, ""),
        level=(53.5692, "%"),
        minimum=(1.0, "vehicles/5 min"),
        minimum_time=("2025-10-22T02:30+01:00", "time"),
        slope=(-30.8667, "vehicles/5 min per hour"),
    ),
    words={"channel": "flow", "channel_title": "traffic flow", "trend": "falling", "name": "Castle Hill southbound"},
    labels=["Castle Hill southbound", "S096"],
    seconds=0.5,
)
FORECAST = Evidence(
    id="E2",
    tool="forecast",
    args={"dataset": "demo", "node": "S096"},
    as_of=CLOCK,
    values=values(
        node=("S096", "id"),
        covers_from=(CLOCK, "time"),
        covers_until=("2025-10-22T08:40+01:00", "time"),
        minutes=(60.0, "min"),
        step_minutes=(5.0, "min"),
        total__median=(480.91, "vehicles"),
        total__low=(417.24, "vehicles"),
        total__baseline=(943.83, "vehicles"),
        forecast_mean=(40.076, "vehicles/5 min"),
        previous_mean=(52.833, "vehicles/5 min"),
        steps_0_time=(CLOCK, "time"),
        steps_0_median=(27.454, "vehicles/5 min"),
        steps_1_time=("2025-10-22T08:35+01:00", "time"),
        steps_1_median=(56.262, "vehicles/5 min"),
    ),
    words={"channel": "flow", "channel_title": "traffic flow", "baseline_name": "the usual"},
    seconds=2.0,
)
LOG = Evidence(
    id="E3",
    tool="retrieve_context",
    args={"dataset": "demo", "node": "S096"},
    as_of=CLOCK,
    values=values(
        events_found=(1, ""), events_0_start=("2025-10-22T07:15+01:00", "time"), events_0_node=("S096", "id")
    ),
    words={"events[0].kind": "bulletin"},
    texts=[
        Passage(
            doc_id="demo/1",
            text="A collision at Castle Hill. Traffic passes in turns.",
            source="Traffic desk",
            span=(0, 52),
            published_at=datetime.fromisoformat("2025-10-22T07:18+01:00"),
        )
    ],
    labels=["Traffic desk"],
    seconds=0.1,
)
SPEED = Evidence(
    id="E4",
    tool="rank_places",
    args={"dataset": "demo"},
    as_of=CLOCK,
    values={
        "ranking[0].id": EvidenceValue(value="S096", unit="id"),
        "ranking[0].value": EvidenceValue(value=14.0, unit="km/h"),
        "ranking[1].id": EvidenceValue(value="S095", unit="id"),
        "ranking[1].value": EvidenceValue(value=38.4, unit="km/h"),
    },
    words={
        "channel": "speed",
        "channel_title": "speed",
        "order": "lowest",
        "ranking[0].name": "Castle Hill southbound",
    },
    seconds=0.1,
)
ALL = [READING, FORECAST, LOG, SPEED]


def found(text: str, words: str) -> list[Source]:
    """The sources of the one claim of a text that has these words, once the checker supports it."""
    checked = check(text, ALL)
    claims = [claim for claim in checked.claims if claim.text == words]
    assert [claim.status for claim in claims] == ["verified"], checked
    return sources(claims[0], checked.text, ALL)


@pytest.mark.parametrize(
    ("text", "words", "entry", "path"),
    [
        ("At S096 the flow was 41.3 vehicles/5 min [E1].", "41.3 vehicles/5 min", "E1", "recent"),
        ("At S096 the level is 53.6 % of the usual [E1].", "53.6 %", "E1", "level"),
        ("The usual is from 7 earlier weeks [E1].", "7", "E1", "usual_weeks"),
        ("Over the last 30 minutes at S096 it was 41 vehicles/5 min [E1].", "30 minutes", "E1", "recent_minutes"),
        ("The lowest at S096 was at 02:30 [E1].", "02:30", "E1", "minimum_time"),
        ("Station S096 is meant [E1].", "S096", "E1", "node"),
        ("About 481 vehicles are expected at S096 [E2].", "481 vehicles", "E2", "total.median"),
        ("At 08:35 S096 will carry 56.3 vehicles/5 min [E2].", "56.3 vehicles/5 min", "E2", "steps[1].median"),
        ("One incident was logged near S096 [E3].", "One", "E3", "events_found"),
        ('It says "Traffic passes in turns." [E3].', '"Traffic passes in turns."', "E3", "texts[0]"),
        ("S095 does 23.9 mph [E4].", "23.9 mph", "E4", "ranking[1].value"),
        ("S096 does 14 km/h [E4].", "14 km/h", "E4", "ranking[0].value"),
    ],
)
def test_a_stated_value_is_found_at_its_path(text: str, words: str, entry: str, path: str) -> None:
    told = found(text, words)

    assert [(source.entry, source.path, source.how) for source in told] == [(entry, path, "stated")]
    entries = {one.id: one for one in ALL}
    assert path.startswith("texts") or told[0].value == entries[entry].values[path]


def test_a_difference_leads_to_the_two_values_that_it_is_of() -> None:
    told = found("Compared with the baseline, S096 will carry 463 vehicles less [E2].", "463 vehicles")

    assert {(source.path, source.how) for source in told} == {
        ("total.median", "computed"),
        ("total.baseline", "computed"),
    }


def test_a_comparison_leads_to_what_is_compared() -> None:
    told = found("The flow at S096 is lower than usual [E1].", "lower than usual")

    assert [source.path for source in told] == ["recent", "usual"]
    assert {source.how for source in told} == {"computed"}


def test_a_direction_leads_to_what_the_entry_says_of_its_course() -> None:
    told = found("The flow at S096 is falling [E1].", "falling")

    assert [(source.path, source.value.value) for source in told] == [("trend", "falling"), ("slope", -30.8667)]


def test_a_corrected_number_leads_to_the_value_that_it_was_corrected_to() -> None:
    checked = check("The usual at S096 is 78.7 vehicles/5 min [E1].", ALL)
    (claim,) = [claim for claim in checked.claims if claim.status == "corrected"]

    assert claim.text == "77.2 vehicles/5 min"
    assert [source.path for source in sources(claim, checked.text, ALL)] == ["usual"]


def test_what_nothing_supports_has_no_source() -> None:
    checked = check("At S096 the flow was 987 vehicles/5 min [E1].", ALL)
    (claim,) = [claim for claim in checked.claims if claim.status == "unsupported"]

    assert sources(claim, checked.text, ALL) == []


def test_only_the_entries_that_a_claim_names_are_looked_at() -> None:
    checked = check("About 481 vehicles are expected at S096 [E2].", ALL)
    claim = next(claim for claim in checked.claims if claim.kind == "number")
    elsewhere = claim.model_copy(update={"evidence": ["E1"]})

    assert sources(elsewhere, checked.text, ALL) == []
    assert sources(claim.model_copy(update={"evidence": ["E99"]}), checked.text, ALL) == []


def test_many_at_once_are_what_each_is_alone() -> None:
    text = "At S096 it was 41.3 vehicles/5 min, 53.6 % of the usual [E1]. One incident [E3]. S095 does 38.4 km/h [E4]."
    checked = check(text, ALL)

    together = list(sources_of(checked.claims, checked.text, ALL))

    assert together == [sources(claim, checked.text, ALL) for claim in checked.claims]
    assert sum(map(bool, together)) >= 5
