from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import END, Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from mm4st_agent.forecaster.prediction import Forecaster, forecaster_for, shipped_checkpoints
from mm4st_agent.imaging.carried import numbers_in
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from tools.context import ToolContext
from tools.forecast import FORECAST, ForecastOut

AS_OF = "2025-10-23T07:30"


@pytest.fixture(scope="module")
def demo() -> Panel:
    return demo_panel()


@pytest.fixture
def context_at(
    demo: Panel, tmp_path: Path, shipped_forecaster: Callable[[Panel, Channel], Forecaster]
) -> Callable[..., ToolContext]:
    def make(as_of: str | None = AS_OF, *, shipped: bool = True, data_dir: Path | None = None) -> ToolContext:
        choose = shipped_forecaster if shipped else lambda panel, channel: forecaster_for(panel, channel, [])
        registry = Registry(data_dir, tmp_path / "data", {"demo": lambda: demo})
        return ToolContext(
            registry, ImageStore(tmp_path / "images"), KnowledgeIndex(tmp_path / "knowledge"), choose, as_of
        )

    return make


def run(context: ToolContext, **args: object) -> ForecastOut:
    return FORECAST.run(args, context)


def test_the_next_hour(context_at: Callable[..., ToolContext]) -> None:
    ctx = context_at()

    reply = run(ctx, dataset="demo", node="S039")

    assert [step.time.strftime("%H:%M") for step in reply.steps] == [
        f"{7 + m // 60:02}:{m % 60:02}" for m in range(30, 90, 5)
    ]
    assert reply.covers_from.isoformat() == "2025-10-23T07:30:00+01:00"
    assert reply.covers_until.isoformat() == "2025-10-23T08:30:00+01:00"
    assert reply.as_of == reply.covers_from
    for step in reply.steps:
        assert step.low <= step.median <= step.high  # type: ignore[operator]
    assert reply.peak in reply.steps
    assert reply.peak.median == max(step.median or 0 for step in reply.steps)
    assert (reply.total.aggregation, reply.total.unit) == ("sum", "vehicles")
    assert reply.total.median == pytest.approx(sum(step.median or 0 for step in reply.steps), rel=1e-3)
    assert reply.total.baseline == pytest.approx(sum(step.baseline or 0 for step in reply.steps), rel=1e-3)
    assert not reply.in_sample
    assert reply.trained_until is not None
    assert reply.trained_until < reply.as_of


def test_numbers_carry_their_units(context_at: Callable[..., ToolContext]) -> None:
    values = run(context_at(), dataset="demo", node="S039").quantities()

    assert values["steps[0].median"].unit == values["peak.low"].unit == "vehicles/5 min"
    assert values["total.median"].unit == "vehicles"
    assert values["backtest.mae"].unit == "vehicles/5 min"
    assert values["backtest.coverage80"].unit == values["change"].unit == values["interval"].unit == "%"
    assert values["minutes"].unit == "min"
    assert values["node"].value == "S039"
    assert values["covers_from"].unit == "time"


def test_the_change_is_against_the_span_before(context_at: Callable[..., ToolContext], demo: Panel) -> None:
    reply = run(context_at(), dataset="demo", node="S039", minutes=30)

    before = demo.until(AS_OF).only(["S039"]).observed("flow")[-6:, 0]
    assert reply.previous_mean == pytest.approx(float(np.nanmean(before)), rel=1e-4)
    assert reply.forecast_mean == pytest.approx(float(np.mean([step.median or 0 for step in reply.steps])), rel=1e-3)
    assert reply.change == pytest.approx(100 * (reply.forecast_mean / reply.previous_mean - 1), rel=1e-2)  # type: ignore[operator]


def test_a_later_span(context_at: Callable[..., ToolContext], demo: Panel) -> None:
    whole = run(context_at(), dataset="demo", node="S039")

    reply = run(context_at(), dataset="demo", node="S039", minutes=20, start_in_minutes=30)

    assert [step.time for step in reply.steps] == [step.time for step in whole.steps[6:10]]
    assert (reply.minutes, reply.covers_from.strftime("%H:%M"), reply.covers_until.strftime("%H:%M")) == (
        20,
        "08:00",
        "08:20",
    )
    assert [step.median for step in reply.steps] == [step.median for step in whole.steps[6:10]]
    assert reply.total.median == pytest.approx(sum(step.median or 0 for step in reply.steps), rel=1e-3)
    assert reply.peak in reply.steps
    before = demo.until(AS_OF).only(["S039"]).observed("flow")[-4:, 0]
    assert reply.previous_mean == pytest.approx(float(np.nanmean(before)), rel=1e-4)
    assert reply.backtest.total_coverage80 is None
    assert not any("covers" in warning for warning in reply.warnings)


