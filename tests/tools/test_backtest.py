"""`backtest`: the forecasts that were over by the clock, the trained model beside the baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError, UsageError
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for, shipped_checkpoints
from mm4st_agent.imaging.error_curve import draw_error_curve
from mm4st_agent.imaging.figure import Picture
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from tools.backtest import BACKTEST, BacktestOut
from tools.context import ToolContext

AS_OF = "2025-10-22T07:40"
LAST, WEEK = "the last reading", "the same time last week"


@pytest.fixture(scope="module")
def demo() -> Panel:
    return demo_panel()


@pytest.fixture
def run(demo: Panel, tmp_path: Path) -> Callable[..., BacktestOut]:
    def run(as_of: str = AS_OF, panel: Panel = demo, **args: object) -> BacktestOut:
        def choose(panel: Panel, channel: Channel) -> Forecaster:
            return forecaster_for(panel, channel, [shipped_checkpoints()])

        registry = Registry(None, tmp_path / "data", {"demo": lambda: panel})
        images, knowledge = ImageStore(tmp_path / "images"), KnowledgeIndex(tmp_path / "knowledge")
        return BACKTEST.run({"dataset": "demo", **args}, ToolContext(registry, images, knowledge, choose, as_of))

    return run


def _mae(reply: BacktestOut, model: str) -> float:
    (row,) = [row for row in reply.rows if row.model == model]
    assert row.mae is not None
    return row.mae


# -- with a trained model ---------------------------------------------------------------------------


def test_errors_of_one_node_are_those_made_again_by_hand(run: Callable[..., BacktestOut], demo: Panel) -> None:
    reply = run(node="S096")

    panel = demo.until(AS_OF)
    readings = panel.only(["S096"]).observed("flow")[:, 0].astype(np.float64)
    first = int(panel.times.searchsorted(pd.Timestamp(reply.since)))
    every = round(reply.every_minutes * 60 / panel.step_s)
    errors = []
    for origin in range(first, first + reply.forecasts * every, every):
        before = readings[:origin]
        errors.append(np.abs(readings[origin : origin + 12] - before[np.isfinite(before)][-1]))
    made = np.concatenate(errors)
    assert reply.cells == np.isfinite(made).sum()
    assert _mae(reply, LAST) == pytest.approx(np.nanmean(made), rel=1e-4)
    assert first + (reply.forecasts - 1) * every + 12 <= len(readings) < first + reply.forecasts * every + 12


def test_the_model_stands_beside_the_best_baseline(run: Callable[..., BacktestOut]) -> None:
    reply = run(node="S096")

    assert reply.model == reply.rows[0].model
    assert [row.trained for row in reply.rows] == [True, False, False, False]
    best = min((row for row in reply.rows[1:] if row.mae is not None), key=lambda row: row.mae or 0.0)
    assert reply.best_baseline == best.model
    assert best.mae is not None
    assert reply.ratio == pytest.approx(_mae(reply, reply.rows[0].model) / best.mae, rel=1e-3)
    assert reply.ratio is not None
    assert reply.model_leads == (reply.ratio < 1)
    assert reply.leads == (reply.model if reply.model_leads else best.model)
    assert {row.minutes_ahead for row in reply.by_horizon} == {15, 30, 60}
    assert reply.places == 1


def test_only_what_training_had_not_seen_counts(run: Callable[..., BacktestOut]) -> None:
    reply = run(node="S096", days=30)

    assert reply.trained_until is not None
    assert reply.since >= reply.trained_until
    assert reply.until <= reply.as_of
    assert not reply.in_sample
    assert any("on count" in warning for warning in reply.warnings)


def test_a_clock_inside_the_training_part_is_said(run: Callable[..., BacktestOut]) -> None:
    reply = run("2025-10-10T08:00", node="S096", days=3)

    assert reply.in_sample
    assert reply.since.isoformat() == "2025-10-07T08:00:00+01:00"
    assert any("flatter" in warning for warning in reply.warnings)


def test_baselines_are_not_in_sample_even_there(run: Callable[..., BacktestOut]) -> None:
    reply = run("2025-09-02T01:55", node="S096", days=1)

    assert _mae(reply, "the usual for this time of the week") > 0.5  # of the day before, not of the truths themselves
    assert any(warning.startswith("The same time last week has no value") for warning in reply.warnings)


def test_nothing_after_the_clock_is_read(run: Callable[..., BacktestOut], demo: Panel) -> None:
    flow = demo.data["flow"]
    known = xr.DataArray(demo.times < pd.Timestamp(AS_OF, tz=demo.zone), dims="time")
    spoilt = dataclasses.replace(demo, data=demo.data.assign(flow=flow.where(known, 9999.0).assign_attrs(flow.attrs)))

    assert run(node="S096", panel=spoilt) == run(node="S096")


def test_all_nodes_of_a_channel_and_a_shorter_span(run: Callable[..., BacktestOut]) -> None:
    reply = run(channel="speed", minutes=10, days=1)

    assert (reply.places, reply.node, reply.unit) == (124, None, "km/h")
    assert {row.minutes_ahead for row in reply.by_horizon} == {10}
    assert reply.cells > 100 * reply.forecasts
    assert "124 places" in reply.figure.title


def test_numbers_carry_their_units_and_the_picture_its_words(run: Callable[..., BacktestOut]) -> None:
    reply = run(node="A03", days=2)

    values = reply.quantities()
    assert values["rows[0].mae"].unit == values["by_horizon[0].mae"].unit == "µg/m³"
    assert values["rows[0].coverage80"].unit == "%"
    assert values["ratio"].unit == "1"
    assert "Mean absolute error by minutes ahead" in reply.figure.alt
    assert LAST in reply.figure.alt


@pytest.mark.parametrize(
    ("as_of", "args", "message", "hint"),
    [
        (AS_OF, {"node": "S999"}, "S999", ""),
        (AS_OF, {"node": "A03", "channel": "flow"}, "does not measure traffic flow", ""),
        (AS_OF, {"minutes": 600}, "10 hours is too far", "at most 1 hour"),
        (AS_OF, {"node": "S096", "days": 0.01}, "0 forecasts of 1 hour were over", "0.08 days or more"),
        ("2025-09-01T03:00", {"node": "S096"}, "a backtest needs 12", "2025-09-02T01:55"),
        (AS_OF, {"days": 0}, "days", ""),
    ],
)
def test_refuses_what_cannot_be_checked(
    run: Callable[..., BacktestOut], as_of: str, args: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ToolError, match=message) as error:
        run(as_of, **args)

    assert hint in error.value.hint


# -- baselines alone --------------------------------------------------------------------------------


def test_without_a_trained_model_the_baselines_stand_alone(
    mixed: Panel, context_of: Callable[..., ToolContext]
) -> None:
    reply = BACKTEST.run({"dataset": "mixed", "node": "S001", "days": 6}, context_of(mixed))

    # a reading is 1 above that of the week before, and the same all week
    assert (reply.model, reply.trained_until, reply.ratio, reply.model_leads) == (None, None, None, False)
    assert (_mae(reply, LAST), _mae(reply, WEEK)) == (0, 1)
    assert reply.leads == reply.best_baseline == LAST
    assert [row.trained for row in reply.rows] == [False] * 3
    assert any("the baselines alone" in warning for warning in reply.warnings)
    assert not any("on count" in warning for warning in reply.warnings)
    long = BACKTEST.run({"dataset": "mixed", "node": "S001", "days": 60}, context_of(mixed))
    assert long.since.isoformat() == "2025-09-03T00:00:00+00:00"
    assert any("Only forecasts from 2025-09-03 00:00 on count" in warning for warning in long.warnings)
    everywhere = BACKTEST.run({"dataset": "mixed", "channel": "flow", "days": 6}, context_of(mixed))
    assert (everywhere.places, _mae(everywhere, WEEK)) == (4, 1)


def test_a_place_without_readings_is_refused(mixed: Panel, context_of: Callable[..., ToolContext]) -> None:
    with pytest.raises(ToolError, match=r"Air station A02 of 'mixed' has no measured PM2\.5 from 2025-09-28 00:00"):
        BACKTEST.run({"dataset": "mixed", "node": "A02", "days": 1}, context_of(mixed))


# -- the picture ------------------------------------------------------------------------------------


def _drawn(minutes: list[float], curves: dict[str, np.ndarray], ours: str | None = None) -> Picture:
    return draw_error_curve(
        minutes=minutes, curves=curves, ours=ours, title="Station 1: error", unit="km/h", synthetic=False
    )


def test_curves_with_gaps_and_a_single_step_are_drawn() -> None:
    gap = _drawn([5, 10, 15], {"ours": np.array([1, np.nan, 2]), "other": np.full(3, np.nan)}, ours="ours")
    single = _drawn([60], {"other": np.array([0.0])})

    assert "ours 1 at 5 minutes, 2 at 15; other undefined" in gap.alt
    assert single.alt.endswith("other 0 at 60 minutes.")
    assert gap.png.startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="2 steps, the axis 1"):
        _drawn([60], {"other": np.zeros(2)})
    with pytest.raises(UsageError, match="no error curve"):
        _drawn([60], {})
