"""The interval of a difference in MAE is that of days drawn in pairs."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench.bootstrap import mae_difference
from mm4st_agent.errors import DataError

Days = dict[str, tuple[float, int]]


def days(maes: np.ndarray, cells: int = 100) -> Days:
    return {f"2022-01-{day + 1:02d}": (float(mae) * cells, cells) for day, mae in enumerate(maes)}


def test_a_constant_gap_has_no_width() -> None:
    maes = np.random.default_rng(0).uniform(10, 30, 8)

    found = mae_difference([days(maes - 1)], [days(maes)])

    assert (found.mean, found.low, found.high, found.days) == (
        pytest.approx(-1), pytest.approx(-1), pytest.approx(-1), 8,
    )  # fmt: skip


def test_the_interval_covers_what_days_differ_by() -> None:
    rng = np.random.default_rng(1)
    peer = rng.uniform(10, 30, 30)
    gaps = rng.normal(0.5, 1.0, 30)

    found = mae_difference([days(peer + gaps)], [days(peer)])

    error = gaps.std() / np.sqrt(30)
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.25 * error)


def test_seeds_are_averaged_and_days_weighed_by_their_cells() -> None:
    peer = {"a": (10.0, 10), "b": (90.0, 30)}
    first, second = {"a": (8.0, 10), "b": (90.0, 30)}, {"a": (12.0, 10), "b": (82.0, 30)}

    assert mae_difference([first, second], [peer]).mean == pytest.approx(-4 / 40)


def test_one_day_has_no_interval() -> None:
    found = mae_difference([days(np.array([3.0]))], [days(np.array([5.0]))])

    assert found.mean == -2
    assert found.low is None
    assert found.high is None


def test_other_cells_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="same cells"):
        mae_difference([days(np.ones(3))], [days(np.ones(3), cells=99)])
