"""Pictures of any two moments of one node: Gramian angular fields, the Markov transition field, the recurrence plot.

The readings stand above each on the same time axis; time runs to the right and down, the oldest step first.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.cells import ABSENT, colour_bar
from mm4st_agent.imaging.figure import COLOUR_MAP, DIVERGING, WIDTH_PX, Picture, Sheet, drawable, unit_name, words
from mm4st_agent.imaging.readings import (
    NO_READING,
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
from mm4st_agent.imaging.timeaxis import days, time_axis, time_ticks, typical_step

MAX_SIZE = 512
"""More steps than this are averaged into rows and columns: a screen, and a model, would drop them silently."""


class _Field(NamedTuple):
    """A picture of two moments, and how it is coloured and told."""

    name: str
    image: Series
    colours: str
    low: float
    high: float
    quantity: str
    note: str
    told: str


class _Readings(NamedTuple):
    times: pd.DatetimeIndex
    values: Series
    imputed: Mask


def draw_gramian(
    kind: Literal["summation", "difference"],
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw the Gramian angular summation or difference field.

    Args:
        kind: 'summation' is red where both moments are near the same extreme, 'difference' where the reading at the
            row's time is the lower one.
        times: `(T,)` zone-aware, oldest first; a stamp that is left out counts as missing.
        values: `(T,)` in `unit`; NaN is missing, drawn as hatched rows and columns; imputed values included.
        imputed: `(T,)`, True where the source filled in a value that nobody measured.
        title: The heading, such as "Station 1205330: traffic flow".
        unit: What the readings count, such as "vehicles/5 min".
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: `kind` is unknown, the arrays differ in length, or the times are uneven or fewer than 2.
    """
    import torch

    from mm4st_agent.imaging.tensors.gramian import gadf, gasf
    from mm4st_agent.imaging.tensors.resize import segment_means

    if kind not in ("summation", "difference"):
        raise UsageError(f"There is no Gramian field {kind!r}.", "Choose 'summation' or 'difference'.")
    seen = _readings(times, values, imputed, title, time_zone)
    series = torch.from_numpy(seen.values[None]).float()
    size = _size(seen)
    image = _encoded((gasf if kind == "summation" else gadf)(series, size))
    scale = told = ""
    if not np.isnan(seen.values).all():
        means = segment_means(series, size[0])[0].numpy()
        low, high = (rough(float(bound)) for bound in (np.nanmin(means), np.nanmax(means)))
        scale = f"{low} {unit_name(unit)} is −1, {high} is +1"
        told = (
            f"The readings are scaled so that {low} is -1 and {high} is 1; the field runs from "
            f"{np.nanmin(image):.2f} to {np.nanmax(image):.2f}, mean {np.nanmean(image):.2f}"
        )
    angles = "cos(a + b)" if kind == "summation" else "sin(a − b)"
    field = _Field(
        f"Gramian angular {kind} field", image, DIVERGING, -1.0, 1.0, f"{angles}, dimensionless",
        f"a and b are the angles whose cosines are the scaled readings: {scale}" if scale else "", told,
    )  # fmt: skip
    return _draw(seen, field, title, unit, synthetic)