def test_a_span_between_the_steps_is_widened(context_at: Callable[..., ToolContext]) -> None:
    reply = run(context_at(), dataset="demo", node="S039", minutes=10, start_in_minutes=13)

    assert (reply.covers_from.strftime("%H:%M"), reply.covers_until.strftime("%H:%M")) == ("07:40", "07:55")
    assert any("covers 15 minutes instead of 10" in warning for warning in reply.warnings)


@pytest.mark.parametrize("offset", [-200.0, 0.0])
def test_no_percentage_of_means_that_are_not_above_zero(
    context_at: Callable[..., ToolContext], demo: Panel, tmp_path: Path, offset: float
) -> None:
    data = demo.data.copy(deep=True)
    data["flow"] = (data["flow"] * (0 if offset == 0 else 1) + offset).assign_attrs(demo.data["flow"].attrs)
    shifted = dataclasses.replace(demo, data=data)
    ctx = dataclasses.replace(
        context_at(shipped=False), registry=Registry(None, tmp_path / "other", {"demo": lambda: shifted})
    )

    reply = run(ctx, dataset="demo", node="S039")

    assert reply.change is None
    assert reply.previous_mean is not None
    assert reply.previous_mean <= 0


def test_data_that_are_too_short_as_a_whole(
    context_at: Callable[..., ToolContext], demo: Panel, tmp_path: Path
) -> None:
    short = dataclasses.replace(demo, data=demo.data.isel(time=slice(0, 20)))
    ctx = dataclasses.replace(
        context_at(END, shipped=False), registry=Registry(None, tmp_path / "other", {"demo": lambda: short})
    )

    with pytest.raises(ToolError, match="it has 20 time steps, and a forecast needs 36") as caught:
        run(ctx, dataset="demo", node="S039")

    assert "Choose a time" not in caught.value.hint


def test_a_baseline_that_leads_is_named_with_what_it_fell_back_to(context_at: Callable[..., ToolContext]) -> None:
    early = run(context_at("2025-09-01T12:00", shipped=False), dataset="demo", node="S039", minutes=15)
    trained = run(context_at(), dataset="demo", node="S039")

    assert early.baseline_leads
    assert early.baseline_name in ("the last reading", "the mean so far")
    assert early.backtest.best_baseline == early.baseline_name
    assert early.baseline_name in early.figure.alt
    assert not trained.baseline_leads
    assert trained.model == "st-vlm"


def test_the_picture_is_kept_and_says_synthetic(context_at: Callable[..., ToolContext]) -> None:
    ctx = context_at()

    reply = run(ctx, dataset="demo", node="S039")

    assert ctx.images.get(reply.figure.image_id).startswith(b"\x89PNG")
    assert "S039" in reply.figure.title
    assert "ynthetic" in reply.figure.alt
    assert reply.synthetic
    assert any("synthetic" in warning for warning in reply.warnings)


def test_the_picture_carries_the_quantiles_that_it_draws(context_at: Callable[..., ToolContext]) -> None:
    ctx = context_at()

    reply = run(ctx, dataset="demo", node="S039")

    carried = numbers_in(ctx.images.get(reply.figure.image_id))
    assert carried is not None
    assert carried["levels"] == [0.1, 0.25, 0.5, 0.75, 0.9]
    assert [[row[0], row[2], row[4]] for row in carried["quantiles"]] == [
        [s.low, s.median, s.high] for s in reply.steps
    ]
    assert all(row == sorted(row) for row in carried["quantiles"])


def test_a_mean_channel_has_a_mean(context_at: Callable[..., ToolContext]) -> None:
    reply = run(context_at(), dataset="demo", node="S039", channel="speed", minutes=15)

    assert (reply.total.aggregation, reply.total.unit, reply.unit) == ("mean", "km/h", "km/h")
    assert (
        min(s.median or 0 for s in reply.steps) <= (reply.total.median or 0) <= max(s.median or 0 for s in reply.steps)
    )


def test_minutes_become_whole_steps(context_at: Callable[..., ToolContext]) -> None:
    reply = run(context_at(), dataset="demo", node="S039", minutes=7)

    assert (len(reply.steps), reply.minutes) == (2, 10)
    assert any("covers 10 minutes" in warning for warning in reply.warnings)


