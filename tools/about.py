"""What every reply about one node begins with: which data, place and quantity it is about, and the clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mm4st_agent.forecaster.measured import kind_of
from mm4st_agent.toolspec import ToolOut, Unit

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel


class AboutNode(ToolOut):
    """The head of a reply about one node."""

    dataset: str
    synthetic: bool
    node: Annotated[str, Unit("id")]
    name: str
    kind: str = Field(description="What sort of place, such as 'air station'; '' where the data name none.")
    channel: str
    channel_title: str
    unit: str
    as_of: datetime = Field(description="The clock of the question.")


def about(panel: Panel, node: str, channel: Channel) -> dict[str, Any]:
    """The fields of `AboutNode`; `panel` ends at the clock."""
    return {
        "dataset": panel.name,
        "synthetic": panel.card.synthetic,
        "node": node,
        "name": panel.place_name(node),
        "kind": kind_of(panel, node),
        "channel": channel.name,
        "channel_title": channel.label,
        "unit": channel.unit,
        "as_of": panel.end.to_pydatetime(),
    }
