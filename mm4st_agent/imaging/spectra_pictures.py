"""Time against period: the STFT spectrogram, the wavelet scalogram and the filterbank spectrogram of one node.

The readings stand above each on the same time axis. Periods are said in hours and days, never in Hz.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import ABSENT, colour_bar
from mm4st_agent.imaging.figure import COLOUR_MAP, GREY, LIGHT_GREY, Picture, Sheet, drawable, unit_name, words
from mm4st_agent.imaging.readings import (
    NO_READING,
    Entry,
    Mask,
    Series,
    Trace,
    draw_readings,
    history_in_words,
    regular,
    rough,
    spans,
    value_limits,
)
from mm4st_agent.imaging.timeaxis import days, duration, stamp, step_seconds, time_axis, typical_step

MAX_STEPS = 20_000
"""Wavelets of longer series would take gigabytes."""
HEIGHT_PX = 1040
_ROWS = 240
"""Of the image, evenly spaced on the logarithm of the period."""
_FEWEST = 8
_CHUNK = 64
_MAX_COLUMNS = 500
_TICKS_S = (60, 300, 900, 1800, 3600, 7200, 4 * 3600, 8 * 3600, 12 * 3600, 86_400, 2 * 86_400, 4 * 86_400,
            7 * 86_400, 14 * 86_400, 28 * 86_400, 91 * 86_400, 182 * 86_400, 365 * 86_400)  # fmt: skip


class _Window(NamedTuple):
    """Readings on an even grid, the sheet that shows them, and its legend so far."""

    sheet: Sheet
    times: pd.DatetimeIndex
    values: Series
    imputed: Mask
    unit: str
    legend: dict[str, Entry]

    @property
    def step_s(self) -> float:
        return step_seconds(self.times)

    @property
    def axes(self) -> Axes:
        return self.sheet.panels[1][0]


def draw_stft(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    window: int | None = None,
) -> Picture:
    """Draw how strong each period is around each moment, by the short-time Fourier transform.

    Args:
        times: `(T,)` zone-aware, oldest first; a stamp that is left out counts as missing.
        values: `(T,)` in `unit`; NaN is missing, drawn as a gap; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured.
        title: The heading, such as "Station 1205330: traffic flow".
        unit: What the readings count, such as "vehicles/5 min".
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.
        window: Steps that a column looks at; None is a day where the series has three, else an eighth of it.

    Raises:
        UsageError: the arrays differ in length, the times are uneven or fewer than 8, or `window` does not fit.
    """
    drawn = _start(times, values, imputed, title, unit, time_zone, synthetic)
    width = _window(drawn, window)
    hop = _hop(drawn, width)
    # A sine of amplitude a has a / 2 at its own frequency, and as much at the negative one.
    amplitude = 2 * _amplitudes(drawn.values, width, hop)[1:]
    periods = width / np.arange(1, len(amplitude) + 1) * drawn.step_s
    note = f"Each column looks at {duration(width * drawn.step_s)} around it"
    return _finish(
        drawn,
        "STFT spectrogram",
        amplitude,
        periods,
        _centres(drawn, width, hop),
        f"amplitude, {unit_name(unit)}",
        note,
    )


def draw_scalogram(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw how strong each period is at each moment, by the continuous (complex Morlet) wavelet transform.

    Below the dotted line the ends of the window take part. Arguments and errors are those of `draw_stft`.
    """
    import torch

    from mm4st_agent.imaging.tensors.spectra import geometric_scales, wavelet

    drawn = _start(times, values, imputed, title, unit, time_zone, synthetic)
    steps = len(drawn.times)
    modulus = wavelet(torch.from_numpy(drawn.values[None]).float())[0, 0].numpy().astype(np.float64)
    scales = geometric_scales(steps)
    kept = scales >= 2  # a shorter period than two steps cannot be read
    periods = scales[kept] * drawn.step_s
    # A sine of amplitude a has the modulus sqrt(scale) * a / 2.
    amplitude = 2 * modulus[kept] / np.sqrt(scales[kept])[:, None]
    _ends(drawn)
    note = "Below the dotted line the ends of the window take part"
    return _finish(
        drawn, "Wavelet scalogram", amplitude, periods, days(drawn.times), f"amplitude, {unit_name(unit)}", note
    )


