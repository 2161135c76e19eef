"""What a trained network would forecast had its inputs been otherwise: edited panels, and the two forecasts compared.

An edit changes what is known, not what happened: the readings up to the clock stay as they are, with all that an
event or the rain has done to them by then. The answer is the network's, and only as true as what it has learned.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.measured import channel_at, measuring
from mm4st_agent.forecaster.recent import AS_CALIBRATED, Widths

Array = NDArray[np.float32]
Edit = Callable[[Panel], Panel]

ADDED = "what-if"
"""Id and source of an entry that was added to the log."""


def reads_text(checkpoint: Checkpoint) -> bool:
    """Whether the network reads the log and the covariates."""
    network = checkpoint.card.network
    return not isinstance(network, NumericConfig) and network.text_tokens > 0


# -- edits ------------------------------------------------------------------------------------


def same_happening(panel: Panel, event: str) -> list[Event]:
    """The entries of the log about the happening that the entry `event` is about, itself among them.

    They have its id up to a '/', or its kind, node, place and start.

    Raises:
        UsageError: no such entry was published by the panel's end.
    """
    found = next((entry for entry in panel.events if entry.id == event), None)
    if found is None:
        ids = [entry.id for entry in panel.events]
        near = difflib.get_close_matches(event, ids, n=3, cutoff=0.0)
        raise UsageError(
            f"The log of {panel.name!r} has no entry {event!r} by {panel.end:%Y-%m-%d %H:%M}.",
            f"It has {len(ids)}, such as {', '.join(near)}; retrieve_context searches them."
            if ids
            else "It has none at all.",
        )

    def happening(entry: Event) -> tuple[object, ...]:
        return entry.kind, entry.node, entry.place, entry.start

    stem = event.partition("/")[0]
    return [
        entry for entry in panel.events if entry.id.partition("/")[0] == stem or happening(entry) == happening(found)
    ]


def without_event(panel: Panel, event: str) -> Panel:
    """The panel whose log never mentioned a happening; see `same_happening`."""
    gone = {entry.id for entry in same_happening(panel, event)}
    return dataclasses.replace(panel, events=tuple(entry for entry in panel.events if entry.id not in gone))


def with_event(panel: Panel, node: str, text: str, kind: str) -> Panel:
    """The panel whose log also says at its end that something has begun at a node, and runs.

    Raises:
        UsageError: there is no such node.
    """
    place = panel.place_name(node)
    number = sum(entry.source == ADDED for entry in panel.events) + 1
    now = panel.end
    entry = Event(f"{ADDED}-{number}", text, now, None, now, ADDED, node, place, kind=kind)
    return dataclasses.replace(panel, events=tuple(sorted((*panel.events, entry), key=lambda event: event.start)))


def with_covariate(panel: Panel, name: str, value: float) -> Panel:
    """The panel where a covariate has a value from now on; what it was before stays.

    Now is the last reading of the panel for a covariate that is measured, and the first step to come for one that is
    known ahead. Of a covariate with nodes, all change.

    Raises:
        UsageError: there is no such covariate.
    """
    known = sorted(str(key) for key, variable in panel.covariates.data_vars.items() if "time" in variable.dims)
    if name not in known:
        raise UsageError(
            f"{panel.name!r} has no covariate {name!r}.", f"Known: {', '.join(known)}." if known else "It has none."
        )
    variable = panel.covariates[name]
    moment = panel.data.indexes["time"][-1]
    if ahead := bool(variable.attrs.get(KNOWN_FUTURE)):
        moment = moment + panel.step
    stamps = variable.indexes["time"]
    first = max(0, int(stamps.searchsorted(moment, side="right")) - 1)  # the one in force then
    last = len(stamps) if ahead else int(stamps.searchsorted(moment, side="right"))
    kept = (np.arange(len(stamps)) < first) | (np.arange(len(stamps)) >= last)
    edited = variable.where(xr.DataArray(kept, dims="time"), np.asarray(value, dtype=variable.dtype))
    return dataclasses.replace(panel, covariates=panel.covariates.assign({name: edited.assign_attrs(variable.attrs)}))


def without_sensor(panel: Panel, node: str, channel: str) -> Panel:
    """The panel where a node never measured a channel.

    Raises:
        UsageError: there is no such node, or it does not measure the channel.
    """
    channel_at(panel, node, channel)
    variable = panel.data[channel]
    edited = variable.where(variable["node"] != node).assign_attrs(variable.attrs)
    return dataclasses.replace(panel, data=panel.data.assign({channel: edited}))


def without_road(panel: Panel, source: str, target: str) -> Panel:
    """The panel whose graph lacks the edge from one node to another; an edge in the other direction stays.

    Raises:
        UsageError: there is no such node or edge.
    """
    for node in (source, target):
        panel.position(node)
    edges = panel.edges
    gone = (edges["source"].astype(str) == source) & (edges["target"].astype(str) == target)
    if not gone.any():
        ends = [f"{a} to {b}" for a, b in zip(edges["source"], edges["target"], strict=True) if source in (a, b)]
        raise UsageError(
            f"{panel.name!r} has no edge from {source} to {target}.",
            f"At {source} there is {', '.join(ends[:4])}." if ends else f"{source} has no edge at all.",
        )
    return dataclasses.replace(panel, edges=edges[~gone])


# -- the two forecasts ------------------------------------------------------------------------


@dataclass(frozen=True)
class Outlook:
    """What the network forecasts for N nodes from one state of the inputs.

    Attributes:
        quantiles: `(H, N, 5)` calibrated, at .1 .25 .5 .75 .9, in the channel's unit.
        total: `(N, 3)` low, median and high of the sum or mean over the steps.
    """

    quantiles: Array
    total: Array


@dataclass(frozen=True)
class Difference:
    """After less before; `low` and `high` are the smallest and the largest shift of the forecast's quantiles.

    That is the 80 % interval of the difference where both forecasts meet the same luck: what turns out at the 10th
    percentile of the one does so at that of the other. It is not how sure the effect is.

    Attributes:
        steps: `(H, N, 3)` low, shift of the median, high.
        total: `(N, 3)` the same of the sum or mean.
    """

    steps: Array
    total: Array

    @classmethod
    def of(cls, before: Outlook, after: Outlook) -> Difference:
        """Step by step, and of the total."""
        return cls(_shift(after.quantiles - before.quantiles), _shift(after.total - before.total))

    @property
    def nothing(self) -> bool:
        """Whether no quantile of any step moved."""
        return not self.steps.any()


def _shift(moved: Array) -> Array:
    """`(..., 3)` smallest, middle and largest of `(..., Q)` shifts of quantiles."""
    return np.stack([moved.min(axis=-1), moved[..., moved.shape[-1] // 2], moved.max(axis=-1)], axis=-1)


class Counterfactuals:
    """The forecasts of some nodes by one network, at one moment, from this and other states of the inputs.

    Args:
        checkpoint: Fits the panel, which its forecaster has checked.
        panel: All nodes, cut at the moment; it stays as it is.
        channel: Of the checkpoint.
        nodes: Ids of those that are asked for.
        horizon: Steps from the moment on.
        widths: Of the intervals at the moment, before and after.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        panel: Panel,
        channel: Channel,
        nodes: Sequence[str],
        horizon: int,
        widths: Widths = AS_CALIBRATED,
    ) -> None:
        self.checkpoint, self.channel, self.horizon, self.widths = checkpoint, channel, horizon, widths
        fitting = measuring(panel, channel)
        self.positions = [fitting.position(node) for node in nodes]
        self.panel = _recent(checkpoint, panel)
        self.before = self._outlook(self.panel)

    def after(self, *edits: Edit) -> Outlook:
        """The forecast after all these edits, one upon the other."""
        edited = self.panel
        for edit in edits:
            edited = edit(edited)
        return self._outlook(edited)

    def _outlook(self, panel: Panel) -> Outlook:
        checkpoint = self.checkpoint
        if panel.edges is not self.panel.edges:
            checkpoint = _rewired(checkpoint, measuring(panel, self.channel))
        fan = checkpoint.fan(measuring(panel, self.channel), self.widths)[: self.horizon, self.positions]
        return Outlook(fan, checkpoint.card.calibration.total(fan, self.channel.aggregation))


