"""`rank_places` ranks the nodes of a channel by what was measured up to the clock, and reads no more than that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.query_series import QUERY_SERIES
from tools.rank_places import RANK_PLACES, RankPlacesOut

Rank = Callable[..., RankPlacesOut]


@pytest.fixture
def rank(context_of: Callable[..., ToolContext]) -> Rank:
    return lambda panel, as_of=None, **args: RANK_PLACES.run({"dataset": "mixed", **args}, context_of(panel, as_of))


def changed(panel: Panel, channel: str, values: Callable[[np.ndarray], np.ndarray]) -> Panel:
    new = values(panel.data[channel].to_numpy().copy())
    return dataclasses.replace(panel, data=panel.data.assign({channel: panel.data[channel].copy(data=new)}))


def noisy(panel: Panel) -> Panel:
    rng = np.random.default_rng(0)
    noise = np.exp(0.3 * rng.standard_normal(panel.data["flow"].shape)).astype(np.float32)
    gaps = rng.random(noise.shape) < 0.1
    return changed(panel, "flow", lambda flow: np.where(gaps, np.nan, flow * noise))


def test_the_highest_come_first(mixed: Panel, rank: Rank) -> None:
    reply = rank(mixed)

    assert [place.id for place in reply.ranking] == ["S004", "S003", "S002", "S001"]
    assert [place.rank for place in reply.ranking] == [1, 2, 3, 4]
    assert reply.ranking[0].value == 403
    assert (reply.channel, reply.unit, reply.ranking[0].kind) == ("flow", "vehicles/15 min", "road station")
    assert (reply.places, reply.ranked, reply.unread, reply.unknown, reply.minutes) == (4, 4, 0, 0, 30)
    assert reply.warnings == []
    assert [place.id for place in rank(mixed, order="lowest", limit=2).ranking] == ["S001", "S002"]


def test_places_without_a_reading_are_counted_not_ranked(mixed: Panel, rank: Rank) -> None:
    reply = rank(mixed, channel="pm25")

    assert [place.id for place in reply.ranking] == ["A03", "A01"]
    assert (reply.places, reply.ranked, reply.unread) == (3, 2, 1)
    assert reply.warnings == ["1 of 3 places have no measured reading then."]
    earlier = rank(mixed, channel="pm25", until="2025-09-28T00:00")
    assert (earlier.ranked, earlier.until.day) == (3, 28)


def test_imputed_readings_do_not_count(mixed: Panel, rank: Rank) -> None:
    filled = changed(mixed, "flow", lambda flow: np.where(mixed.imputed("flow"), np.float32(1e6), flow))

    assert rank(filled) == rank(mixed)


@pytest.mark.parametrize("minutes", [30, 600, 7 * 24 * 60])
@pytest.mark.parametrize("as_of", ["2025-09-25T12:00", "2025-09-22T00:15", "end"])
def test_the_usual_is_that_of_query_series(
    mixed: Panel, rank: Rank, context_of: Callable[..., ToolContext], minutes: int, as_of: str
) -> None:
    panel = noisy(mixed)
    reply = rank(panel, as_of, by="usual", minutes=minutes)

    assert reply.ranked == 4
    if minutes != 30:
        return
    for place in reply.ranking:
        read = QUERY_SERIES.run({"dataset": "mixed", "node": place.id}, context_of(panel, as_of))
        assert (place.value, place.usual) == (pytest.approx(read.recent, rel=1e-5), pytest.approx(read.usual, rel=1e-5))
        assert place.level == pytest.approx(read.level, rel=1e-5)
        assert reply.usual_weeks == read.usual_weeks
    levels = [place.level for place in reply.ranking if place.level is not None]
    assert levels == sorted(levels, reverse=True)


def test_a_week_is_compared_with_the_weeks_before(mixed: Panel, rank: Rank) -> None:
    reply = rank(mixed, by="usual", minutes=7 * 24 * 60)

    # The last week is at 403, the ones before at 400, 401 and 402; each step has three readings in each of them.
    assert reply.ranking[-1].id == "S004"
    assert reply.ranking[-1].usual == pytest.approx(401, abs=0.01)


def test_without_an_earlier_week_nothing_is_usual(mixed: Panel, rank: Rank) -> None:
    reply = rank(mixed, "2025-09-03T12:00", by="usual")

    assert (reply.ranking, reply.ranked, reply.unknown, reply.usual_weeks) == ([], 0, 4, 0)
    assert reply.warnings == ["No place can be ranked."]


def test_a_change_is_from_the_window_before(mixed: Panel, rank: Rank) -> None:
    def grown(flow: np.ndarray) -> np.ndarray:
        flow[-4:-2] = [100, 200, 300, 400, *[np.nan] * 4]
        flow[-2:] = [150, 190, 300, 430, *[np.nan] * 4]
        return flow

    panel = changed(mixed, "flow", grown)
    imputed = np.zeros(panel.imputed("flow").shape, dtype=bool)
    panel = dataclasses.replace(panel, data=panel.data.assign(imputed=(("time", "node"), imputed)))

    rising, falling = rank(panel, by="change"), rank(panel, by="change", order="lowest", limit=1)

    assert [(place.id, place.change) for place in rising.ranking] == [
        ("S001", 50), ("S004", 30), ("S003", 0), ("S002", -10),
    ]  # fmt: skip
    assert [(place.id, place.change) for place in falling.ranking] == [("S002", -10)]
    assert {place.usual for place in rising.ranking} == {place.level for place in rising.ranking} == {None}


def test_nothing_after_the_clock_matters(mixed: Panel, rank: Rank) -> None:
    cut = int(mixed.times.searchsorted(pd.Timestamp("2025-09-25T12:00", tz="UTC")))

    def later(flow: np.ndarray) -> np.ndarray:
        flow[cut:] = 9999 - flow[cut:]
        return flow

    for args in ({}, {"by": "usual"}, {"by": "change"}):
        panel = changed(mixed, "flow", later)
        assert rank(panel, "2025-09-25T12:00", **args) == rank(mixed, "2025-09-25T12:00", **args)
        assert rank(panel, "end", **args) != rank(mixed, "end", **args)


def test_numbers_carry_their_unit_and_nothing_is_nan(mixed: Panel, rank: Rank) -> None:
    reply = rank(mixed, channel="pm25", by="usual")

    quantities = reply.quantities()
    assert quantities["ranking[0].value"].unit == "µg/m³"
    assert quantities["ranking[0].level"].unit == "%"
    assert quantities["ranking[0].id"].unit == "id"
    json.dumps(json.loads(reply.model_dump_json()), allow_nan=False)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"channel": "noise"}, "has no channel 'noise'"),
        ({"by": "beauty"}, "by"),
        ({"limit": 21}, "limit"),
        ({"minutes": 0}, "minutes"),
        ({"until": "2030-01-01T00:00"}, "is not between the first reading"),
    ],
)
def test_bad_arguments_are_named(mixed: Panel, rank: Rank, args: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        rank(mixed, **args)
