"""Which nodes measure which channel; training, backtest and forecasts of a channel use those nodes alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.backtest import run_backtest
from mm4st_agent.forecaster.measured import (
    channel_at,
    channels_at,
    distances_km,
    head_of,
    latest,
    measuring,
    observed_in,
    place_of,
    words_of,
)
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.forecaster.train_config import TrainConfig

KINDS = ["road station", "air station", "road station", "road station", "air station"]


@pytest.fixture(scope="session")
def mixed(panel_of: Callable[..., Panel]) -> Panel:
    """The tiny road with nodes B and E made air stations, which measure pm25; every fourth cell of it is imputed."""
    panel = panel_of()
    (flow,) = panel.card.channels
    air = flow.model_copy(
        update={"name": "pm25", "title": "PM2.5", "unit": "µg/m³", "aggregation": "mean", "kinds": ("air station",)}
    )
    road = flow.model_copy(update={"kinds": ("road station",)})
    is_air = np.array(KINDS) == "air station"
    values = panel.data["flow"].to_numpy()
    data = panel.data.assign(
        flow=panel.data["flow"].copy(data=np.where(is_air, np.nan, values)),
        pm25=panel.data["flow"].copy(data=np.where(is_air, values / 4, np.nan)),
    ).assign_coords(
        kind=("node", np.array(KINDS, dtype=object)),
        name=("node", np.array(["One", "Two", "Three", "Four", ""], dtype=object)),
        lat=("node", [41.0, 41.0, 41.0, 41.1, np.nan]),
        lon=("node", [-12.0, -12.1, -12.2, -12.0, np.nan]),
    )
    return dataclasses.replace(panel, data=data, card=panel.card.model_copy(update={"channels": (road, air)}))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, mixed: Panel, config: TrainConfig) -> Path:
    from mm4st_agent.forecaster.training import train_checkpoint

    out = tmp_path_factory.mktemp("mixed") / "tiny-flow"
    train_checkpoint(mixed, "flow", out=out, config=config, progress=False)
    return out


# -- who measures what ------------------------------------------------------------------------------


def test_a_node_measures_the_channels_of_its_kind(mixed: Panel) -> None:
    assert [[c.name for c in channels_at(mixed, node)] for node in "ABCDE"] == [
        ["flow"], ["pm25"], ["flow"], ["flow"], ["pm25"],
    ]  # fmt: skip
    assert channel_at(mixed, "B", None).name == "pm25"
    assert channel_at(mixed, "A", "flow").name == "flow"
    assert (place_of(mixed, "B"), head_of(mixed, "E")) == ("air station B (Two)", "Air station E")
    assert words_of(mixed) == KINDS


def test_without_kinds_every_node_measures_everything(panel: Panel) -> None:
    assert measuring(panel, panel.channel()) is panel
    assert channels_at(panel, "E") == list(panel.card.channels)
    assert words_of(panel) == ["station"] * 5


def test_an_unfit_channel_names_the_nearest_that_measure_it(mixed: Panel) -> None:
    with pytest.raises(UsageError) as caught:
        channel_at(mixed, "B", "flow")

    assert caught.value.message == "Air station B (Two) of 'tiny' does not measure traffic flow; it measures PM2.5."
    assert caught.value.hint == "Traffic flow is measured at 3 road stations; the nearest are A, C, D."
    with pytest.raises(UsageError, match="no channel 'noise'"):
        channel_at(mixed, "B", "noise")
    with pytest.raises(UsageError, match="no station 'Z'"):
        channel_at(mixed, "Z", None)


def test_a_channel_of_a_kind_that_no_node_has(mixed: Panel) -> None:
    for panel in (
        dataclasses.replace(mixed, data=mixed.data.assign_coords(kind=("node", np.array(["x"] * 5, dtype=object)))),
        dataclasses.replace(mixed, data=mixed.data.drop_vars("kind")),
    ):
        with pytest.raises(DataError, match=r"No node of 'tiny' measures PM2\.5: none is of the kind air station"):
            measuring(panel, panel.channel("pm25"))


def test_distances(mixed: Panel, panel: Panel) -> None:
    away = distances_km(mixed, "A")

    assert away[:4] == pytest.approx([0, 8.39, 16.78, 11.12], abs=0.02)
    assert np.isnan(away[4])
    assert np.isnan(distances_km(panel, "A")).all()


def test_parts_are_those_of_the_whole(mixed: Panel) -> None:
    values, imputed = latest(mixed, "pm25", 1)

    assert values.shape == imputed.shape == (1, 5)
    np.testing.assert_array_equal(values, mixed.values("pm25")[-1:])
    np.testing.assert_array_equal(imputed, mixed.imputed("pm25")[-1:])
    np.testing.assert_array_equal(observed_in(mixed, "pm25", slice(190, 240)), mixed.observed("pm25")[190:240])


# -- training, backtest, forecasts ------------------------------------------------------------------


def test_a_checkpoint_knows_the_nodes_of_its_channel_alone(mixed: Panel, checkpoint: Path) -> None:
    forecaster = TrainedForecaster(checkpoint)

    assert forecaster.card.node_ids == ("A", "C", "D")
    assert forecaster.checkpoint.preparation.profile.shape[1] == 3
    assert np.isfinite(forecaster.card.best_validation_mae)


def test_it_is_the_checkpoint_of_a_panel_of_these_nodes(mixed: Panel, checkpoint: Path) -> None:
    forecaster, moment = TrainedForecaster(checkpoint), mixed.times[-60]
    alone = TrainedForecaster(checkpoint).predict(mixed.only(["A", "C", "D"]).until(moment), ["C", "A"], "flow", 4)

    found = forecaster.predict(mixed.until(moment), ["C", "A"], "flow", 4)

    for one, other in zip(found, alone, strict=True):
        assert one.node == other.node
        np.testing.assert_array_equal(one.quantiles, other.quantiles)
        assert (one.total, one.backtest) == (other.total, other.backtest)
    assert [one.node for one in found] == ["C", "A"]


def test_the_order_and_number_of_nodes_do_not_matter(mixed: Panel, checkpoint: Path) -> None:
    forecaster, cut = TrainedForecaster(checkpoint), mixed.until(mixed.times[-60])

    together = forecaster.predict(cut, ["D", "A", "D"], "flow", 3, 2)
    for found in together:
        (alone,) = forecaster.predict(cut, [found.node], None, 3, 2)
        np.testing.assert_array_equal(found.quantiles, alone.quantiles)
        np.testing.assert_array_equal(found.baseline, alone.baseline)
        assert (found.total, found.warnings) == (alone.total, alone.warnings)


@pytest.mark.parametrize("trained", [True, False])
def test_a_node_of_another_kind_is_refused(mixed: Panel, checkpoint: Path, trained: bool) -> None:
    forecaster = TrainedForecaster(checkpoint) if trained else BaselineForecaster()

    with pytest.raises(UsageError, match=r"does not measure traffic flow; it measures PM2\.5"):
        forecaster.predict(mixed, ["A", "B"], "flow", 3)


def test_the_baseline_forecasts_what_each_node_measures(mixed: Panel) -> None:
    road, air = BaselineForecaster().predict(mixed, ["A", "B"], None, 3)

    assert (road.channel.name, air.channel.name) == ("flow", "pm25")
    with pytest.raises(DataError, match=r"Air station E of 'tiny' has no measured PM2\.5") as caught:
        BaselineForecaster().predict(mixed, ["E"], None, 3)
    assert caught.value.hint == "Choose another one, such as B."


def test_the_backtest_counts_the_cells_of_its_channel(mixed: Panel, checkpoint: Path) -> None:
    channel = mixed.channel("flow")
    trained = run_backtest(mixed, channel, TrainedForecaster(checkpoint))
    alone = run_backtest(mixed.only(["A", "C", "D"]), channel, TrainedForecaster(checkpoint))

    assert trained.errors == alone.errors
    assert trained.notes == alone.notes
    assert run_backtest(mixed, mixed.channel("pm25"), BaselineForecaster()).errors.cells > 0