def _recent(checkpoint: Checkpoint, panel: Panel) -> Panel:
    """The steps that a forecast reads: an edit of a long panel would copy all of it."""
    from mm4st_agent.forecaster.inputs import steps_read

    steps = max(2, steps_read(checkpoint.card.network.history, panel.step_s))
    data = panel.data.isel(time=slice(-steps, None))
    covariates = panel.covariates
    if "time" in covariates.dims:
        first = int(covariates.indexes["time"].searchsorted(data.indexes["time"][0], side="right")) - 1
        covariates = covariates.isel(time=slice(max(0, first), None))
    return dataclasses.replace(panel, data=data, covariates=covariates)


def _rewired(checkpoint: Checkpoint, panel: Panel) -> Checkpoint:
    """The checkpoint whose nodes average their neighbours in the graph of `panel`.

    What it learned about each node's place in the graph, and the order of the nodes in pictures, stay.
    """
    from mm4st_agent.forecaster.graph import neighbour_mean
    from mm4st_agent.forecaster.inputs import Preparation

    neighbours, known = neighbour_mean(panel.adjacency()), checkpoint.preparation
    if isinstance(known, Preparation):
        return dataclasses.replace(checkpoint, preparation=dataclasses.replace(known, neighbours=neighbours))
    numeric = dataclasses.replace(known.numeric, neighbours=neighbours)
    return dataclasses.replace(checkpoint, preparation=dataclasses.replace(known, numeric=numeric))


# -- what the network has seen ----------------------------------------------------------------


def seen_in_training(checkpoint: Checkpoint, panel: Panel, covariate: str) -> tuple[float, float] | None:
    """Lowest and highest value of a covariate in the training part, as far as it lies before the panel's end.

    Args:
        checkpoint: Of the network.
        panel: With the training part; not one that was shortened.
        covariate: Its name.
    """
    variable = panel.covariates[covariate]
    first, last = (_utc(moment) for moment in (checkpoint.card.train.start, checkpoint.card.train.end))
    values = variable.sel(time=slice(first, min(last, _utc(panel.end)))).to_numpy()
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None


def _utc(moment: datetime) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert("UTC").tz_localize(None)
