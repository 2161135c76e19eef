import numpy as np
import pytest

from mm4st_agent.errors import DataError
from mm4st_agent.patterns.testbed import case_of
from mm4st_agent.patterns.views import suggest_views

STEP_S = 300


def _methods(values: np.ndarray) -> list[str]:
    return [view.method for view in suggest_views(values, STEP_S)]


def test_each_kind_gets_the_view_that_shows_it() -> None:
    assert _methods(case_of("sine", 60, 0).values)[0] == "uvh"
    assert _methods(case_of("linear trend", 60, 0).values)[0] == "line"
    assert {"rp", "mtf"} <= set(_methods(case_of("regime switching", 60, 0).values))
    assert "cwt" in _methods(case_of("spikes", 60, 3).values)
    assert "filterbank" in _methods(case_of("variance change", 60, 0).values)
    assert "gasf" in _methods(case_of("exponential trend", 60, 0).values)


def test_many_series_are_a_heatmap_or_a_strip_first() -> None:
    rng = np.random.default_rng(0)
    common = np.sin(2 * np.pi * np.arange(600) / 50)[:, None]
    assert _methods(common + rng.normal(size=(600, 5)))[0] == "mvh"
    assert _methods(common + rng.normal(size=(600, 40)))[0] == "strip"
    assert not {"mvh", "strip"} & set(_methods(common[:, 0] + rng.normal(size=600)))


def test_a_reason_is_one_sentence_with_the_measured_number() -> None:
    t = np.arange(1000)
    views = suggest_views(np.sin(2 * np.pi * t / 40) + 0.1 * np.random.default_rng(0).normal(size=t.size), STEP_S)
    folded = next(view for view in views if view.method == "uvh")
    assert "a cycle of 3.33 hours" in folded.reason
    assert "98%" in folded.reason
    for view in views:
        assert view.reason.endswith(".")
        assert any(character.isdigit() for character in view.reason)
        assert 0 <= view.score <= 1


@pytest.mark.parametrize(
    ("steps", "step_s", "said"),
    [
        (40, 1, "40 seconds"),
        (40, 60, "40 minutes"),
        (24, 3600, "24 hours"),
        (40, 3600, "40 hours"),
        (7, 86400, "7 days"),
    ],
)
def test_a_cycle_is_a_length_of_time(steps: int, step_s: float, said: str) -> None:
    t = np.arange(25 * steps)
    noise = 0.1 * np.random.default_rng(0).normal(size=t.size)
    views = suggest_views(np.sin(2 * np.pi * t / steps) + noise, step_s)

    assert f"a cycle of {said} explains" in views[0].reason


def test_one_anomaly_is_one() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    values[500] += 40
    (line,) = [view for view in suggest_views(values, STEP_S) if view.method == "line"]

    assert line.reason == "A line shows 1 anomaly where it is."


@pytest.mark.parametrize("values", [[1.0], [np.nan] * 30, np.full(50, 3.0)])
def test_a_series_without_anything_is_a_line(values: list[float]) -> None:
    assert _methods(np.asarray(values)) == ["line"]


def test_bad_shapes_are_named() -> None:
    with pytest.raises(DataError, match=r"\(2, 2, 2\)"):
        suggest_views(np.zeros((2, 2, 2)), STEP_S)
