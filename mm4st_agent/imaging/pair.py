"""Two windows of one node, or two nodes, one above the other on the same scale, with the difference in numbers."""

from __future__ import annotations

import numpy as np

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import INK, ORANGE, WIDTH_PX, Picture, Sheet, drawable, unit_name, words
from mm4st_agent.imaging.readings import (
    NO_READING,
    Entry,
    Series,
    Trace,
    draw_readings,
    history_in_words,
    regular,
    rough,
    value_limits,
)
from mm4st_agent.imaging.timeaxis import days, time_axis, typical_step

_HEIGHT_PX = 1080


def draw_pair(*, first: Trace, second: Trace, title: str, unit: str, time_zone: str, synthetic: bool) -> Picture:
    """Draw `first` above `second`; where both have as many steps, `first` stands behind `second` again.

    Both axes have the scale of the higher readings and the length of the longer window. The note and the
    alternative text say how the means differ and, step by step, how far the two are apart.

    Args:
        first: Such as the window before.
        second: Such as the window after, or another node.
        title: The heading.
        unit: What the vertical axes count.
        time_zone: IANA name of the zone in which people read these times.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: arrays differ in length, times are uneven or fewer than 2, the steps of the two differ, or
            times or `time_zone` cannot be used.
    """
    pair = [(trace.label, *regular(*trace.checked(time_zone))) for trace in (first, second)]
    (_, one_times, one, _), (_, two_times, two, _) = pair
    steps = typical_step(one_times), typical_step(two_times)
    if abs(steps[0] - steps[1]) > 0.01 * min(steps):
        raise UsageError(
            f"The steps differ: {86_400 * steps[0]:g} s and {86_400 * steps[1]:g} s.", "Resample one of them first."
        )
    sheet = Sheet(title, synthetic=synthetic, height_px=min(_HEIGHT_PX, WIDTH_PX), heights=(1, 1))
    legend: dict[str, Entry] = {}
    longest = max(len(one), len(two)) * steps[0]
    for row, (label, when, values, imputed) in zip(sheet.panels, pair, strict=True):
        axes = row[0]
        for name, entry in draw_readings(axes, when, values, imputed).items():
            legend.setdefault(name.split(",")[0], entry)
        mean = _mean(values)
        if mean is not None:
            x = days(when)
            (legend["mean"],) = axes.plot([x[0], x[-1]], [mean, mean], color=INK, lw=1.4, ls=(0, (5, 3)), zorder=4)
        value_limits(axes, [one, two], ticks=5)
        axes.set_title(drawable(f"{label}, {unit_name(unit)}"), loc="left", **words(weight="bold"))
        if np.isnan(values).all():
            sheet.say(NO_READING, axes)
        time_axis(axes, when, max_ticks=7)
        left = axes.get_xlim()[0]
        axes.set_xlim(left, left + longest)
    if len(one) == len(two):
        (legend["the upper one again"],) = sheet.panels[1][0].plot(days(two_times), one, color=ORANGE, lw=1.4, zorder=2)
    difference = _difference(one, two, unit)
    parts = [f"{label}: {history_in_words(when, values, imputed, unit)}" for label, when, values, imputed in pair]
    return sheet.picture(f"Pair of line plots, {title}. {'. '.join(parts)}. {difference}.", legend, note=difference)


def _mean(values: Series) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _difference(one: Series, two: Series, unit: str) -> str:
    """How the second differs from the first, in numbers."""
    before, after = _mean(one), _mean(two)
    if before is None or after is None:
        return "No difference can be told: one of the two has no reading"
    change = after - before
    share = f", {100 * change / abs(before):+.1f} %" if before else ""
    told = (
        f"Mean {rough(before)} to {rough(after)} {unit_name(unit)}: {'+' if change > 0 else ''}{rough(change)}{share}"
    )
    both = ~(np.isnan(one) | np.isnan(two)) if len(one) == len(two) else np.zeros(0, dtype=bool)
    if not both.any():
        return told
    apart = (two - one)[both]
    told += f"; step by step {rough(float(np.abs(apart).mean()))} apart on average, at most {rough(_largest(apart))}"
    varied = min(float(np.ptp(one[both])), float(np.ptp(two[both]))) > 0
    return told + (f"; correlation {np.corrcoef(one[both], two[both])[0, 1]:.2f}" if varied else "")


def _largest(apart: Series) -> float:
    return float(apart[np.abs(apart).argmax()])
