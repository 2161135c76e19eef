"""Time against frequency: the STFT spectrogram, the wavelet scalogram, and the filterbank spectrogram."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch.nn.functional import interpolate

from mm4st_agent.imaging.tensors.method import Method, canvas, checked, follows_gradients

WINDOW = 64
"""Steps of a Hann window; shorter series take the largest power of two that fits."""
HOP = 4
SCALES = 64
WAVELET = "cmor1.5-1.0"
BANDS = 32
MEL_RATE = 16_000.0
"""The mel scale is defined for hearing; a series is read as if it had this many steps a second."""
FLOOR_DB = -80.0
_CWT_CHUNK = 4
_ROWS = "rows: frequency, the top row is the {top}; columns: time, column 0 is the oldest"


def stft(
    series: torch.Tensor,
    size: tuple[int, int] | None = None,
    window: int = WINDOW,
    hop: int = HOP,
    *,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Amplitude of the short-time Fourier transform with a Hann window, mean removed.

    Missing steps count as the mean; the mask is the share of readings in the window of each column.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (window / 2 + 1, number of windows).
        window: Steps in a window.
        hop: Steps from one window to the next.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: amplitudes in the unit of the series, at least 0 (a full-scale sine of amplitude a has
        a / 2), and the mask.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Allen (1977), doi:10.1109/TASSP.1977.1162950; scaled as scipy.signal.stft(scaling='spectrum').
    """
    amplitude, share = _stft(checked(series, 2), window, hop)
    return _image(amplitude.flip(1), share, size, out)


