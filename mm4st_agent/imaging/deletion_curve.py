"""How far a forecast moves while inputs are taken away one after the other, beside random inputs."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    BLUE,
    GREY,
    LIGHT_GREY,
    Picture,
    Sheet,
    drawable,
    unit_label,
    unit_name,
    value_axis,
    words,
)
from mm4st_agent.imaging.readings import rough


def draw_deletion_curve(
    *,
    named: NDArray[np.floating],
    random: NDArray[np.floating],
    title: str,
    unit: str,
    synthetic: bool,
) -> Picture:
    """Draw how far the forecast has moved after each removal.

    Args:
        named: `(K + 1,)` in `unit`: after 0 .. K of the named inputs, not falling, the first 0; K is 0 where no
            input was named.
        random: `(D, K + 1)` the same of D random orders; drawn as their median and the span of their middle 80 %.
        title: The heading.
        unit: Of the forecast.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: the arrays do not fit each other, or hold a value that is not finite.
    """
    if named.ndim != 1 or len(named) < 1 or random.ndim != 2 or len(random) < 1 or random.shape[1] != len(named):
        raise UsageError(
            f"A curve of shape {named.shape} does not fit draws of shape {random.shape}.",
            "Give (K + 1,) and (D, K + 1).",
        )
    if not (np.isfinite(named).all() and np.isfinite(random).all()):
        raise UsageError("A deletion curve holds a value that is not finite.", "Leave out what cannot be forecast.")
    sheet = Sheet(title, synthetic=synthetic)
    axes, removed = sheet.axes, np.arange(len(named))
    low, middle, high = np.quantile(random, [0.1, 0.5, 0.9], axis=0)
    legend: dict[str, Artist] = {}
    (legend["named inputs"],) = axes.plot(removed, named, color=BLUE, lw=2.4, marker="o", ms=6, zorder=4)
    (legend["random inputs of the same kinds, median"],) = axes.plot(
        removed, middle, color=GREY, lw=2.0, ls=(0, (5, 3)), marker="s", ms=5, zorder=3
    )
    legend["their middle 80 %"] = axes.fill_between(removed, low, high, color=LIGHT_GREY, lw=0, zorder=2)
    axes.set_xlim(-0.1, max(len(named) - 1, 1) + 0.1)
    axes.set_ylim(0, 1.06 * max(float(named.max()), float(high.max())) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel(drawable("inputs taken away, one after the other"), **words())
    value_axis(axes)
    unit_label(axes, unit)
    if len(named) == 1:
        sheet.say("no input moved the forecast")
    return sheet.picture(
        _alt(named, middle, high, len(random), title, unit),
        legend,
        note="How far the forecast moved in all, up and down added.",
    )


def _alt(
    named: NDArray[np.floating], middle: NDArray[np.floating], high: NDArray[np.floating], draws: int, title: str,
    unit: str,
) -> str:  # fmt: skip
    if len(named) == 1:
        return f"Deletion curve, {title}: no input moved the forecast."
    count = len(named) - 1
    inputs = f"{count} named input{'' if count == 1 else 's'}"
    return (
        f"Deletion curve, {title}: without the {inputs}, taken away one after the other, the forecast moved "
        f"{rough(float(named[-1]))} {unit_name(unit)} in all, the first alone {rough(float(named[1]))}; {draws} random "
        f"draws of as many inputs moved it {rough(float(middle[-1]))} in the median and {rough(float(high[-1]))} at "
        "the 90th percentile."
    )
