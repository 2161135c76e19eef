"""Pictures of many nodes at once: where each reading goes, what comes back, and what is said about losses."""

import numpy as np
import pytest
import torch

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.imaging.tensors.correlation import correlation, runs
from mm4st_agent.imaging.tensors.dayfold import cluster_means, dayfold, undayfold
from mm4st_agent.imaging.tensors.raster import grid_of, raster
from mm4st_agent.imaging.tensors.strip import strip, unstrip


@pytest.fixture
def series() -> torch.Tensor:
    rng = np.random.default_rng(11)
    values = torch.tensor(rng.normal(50, 9, (2, 7, 30)), dtype=torch.float32)
    values[0, 3, 4:9] = torch.nan
    values[1, 6] = torch.nan
    return values


def test_a_strip_gives_the_series_back_in_any_order(series: torch.Tensor) -> None:
    order = np.array([4, 2, 6, 0, 1, 5, 3])
    image = strip(series, order=order)
    assert image.shape == (2, 2, 7, 30)
    torch.testing.assert_close(image[1, 0, 0], series[1, 4], rtol=0, atol=0)
    assert (image[0, 1, 6, 4:9] == 0).all()
    for back in (unstrip(image, order), unstrip(strip(series))):
        torch.testing.assert_close(back, series, rtol=0, atol=0, equal_nan=True)
    for wrong in (np.arange(6), np.array([0, 0, 1, 2, 3, 4, 5])):
        with pytest.raises(DataError):
            strip(series, order=wrong)


def test_a_raster_puts_north_up_and_averages_nodes_of_one_pixel() -> None:
    # North-west, two in the south-east, one without a place.
    places = np.array([[48.0, 11.0], [47.0, 12.0], [47.0, 12.0], [np.nan, 12.0]])
    grid = grid_of(places, (4, 4))
    assert (grid.colliding, grid.unplaced) == (2, 1)
    series = torch.tensor([[[1.0, 5.0], [2.0, 6.0], [4.0, torch.nan], [9.0, 9.0]]])
    image = raster(series, grid=grid)[0]
    assert image.shape == (3, 4, 4)
    (north, west), (south, east) = (divmod(int(grid.pixel[node]), 4) for node in (0, 1))
    assert north < south
    assert west < east
    assert image[:, north, west].tolist() == [1.0, 5.0, 1.0]
    assert image[:, south, east].tolist() == [3.0, 6.0, 0.75]
    assert image.sum() == pytest.approx(15 + 1.75)
    latest = raster(series, grid=grid, steps=1)[0]
    assert latest[:, south, east].tolist() == [6.0, 0.5]


def test_a_raster_keeps_metres_alike_and_holds_any_places() -> None:
    # A degree of longitude at 60 north is half a degree of latitude long.
    grid = grid_of(np.array([[60.0, 10.0], [60.0, 12.0], [59.5, 11.0], [60.5, 11.0]]), (8, 8))
    rows, columns = np.divmod(grid.pixel, 8)
    assert np.ptp(rows) == np.ptp(columns) == 7
    assert grid_of(np.full((3, 2), 5.0), (2, 2)).colliding == 3
    assert grid_of(np.full((2, 2), np.nan), (2, 2)).unplaced == 2
    assert (raster(torch.ones(1, 2, 3), grid=grid_of(np.full((2, 2), np.nan), (2, 2))) == 0).all()
    with pytest.raises(UsageError, match="0 x 4"):
        grid_of(np.zeros((2, 2)), (0, 4))
    with pytest.raises(DataError, match="places 4 nodes"):
        raster(torch.ones(1, 3, 3), grid=grid)
    with pytest.raises(UsageError, match="9 of 3"):
        raster(torch.ones(1, 4, 3), grid=grid, steps=9)


def test_a_day_fold_has_a_time_of_day_in_a_column_and_comes_back(series: torch.Tensor) -> None:
    image = dayfold(series, steps_per_day=12)
    assert image.shape == (2, 2, 7 * 3, 12)
    torch.testing.assert_close(image[0, 0, 2], series[0, 0, 18:30])
    assert (image[:, 1, 0, :6] == 0).all()
    back = undayfold(image, nodes=7)
    torch.testing.assert_close(back[:, :, 6:], series, rtol=0, atol=0, equal_nan=True)
    assert back[:, :, :6].isnan().all()
    with pytest.raises(UsageError, match="21 rows"):
        undayfold(image, nodes=5)


def test_clusters_show_the_mean_of_the_nodes_that_were_read(series: torch.Tensor) -> None:
    groups = np.array([0, 0, 1, 1, 2, 2, 2])
    means = cluster_means(series, groups)
    torch.testing.assert_close(means[:, 0], series[:, :2].mean(dim=1))
    torch.testing.assert_close(means[:, 1], series[:, 2:4].nanmean(dim=1))
    torch.testing.assert_close(dayfold(series, steps_per_day=30, clusters=groups)[1, 0, 2], means[1, 2])
    for wrong in (np.array([0, 0, 1, 1, 3, 3, 3]), np.zeros(6, dtype=int)):
        with pytest.raises(DataError, match="number the groups"):
            cluster_means(series, wrong)


def test_correlations_equal_numpy_over_the_steps_that_both_have() -> None:
    rng = np.random.default_rng(4)
    values = (rng.normal(size=(4, 600)) + np.sin(np.arange(600) / 40) + 1000).astype(np.float32)
    values[2, 400:450] = np.nan
    image = correlation(torch.tensor(values)[None], clusters=np.arange(4))[0]
    assert image.shape == (3, 4, 4)  # two days and the mask; the first 24 steps are left over
    both = ~np.isnan(values[2, 312:])
    np.testing.assert_allclose(image[0], np.corrcoef(values[:, 24:312]), atol=1e-4)
    np.testing.assert_allclose(image[1, 0, 2], np.corrcoef(values[[0, 2], 312:][:, both])[0, 1], atol=1e-4)
    assert image[2, 0, 1] == 1
    assert image[2, 0, 2] == pytest.approx((1 + both.mean()) / 2)


def test_a_pair_that_does_not_move_or_never_meets_is_masked() -> None:
    day = torch.sin(torch.arange(288.0) / 20)
    half = torch.where(torch.arange(288) < 144, day, torch.nan)
    other = torch.where(torch.arange(288) >= 144, day, torch.nan)
    image = correlation(torch.stack([day, torch.full((288,), 5.1), half, other])[None], clusters=np.arange(4))[0]
    assert (image[:, 1] == 0).all()
    assert (image[:, 2, 3] == 0).all()
    assert image[0, 0, 2] == pytest.approx(1)
    assert image[1, 0, 2] == pytest.approx(0.5)


def test_correlation_takes_runs_of_nodes_and_windows_of_a_day_or_more() -> None:
    assert runs(5, 2).tolist() == [0, 0, 0, 1, 1]
    assert np.unique(runs(1000)).size == 32
    assert correlation(torch.rand(1, 100, 300)).shape == (1, 2, 32, 32)
    with pytest.raises(UsageError, match="12 steps is below a day"):
        correlation(torch.rand(1, 3, 300), window=12)
    with pytest.raises(UsageError, match="40 clusters"):
        correlation(torch.rand(1, 40, 300), clusters=np.arange(40))
