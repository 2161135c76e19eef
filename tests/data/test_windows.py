"""Time is split first, windows stay inside one part, scalers see training data only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm4st_agent.data.windows import Scaler, split_time, window_starts
from mm4st_agent.errors import DataError, UsageError


@given(steps=st.integers(50, 5000), history=st.integers(1, 8), horizon=st.integers(1, 4))
def test_parts_cover_time_and_windows_share_no_index(steps: int, history: int, horizon: int) -> None:
    split = split_time(steps)
    parts = (split.train, split.validation, split.test)
    covered = np.concatenate([np.arange(steps)[part] for part in parts])
    np.testing.assert_array_equal(covered, np.arange(steps))

    seen: list[set[int]] = []
    for part in parts:
        try:
            starts = window_starts(part, history, horizon)
        except DataError:
            assert part.stop - part.start < history + horizon
            continue
        used = {int(s) + offset for s in starts for offset in (0, history + horizon - 1)}
        assert min(used) == part.start
        assert max(used) == part.stop - 1
        assert all(not (used & other) for other in seen)
        seen.append(used)


def test_shares() -> None:
    split = split_time(1000, (0.6, 0.2, 0.2))

    assert (split.train, split.validation, split.test) == (slice(0, 600), slice(600, 800), slice(800, 1000))


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (1.2, -0.4, 0.2)])
def test_bad_shares_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split_time(100, shares)


def test_too_short_data_are_refused() -> None:
    with pytest.raises(DataError, match="3 time steps are too few"):
        split_time(3)
    with pytest.raises(DataError, match=r"12 \+ 12 steps does not fit into 10"):
        window_starts(slice(70, 80), 12, 12)
    with pytest.raises(UsageError, match="horizon=0"):
        window_starts(slice(70, 80), 1, 0)


def test_scaler_ignores_missing_values_and_inverts() -> None:
    values = np.float32([[10, np.nan], [20, 30]])

    scaler = Scaler.fit(values)

    assert scaler.mean == pytest.approx(20)
    scaled = scaler.transform(values)
    assert np.nanmean(scaled) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(scaled) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(scaler.inverse(scaled), values, rtol=1e-6)


def test_scaler_refuses_what_cannot_be_scaled() -> None:
    with pytest.raises(DataError, match="no reading"):
        Scaler.fit(np.full((3, 2), np.nan))
    with pytest.raises(DataError, match=r"is 0\.1"):
        Scaler.fit(np.full((1000, 3), 0.1))