def filterbank(
    series: torch.Tensor, size: tuple[int, int] | None = None, bands: int = BANDS, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Power in triangular bands of the mel scale, in decibels relative to each picture's strongest band.

    Args:
        series: `(B, T)`, any unit, NaN is missing.
        size: (H, W); None is (bands, number of windows).
        bands: Number of filters.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: decibels in [-80, 0] and the mask; a constant series is -80 throughout.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Davis and Mermelstein (1980), doi:10.1109/TASSP.1980.1163420; mel formula of O'Shaughnessy (1987).
    """
    series = checked(series, 2)
    amplitude, share = _stft(series, WINDOW, HOP)
    filters = mel_filters(amplitude.shape[1], bands).to(series)
    power = filters @ amplitude.square()
    strongest = power.amax(dim=(1, 2), keepdim=True)
    relative = torch.where(strongest > 0, power / strongest.where(strongest > 0, 1.0), 0.0)
    decibel = 10 * relative.clamp(min=10 ** (FLOOR_DB / 10)).log10()
    return _image(decibel.flip(1), share, size, out)


def wavelet(
    series: torch.Tensor, size: tuple[int, int] | None = None, scales: int = SCALES, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Modulus of the continuous wavelet transform (complex Morlet), mean removed, at geometric scales 1 .. T / 2.

    Args:
        series: `(B, T)`, any unit, NaN is missing; missing steps count as the mean.
        size: (H, W); None is (scales, T).
        scales: Number of scales.
        out: Memory to draw into.

    Returns:
        `(B, 2, H, W)`: moduli in the unit of the series, at least 0, and the mask, which marks missing steps.

    Raises:
        DataError: `series` is not `(B, T)`, or is empty.

    Source:
        Torrence and Compo (1998), doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2; discretised as pywt.cwt.
    """
    series = checked(series, 2)
    filled, seen = _centred(series)
    length = series.shape[1]
    kernels, padded = _wavelets(length, scales)
    kernels = kernels.to(series.device)
    # A few series at a time: the products of one series alone fill a good part of the processor's cache.
    parts = [
        _modulus(torch.fft.ifft(spectrum[:, None, :] * kernels)[..., :length])
        for spectrum in torch.fft.fft(filled, padded).split(_CWT_CHUNK)
    ]
    return _image(torch.cat(parts), seen.to(series.dtype), size, out)


def geometric_scales(length: int, scales: int = SCALES) -> np.ndarray:
    """`(scales,)` from 1 to T / 2 steps, small first."""
    return np.geomspace(1.0, max(2.0, length / 2), scales)


@lru_cache(maxsize=8)
def mel_filters(bins: int, bands: int) -> torch.Tensor:
    """`(bands, bins)` triangles with peak 1, evenly spaced on the mel scale from 0 to the Nyquist frequency."""
    top = 2595 * math.log10(1 + MEL_RATE / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    frequency = torch.linspace(0, MEL_RATE / 2, bins, dtype=torch.float64)
    width = corners.diff()
    ramp = corners[:, None] - frequency[None, :]
    rising, falling = -ramp[:-2] / width[:-1, None], ramp[2:] / width[1:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


def _stft(series: torch.Tensor, window: int, hop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`(B, window / 2 + 1, windows)` amplitudes, and `(B, windows)` shares of readings."""
    length = series.shape[1]
    window = min(window, 2 ** int(math.log2(length)))
    hop = min(hop, window)
    filled, seen = _centred(series)
    shape = torch.hann_window(window, device=series.device, dtype=series.dtype) if window > 1 else series.new_ones(1)
    frames = filled.unfold(1, window, hop) * (shape / shape.sum())
    amplitude = _modulus(torch.fft.rfft(frames)).transpose(1, 2)
    if bool(seen.all()):
        return amplitude, amplitude.new_ones(()).expand(len(series), amplitude.shape[2])
    return amplitude, seen.to(series.dtype).unfold(1, window, hop).mean(dim=2)


def _modulus(spectrum: torch.Tensor) -> torch.Tensor:
    """Absolute values; numpy's are several times as fast as torch's on a processor."""
    if spectrum.requires_grad or spectrum.device.type != "cpu":
        return spectrum.abs()
    return torch.from_numpy(np.abs(spectrum.numpy()))


def _centred(series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The series less its mean with 0 where missing, and where it was read."""
    seen = ~series.isnan()
    filled = torch.where(seen, series, 0.0)
    mean = filled.sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(seen, filled - mean, 0.0), seen


@lru_cache(maxsize=8)
def _wavelets(length: int, scales: int) -> tuple[torch.Tensor, int]:
    """Spectra `(scales, P)` of the kernels that pywt.cwt convolves with, and the padded length P.

    pywt convolves with the integral of the wavelet and differentiates; both are linear, so one kernel does it.
    """
    import pywt
    from scipy.fft import next_fast_len

    integral, x = pywt.integrate_wavelet(WAVELET, precision=12)
    integral = np.conj(integral) if pywt.ContinuousWavelet(WAVELET).complex_cwt else integral
    step = x[1] - x[0]
    # Lags of T steps or more never meet a reading, so no kernel needs more room than 2 T - 1.
    padded = int(next_fast_len(2 * length - 1))
    kernels = np.zeros((scales, padded), dtype=np.complex128)
    for row, scale in enumerate(geometric_scales(length, scales)):
        index = (np.arange(scale * (x[-1] - x[0]) + 1) / (scale * step)).astype(int)
        index = index[index < integral.size]
        kernel = -math.sqrt(scale) * np.diff(integral[index][::-1], prepend=0, append=0)
        # Trimmed to the middle, as pywt does: entry `shift` of the full convolution belongs to step 0.
        shift = 1 + math.floor((len(index) - 2) / 2)
        lags = np.arange(len(kernel)) - shift
        near = np.abs(lags) < length
        kernels[row, lags[near] % padded] = kernel[near]
    return torch.from_numpy(np.fft.fft(kernels)).to(torch.complex64), padded


def _image(
    values: torch.Tensor, share: torch.Tensor, size: tuple[int, int] | None, out: torch.Tensor | None
) -> torch.Tensor:
    """`(B, H, W)` values under a mask of columns, resized; 0 where the mask is 0."""
    if not bool((share > 0).all()):
        values = torch.where(share[:, None, :] > 0, values, 0.0)
    if size is not None and size != tuple(values.shape[1:]):
        values = interpolate(values[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        # Rounding may leave a share a little above 1.
        share = interpolate(share[:, None], size[1], mode="linear", align_corners=False)[:, 0].clamp(max=1.0)
    mask = share[:, None, :].expand_as(values)
    if follows_gradients(values):
        return torch.stack([values, mask], dim=1)
    image = canvas(values, (len(values), 2, *values.shape[1:]), out)
    image[:, 0], image[:, 1] = values, mask
    return image


STFT = Method(
    "stft", "STFT spectrogram", stft, spatial=False, low=0.0, high=math.inf,
    orientation=_ROWS.format(top="Nyquist frequency"), loses="level (the mean) and phase",
    differentiable=True, source="Allen (1977), doi:10.1109/TASSP.1977.1162950",
)  # fmt: skip
FILTERBANK = Method(
    "filterbank", "filterbank (mel) spectrogram", filterbank, spatial=False, low=FLOOR_DB, high=0.0,
    orientation=_ROWS.format(top="highest band"), loses="level, scale, phase, and detail within a band",
    differentiable=True, source="Davis and Mermelstein (1980), doi:10.1109/TASSP.1980.1163420",
)  # fmt: skip
CWT = Method(
    "cwt", "wavelet scalogram", wavelet, spatial=False, low=0.0, high=math.inf,
    orientation=_ROWS.format(top="smallest scale (highest frequency)"), loses="level (the mean) and phase",
    differentiable=True, source="Torrence and Compo (1998)",
)  # fmt: skip
