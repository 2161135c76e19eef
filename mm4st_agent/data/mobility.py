"""What moving objects say of places: flows, speeds, and who goes from where to where; from a panel's trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.importing.places import NearestNodes, haversine_km
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError

MAX_SPEED_KMH = 200.0
"""Two fixes that would need more are a jump of the tracker."""
MAX_GAP_S = 900.0
"""Between two fixes farther apart in time nobody knows where the object was."""


def node_flows(panel: Panel, *, max_km: float = 1.0) -> pd.DataFrame:
    """Objects that enter the surroundings of each node in each step, from the panel's trajectories.

    Args:
        panel: With trajectories, and with `lat`, `lon` of its nodes.
        max_km: Farther away than this, an object is at no node.

    Returns:
        `(T, N)` counts, indexed by the panel's time stamps; NaN in steps without any fix.

    Raises:
        DataError: the panel has no trajectories, or no coordinates.

    Source:
        Zhang et al. (2017), arXiv:1610.00081, the inflow of definition 2.
    """
    tracks, at, bins = _on_panel(panel, max_km)
    flow = flow_of(legs_of(tracks, MAX_SPEED_KMH, MAX_GAP_S), at, bins, len(panel.node_ids))
    flow[np.bincount(_inside(bins.of(tracks["time"]), bins.count), minlength=bins.count) == 0] = np.nan
    return pd.DataFrame(flow, index=panel.times, columns=panel.node_ids)


def node_speeds(panel: Panel, *, max_km: float = 1.0, max_speed_kmh: float = MAX_SPEED_KMH) -> pd.DataFrame:
    """Speed of the objects near each node in each step, from the panel's trajectories.

    Args:
        panel: With trajectories, and with `lat`, `lon` of its nodes.
        max_km: Farther away than this, an object is at no node.
        max_speed_kmh: Fixes that would need more are jumps of the tracker and count for nothing.

    Returns:
        `(T, N)` km/h: the distance over the time of all of them; NaN where nobody was.

    Raises:
        DataError: the panel has no trajectories, or no coordinates.

    Source:
        Edie (1963), Discussion of traffic stream measurements and definitions: the generalised mean speed.
    """
    tracks, at, bins = _on_panel(panel, max_km)
    speed = speed_of(legs_of(tracks, max_speed_kmh, MAX_GAP_S), at, bins, len(panel.node_ids))
    return pd.DataFrame(speed, index=panel.times, columns=panel.node_ids)


def od_matrix(panel: Panel, start: str | datetime, end: str | datetime, *, max_km: float = 1.0) -> pd.DataFrame:
    """How many trips led from where to where, from the panel's trajectories.

    A trip is what an object does without a gap of `MAX_GAP_S` or a jump; it leads from the node at its first fix in
    the span to the node at its last. Trips that begin or end at no node are not counted.

    Args:
        panel: With trajectories, and with `lat`, `lon` of its nodes.
        start: First moment of the span; without an offset local time of the panel.
        end: Last moment of the span, itself included.
        max_km: Farther away than this, an object is at no node.

    Returns:
        Counts: origins are rows, destinations columns, both the nodes that are either, in the node order.

    Raises:
        UsageError: a moment is no time, or `end` is before `start`.
        DataError: the panel has no trajectories, or no coordinates.
    """
    first, last = _moment(panel, start), _moment(panel, end)
    if last < first:
        raise UsageError(f"The span ends at {last}, before it starts at {first}.", "Exchange them.")
    tracks = _tracks(panel)
    tracks = tracks[(tracks["time"] >= first) & (tracks["time"] <= last)].reset_index(drop=True)
    legs = legs_of(tracks, MAX_SPEED_KMH, MAX_GAP_S)
    at, _ = nearest_of(panel.nodes, max_km).locate(*points_of(tracks))
    begins = np.ones(len(tracks), dtype=bool)
    begins[legs.j] = False
    ends = np.ones(len(tracks), dtype=bool)
    ends[legs.i] = False
    origin, destination = at[begins & ~ends], at[ends & ~begins]
    # Tracks are sorted, so the k-th beginning and the k-th end are of one trip.
    known = (origin >= 0) & (destination >= 0)
    origin, destination = origin[known], destination[known]
    used = np.unique(np.concatenate([origin, destination]))
    pairs = np.searchsorted(used, origin) * len(used) + np.searchsorted(used, destination)
    counts = np.bincount(pairs, minlength=len(used) ** 2).reshape(len(used), len(used))
    ids = [panel.node_ids[k] for k in used]
    return pd.DataFrame(counts, index=pd.Index(ids, name="origin"), columns=pd.Index(ids, name="destination"))


# -- from fixes to readings -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """What lies between two successive fixes of one object; L of them.

    Attributes:
        i: `(L,)` row of the track at which a leg begins.
        j: `(L,)` row at which it ends.
        km: `(L,)` great-circle distance.
        hours: `(L,)` time between the two.
        times: Of all fixes.
        jumps: How many legs were left out because they would need more than the highest speed.
        gaps: How many because nobody knows where the object was in between.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    km: NDArray[np.float64]
    hours: NDArray[np.float64]
    times: pd.Series
    jumps: int
    gaps: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Even time steps; a stamp is the start of its step, or the end."""

    first: pd.Timestamp
    step: pd.Timedelta
    count: int
    by_start: bool

    @property
    def stamps(self) -> pd.DatetimeIndex:
        return pd.date_range(self.first, periods=self.count, freq=self.step).as_unit("ns")

    def of(self, times: pd.Series) -> NDArray[np.int64]:
        """The step of each time; may lie outside 0..count - 1."""
        since = ((times - self.first) / self.step).to_numpy(dtype=np.float64)
        return (np.floor(since) if self.by_start else np.ceil(since)).astype(np.int64)


def legs_of(tracks: pd.DataFrame, max_speed_kmh: float, max_gap_s: float) -> Legs:
    """Legs of tracks that are sorted by object and time, without jumps and gaps."""
    codes = pd.factorize(tracks["object"])[0]
    i = np.flatnonzero(codes[1:] == codes[:-1])
    hours = (tracks["time"].diff().dt.total_seconds().to_numpy(dtype=np.float64) / 3600)[i + 1]
    lat, lon = points_of(tracks)
    km = haversine_km(lat[i], lon[i], lat[i + 1], lon[i + 1])
    gap, jump = hours * 3600 > max_gap_s, km > max_speed_kmh * hours
    use = ~gap & ~jump
    return Legs(i[use], i[use] + 1, km[use], hours[use], tracks["time"], int(jump.sum()), int(gap.sum()))


def flow_of(legs: Legs, at: NDArray[np.int64], bins: Steps, count: int) -> NDArray[np.float32]:
    """`(T, N)` objects that enter each of `count` places; `at` is the place of each fix, -1 none."""
    enters = (at[legs.j] >= 0) & (at[legs.j] != at[legs.i])
    return _summed(legs.j[enters], at[legs.j[enters]], None, legs, bins, count).astype(np.float32)


def speed_of(legs: Legs, at: NDArray[np.int64], bins: Steps, count: int) -> NDArray[np.float32]:
    """`(T, N)` km/h, NaN where nobody was.

    Half of each leg counts where it begins and half where it ends, all at the time of its end.
    """
    km, hours = (
        sum(_summed(legs.j, at[side], weights, legs, bins, count) for side in (legs.i, legs.j))
        for weights in (legs.km, legs.hours)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(hours) > 0, np.divide(km, hours), np.nan).astype(np.float32)


def _summed(
    fixes: NDArray[np.int64],
    nodes: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    legs: Legs,
    bins: Steps,
    count: int,
) -> NDArray[np.float64]:
    """`(T, N)` sums of the weights, or counts."""
    steps = bins.of(legs.times.iloc[fixes])
    use = (steps >= 0) & (steps < bins.count) & (nodes >= 0)
    cells = steps[use] * count + nodes[use]
    sums = np.bincount(cells, None if weights is None else weights[use], minlength=bins.count * count)
    return sums.reshape(bins.count, count).astype(np.float64)


def _inside(steps: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return steps[(steps >= 0) & (steps < count)]


# -- on a panel -----------------------------------------------------------------------------


def _on_panel(panel: Panel, max_km: float) -> tuple[pd.DataFrame, NDArray[np.int64], Steps]:
    tracks = _tracks(panel)
    at, _ = nearest_of(panel.nodes, max_km).locate(*points_of(tracks))
    times = panel.times
    return tracks, at, Steps(times[0], panel.step, len(times), panel.card.time_label == "start")


def _tracks(panel: Panel) -> pd.DataFrame:
    if panel.trajectories is None or panel.trajectories.empty:
        raise DataError(
            f"{panel.name!r} has no trajectories.", "Import them with the readings: object, time, lat, lon."
        )
    return panel.trajectories.sort_values(["object", "time"], kind="stable", ignore_index=True)


def nearest_of(nodes: pd.DataFrame, max_km: float) -> NearestNodes:
    """A finder of the node nearest to a point.

    Raises:
        DataError: no node has coordinates.
    """
    lat, lon = (nodes[name].to_numpy(dtype=np.float64) for name in ("lat", "lon"))
    if not np.isfinite(lat).any():
        raise DataError("None of the places has coordinates.", "Give lat and lon of the nodes.")
    return NearestNodes(lat, lon, max_km)


def points_of(tracks: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitude and longitude of each fix."""
    return tracks["lat"].to_numpy(dtype=np.float64), tracks["lon"].to_numpy(dtype=np.float64)


def _moment(panel: Panel, when: str | datetime) -> pd.Timestamp:
    try:
        return panel.local(datetime.fromisoformat(when) if isinstance(when, str) else when)
    except ValueError as err:
        raise UsageError(f"{when!r} is not a point in time.", "Write it as 2022-01-25T07:30.") from err
