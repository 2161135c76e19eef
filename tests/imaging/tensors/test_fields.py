"""Gramian, Markov and recurrence fields: parity with pyts, gradients, and what happens at the edges."""

import warnings

import numpy as np
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyts.image import GramianAngularField, MarkovTransitionField, RecurrencePlot

from mm4st_agent.errors import DataError
from mm4st_agent.imaging.tensors.gramian import GADF, GASF, gadf, gasf
from mm4st_agent.imaging.tensors.markov import MTF, _by_torch, mtf
from mm4st_agent.imaging.tensors.method import Method, encode_chunked
from mm4st_agent.imaging.tensors.recurrence import RECURRENCE, recurrence

FIELDS = [GASF, GADF, MTF, RECURRENCE]


@pytest.fixture
def series() -> torch.Tensor:
    rng = np.random.default_rng(3)
    day = 40 + 20 * np.sin(np.arange(288) / 45)
    return torch.tensor(day + rng.normal(0, 4, (5, 288)), dtype=torch.float32)


@pytest.mark.parametrize("size", [288, 96, 224, 7])
def test_gramian_fields_equal_pyts(series: torch.Tensor, size: int) -> None:
    for encode, kind in ((gasf, "summation"), (gadf, "difference")):
        expected = GramianAngularField(image_size=size, method=kind).fit_transform(series.double().numpy())
        np.testing.assert_allclose(encode(series, (size, size))[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [288, 96, 7])
def test_markov_field_equals_pyts(series: torch.Tensor, size: int) -> None:
    expected = MarkovTransitionField(image_size=size, n_bins=8).fit_transform(series.double().numpy())
    np.testing.assert_allclose(mtf(series, (size, size))[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(288, 288), (96, 224), (7, 400)])
def test_the_compiled_markov_field_equals_that_of_other_devices(series: torch.Tensor, size: tuple[int, int]) -> None:
    series[0, 100:150] = torch.nan
    series[1] = 5.0
    image = mtf(series, size)
    torch.testing.assert_close(image, _by_torch(series, 8, torch.empty_like(image)))


def test_recurrence_plot_equals_pyts(series: torch.Tensor) -> None:
    expected = RecurrencePlot(threshold=None).fit_transform(series.double().numpy())
    np.testing.assert_allclose(recurrence(series)[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("method", FIELDS, ids=lambda m: m.name)
class TestEdges:
    def test_masks_what_was_not_read(self, method: Method, series: torch.Tensor) -> None:
        series[0, 100:150] = torch.nan
        image = method.encode(series, None)
        assert image.shape == (5, 2, 288, 288)
        assert image.isfinite().all()
        assert (image[0, 1, 100:150] == 0).all()
        assert (image[0, 1, :, 100:150] == 0).all()
        assert (image[0, 0, 100:150] == 0).all()
        assert (image[1, 1] == 1).all()

    def test_a_partly_read_segment_has_a_partial_mask(self, method: Method) -> None:
        series = torch.arange(8.0)[None].clone()
        series[0, 0] = torch.nan
        assert method.encode(series, (4, 4))[0, 1, 0].tolist() == pytest.approx([0.25, 0.5, 0.5, 0.5])

    @pytest.mark.parametrize(
        "values", [[5.0] * 10, [torch.nan] * 10, [3.0], [1.0, torch.nan]], ids=["constant", "nothing", "one", "two"]
    )
    def test_is_defined_for_any_series(self, method: Method, values: list[float]) -> None:
        series = torch.tensor([values])
        for size in (None, (4, 6), (32, 32)):
            image = method.encode(series, size)
            assert image.shape == (1, 2, *(size or (len(values),) * 2))
            assert image.isfinite().all()
            assert image[:, 0].min() >= method.low
            assert image[:, 0].max() <= method.high

    def test_chunks_give_the_same_pictures(self, method: Method, series: torch.Tensor) -> None:
        parts = list(encode_chunked(method, series, (32, 32), chunk=2))
        assert [len(part) for part in parts] == [2, 2, 1]
        torch.testing.assert_close(torch.cat(parts), method.encode(series, (32, 32)))

    def test_refuses_other_shapes(self, method: Method) -> None:
        with pytest.raises(DataError, match=r"\(2, 3, 4\)"):
            method.encode(torch.zeros(2, 3, 4), None)

    def test_gradients_are_finite_and_reach_the_series(self, method: Method, series: torch.Tensor) -> None:
        series[0, 20:30] = torch.nan
        leaf = series.clone().requires_grad_()
        image = method.encode(leaf, (48, 48))
        assert image.requires_grad is method.differentiable
        torch.testing.assert_close(image.detach(), method.encode(series, (48, 48)), atol=1e-5, rtol=1e-5)
        if method.differentiable:
            (image[:, 0] ** 2).sum().backward()
            assert leaf.grad is not None
            assert leaf.grad.isfinite().all()
            assert (leaf.grad[1] != 0).float().mean() > 0.9
