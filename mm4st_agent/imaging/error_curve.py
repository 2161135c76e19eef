"""How far forecasts were off, by how far they looked ahead: one line for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    number,
    unit_label,
    value_axis,
    words,
)

_OTHERS = (GREEN, BLUE, ORANGE, GREY)
_STYLES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 2)))
_HEADROOM = 1.1


def draw_error_curve(
    *,
    minutes: Sequence[float],
    curves: Mapping[str, NDArray[np.floating]],
    ours: str | None,
    title: str,
    unit: str,
    synthetic: bool,
) -> Picture:
    """Draw the mean absolute error of several models over the minutes ahead; the lower line is the better model.

    Args:
        minutes: `(H,)` how far ahead each step lies, ascending.
        curves: Model name to its `(H,)` mean absolute errors in `unit`; NaN is undefined and leaves a gap.
        ours: The curve that is drawn in full and on top; None: all are dashed.
        title: The heading.
        unit: What the vertical axis counts.
        synthetic: Whether a simulation made the data; the picture then says so.

    Raises:
        UsageError: there is no curve, or one has another length than `minutes`.
    """
    if not curves:
        raise UsageError("There is no error curve to draw.", "Give the errors of at least one model.")
    for name, errors in curves.items():
        if len(errors) != len(minutes):
            raise UsageError(
                f"The curve of {name!r} has {len(errors)} steps, the axis {len(minutes)}.", "Give one error a step."
            )
    sheet = Sheet(title, synthetic=synthetic)
    axes = sheet.axes
    legend: dict[str, Artist] = {}
    others = [name for name in curves if name != ours]
    for name, errors in curves.items():
        style = (
            {"color": VERMILLION, "lw": 2.8, "zorder": 5}
            if name == ours
            else {"color": _OTHERS[others.index(name) % 4], "lw": 2.0, "ls": _STYLES[others.index(name) % 4]}
        )
        (legend[drawable(name)],) = axes.plot(minutes, errors, marker="o", ms=5, **style)
    known = np.concatenate([np.asarray(errors, dtype=np.float64) for errors in curves.values()])
    known = known[np.isfinite(known)]
    if known.size == 0:
        sheet.say("no error is known")
    axes.set_ylim(0, _HEADROOM * known.max() if known.size and known.max() > 0 else 1)
    reach = minutes[-1] - minutes[0] or minutes[0]
    axes.set_xlim(minutes[0] - 0.04 * reach, minutes[-1] + 0.04 * reach)
    value_axis(axes)
    unit_label(axes, unit)
    axes.set_xlabel("minutes ahead", **words())
    said = "; ".join(_in_words(name, minutes, np.asarray(errors)) for name, errors in curves.items())
    return sheet.picture(f"Mean absolute error by minutes ahead, {title}, in {unit}: {said}.", legend)


def _in_words(name: str, minutes: Sequence[float], errors: NDArray[np.floating]) -> str:
    known = np.flatnonzero(np.isfinite(errors))
    if known.size == 0:
        return f"{name} undefined"
    first, last = known[0], known[-1]
    start = f"{name} {number(float(f'{errors[first]:.3g}'))} at {minutes[first]:g} minutes"
    return start if first == last else f"{start}, {number(float(f'{errors[last]:.3g}'))} at {minutes[last]:g}"
