"""What the city's sensors show of the truth: counting noise, gaps, outages, and stretches that somebody filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.ctm_kernel import STEP_S
from mm4st_agent.demo_city.records import Array

DECIMALS = {"flow": 0, "speed": 1, "pm25": 1, "no2": 1, "requests": 0}
"""Digits after the point that a sensor reports."""
GAPS = 0.009
"""Share of single readings that get lost."""
_DAY = 86_400 // STEP_S
_LONGEST = 20 * 3600 // STEP_S


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What is reported of one channel at its nodes.

    Attributes:
        values: `(T, n)`; NaN is missing.
        imputed: `(T, n)`, True where the operator filled an outage.
    """

    values: Array
    imputed: NDArray[np.bool_]


def measure(seed: int, truth: Mapping[str, Array], nodes: list[str], filled: int, broken: int) -> dict[str, Readings]:
    """Read the sensors of one kind of node.

    Args:
        seed: Of the city.
        truth: By channel, `(T, n)`.
        nodes: Their n ids; the random numbers belong to them.
        filled: How many of them had an outage of up to 20 hours that the operator filled, with the median of the same
            time of the day on the other days.
        broken: How many had one that stays missing.

    Returns:
        By channel. Gaps and outages are the same in all channels of a node.
    """
    steps = len(next(iter(truth.values())))
    lost = np.stack([stream(seed, f"sensor/{node}/gaps").random(steps) < GAPS for node in nodes], axis=1)
    outage = np.zeros((2, steps, len(nodes)), dtype=bool)
    order = np.argsort([stream(seed, f"sensor/{node}/outage").random() for node in nodes], kind="stable")
    for number, column in enumerate(order[: filled + broken]):
        at, hours = stream(seed, f"sensor/{nodes[column]}/outage").random(3)[1:].tolist()
        length = min(int(_LONGEST * (0.2 + 0.8 * hours)), steps // 2)
        first = int(at * (steps - length))
        outage[int(number >= filled), first : first + length, column] = True
    imputed, missing = outage[0] & ~lost, lost | outage[1]
    readings = {}
    for channel, values in truth.items():
        digits = DECIMALS[channel]
        noise = np.stack([_noise(seed, node, channel, steps) for node in nodes], axis=1)
        shown = np.maximum(values + noise * _scatter(channel, truth), 0.0).round(digits)
        shown[missing] = np.nan
        shown[imputed] = np.nan
        for column in np.flatnonzero(imputed.any(axis=0)):
            rows = np.flatnonzero(imputed[:, column]).tolist()
            shown[rows, column] = [_usual(shown[:, column], row) for row in rows]
        shown[imputed] = shown[imputed].round(digits)
        readings[channel] = Readings(shown, imputed & ~np.isnan(shown))
    return readings


def _usual(values: Array, row: int) -> float:
    """Median of the same time on other days; NaN where there is none."""
    same = values[row % _DAY :: _DAY]
    known = np.sort(same[~np.isnan(same)])
    return float(known[len(known) // 2]) if len(known) else np.nan


def _noise(seed: int, node: str, channel: str, steps: int) -> Array:
    """`(T,)` of variance 1, bell-shaped within ±3.5: a sum of four uniform numbers."""
    draws = stream(seed, f"sensor/{node}/{channel}").random((steps, 4))
    return np.asarray((draws[:, 0] + draws[:, 1] + draws[:, 2] + draws[:, 3] - 2.0) * 1.7320508, dtype=np.float64)


def _scatter(channel: str, truth: Mapping[str, Array]) -> Array:
    """Standard deviation of one reading, in the unit of the channel.

    The model's traffic has no chance in the gaps between cars, so a count scatters by somewhat less than a Poisson
    number would; a mean speed scatters the more the fewer cars it is of. An air station errs by some percent.
    """
    true = truth[channel]
    if channel == "flow":
        return np.asarray(0.7 * np.sqrt(true), dtype=np.float64)
    if channel == "speed":
        return np.asarray(np.sqrt(0.8 + 50.0 / (truth["flow"] + 4.0)), dtype=np.float64)
    if channel == "requests":
        return np.zeros_like(true)
    return np.asarray(0.25 + 0.04 * true, dtype=np.float64)
