"""Rain in a data set, wherever it stands, and how much of it followed earlier moments that were like now.

Source:
    Wilks (2011), Statistical Methods in the Atmospheric Sciences, 3rd ed., sections 4.1 and 8.4: conditional relative
    frequencies as probability forecasts, and the Brier score that they are checked by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel

Array = NDArray[np.float64]

_RAIN = re.compile(r"rain|precip", re.IGNORECASE)
_MM = {"mm": 1.0, "in": 25.4, "inch": 25.4, "inches": 25.4}
_TOLD = re.compile(r"\b(?:rain\w*|showers?|storms?|precipitation|umbrella)\b", re.IGNORECASE)
_HEAVY = re.compile(r"\b(?:heavy|severe|torrential|cloudburst|intense)\b", re.IGNORECASE)
FEW_DAYS = 8
"""Earlier moments on fewer days than this tell nothing."""
PRIOR_DAYS = 2
"""What is known of moments that are only roughly alike counts as so many days."""
MOST_MISSING = 0.1
"""A stretch with a greater share of missing readings does not count."""
SEASON_DAYS = 45
"""Where the data hold more than a year, moments count that are so many days of the calendar from now at most."""
FITTED_SHARE = 0.6
"""Of the earlier moments: on these the frequencies are counted that are checked on the rest."""
MOST_MOMENTS = 4000
_LIKE = (
    "all earlier moments",
    "rain announced in the log or not, as now",
    "the same weather in the hour before, and rain announced in the log or not, as now",
    "the same weather in the hour before, and the same word of rain in the log",
)
_LIKE_UNTOLD = (_LIKE[0], _LIKE[0], *["the same weather in the hour before, wet or dry"] * 2)
"""Of data whose log announces no rain, or that have none."""


@dataclass(frozen=True)
class Rain:
    """Rain at one place, or over the whole area.

    Attributes:
        mm: `(T,)` in each step; NaN is missing.
        times: `(T,)` starts of the steps.
        step: Their length.
        title: What it is called.
        node: The place; None is the whole area.
    """

    mm: Array
    times: pd.DatetimeIndex
    step: pd.Timedelta
    title: str
    node: str | None


def rain_of(panel: Panel, node: str | None) -> Rain:
    """The rain that a panel holds, as a channel or as a covariate.

    Raises:
        UsageError: it has none, or it is measured at several places and none is named.
    """
    hours = panel.step_s / 3600
    for channel in panel.card.channels:
        factor = _factor(channel.unit, hours)
        if factor is not None and _RAIN.search(f"{channel.name} {channel.label}"):
            at = _place(panel, node, panel.nodes_of(channel.name))
            values = np.asarray(panel.only([at]).observed(channel.name)[:, 0], dtype=np.float64)
            return Rain(np.asarray(values * factor, dtype=np.float64), panel.times, panel.step, channel.label, at)
    for key, variable in panel.covariates.data_vars.items():
        factor = _factor(str(variable.attrs.get("units", "")), hours)
        title = str(variable.attrs.get("long_name") or key)
        if factor is None or not _RAIN.search(f"{key} {title}"):
            continue
        at_node = _place(panel, node, panel.node_ids) if "node" in variable.dims else None
        one = variable if at_node is None else variable.isel(node=panel.position(at_node))
        known = pd.Series(one.to_numpy().astype(np.float64), index=pd.DatetimeIndex(variable.indexes["time"]))
        mm = np.asarray(known.reindex(panel.data.indexes["time"]).to_numpy() * factor, dtype=np.float64)
        return Rain(mm, panel.times, panel.step, title.lower().replace("_", " "), at_node)
    raise UsageError(
        f"{panel.name!r} has no rain in mm or inches, so nothing tells how much will fall.",
        "Choose a data set with rain, such as demo, beijing-air or noaa-rain.",
    )


def _factor(unit: str, hours: float) -> float | None:
    """What one of the unit is in mm a step."""
    depth, _, per = unit.strip().partition("/")
    if depth not in _MM or per not in ("", "h"):
        return None
    return _MM[depth] * (hours if per else 1.0)


def _place(panel: Panel, node: str | None, there: Sequence[str]) -> str:
    if node is None and len(there) == 1:
        return there[0]
    if node is None:
        raise UsageError(
            f"Rain of {panel.name!r} is measured at {len(there)} places, and none is named.",
            f"Name one, such as {', '.join(list(there)[:3])}.",
        )
    panel.position(node)
    return node


def told(panel: Panel) -> list[Event]:
    """Entries of the log that spoke of rain before it was to begin: forecasts, right or wrong."""
    return [entry for entry in panel.events if entry.published_at < entry.start and _TOLD.search(entry.text)]


@dataclass(frozen=True)
class Outlook:
    """What followed earlier moments, those like now counting most.

    Attributes:
        amounts: `(n,)` mm that fell over the same stretch ahead of each of them.
        weights: `(n,)` how much each counts, of sum 1.
        cases: So many of them are like now.
        days: On so many different days those lay.
        like: What they have in common with now, in words.
        checks: So many later moments such chances were checked on; 0: too few.
        brier: Mean squared error of the chance, 0 to 1; None where nothing was checked.
        usual_brier: The same of the share of all moments, whatever now is like.
    """

    amounts: Array
    weights: Array
    cases: int
    days: int
    like: str
    checks: int
    brier: float | None
    usual_brier: float | None

    def chance(self, threshold_mm: float) -> float:
        """That so much rain falls, 0 to 1."""
        return float(self.weights[self.amounts >= threshold_mm].sum())

    def usual_chance(self, threshold_mm: float) -> float:
        """The same whatever now is like."""
        return float((self.amounts >= threshold_mm).mean())

    def quantile(self, share: float) -> float:
        """How many mm fall at most in this share of the cases."""
        return float(np.quantile(self.amounts, share, weights=self.weights, method="inverted_cdf"))


def outlook(rain: Rain, entries: Sequence[Event], skip: int, steps: int, threshold_mm: float) -> Outlook:
    """How much rain followed earlier moments like the last one of `rain`.

    Alike are moments with the same weather in the hour before (wet or dry) and the same word of what is to come: no
    rain, rain, or heavy rain announced by then to begin within the stretch. The frequency over n days of such moments
    counts n times, that of moments that are only roughly alike `PRIOR_DAYS` times, and so on up to that of all.

    Args:
        rain: Up to the clock.
        entries: Of `told`.
        skip: Steps between the clock and the stretch.
        steps: Its length.
        threshold_mm: What the chance that is checked is of.

    Raises:
        DataError: too little was measured.
    """
    end = len(rain.mm)
    every = max(1, (end - skip - steps) // MOST_MOMENTS)
    moments = np.arange(1, end - skip - steps + 1, every)
    fell = np.concatenate([[0.0], np.cumsum(np.nan_to_num(rain.mm))])
    gaps = np.concatenate([[0], np.cumsum(~np.isfinite(rain.mm))])
    first, last = moments + skip, moments + skip + steps
    used = gaps[last] - gaps[first] <= MOST_MISSING * steps
    clock = rain.times[-1] + rain.step
    if len(rain.times) * rain.step > pd.Timedelta(days=400):
        away = np.abs(rain.times[moments - 1].day_of_year.to_numpy() - clock.day_of_year)
        used &= np.minimum(away, 365 - away) <= SEASON_DAYS
    moments = moments[used]
    days = rain.times[moments - 1].normalize().to_numpy()
    if len(np.unique(days)) < FEW_DAYS:
        raise DataError(
            f"Only {len(np.unique(days))} day(s) before {clock:%Y-%m-%d %H:%M} tell how much rain to expect.",
            f"Choose a later time; at least {FEW_DAYS} days are needed.",
        )
    amounts = fell[last[used]] - fell[first[used]]
    at = np.append(moments, end)
    wet, word = _wet(rain, fell, at), _announced(rain, entries, at, skip, steps)
    states = np.stack([np.zeros(len(at), dtype=np.int64), np.minimum(word, 1), wet * 2 + np.minimum(word, 1),
                       wet * 3 + word])  # fmt: skip
    same = states[:, :-1] == states[:, -1:]
    finest = max(level for level in range(len(states)) if same[level].any())
    checks, brier, usual = _checked(states[:, :-1], days, (amounts >= threshold_mm).astype(np.float64))
    return Outlook(
        amounts,
        _weights(same, days),
        int(same[finest].sum()),
        len(np.unique(days[same[finest]])),
        (_LIKE if entries else _LIKE_UNTOLD)[finest],
        checks,
        brier,
        usual,
    )


def _weights(same: NDArray[np.bool_], days: NDArray[np.generic]) -> Array:
    """`(n,)` of sum 1, from `(L, n)` which moments are alike, coarsest level first."""
    weights = np.zeros(same.shape[1])
    for level, alike in enumerate(same):
        n = len(np.unique(days[alike]))
        if n and (level == 0 or alike.sum() < same[level - 1].sum()):  # the same moments again tell nothing new
            trust = n / (n + PRIOR_DAYS) if weights.any() else 1.0
            weights = (1 - trust) * weights + trust * alike / alike.sum()
    return weights


def _wet(rain: Rain, fell: Array, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whether any rain fell in the hour before, or in the step where steps are longer."""
    back = max(1, int(pd.Timedelta(hours=1) / rain.step))
    return (fell[at] - fell[np.maximum(at - back, 0)] > 0).astype(np.int64)