def test_without_a_checkpoint_a_baseline_answers(context_at: Callable[..., ToolContext]) -> None:
    reply = run(context_at(shipped=False), dataset="demo", node="S039")

    assert reply.model in ("last_value", "same_slot_last_week", "slot_mean")
    assert reply.trained_until is None
    assert any("mm4st train --dataset demo --channel flow" in warning for warning in reply.warnings)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"node": "S999"}, "no station 'S999'"),
        (
            {"node": "S039", "minutes": 600},
            r"'demo' reaches 1 hour \(12 steps\) ahead; 10 hours is too far. Ask for at most 1 hour.",
        ),
        ({"node": "S039", "minutes": 60, "start_in_minutes": 240}, "5 hours is too far. Ask for at most 1 hour."),
        ({"node": "S039", "minutes": 10**12}, "less than or equal to 100000"),
        ({"node": "S039", "start_in_minutes": 10**12}, "less than or equal to 100000"),
        ({"node": "S039", "start_in_minutes": -5}, "greater than or equal to 0"),
        ({"node": "S039", "minutes": 0}, "greater than or equal to 1"),
        ({"node": "S039", "channel": "rain"}, "no channel 'rain'"),
        ({"node": "S039", "horizon": 3}, "Extra inputs"),
    ],
)
def test_bad_arguments_get_one_sentence(
    context_at: Callable[..., ToolContext], args: dict[str, object], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        run(context_at(), dataset="demo", **args)


def test_too_early_a_clock(context_at: Callable[..., ToolContext]) -> None:
    with pytest.raises(ToolError, match=r"needs 12.*from 2025-09-01T01:00 on"):
        run(context_at("2025-09-01T00:30"), dataset="demo", node="S039")


def test_a_station_that_nobody_measured(context_at: Callable[..., ToolContext], real_data: Path) -> None:
    ctx = context_at("2022-01-25T07:30", data_dir=real_data)

    with pytest.raises(
        ToolError, match=r"Station 1205364 of 'pems-orange' has no measured traffic flow .* shows there is imputed"
    ):
        run(ctx, dataset="pems-orange", node="1205364")


def test_the_main_question(context_at: Callable[..., ToolContext], real_data: Path) -> None:
    reply = run(context_at("2022-01-25T07:30", data_dir=real_data), dataset="pems-orange", node="1205330")

    assert (reply.total.unit, reply.model, reply.in_sample) == ("vehicles", "st-vlm-numeric", False)
    assert reply.covers_until.isoformat() == "2022-01-25T08:30:00-08:00"
    assert 3000 < (reply.total.median or 0) < 7000
    assert all(math.isfinite(step.low or math.nan) for step in reply.steps)


def test_half_a_day_of_data_makes_no_usual_week(context_at: Callable[..., ToolContext], real_data: Path) -> None:
    reply = run(context_at("2022-01-01T12:00", data_dir=real_data), dataset="pems-orange", node="1205330")

    assert (reply.baseline_name, reply.baseline_leads) == ("the mean so far", False)


def test_importing_the_tool_loads_nothing_heavy() -> None:
    code = "import sys, tools.forecast; print([m for m in ('torch', 'lightning', 'matplotlib') if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert found.stdout.strip() == "[]"


def test_recent_errors_that_are_far_above_the_backtest_are_said(tmp_path: Path) -> None:
    """Readings whose last two days are in a random order cannot be foreseen; the model does not know that yet."""
    sound = demo_panel()
    flow = sound.data["flow"]
    end = int(flow.indexes["time"].searchsorted(pd.Timestamp("2025-10-22T06:35"))) + 1
    mixed = np.random.default_rng(0).permutation(np.arange(end - 2 * 288, end))
    values = flow.to_numpy().copy()
    values[end - 2 * 288 : end] = values[mixed]
    drifted = dataclasses.replace(sound, data=sound.data.assign({"flow": flow.copy(data=values)}))

    def ask(panel: Panel) -> ForecastOut:
        registry = Registry(None, tmp_path, {"demo": lambda: panel})
        images, absent = ImageStore(tmp_path / "images"), cast(Any, None)
        ctx = ToolContext(registry, images, absent, lambda p, c: forecaster_for(p, c, [shipped_checkpoints()]))
        return FORECAST.run({"dataset": "demo", "node": "S039"}, ctx)

    before, after = ask(sound), ask(drifted)

    assert not before.backtest.drifting
    assert before.backtest.recent_mae is not None
    assert before.backtest.mae is not None
    assert before.backtest.recent_ratio == pytest.approx(before.backtest.recent_mae / before.backtest.mae, rel=0.01)
    assert not any("last two days" in warning for warning in before.warnings)
    assert after.backtest.drifting
    assert after.backtest.recent_ratio is not None
    assert after.backtest.recent_ratio >= 1.5
    assert any("Over the last two days the mean absolute error was" in warning for warning in after.warnings)
