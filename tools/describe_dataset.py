"""`describe_dataset`: what a data set holds, where it is from, and how complete it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from mm4st_agent.toolspec import ToolIn, ToolOut, ToolSpec, Unit

if TYPE_CHECKING:
    from tools.context import ToolContext

_MAX_GROUP = 30


class DescribeDatasetIn(ToolIn):
    """Say what a data set holds: places, channels with units, time span, gaps, events, source and licence."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")


class ChannelInfo(ToolOut):
    """One measured quantity; the first one is meant when a question names none."""

    name: str
    unit: str
    title: str


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
    channels: list[ChannelInfo]
    start: datetime = Field(description="Stamp of the first reading.")
    end: datetime = Field(description="Stamp of the last reading that is known.")
    step_s: Annotated[int, Unit("s")]
    time_zone: str
    missing_share: Annotated[float, Unit("1")] = Field(description="Cells without a value, 0..1, over all channels.")
    imputed_share: Annotated[float, Unit("1")] = Field(
        description="Cells that the source filled without a measurement, 0..1, over all channels."
    )
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
    return DescribeDatasetOut(
        name=card.name,
        title=card.title,
        synthetic=card.synthetic,
        nodes=len(panel.node_ids),
        place_word=card.place_word,
        channels=[ChannelInfo(name=c.name, unit=c.unit, title=c.label) for c in card.channels],
        start=times[0].to_pydatetime(),
        end=times[-1].to_pydatetime(),
        step_s=panel.step_s,
        time_zone=card.time_zone,
        missing_share=_share([np.isnan(panel.values(c.name)).mean() for c in card.channels]),
        imputed_share=_share([panel.imputed(c.name).mean() for c in card.channels]),
        edges=len(panel.edges),
        events=len(panel.events),
        groups=_groups(panel.nodes),
        licence=card.licence,
        source=card.source,
        sha256=card.sha256,
        notes=list(card.notes),
    )


def _share(per_channel: list[np.floating]) -> float:
    return round(float(np.mean(per_channel)), 6)


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