def draw_filterbank(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
    window: int | None = None,
) -> Picture:
    """Draw the power in triangular bands of the mel scale, in decibels below the strongest cell.

    Arguments and errors are those of `draw_stft`.
    """
    from mm4st_agent.imaging.tensors.spectra import BANDS, FLOOR_DB, MEL_RATE, mel_filters

    drawn = _start(times, values, imputed, title, unit, time_zone, synthetic)
    width = _window(drawn, window)
    hop = _hop(drawn, width)
    amplitude = _amplitudes(drawn.values, width, hop)
    filters = mel_filters(len(amplitude), BANDS).numpy().astype(np.float64)
    filters = filters[filters.sum(axis=1) > 0]  # the narrowest bands of a short window hold no frequency
    power = filters @ amplitude**2
    strongest = power.max()
    decibel = 10 * np.log10(np.maximum(power / (strongest or 1.0), 10 ** (FLOOR_DB / 10)))
    hertz = np.linspace(0, MEL_RATE / 2, len(amplitude))
    periods = MEL_RATE / (filters @ hertz / filters.sum(axis=1)) * drawn.step_s
    note = f"{len(filters)} bands of the mel scale; each column looks at {duration(width * drawn.step_s)} around it"
    columns = _centres(drawn, width, hop)
    return _finish(drawn, "Filterbank spectrogram", decibel, periods, columns, "decibels below the strongest", note)


def _start(
    times: pd.DatetimeIndex, values: NDArray[np.floating], imputed: NDArray[np.bool_], title: str, unit: str,
    time_zone: str, synthetic: bool,
) -> _Window:  # fmt: skip
    when, shown, filled = regular(*Trace(title, times, values, imputed).checked(time_zone))
    if not _FEWEST <= len(when) <= MAX_STEPS:
        raise UsageError(
            f"{len(when)} steps cannot be drawn over periods.", f"Choose a window of {_FEWEST} to {MAX_STEPS:,} steps."
        )
    sheet = Sheet(title, synthetic=synthetic, height_px=HEIGHT_PX, heights=(1, 3))
    legend = draw_readings(sheet.axes, when, shown, filled)
    value_limits(sheet.axes, [shown], ticks=3)
    sheet.axes.set_title(drawable(unit_name(unit)), loc="left", **words())
    time_axis(sheet.axes, when, max_ticks=7)
    sheet.axes.set_xlabel("")
    sheet.axes.tick_params(labelbottom=False)
    return _Window(sheet, when, shown, filled, unit, legend)


