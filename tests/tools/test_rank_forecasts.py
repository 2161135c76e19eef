"""`rank_forecasts` orders all places by what `forecast` says of each, in one go, and tells what it could not rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from mm4st_agent.forecaster.prediction import Forecaster
from mm4st_agent.imaging.store import ImageStore
from tools.context import ToolContext
from tools.forecast import FORECAST
from tools.query_series import QUERY_SERIES
from tools.rank_forecasts import RANK_FORECASTS, RankForecastsOut


def noisy(panel: Panel) -> Panel:
    """With flow that repeats by the day, so that baselines can be told apart, and 10 % of it missing."""
    rng = np.random.default_rng(0)
    flow = panel.data["flow"]
    daily = 1 + 0.5 * np.sin(2 * np.pi * np.arange(flow.sizes["time"]) / 96)[:, None]
    noise = np.exp(0.05 * rng.standard_normal(flow.shape))
    gaps = rng.random(flow.shape) < 0.1
    values = np.where(gaps, np.nan, flow.to_numpy() * daily * noise).astype(np.float32)
    return dataclasses.replace(panel, data=panel.data.assign({"flow": flow.copy(data=values)}))


@pytest.fixture
def rank(context_of: Callable[..., ToolContext]) -> Callable[..., RankForecastsOut]:
    return lambda panel, as_of=None, **args: RANK_FORECASTS.run({"dataset": "mixed", **args}, context_of(panel, as_of))


@pytest.fixture
def demo(tmp_path: Path, shipped_forecaster: Callable[[Panel, Channel], Forecaster]) -> ToolContext:
    registry, absent = Registry(None, tmp_path, {"demo": demo_panel}), cast(Any, None)
    return ToolContext(registry, ImageStore(tmp_path / "images"), absent, shipped_forecaster)


def test_a_baseline_ranks_where_no_model_was_trained(
    mixed: Panel, rank: Callable[..., RankForecastsOut], context_of: Callable[..., ToolContext]
) -> None:
    panel = noisy(mixed)
    reply = rank(panel)

    assert [place.id for place in reply.ranking] == ["S004", "S003", "S002", "S001"]
    assert (reply.places, reply.ranked, reply.unknown, reply.minutes) == (4, 4, 0, 60)
    assert reply.baseline_leads
    assert reply.mae is None
    assert any("mm4st train --dataset mixed --channel flow" in warning for warning in reply.warnings)
    alone = FORECAST.run({"dataset": "mixed", "node": "S004"}, context_of(panel))
    assert reply.ranking[0].value == pytest.approx(alone.total.median / len(alone.steps), rel=1e-3)
    assert (reply.covers_from, reply.covers_until) == (alone.covers_from, alone.covers_until)
    lowest = rank(panel, order="lowest", limit=2)
    assert [place.id for place in lowest.ranking] == ["S001", "S002"]


def test_the_usual_level_is_that_of_the_span(mixed: Panel, rank: Callable[..., RankForecastsOut]) -> None:
    panel = noisy(mixed)
    reply = rank(panel, "2025-09-25T08:00", minutes=30, start_in_minutes=60)

    place = reply.ranking[0]
    flow = panel.data["flow"].sel(node=place.id).to_pandas()
    at = [flow[f"2025-09-{day} {clock}"] for day in ("04", "11", "18") for clock in ("08:45", "09:00", "09:15")]
    later = [flow[f"2025-09-{day} {clock}"] for day in ("04", "11", "18") for clock in ("09:00", "09:15", "09:30")]
    assert place.usual == pytest.approx(np.mean([np.nanmean(at), np.nanmean(later)]), rel=1e-4)
    assert reply.usual_weeks == 3
    assert place.level == pytest.approx(100 * place.value / place.usual, rel=1e-3)


def test_places_that_were_never_measured_are_counted(mixed: Panel, rank: Callable[..., RankForecastsOut]) -> None:
    panel = noisy(mixed)
    flow = panel.data["flow"].copy()
    flow[:, 3] = np.nan
    reply = rank(dataclasses.replace(panel, data=panel.data.assign({"flow": flow})))

    assert [place.id for place in reply.ranking] == ["S003", "S002", "S001"]
    assert (reply.ranked, reply.unknown) == (3, 1)
    assert "1 of 4 places cannot be forecast." in reply.warnings


def test_the_trained_model_ranks_as_it_forecasts(demo: ToolContext) -> None:
    reply = RANK_FORECASTS.run({"dataset": "demo", "channel": "speed", "order": "lowest", "minutes": 30}, demo)

    assert (reply.ranked, reply.model, reply.baseline_leads) == (124, "st-vlm", False)
    assert reply.mae < reply.baseline_mae
    values = [place.value for place in reply.ranking]
    assert values == sorted(values)
    for place in reply.ranking[:2]:
        alone = FORECAST.run({"dataset": "demo", "node": place.id, "channel": "speed", "minutes": 30}, demo)
        assert (place.value, place.low, place.high) == (alone.total.median, alone.total.low, alone.total.high)
        usual = QUERY_SERIES.run({"dataset": "demo", "node": place.id, "channel": "speed"}, demo).usual
        assert place.usual == pytest.approx(usual, rel=0.5)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"channel": "snow"}, "no channel 'snow'"),
        ({"minutes": 60, "start_in_minutes": 620}, "The time from 18:00 to 19:00 on .* lies out of reach"),
        ({"minutes": 0}, "greater than or equal to 1"),
        ({"limit": 21}, "less than or equal to 20"),
    ],
)
def test_bad_arguments_get_one_sentence(demo: ToolContext, args: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        RANK_FORECASTS.run({"dataset": "demo", **args}, demo)
