"""The gallery's pictures for people: every picture function on a week, and five of them on one page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TypedDict

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from mm4st_agent.imaging.field_pictures import draw_gramian, draw_markov, draw_recurrence
from mm4st_agent.imaging.figure import (
    BLUE,
    COLOUR_MAP,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    WIDTH_PX,
    Picture,
)
from mm4st_agent.imaging.folded import draw_folded
from mm4st_agent.imaging.gallery_weeks import STEPS_PER_DAY, THURSDAY, Week
from mm4st_agent.imaging.heatmap import draw_heatmap
from mm4st_agent.imaging.lines import QUANTILES, draw_forecast, draw_line
from mm4st_agent.imaging.multiples import draw_multiples
from mm4st_agent.imaging.network_map import draw_map
from mm4st_agent.imaging.ordering import along_links, nearest
from mm4st_agent.imaging.pair import draw_pair
from mm4st_agent.imaging.readings import Trace
from mm4st_agent.imaging.schematic import draw_schematic
from mm4st_agent.imaging.spectra_pictures import draw_filterbank, draw_scalogram, draw_stft

ORIGIN = THURSDAY + STEPS_PER_DAY + 84
"""Friday, 07:00: the incident and the gap lie in the history of the forecast."""
HORIZON, HISTORY = 72, 432
MAP_HOUR = slice(THURSDAY + 112, THURSDAY + 124)
"""Thursday, 09:20 to 10:20: amid the incident and the gap."""

_MAP_COLOURS, _SHADES = 40, 20
_INKS = ("#000000", INK, GREY, BLUE, ORANGE, VERMILLION, GREEN)
_AROUND = 3
_ROWS = 32
_SMALL_MULTIPLES = 6

Values = NDArray[np.float64]


class _Place(TypedDict):
    """What every picture is told about where its readings are from."""

    title: str
    unit: str
    time_zone: str
    synthetic: bool


class _Series(_Place):
    times: pd.DatetimeIndex
    values: Values
    imputed: NDArray[np.bool_]


def line(week: Week) -> Picture:
    """The readings, and what is usual where other weeks are known."""
    return draw_line(**_series(week), usual=week.usual)


def forecast(week: Week) -> Picture:
    """A fan made on this page: the last reading, and how far the same hours moved it on the earlier days."""
    seen = _series(week)
    times, values, imputed = seen["times"], seen["values"], seen["imputed"]
    readings = np.where(imputed, np.nan, values)
    last = int(np.flatnonzero(np.isfinite(readings[:ORIGIN]))[-1])
    moves = []
    for back in range(STEPS_PER_DAY, last, STEPS_PER_DAY):
        # The steps around each count as well: quantiles of a handful of days would be ragged.
        around = np.arange(ORIGIN - back - _AROUND, ORIGIN - back + HORIZON + _AROUND)
        moves.append(sliding_window_view(readings[around] - readings[last - back], 2 * _AROUND + 1))
    every = np.concatenate([move for move in moves if np.isfinite(move).all()], axis=1)
    history, ahead = slice(ORIGIN - HISTORY, ORIGIN), slice(ORIGIN, ORIGIN + HORIZON)
    return draw_forecast(
        times=times[history], values=values[history], imputed=imputed[history], forecast_times=times[ahead],
        quantiles=readings[last] + np.quantile(every, QUANTILES, axis=1).T,
        baseline=readings[ORIGIN - STEPS_PER_DAY : ORIGIN - STEPS_PER_DAY + HORIZON],
        baseline_name="same time the day before", origin=times[ORIGIN], **_place(week, week.panel.place(week.node)),
    )  # fmt: skip


def pair(week: Week) -> Picture:
    """Wednesday and Thursday of one node: before the incident and the gap, and with them."""
    seen = _series(week)
    days = [slice(THURSDAY + day * STEPS_PER_DAY, THURSDAY + (day + 1) * STEPS_PER_DAY) for day in (-1, 0)]
    before, after = (
        Trace(f"{seen['times'][day][0]:%A %d %B}", seen["times"][day], seen["values"][day], seen["imputed"][day])
        for day in days
    )
    return draw_pair(first=before, second=after, **_place(week, week.panel.place(week.node)))


def multiples(week: Week) -> Picture:
    """The node and its nearest neighbours, in their order along the links, from Wednesday to Friday."""
    panel, span = week.panel, slice(THURSDAY - STEPS_PER_DAY, THURSDAY + 2 * STEPS_PER_DAY)
    values, imputed = panel.values()[span].astype(np.float64), panel.imputed()[span]
    adjacency = panel.adjacency()
    chosen = along_links(adjacency, nearest(adjacency, panel.position(week.node), _SMALL_MULTIPLES))
    labels = _labels(week)
    traces = [Trace(labels[at], panel.times[span], values[:, at], imputed[:, at]) for at in chosen]
    return draw_multiples(traces=traces, **_place(week, f"around {panel.place(week.node)}"))


def folded(week: Week) -> Picture:
    """One node, a row a day."""
    return draw_folded(**_series(week))


def heatmap(week: Week) -> Picture:
    """The nodes around the one of the week, along the links."""
    panel = week.panel
    adjacency = panel.adjacency()
    chosen = along_links(adjacency, nearest(adjacency, panel.position(week.node), _ROWS))
    labels = _labels(week)
    return draw_heatmap(
        times=panel.times, values=panel.values()[:, chosen], imputed=panel.imputed()[:, chosen],
        node_labels=[labels[at] for at in chosen], highlight=labels[panel.position(week.node)],
        order="along the links", **_place(week, f"around {panel.place(week.node)}"),
    )  # fmt: skip


def network_map(week: Week) -> Picture:
    """Where an hour of Thursday is above or below the same hour of Wednesday."""
    panel = week.panel
    readings = panel.observed()
    hours = [_means(readings[MAP_HOUR.start - back : MAP_HOUR.stop - back]) for back in (STEPS_PER_DAY, 0)]
    told = _place(week, "change from the day before")
    change, times = hours[1] - hours[0], panel.times[MAP_HOUR]
    if panel.nodes[["lat", "lon"]].isna().all(axis=None):
        return draw_schematic(nodes=panel.nodes, values=change, times=times, change=True, highlight=[week.node], **told)
    return draw_map(
        nodes=panel.nodes, edges=panel.edges, values=change, times=times, change=True, highlight=[week.node], **told
    )


def stft(week: Week) -> Picture:
    """Periods over time, by windows of a day."""
    return draw_stft(**_series(week))


def cwt(week: Week) -> Picture:
    """Periods over time, by wavelets."""
    return draw_scalogram(**_series(week))


def filterbank(week: Week) -> Picture:
    """Bands over time, in decibels."""
    return draw_filterbank(**_series(week))


def gasf(week: Week) -> Picture:
    """Any two moments: the cosine of the sum of their angles."""
    return draw_gramian("summation", **_series(week))


def gadf(week: Week) -> Picture:
    """Any two moments: the sine of the difference of their angles."""
    return draw_gramian("difference", **_series(week))


def mtf(week: Week) -> Picture:
    """Any two moments: the probability of the transition between their levels."""
    return draw_markov(**_series(week))


def rp(week: Week) -> Picture:
    """Any two moments: their distance."""
    return draw_recurrence(**_series(week))


def page(pictures: Sequence[Picture]) -> bytes:
    """One PNG: the first picture in full size, the others at half of it in two columns."""
    first, *others = (Image.open(io.BytesIO(picture.png)).convert("RGB") for picture in pictures)
    half = [each.resize((WIDTH_PX // 2, each.height // 2), Image.Resampling.BOX) for each in others]
    rows = [[first], *(half[at : at + 2] for at in range(0, len(half), 2))]
    heights = [max(each.height for each in row) for row in rows]
    whole = Image.new("RGB", (WIDTH_PX, sum(heights)), "white")
    for row, top in zip(rows, np.cumsum([0, *heights[:-1]]).tolist(), strict=True):
        for column, each in enumerate(row):
            whole.paste(each, (column * WIDTH_PX // 2, top))
    return packed(whole)


def packed(picture: Image.Image) -> bytes:
    """A PNG of at most 256 colours: the pixels of noise would not fit into a page that people load."""
    file = io.BytesIO()
    picture.quantize(palette=_palette(), dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


@cache
def _palette() -> Image.Image:
    """Both colour maps, and each ink in shades up to white: a palette from the pixels would lose the rare colours."""
    maps = [colormaps[name](np.linspace(0, 1, _MAP_COLOURS))[:, :3] for name in (COLOUR_MAP, DIVERGING)]
    inks = [1 - np.outer(np.linspace(0, 1, _SHADES), 1 - np.array(to_rgb(ink))) for ink in _INKS]
    palette = Image.new("P", (1, 1))
    palette.putpalette((255 * np.vstack([*maps, *inks])).round().astype(np.uint8).tobytes())
    return palette


def _series(week: Week) -> _Series:
    panel, at = week.panel, week.panel.position(week.node)
    values, imputed = panel.values()[:, at].astype(np.float64), panel.imputed()[:, at]
    return _Series(times=panel.times, values=values, imputed=imputed, **_place(week, panel.place(week.node)))


def _place(week: Week, where: str) -> _Place:
    card, channel = week.panel.card, week.panel.channel()
    title = f"{week.title[:1].upper()}{week.title[1:]}, {where}: {channel.label}"
    return _Place(title=title, unit=channel.unit, time_zone=card.time_zone, synthetic=card.synthetic)


def _labels(week: Week) -> list[str]:
    return [" ".join(dict.fromkeys((node, week.panel.place_name(node)))) for node in week.panel.node_ids]


def _means(readings: NDArray[np.float32]) -> Values:
    """`(N,)` means of what was read; NaN where nothing was."""
    count = np.isfinite(readings).sum(axis=0)
    means: Values = np.divide(np.nansum(readings, axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    return means
