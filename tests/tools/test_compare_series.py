"""`compare_series`: two windows, two places, and the numbers beside the picture."""

import numpy as np
import pytest

from mm4st_agent.errors import ToolError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.compare_series import COMPARE_SERIES, CompareSeriesOut

AS_OF = "2025-10-22T07:40"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def _run(runtime: Runtime, **args: object) -> CompareSeriesOut:
    return COMPARE_SERIES.run({"dataset": "demo", **args}, runtime.tool_context(AS_OF))


def test_a_place_against_itself_a_week_before(runtime: Runtime) -> None:
    reply = _run(runtime, node="S096", hours=6)

    readings = runtime.registry.open("demo").until(AS_OF).only(["S096"]).observed("flow")[:, 0].astype(np.float64)
    now, before = readings[-72:], readings[-72 - 2016 : -2016]
    assert reply.first_mean == pytest.approx(np.nanmean(before), rel=1e-5)
    assert reply.second_mean == pytest.approx(np.nanmean(now), rel=1e-5)
    assert reply.difference == pytest.approx(np.nanmean(now) - np.nanmean(before), rel=1e-4)
    assert reply.mean_gap == pytest.approx(np.nanmean(np.abs(now - before)), rel=1e-4)
    assert reply.both_measured == np.isfinite(now + before).sum()
    assert reply.first == "until 07:40 on Wednesday 15 October 2025"
    assert runtime.images.get(reply.figure.image_id).startswith(b"\x89PNG")


def test_two_places_over_the_same_hours(runtime: Runtime) -> None:
    reply = _run(runtime, node="S039", other="S038", channel="speed")

    assert (reply.first, reply.second) == (
        "road station S039 (Central Park southbound)", "road station S038 (Reservoir southbound)",
    )  # fmt: skip
    assert reply.unit == "km/h"
    assert reply.correlation is not None
    assert -1 <= reply.correlation <= 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"node": "S039", "other": "S039"}, "'S039' is compared with itself"),
        ({"node": "S039", "other": "A01"}, "A01"),
        ({"node": "S039", "back_days": 300}, "is not between the first reading"),
        ({"node": "S039", "until": "2025-10-23T00:00"}, "is not between the first reading"),
    ],
)
def test_refuses_what_cannot_be_compared(runtime: Runtime, args: dict[str, object], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        _run(runtime, **args)