def draw_markov(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw how likely the level of the row's time is followed, one step later, by the level of the column's.

    Arguments and errors are those of `draw_gramian`.
    """
    import torch

    from mm4st_agent.imaging.tensors.markov import BINS, mtf

    seen = _readings(times, values, imputed, title, time_zone)
    series = torch.from_numpy(seen.values[None]).float()
    image = _encoded(mtf(series, _size(seen)))
    told = ""
    if not np.isnan(seen.values).all():
        edges = np.unique(np.nanquantile(seen.values, np.linspace(0, 1, BINS + 1)[1:-1]))
        level = np.where(np.isnan(seen.values), -1, np.searchsorted(edges, seen.values, side="right"))
        pairs = (level[:-1] >= 0) & (level[1:] >= 0)
        if pairs.any():
            stays = float((level[:-1] == level[1:])[pairs].mean())
            told = f"A level is followed by itself in {100 * stays:.0f} % of the steps"
        told += (
            f"{'; the' if told else 'The'} edges of the levels are {', '.join(rough(float(edge)) for edge in edges)}"
        )
    top = float(np.nanmax(image)) if told else 1.0
    field = _Field(
        "Markov transition field", image, COLOUR_MAP, 0.0, top or 1.0, "probability of the step, row to column",
        f"{BINS} levels with equally many readings each", told,
    )  # fmt: skip
    return _draw(seen, field, title, unit, synthetic)


def draw_recurrence(
    *,
    times: pd.DatetimeIndex,
    values: NDArray[np.floating],
    imputed: NDArray[np.bool_],
    title: str,
    unit: str,
    time_zone: str,
    synthetic: bool,
) -> Picture:
    """Draw how far apart the levels of any two moments are; dark is alike.

    Arguments and errors are those of `draw_gramian`.
    """
    import torch

    from mm4st_agent.imaging.tensors.recurrence import recurrence

    seen = _readings(times, values, imputed, title, time_zone)
    image = _encoded(recurrence(torch.from_numpy(seen.values[None]).float(), _size(seen)))
    told, top = "", 1.0
    if not np.isnan(seen.values).all():
        top = float(np.nanmax(image)) or 1.0
        alike = float((image[~np.isnan(image)] <= 0.1 * top).mean())
        told = (
            f"Two moments are {rough(float(np.nanmedian(image)))} {unit_name(unit)} apart in the median and "
            f"{rough(float(np.nanmax(image)))} at most; {100 * alike:.0f} % of the pairs are within a tenth of that"
        )
    field = _Field(
        "Recurrence plot", image, COLOUR_MAP, 0.0, top, f"distance, {unit_name(unit)}",
        "dark where two moments are alike", told,
    )  # fmt: skip
    return _draw(seen, field, title, unit, synthetic)


def _readings(
    times: pd.DatetimeIndex, values: NDArray[np.floating], imputed: NDArray[np.bool_], title: str, time_zone: str
) -> _Readings:
    return _Readings(*regular(*Trace(title, times, values, imputed).checked(time_zone)))


def _size(seen: _Readings) -> tuple[int, int]:
    side = min(len(seen.times), MAX_SIZE)
    return side, side


def _encoded(image: object) -> Series:
    """`(H, W)` of a `(1, 2, H, W)` tensor, NaN where no reading is behind a pixel."""
    field, mask = np.asarray(image, dtype=np.float64)[0]
    return np.where(mask > 0, field, np.nan)


def _draw(seen: _Readings, field: _Field, title: str, unit: str, synthetic: bool) -> Picture:
    when, values = seen.times, seen.values
    sheet = Sheet(title, synthetic=synthetic, height_px=WIDTH_PX, heights=(1, 5))
    top, axes = (row[0] for row in sheet.panels)
    legend = draw_readings(top, when, values, seen.imputed)
    value_limits(top, [values], ticks=3)
    top.set_title(drawable(unit_name(unit)), loc="left", **words())
    time_axis(top, when, max_ticks=7)
    top.set_xlabel("")
    top.tick_params(labelbottom=False)

    axes.grid(visible=False)
    time_axis(axes, when, max_ticks=7)
    left, right = axes.get_xlim()
    time_ticks(axes.yaxis, when, max_ticks=7)
    if np.isnan(values).all():
        sheet.say(NO_READING)
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        shown = axes.imshow(
            np.ma.masked_invalid(field.image), cmap=field.colours, norm=Normalize(field.low, field.high),
            extent=(left, right, right, left), aspect="auto", interpolation="nearest", origin="upper",
        )  # fmt: skip
        colour_bar(sheet, shown, field.quantity, axes)
    axes.set(xlim=(left, right), ylim=(right, left))
    missing = np.isnan(values)
    if missing.any():
        spans(axes, when, missing, **ABSENT).set_zorder(3)
        x, half = days(when), typical_step(when) / 2
        edges = np.diff(np.pad(missing.astype(np.int8), 1))
        for first, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1, strict=True):
            axes.axhspan(x[first] - half, x[last] + half, linewidth=0, zorder=3, **ABSENT)
    pooled = f"; cells are means of {len(when) / len(field.image):.3g} steps" if len(when) > len(field.image) else ""
    told = f" {field.told}." if field.told else ""
    note = f"{field.name}{': ' if field.note else ''}{field.note}{pooled}"
    alt = f"{field.name}, {title}: {history_in_words(when, values, seen.imputed, unit)}.{told}"
    return sheet.picture(alt, legend, note=note)
