"""`describe_dataset`: what a data set holds, where it is from, and how complete it is."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import xarray as xr
from pydantic import Field

from mm4st_agent.data.panel import KNOWN_FUTURE, Panel
from mm4st_agent.data.quality import Completeness, completeness
from mm4st_agent.data.quality.verdict import MOST, completeness_sentences, hour_sentences
from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit

if TYPE_CHECKING:
    from tools.context import ToolContext

_MAX_GROUP = 30
_LOOKED_AT = 1000
"""So many of the last steps are looked at for the latest value of a covariate; a whole grid would take long to read."""
_ANGLES = ("°", "degree", "degrees")


class DescribeDatasetIn(ToolIn):
    """Say what a data set holds: places, channels with units, time span, gaps, events, source and licence."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")


class ChannelInfo(ToolOut):
    """One measured quantity; the first one is meant when a question names none."""

    name: str
    unit: str
    title: str
    nodes: int = Field(description="How many nodes measure it; shares are of their cells.")
    missing_share: Annotated[float, Unit("1")]
    imputed_share: Annotated[float, Unit("1")]


class KindCount(ToolOut):
    """How many nodes are of one kind, such as air stations."""

    kind: str
    nodes: int


class CovariateInfo(ToolOut):
    """Something that may explain the channels, such as rain."""

    name: str
    title: str
    unit: str
    known_ahead: bool = Field(description="Known for times to come, as a calendar is.")
    by_node: bool = Field(description="Each node has its own values.")
    last: Measured = Field(description="Latest known value; the mean over the nodes where each has its own.")
    last_time: datetime | None


class NodeGroup(ToolOut):
    """The values of one text column of the nodes, such as all freeways."""

    column: str
    values: list[str]


class DescribeDatasetOut(ToolOut):
    """What was known at the time of the question."""

    name: str
    title: str
    synthetic: bool = Field(description="Simulated: no real place or measurement.")
    nodes: int
    place_word: str = Field(description="What a node is called.")
    kinds: list[KindCount]
    channels: list[ChannelInfo]
    start: datetime = Field(description="Stamp of the first reading.")
    end: datetime = Field(description="Stamp of the last reading that is known.")
    step_s: Annotated[int, Unit("s")]
    time_zone: str
    missing_share: Annotated[float, Unit("1")] = Field(description="Cells without a value, 0..1, over all channels.")
    imputed_share: Annotated[float, Unit("1")] = Field(
        description="Cells that the source filled without a measurement, 0..1, over all channels."
    )
    quality: list[str] = Field(description="How complete the readings are, the most important first.")
    covariates: list[CovariateInfo]
    static_layers: list[str] = Field(description="What does not change: POI, land use, roads.")
    trajectories: int = Field(description="Moving objects that were tracked.")
    edges: int
    events: int
    groups: list[NodeGroup] = Field(description="Kinds, freeways, cities, ... of the nodes.")
    licence: str
    source: str
    sha256: str
    notes: list[str]


def describe_dataset(args: DescribeDatasetIn, ctx: ToolContext) -> DescribeDatasetOut:
    """Describe the panel as it was known at the context's `as_of`."""
    panel = ctx.panel(args.dataset)
    card = panel.card
    times = panel.times
    counted = _counted(ctx.registry.open(args.dataset), panel.end)
    cells = max(sum(one.cells for one in counted), 1)
    return DescribeDatasetOut(
        name=card.name,
        title=card.title,
        synthetic=card.synthetic,
        nodes=len(panel.node_ids),
        place_word=card.place_word,
        kinds=_kinds(panel),
        channels=[
            ChannelInfo(
                name=one.name,
                unit=one.unit,
                title=one.title,
                nodes=one.nodes,
                missing_share=one.missing_share,
                imputed_share=one.imputed_share,
            )
            for one in counted
        ],
        start=times[0].to_pydatetime(),
        end=times[-1].to_pydatetime(),
        step_s=panel.step_s,
        time_zone=card.time_zone,
        missing_share=round(sum(one.missing for one in counted) / cells, 6),
        imputed_share=round(sum(one.imputed for one in counted) / cells, 6),
        quality=[*completeness_sentences(panel, counted), *hour_sentences(panel, counted)][:MOST],
        covariates=[_covariate(panel, str(name)) for name in panel.covariates.data_vars],
        static_layers=sorted(panel.static),
        trajectories=0 if panel.trajectories is None else int(panel.trajectories["object"].nunique()),
        edges=len(panel.edges),
        events=len(panel.events),
        groups=_groups(panel.nodes),
        licence=card.licence,
        source=card.source,
        sha256=card.sha256,
        notes=list(card.notes),
    )


@lru_cache(maxsize=8)
def _counted(whole: Panel, as_of: pd.Timestamp) -> tuple[Completeness, ...]:
    """What counting every channel's cells says; a large set takes seconds, and the registry gives the same panel."""
    panel = whole.until(as_of)
    return tuple(completeness(panel, channel.name) for channel in panel.card.channels)


def _kinds(panel: Panel) -> list[KindCount]:
    """The most frequent kind first."""
    if "kind" not in panel.data.coords:
        return []
    counts = pd.Series(panel.data.coords["kind"].to_numpy().astype(str)).value_counts(sort=True)
    return [KindCount(kind=str(kind), nodes=int(nodes)) for kind, nodes in counts.items() if kind]


def _covariate(panel: Panel, name: str) -> CovariateInfo:
    column = panel.covariates[name]
    value, time = _latest(column, panel.times[-1])
    return CovariateInfo(
        name=name,
        title=str(column.attrs.get("long_name") or name).replace("_", " "),
        unit=str(column.attrs.get("units", "")),
        known_ahead=bool(column.attrs.get(KNOWN_FUTURE, False)),
        by_node="node" in column.dims,
        last=value,
        last_time=time,
    )


def _latest(column: xr.DataArray, until: pd.Timestamp) -> tuple[float | None, datetime | None]:
    """The last value up to a moment, and its stamp; directions have no mean, so that of several nodes is none."""
    if "time" not in column.dims:
        return None, None
    known = column.sel(time=slice(None, until.tz_convert("UTC").tz_localize(None))).tail(time=_LOOKED_AT)
    if "node" in column.dims:
        if column.attrs.get("units") in _ANGLES:
            return None, None
        known = known.mean("node", skipna=True)
    known = known.dropna("time")
    if known.sizes["time"] == 0:
        return None, None
    time = pd.Timestamp(known["time"].values[-1], tz="UTC").tz_convert(until.tz)
    return round(float(known[-1]), 6), time.to_pydatetime()


def _groups(nodes: pd.DataFrame) -> list[NodeGroup]:
    """Text columns with few values; names are places, not groups."""
    groups = []
    for column in nodes.columns:
        if column == "name" or not pd.api.types.is_string_dtype(nodes[column]):
            continue
        values = sorted({str(value) for value in nodes[column]} - {""})
        if 0 < len(values) <= _MAX_GROUP:
            groups.append(NodeGroup(column=str(column), values=values))
    return groups


DESCRIBE_DATASET = ToolSpec(
    "describe_dataset",
    DescribeDatasetIn,
    DescribeDatasetOut,
    describe_dataset,
    title="Reading the data card",
)
