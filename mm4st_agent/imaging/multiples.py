"""Small multiples: the readings of several nodes, each in axes of its own, all on the same scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import WIDTH_PX, Picture, Sheet, drawable, fit, unit_name, words
from mm4st_agent.imaging.readings import NO_READING, Entry, Trace, draw_readings, rough, value_limits
from mm4st_agent.imaging.timeaxis import days, span_in_words, stamp, time_axis, typical_step

FEWEST, MOST = 2, 12

_HEIGHTS_PX = {1: 900, 2: 900, 3: 1000, 4: 1160}
"""By number of rows; above, the largest."""


def draw_multiples(*, traces: Sequence[Trace], title: str, unit: str, time_zone: str, synthetic: bool) -> Picture:
    """Draw each node's readings in axes of its own; all have the same time and the same value axis.

    Args:
        traces: 2 to 12, from the upper left to the lower right, row by row.
        title: The heading.
        unit: What the vertical axes count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: there are fewer than 2 or more than 12, arrays differ in length, or times or `time_zone` cannot
            be used.
    """
    if not FEWEST <= len(traces) <= MOST:
        raise UsageError(f"{len(traces)} series do not fit side by side.", f"Choose {FEWEST} to {MOST}, or a heatmap.")
    checked = [trace.checked(time_zone) for trace in traces]
    columns = 1 if len(traces) < 4 else 2 if len(traces) < 9 else 3
    rows = -(-len(traces) // columns)
    sheet = Sheet(
        title, synthetic=synthetic, height_px=_HEIGHTS_PX.get(rows, WIDTH_PX), heights=(1,) * rows, columns=columns
    )  # fmt: skip
    span = pd.DatetimeIndex(sorted({moment for when, _, _ in checked for moment in (when[0], when[-1])}))
    whole = pd.DatetimeIndex([span[0], span[-1]]) if len(span) > 1 else span
    half = max(typical_step(when) for when, _, _ in checked) / 2
    legend: dict[str, Entry] = {}
    every = [axes for row in sheet.panels for axes in row]
    for at, (axes, trace, (when, values, imputed)) in enumerate(zip(every, traces, checked, strict=False)):
        for name, entry in draw_readings(axes, when, values, imputed).items():
            legend.setdefault(name.split(",")[0], entry)
        value_limits(axes, [shown for _, shown, _ in checked], ticks=4)
        heading = axes.set_title(drawable(trace.label), loc="left", **words(weight="bold"))
        fit(heading, 0.85 * WIDTH_PX / columns, lines=2)
        if np.isnan(values).all():
            sheet.say(NO_READING, axes)
        time_axis(axes, whole, max_ticks=7 if columns == 1 else 5 if columns == 2 else 4)
        axes.set_xlim(days(whole)[0] - half, days(whole)[-1] + half)
        axes.set_xlabel("")
        axes.tick_params(labelbottom=at + columns >= len(traces), labelleft=at % columns == 0)
    for axes in every[len(traces) :]:
        axes.set_visible(False)
    note = f"{unit_name(unit)}, all on one scale; {span_in_words(whole[0], whole[-1])}, local time ({whole.tz})"
    said = "; ".join(_in_words(trace.label, *readings[:2]) for trace, readings in zip(traces, checked, strict=True))
    window = f"from {stamp(whole[0])} to {stamp(whole[-1])} local time ({whole.tz})"
    alt = f"{len(traces)} line plots, {title}: unit {unit_name(unit)}, {window}. {said}."
    return sheet.picture(alt, legend, note=note)


def _in_words(label: str, when: pd.DatetimeIndex, values: np.ndarray) -> str:
    missing = f"{np.isnan(values).sum()} of {len(values)} steps missing"
    if np.isnan(values).all():
        return f"{label}: no reading, {missing}"
    high = int(np.nanargmax(values))
    return (
        f"{label}: mean {rough(float(np.nanmean(values)))}, lowest {rough(float(np.nanmin(values)))}, highest "
        f"{rough(float(values[high]))} at {stamp(when[high])}, {missing}"
    )