def _window(drawn: _Window, window: int | None) -> int:
    steps = len(drawn.times)
    largest = 2 ** int(math.log2(steps))
    if window is not None:
        if not _FEWEST <= window <= largest:
            raise UsageError(f"A window of {window} steps does not fit.", f"Choose {_FEWEST} to {largest}.")
        return window
    day = round(86_400 / drawn.step_s)
    return day if 16 <= day <= steps / 3 else max(_FEWEST, steps // 8)


def _hop(drawn: _Window, width: int) -> int:
    return max(1, (len(drawn.times) - width) // _MAX_COLUMNS)


def _amplitudes(values: Series, window: int, hop: int) -> Series:
    """`(window / 2 + 1, columns)`, the longest period first.

    Each window is centred by its own mean: the level of the window would otherwise leak into its longest period.
    """
    import torch

    from mm4st_agent.imaging.tensors.spectra import stft

    frames = torch.from_numpy(values).float().unfold(0, window, hop)
    # The encoder shortens a window that fills its series; what is added is missing, and changes no mean.
    padded = torch.nn.functional.pad(frames, (0, window), value=torch.nan)
    image = torch.cat([stft(part, window=window, hop=window)[:, 0, :, 0] for part in torch.split(padded, _CHUNK)])
    return np.asarray(image.T.flip(0).numpy(), dtype=np.float64)


def _centres(drawn: _Window, width: int, hop: int) -> Series:
    """Days since 1970 of the middle of each column's window."""
    x, step = days(drawn.times), typical_step(drawn.times)
    columns = (len(x) - width) // hop + 1
    return np.asarray(x[0] + (np.arange(columns) * hop + (width - 1) / 2) * step)


def _ends(drawn: _Window) -> None:
    """The cone of influence: beyond it a wavelet reaches past an end of the window.

    Source:
        Torrence and Compo (1998), section 3g; the e-folding time of a Morlet wavelet of bandwidth 1.5.
    """
    x = days(drawn.times)
    edge = np.minimum(x - x[0], x[-1] - x) * 86_400 / math.sqrt(1.5)
    drawn.axes.plot(x, np.log2(np.maximum(edge, 1.0)), color="white", lw=2.0, ls=(0, (1, 1.5)), zorder=4)


def _finish(
    drawn: _Window, name: str, image: Series, periods_s: Series, columns: Series, quantity: str, note: str
) -> Picture:
    """Draw `image` `(rows, columns)` over time and the logarithm of the period, and give the picture."""
    axes, legend = drawn.axes, drawn.legend
    axes.grid(visible=False)
    axes.set_facecolor(LIGHT_GREY)
    octaves = np.log2(np.sort(periods_s))
    low, high = octaves[0] - (octaves[1] - octaves[0]) / 2, octaves[-1] + (octaves[-1] - octaves[-2]) / 2
    rows = np.linspace(low, high, _ROWS)
    nearest = np.abs(rows[:, None] - np.log2(periods_s)[None, :]).argmin(axis=1)
    half = (columns[1] - columns[0]) / 2 if len(columns) > 1 else typical_step(drawn.times) / 2
    decibel = bool(image.max() <= 0 and image.min() < 0)
    norm = Normalize(image.min(), 0.0) if decibel else PowerNorm(0.5, 0.0, image.max() or 1.0)
    told = ""
    if np.isnan(drawn.values).all():
        drawn.sheet.say(NO_READING)
        axes.set_yticks([])
    else:
        shown = axes.imshow(
            image[nearest], cmap=COLOUR_MAP, norm=norm, extent=(columns[0] - half, columns[-1] + half, low, high),
            aspect="auto", interpolation="nearest", origin="lower",
        )  # fmt: skip
        colour_bar(drawn.sheet, shown, quantity, axes)
        ticks = [tick for tick in _TICKS_S if low <= math.log2(tick) <= high]
        axes.set_yticks([math.log2(tick) for tick in ticks], [duration(tick) for tick in ticks], **words())
        axes.set_title("period", loc="left", **words())
        told = f" {_strongest(drawn, image, periods_s, columns, decibel)}."
    _gaps(drawn, columns, half)
    axes.set_ylim(high, low)
    time_axis(axes, drawn.times, max_ticks=7)
    history = history_in_words(drawn.times, drawn.values, drawn.imputed, drawn.unit)
    gaps = "; missing steps count as the mean" if np.isnan(drawn.values).any() else ""
    return drawn.sheet.picture(f"{name}, {drawn.sheet.title}: {history}.{told}", legend, note=f"{name}. {note}{gaps}")


def _gaps(drawn: _Window, columns: Series, half: float) -> None:
    """Missing time as hatched columns, and the ends that no whole window reaches."""
    missing = np.isnan(drawn.values)
    if missing.any():
        spans(drawn.axes, drawn.times, missing, **ABSENT).set_zorder(3)
    x, step = days(drawn.times), typical_step(drawn.times)
    if columns[0] - half > x[0] + step:
        ends: Artist = Patch(facecolor=LIGHT_GREY, edgecolor=GREY, lw=0.5)
        drawn.legend["no whole window"] = ends


def _strongest(drawn: _Window, image: Series, periods_s: Series, columns: Series, decibel: bool) -> str:
    """The period that is strongest over all, and when it is strongest."""
    if not decibel and image.max() == 0:
        return "The readings are constant: no period has any strength"
    mean = (10 ** (image / 10)).mean(axis=1) if decibel else image.mean(axis=1)
    row = int(mean.argmax())
    column = int(image[row].argmax())
    nearest = int(np.abs(days(drawn.times) - columns[column]).argmin())
    of = (
        f"mean power {10 * math.log10(mean[row]):.1f} dB"
        if decibel
        else f"mean amplitude {rough(mean[row])} {unit_name(drawn.unit)}"
    )
    most = f"{image[row, column]:.1f} dB" if decibel else rough(image[row, column])
    return (
        f"Strongest on average are periods of about {duration(periods_s[row])} ({of}), most at "
        f"{stamp(drawn.times[nearest])} ({most}); periods from {duration(periods_s.min())} to "
        f"{duration(periods_s.max())}"
    )
