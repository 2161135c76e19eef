"""Spectra: parity with scipy, PyWavelets and librosa; heatmaps: exact inverses; the line: where it runs."""

import warnings

import numpy as np
import pytest
import pywt
import torch
from scipy import signal

from mm4st_agent.errors import DataError
from mm4st_agent.imaging.tensors.fold import MVH, UVH, mvh, readings_of, unfold, uvh
from mm4st_agent.imaging.tensors.fold import _by_torch as by_torch
from mm4st_agent.imaging.tensors.line import LINE, line
from mm4st_agent.imaging.tensors.method import Method
from mm4st_agent.imaging.tensors.spectra import (
    BANDS,
    CWT,
    FILTERBANK,
    MEL_RATE,
    STFT,
    WAVELET,
    geometric_scales,
    mel_filters,
    stft,
    wavelet,
)

ONE = [LINE, UVH, STFT, CWT, FILTERBANK]


@pytest.fixture
def series() -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.tensor(30 + 10 * np.sin(np.arange(288) / 9) + rng.normal(0, 2, (4, 288)), dtype=torch.float32)


def test_stft_equals_scipy(series: torch.Tensor) -> None:
    x = series.double().numpy()
    x = x - x.mean(axis=1, keepdims=True)
    _, _, expected = signal.stft(x, nperseg=64, noverlap=60, boundary=None, padded=False)
    np.testing.assert_allclose(stft(series)[:, 0].flip(1), np.abs(expected), atol=1e-5)


def test_wavelet_equals_pywavelets(series: torch.Tensor) -> None:
    x = series.double().numpy()
    x = x - x.mean(axis=1, keepdims=True)
    expected, _ = pywt.cwt(x, geometric_scales(288), WAVELET, axis=-1)
    got = wavelet(series)[:, 0].transpose(0, 1)
    np.testing.assert_allclose(got, np.abs(expected), atol=1e-4 * np.abs(expected).max())


def test_mel_filters_equal_librosa() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import librosa

        expected = librosa.filters.mel(sr=MEL_RATE, n_fft=64, n_mels=BANDS, htk=True, norm=None)
    np.testing.assert_allclose(mel_filters(33, BANDS), expected, atol=1e-5)


@pytest.mark.parametrize("method", ONE, ids=lambda m: m.name)
class TestEdges:
    @pytest.mark.parametrize("values", [[5.0] * 40, [torch.nan] * 40, [3.0], [1.0, torch.nan]])
    def test_is_defined_for_any_series(self, method: Method, values: list[float]) -> None:
        for size in (None, (24, 40)):
            image = method.encode(torch.tensor([values]), size)
            assert image.isfinite().all()
            assert image[:, 1].min() >= 0
            assert image[:, 1].max() <= 1
            if size:
                assert image.shape == (1, 2, *size)
        if all(np.isnan(values)):
            assert (image == 0).all()

    def test_refuses_other_shapes(self, method: Method) -> None:
        with pytest.raises(DataError, match=r"\(B, T\)"):
            method.encode(torch.zeros(3), None)

    def test_gradients_are_finite(self, method: Method, series: torch.Tensor) -> None:
        series[0, 20:30] = torch.nan
        leaf = series.clone().requires_grad_()
        (method.encode(leaf, (48, 48))[:, 0] ** 2).sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert (leaf.grad[1] != 0).any()


@pytest.mark.parametrize("length", [288, 289, 7, 1])
def test_heatmaps_give_the_series_back(length: int) -> None:
    rng = np.random.default_rng(1)
    series = torch.tensor(rng.normal(50, 9, (3, length)), dtype=torch.float32)
    series[0, length // 2] = torch.nan
    for period in (None, 24):
        back = unfold(uvh(series, period=period))
        torch.testing.assert_close(back[:, :length], series, rtol=0, atol=0, equal_nan=True)
        assert back[:, length:].isnan().all()
    torch.testing.assert_close(readings_of(mvh(series[None])), series[None], rtol=0, atol=0, equal_nan=True)


def test_a_shrunk_heatmap_holds_the_means_of_the_readings() -> None:
    grid = torch.tensor([[[1.0, 3.0, torch.nan, 7.0], [5.0, 7.0, torch.nan, torch.nan]]])
    image = MVH.encode(grid, (1, 2))
    assert image[0, 0, 0].tolist() == [4.0, 7.0]
    assert image[0, 1, 0].tolist() == [1.0, 0.25]


@pytest.mark.parametrize("size", [None, (5, 7), (40, 7), (5, 60), (40, 60), (11, 24)])
def test_the_compiled_heatmap_equals_that_of_other_devices(size: tuple[int, int] | None) -> None:
    generator = torch.Generator().manual_seed(2)
    grid = torch.randn(3, 11, 24, generator=generator)
    grid[0, 2:6, 3:20] = torch.nan
    grid[1] = torch.nan
    torch.testing.assert_close(mvh(grid, size), by_torch(grid, size))


def test_a_line_runs_from_bottom_to_top_and_breaks_at_a_gap() -> None:
    ramp = torch.arange(64.0)[None].clone()
    ramp[0, 30:34] = torch.nan
    image = line(ramp, (64, 64))[0]
    centre = (image[0] * torch.arange(64.0)[:, None]).sum(dim=0) / image[0].sum(dim=0)
    drawn = image[1, 0] > 0
    np.testing.assert_allclose(centre[drawn], torch.linspace(62, 1, 64)[drawn], atol=0.6)
    assert (~drawn).nonzero().flatten().tolist() == [30, 31, 32, 33]
    assert (image[0][:, 30:34] == 0).all()


def test_no_spike_falls_between_columns() -> None:
    series = torch.zeros(1, 1000)
    series[0, 501] = 1.0
    image = line(series, (50, 60))[0, 0]
    assert image[1, 501 * 60 // 1000] == 1
