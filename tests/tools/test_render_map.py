"""`render_map`: the numbers beside the picture, and what has no place."""

from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.errors import ToolError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.render_map import RENDER_MAP, RenderMapOut

AS_OF = "2025-10-22T07:40"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def _run(runtime: Runtime, dataset: str = "demo", as_of: str = AS_OF, **args: object) -> RenderMapOut:
    return RENDER_MAP.run({"dataset": dataset, **args}, runtime.tool_context(as_of))


def test_the_ends_are_those_of_the_readings(runtime: Runtime) -> None:
    reply = _run(runtime, channel="speed", highlight="S096")

    panel = runtime.registry.open("demo").until(AS_OF).of("speed")
    means = np.nanmean(panel.observed("speed")[-6:].astype(np.float64), axis=0)
    assert reply.lowest_at == panel.node_ids[int(np.nanargmin(means))]
    assert reply.lowest == pytest.approx(np.nanmin(means), rel=1e-5)
    assert reply.highest == pytest.approx(np.nanmax(means), rel=1e-5)
    assert (reply.places, reply.unit, reply.minutes) == (124, "km/h", 30)
    assert "S096" in reply.figure.title
    assert runtime.images.get(reply.figure.image_id).startswith(b"\x89PNG")


def test_a_change_is_from_the_window_before(runtime: Runtime) -> None:
    reply = _run(runtime, channel="pm25", show="change", minutes=60)

    panel = runtime.registry.open("demo").until(AS_OF).of("pm25")
    readings = panel.observed("pm25").astype(np.float64)
    change = np.nanmean(readings[-12:], axis=0) - np.nanmean(readings[-24:-12], axis=0)
    assert reply.highest == pytest.approx(np.nanmax(change), rel=1e-4)
    assert reply.places == 24


def test_nothing_after_the_window_is_drawn(runtime: Runtime) -> None:
    early = _run(runtime, channel="speed", until="2025-10-22T03:00")

    assert early.until.isoformat() == "2025-10-22T03:00:00+01:00"
    assert (early.lowest or 0) > 40  # nobody queues at night


def test_without_coordinates_roads_become_a_schematic(runtime: Runtime, real_data: Path) -> None:
    runtime = Runtime(load_settings(home=runtime.settings.home, data_dir=real_data))

    reply = _run(runtime, "pems-orange", "2022-01-25T07:30")

    assert reply.figure.alt.startswith("Schematic of 8 roads")
    assert reply.warnings == ["2 of 81 places have no value to show."]


def test_refuses_an_unknown_place_and_a_place_that_does_not_measure_it(runtime: Runtime) -> None:
    with pytest.raises(ToolError, match="no station 'S999'"):
        _run(runtime, highlight="S999")
    with pytest.raises(ToolError, match="'A01'"):
        _run(runtime, channel="speed", highlight="A01")


def test_a_forecast_change_is_from_the_window_to_the_forecast(runtime: Runtime) -> None:
    reply = _run(runtime, channel="speed", show="forecast_change", minutes=30)

    panel = runtime.registry.open("demo").until(AS_OF)
    channel = panel.channel("speed")
    (forecast,) = runtime.forecaster(panel, channel).predict(panel, [str(reply.lowest_at)], "speed", 6)
    before = np.nanmean(panel.only([str(reply.lowest_at)]).observed("speed")[-6:].astype(np.float64))
    assert reply.lowest == pytest.approx(forecast.quantiles[:, 2].mean() - before, rel=1e-4)
    assert (reply.lowest or 0) < 0 < (reply.highest or 0)
    assert reply.model == forecast.model
    assert "forecast change" in reply.figure.title
    assert "08:05" in reply.figure.alt  # the last step ahead: the picture is of what comes


def test_a_forecast_change_reaches_as_far_as_the_forecast(runtime: Runtime) -> None:
    with pytest.raises(ToolError, match="10 hours is too far"):
        _run(runtime, channel="speed", show="forecast_change", minutes=600)
