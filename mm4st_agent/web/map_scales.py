"""What the map's colours mean: the ends of the scale, their words, and the colours themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel

Values = NDArray[np.float32]

SCALED = (1.0, 99.0)
"""Percentiles of the readings that get the ends of the colour scale; what lies beyond has the end's colour."""
SHADES = 64

_SPEEDS = ("km/h", "mph", "m/s")


def level_scale(values: Values) -> dict[str, Any]:
    """The ends of the colour scale, and whether readings lie beyond them; nulls where there is no reading."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not known.size:
        return {"low": None, "high": None, "below": False, "above": False}
    low, high = (float(f"{end:.3g}") for end in np.percentile(known, SCALED))
    if low >= high:
        low, high = float(known.min()), float(known.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    return {"low": low, "high": high, "below": bool(known.min() < low), "above": bool(known.max() > high)}


def change_scale(change: Values) -> dict[str, Any]:
    """As `level_scale`, with 0 in the middle."""
    size = level_scale(np.abs(change))
    high = max(abs(size["low"] or 0.0), size["high"] or 0.0)
    known = change[np.isfinite(change)]
    return {"low": -high, "high": high, "below": bool((known < -high).any()), "above": bool((known > high).any())}


def end_words(channel: Channel, *, change: bool) -> tuple[str, str]:
    """What the ends of the colour scale mean: a low speed is a jam, a high flow is a busy road."""
    if channel.unit in _SPEEDS:
        return ("slower", "faster") if change else ("slow", "fast")
    if channel.unit.startswith("vehicles"):
        return ("quieter", "busier") if change else ("quiet", "busy")
    return ("falls", "rises") if change else ("low", "high")


def colours() -> dict[str, list[str]]:
    """Of the pictures, so that a map and a picture of it agree; on dark ground the middle of a change is dark."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    from mm4st_agent.imaging.figure import COLOUR_MAP, DIVERGING

    shown = {"level": COLOUR_MAP, "change": DIVERGING, "change_dark": "berlin"}
    at = np.linspace(0.0, 1.0, SHADES)
    return {use: [to_hex(colour) for colour in colormaps[name](at)] for use, name in shown.items()}
