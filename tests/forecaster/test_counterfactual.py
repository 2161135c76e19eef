"""Edited panels and what a trained network makes of them; planted truths on a road where one sensor copies another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster import counterfactual as cf
from mm4st_agent.forecaster import networks
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.counterfactual import Counterfactuals, Difference, Outlook
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.slots import slots_of
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.forecaster.training import train_checkpoint

NODES = ["A", "B", "C", "D"]
LAG, SHOCK = 6, 40.0
PER_DAY = 48
AT = PER_DAY * 26 + 20
"""The step from which A has far more than usual, and B does not yet."""


def make_copy(shock: float = 0.0) -> Panel:
    """Half-hourly counts over four weeks: B has what A had three hours before; C and D stand alone.

    The log tells twice of a collision at A, and once of works at D that are published on the last day.
    """
    rng = np.random.default_rng(5)
    steps = 28 * PER_DAY
    noise = np.zeros((steps + LAG, 3))
    for step in range(1, len(noise)):
        noise[step] = 0.3 * noise[step - 1] + rng.normal(0, 20, 3)
    a, c, d = 100 + noise.T
    values = np.stack([a[LAG:], a[:-LAG], c[LAG:], d[LAG:]], axis=1) + rng.normal(0, 0.5, (steps, 4))
    values[AT - LAG : AT, 0] += shock
    times = pd.date_range("2024-01-01", periods=steps, freq="30min")
    channel = Channel(name="flow", unit="vehicles/30 min", aggregation="sum", total_unit="vehicles")

    def event(name: str, start: int, published: int, node: str, text: str) -> Event:
        first, shown = (times[step].tz_localize("UTC") for step in (start, published))
        return Event(name, text, first, None, shown, "desk", node, f"at {node}", kind="bulletin")

    rain = np.where(np.arange(steps + PER_DAY) % 50 < 4, 2.0, 0.0)
    ahead = pd.date_range(times[0], periods=steps + PER_DAY, freq="30min")
    covariates = {
        "rain": ("time", rain, {"units": "mm/h"}),
        "holiday": ("time", np.zeros(len(rain)), {"units": "1", KNOWN_FUTURE: True}),
    }
    return Panel(
        card=DataCard(name="copy", title="A copy", source="test", licence="CC0-1.0", channels=(channel,),
                      time_label="start"),
        data=xr.Dataset(
            {"flow": (("time", "node"), values.astype(np.float32), {"units": channel.unit})},
            coords={"time": times.as_unit("ns"), "node": np.array(NODES, dtype=object)},
        ),
        edges=pd.DataFrame({"source": ["A", "C"], "target": ["B", "D"], "weight": [1.0, 1.0]}),
        events=(
            event("crash", AT - 3, AT - 3, "A", "Collision at A."),
            event("crash/2", AT - 3, AT - 2, "A", "Collision at A, one lane blocked."),
            event("works", AT + 20, AT + 10, "D", "Works at D."),
        ),
        covariates=xr.Dataset(covariates, coords={"time": ahead.as_unit("ns")}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checkpoints") / "copy-flow"
    config = TrainConfig(
        network=NumericConfig(history=12, horizon=6, hidden=48, blocks=1, identity=4, eigenvectors=3, dropout=0.0),
        max_epochs=25, averaging=0.9, learning_rate=1e-2,
    )  # fmt: skip
    train_checkpoint(make_copy(), "flow", out=out, config=config, progress=False)
    return out


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return TrainedForecaster(folder).checkpoint


@pytest.fixture(scope="module")
def known() -> Panel:
    """As known when A has had a shock for three hours."""
    panel = make_copy(shock=SHOCK)
    return panel.until((panel.times[AT - 1] + panel.step).to_pydatetime())


@pytest.fixture(scope="module")
def runs(checkpoint: Checkpoint, known: Panel) -> Counterfactuals:
    return Counterfactuals(checkpoint, known, known.channel(), NODES, 6)


def shift(runs: Counterfactuals, *edits: cf.Edit) -> Difference:
    return Difference.of(runs.before, runs.after(*edits))


def test_before_is_what_the_forecaster_gives(folder: Path, known: Panel) -> None:
    forecaster = TrainedForecaster(folder)
    found = forecaster.predict(known, ["B"], "flow", 6)[0]
    runs = Counterfactuals(forecaster.checkpoint, known, known.channel(), NODES, 6, forecaster.widths(known))

    assert not found.baseline_leads
    assert (runs.before.quantiles[:, 1] == found.quantiles).all()
    assert runs.before.total[1].tolist() == [found.total.low, found.total.median, found.total.high]


def test_without_the_sensor_that_it_copies_the_forecast_misses_what_comes(runs: Counterfactuals, known: Panel) -> None:
    without_a = shift(runs, partial(cf.without_sensor, node="A", channel="flow"))
    without_c = shift(runs, partial(cf.without_sensor, node="C", channel="flow"))

    assert -SHOCK * LAG < without_a.total[1, 1] < -0.1 * SHOCK * LAG
    assert without_a.total[1, 0] <= without_a.total[1, 1] <= without_a.total[1, 2]
    assert not without_c.steps[:, 1].any()
    assert without_c.steps[:, 3].any()


def test_a_road_is_how_the_sensor_is_reached(runs: Counterfactuals) -> None:
    road = shift(runs, partial(cf.without_road, source="A", target="B"))
    other = shift(runs, partial(cf.without_road, source="C", target="D"))

    assert road.total[1, 1] < -0.1 * SHOCK * LAG
    assert not other.steps[:, :2].any()
    assert other.steps[:, 3].any()


def test_changes_add_up_in_one_forecast(runs: Counterfactuals) -> None:
    edits = [partial(cf.without_sensor, node=node, channel="flow") for node in ("A", "C")]

    both = shift(runs, *edits)

    assert (both.steps[:, 1] == shift(runs, edits[0]).steps[:, 1]).all()
    assert (both.steps[:, 3] == shift(runs, edits[1]).steps[:, 3]).all()


def test_the_numeric_branch_reads_neither_log_nor_weather(runs: Counterfactuals, checkpoint: Checkpoint) -> None:
    assert not cf.reads_text(checkpoint)
    assert shift(runs, partial(cf.without_event, event="crash")).nothing
    assert shift(runs, partial(cf.with_event, node="B", text="Fire", kind="bulletin")).nothing
    assert shift(runs, partial(cf.with_covariate, name="rain", value=9.0)).nothing


def test_the_same_edit_twice_gives_the_same(runs: Counterfactuals) -> None:
    edit = partial(cf.without_sensor, node="A", channel="flow")

    assert (runs.after(edit).quantiles == runs.after(edit).quantiles).all()


EDITS: dict[str, cf.Edit] = {
    "event": partial(cf.without_event, event="crash"),
    "new event": partial(cf.with_event, node="B", text="Fire", kind=""),
    "covariate": partial(cf.with_covariate, name="rain", value=9.0),
    "sensor": partial(cf.without_sensor, node="A", channel="flow"),
    "road": partial(cf.without_road, source="A", target="B"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_panel_itself_stays(known: Panel, edit: cf.Edit) -> None:
    data, covariates = known.data.copy(deep=True), known.covariates.copy(deep=True)
    edges, events = known.edges.copy(), known.events

    edited = edit(known)

    assert edited.node_ids == known.node_ids
    assert known.data.identical(data)
    assert known.covariates.identical(covariates)
    assert known.edges.equals(edges)
    assert known.events == events


def test_a_happening_goes_with_all_its_entries(known: Panel) -> None:
    assert [entry.id for entry in cf.same_happening(known, "crash/2")] == ["crash", "crash/2"]
    assert cf.without_event(known, "crash/2").events == ()


def test_what_is_published_later_cannot_be_removed(known: Panel) -> None:
    with pytest.raises(UsageError, match="no entry 'works' by 2024-01-27") as caught:
        cf.without_event(known, "works")

    assert "works" not in caught.value.hint
    assert "such as crash" in caught.value.hint


def test_an_added_event_has_just_begun(known: Panel) -> None:
    edited = cf.with_event(cf.with_event(known, "B", "Fire at B.", "bulletin"), "C", "Smoke.", "")

    fire, smoke = edited.events[-2:]
    assert (fire.id, fire.node, fire.kind, fire.start, fire.published_at) == (
        "what-if-1", "B", "bulletin", known.end, known.end,
    )  # fmt: skip
    assert (fire.end, fire.end_known) == (None, True)
    assert smoke.id == "what-if-2"


def test_a_measured_covariate_changes_at_the_last_reading(known: Panel) -> None:
    before, after = (panel.covariates["rain"] for panel in (known, cf.with_covariate(known, "rain", 9.0)))

    last = known.data.indexes["time"][-1]
    assert float(after.sel(time=last)) == 9.0
    assert after.drop_sel(time=last).identical(before.drop_sel(time=last))  # nothing later is known of it
    assert after.attrs == before.attrs


def test_a_covariate_that_is_known_ahead_changes_from_the_next_step_on(known: Panel) -> None:
    after = cf.with_covariate(known, "holiday", 1.0).covariates["holiday"]

    last = known.data.indexes["time"][-1]
    assert not after.sel(time=slice(None, last)).any()
    assert (after.sel(time=slice(last + known.step, None)) == 1).all()


def test_a_coarser_covariate_changes_where_it_is_in_force(known: Panel) -> None:
    daily = known.covariates[["holiday"]].isel(time=slice(0, None, PER_DAY))
    coarse = cf.with_covariate(
        Panel(known.card, known.data, covariates=daily, as_of=known.as_of), "holiday", 1.0
    ).covariates["holiday"]

    changed = coarse.indexes["time"][coarse.to_numpy() == 1]
    assert changed[0] == known.data.indexes["time"][-1].normalize()


@pytest.mark.parametrize(
    ("edit", "message", "hint"),
    [
        (partial(cf.without_event, event="nothing"), "no entry 'nothing'", "such as crash"),
        (partial(cf.with_event, node="Z", text="x", kind=""), "'Z'", "such as A"),
        (partial(cf.with_covariate, name="snow", value=1.0), "no covariate 'snow'", "Known: holiday, rain."),
        (partial(cf.without_sensor, node="Z", channel="flow"), "'Z'", "such as A"),
        (partial(cf.without_road, source="B", target="A"), "no edge from B to A", "At B there is A to B."),
        (partial(cf.without_road, source="A", target="Z"), "'Z'", "such as A"),
    ],
)
def test_what_is_not_there_is_named(known: Panel, edit: Callable[[Panel], Panel], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        edit(known)

    assert hint in caught.value.hint


def test_a_log_that_is_empty_says_so(known: Panel) -> None:
    with pytest.raises(UsageError, match="no entry 'x'") as caught:
        cf.without_event(Panel(known.card, known.data), "x")

    assert caught.value.hint == "It has none at all."


def test_the_interval_of_a_difference_is_how_the_quantiles_move() -> None:
    before = Outlook(np.array([[[0.0, 1, 2, 3, 4]]], np.float32), np.array([[0.0, 2, 4]], np.float32))
    after = Outlook(np.array([[[-3.0, 1, 3, 4, 9]]], np.float32), np.array([[-3.0, 3, 9]], np.float32))

    found = Difference.of(before, after)

    assert found.steps.tolist() == [[[-3, 1, 5]]]
    assert found.total.tolist() == [[-3, 1, 5]]
    assert not found.nothing
    assert Difference.of(before, before).nothing


def test_the_training_part_says_which_values_were_seen(checkpoint: Checkpoint, known: Panel) -> None:
    early = known.until(known.times[3].to_pydatetime())

    assert cf.seen_in_training(checkpoint, known, "rain") == (0.0, 2.0)
    assert cf.seen_in_training(checkpoint, early, "rain") == (2.0, 2.0)


@pytest.fixture(scope="module")
def reading_text(checkpoint: Checkpoint, known: Panel) -> Counterfactuals:
    """The forecasts of a network that reads the log and the weather; its weights are as they were drawn."""
    config = StVlmConfig(
        numeric=NumericConfig(history=12, horizon=6, hidden=16, blocks=1, identity=4, eigenvectors=3, dropout=0.0),
        patch=2, segments=2,
    )  # fmt: skip
    panel = make_copy()
    slots = slots_of(panel.times, panel.step_s)
    torch.manual_seed(0)
    preparation = networks.prepare(panel, panel.observed("flow"), slots, slice(0, 20 * PER_DAY), config)
    network = networks.build(config, preparation)
    with torch.no_grad():
        for weight in network.parameters():  # what begins at 0 would hide what it reads
            weight += 0.1 * torch.randn_like(weight)
    trained = checkpoint.card.config.model_copy(update={"network": config})
    card = checkpoint.card.model_copy(update={"config": trained})
    drawn = Checkpoint(card, network.eval(), preparation, checkpoint.residuals)
    return Counterfactuals(drawn, known, known.channel(), NODES, 6)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_network_with_text_reads_every_change(reading_text: Counterfactuals, edit: cf.Edit) -> None:
    assert cf.reads_text(reading_text.checkpoint)
    assert not shift(reading_text, edit).nothing


def test_what_is_put_back_is_as_before(reading_text: Counterfactuals, known: Panel) -> None:
    rain = float(known.covariates["rain"].sel(time=known.data.indexes["time"][-1]))
    there_and_back = [
        partial(cf.with_covariate, name="rain", value=9.0),
        partial(cf.with_covariate, name="rain", value=rain),
    ]

    assert shift(reading_text, *there_and_back).nothing