def _announced(rain: Rain, entries: Sequence[Event], at: NDArray[np.int64], skip: int, steps: int) -> NDArray[np.int64]:
    """For each moment 0, or 1 where rain was announced by then to begin in the stretch ahead, 2 where heavy rain."""
    word = np.zeros(len(at), dtype=np.int64)
    start = rain.times[0]
    for entry in entries:
        known, begins = ((when - start) / rain.step for when in (entry.published_at, entry.start))
        meant = (at >= known) & (at + skip <= begins) & (begins < at + skip + steps)
        word[meant] = np.maximum(word[meant], 2 if _HEAVY.search(entry.text) else 1)
    return word


def _checked(
    states: NDArray[np.int64], days: NDArray[np.generic], exceeded: Array
) -> tuple[int, float | None, float | None]:
    """Moments checked, and the Brier scores there of the chance by state and of the share of all moments before."""
    cut = int(len(exceeded) * FITTED_SHARE)
    if min(len(np.unique(days[:cut])), len(np.unique(days[cut:]))) < FEW_DAYS:
        return 0, None, None
    usual, truth = float(exceeded[:cut].mean()), exceeded[cut:]
    chances = np.empty(len(truth))
    for state in np.unique(states[:, cut:], axis=1).T:
        weights = _weights(states[:, :cut] == state[:, None], days[:cut])
        chances[(states[:, cut:] == state[:, None]).all(axis=0)] = weights @ exceeded[:cut]
    return len(truth), float(((chances - truth) ** 2).mean()), float(((usual - truth) ** 2).mean())
