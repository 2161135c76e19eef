"""The changes that `what_if` can make: their arguments, the edits of a panel that they are, and them in words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, FiniteFloat, StringConstraints

from mm4st_agent.forecaster.measured import place_of
from mm4st_agent.toolspec import ToolIn

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.counterfactual import Edit

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class RemoveEvent(ToolIn):
    """The log never mentioned a happening."""

    kind: Literal["remove_event"]
    event: str = Field(description="Id of one of its entries; all entries about the same happening go.")


class AddEvent(ToolIn):
    """The log says that something has just begun at a node, and runs."""

    kind: Literal["add_event"]
    node: str = Field(description="Id of the node where it is.")
    text: Text = Field(description="What the log says, in its style.")
    event_kind: str = Field("", max_length=60, description="What sort of entry, as the log names it.")


class SetCovariate(ToolIn):
    """A covariate has another value from now on."""

    kind: Literal["set_covariate"]
    name: str = Field(description="Such as 'rain_mm_h'.")
    value: FiniteFloat = Field(description="In the covariate's unit.")


class RemoveSensor(ToolIn):
    """A node never measured the channel."""

    kind: Literal["remove_sensor"]
    node: str = Field(description="Id of the node; it may be the one that is forecast.")


class RemoveRoad(ToolIn):
    """An edge is not in the graph."""

    kind: Literal["remove_road"]
    source: str = Field(description="Id of the node where the edge begins.")
    target: str = Field(description="Id of the node where it ends.")


Change = Annotated[RemoveEvent | AddEvent | SetCovariate | RemoveSensor | RemoveRoad, Field(discriminator="kind")]


def edit_of(change: Change, channel: Channel) -> Edit:
    """What makes the change; readings are removed of one channel only."""
    from mm4st_agent.forecaster import counterfactual as made

    match change:
        case RemoveEvent():
            return partial(made.without_event, event=change.event)
        case AddEvent():
            return partial(made.with_event, node=change.node, text=change.text, kind=change.event_kind)
        case SetCovariate():
            return partial(made.with_covariate, name=change.name, value=change.value)
        case RemoveSensor():
            return partial(made.without_sensor, node=change.node, channel=channel.name)
        case RemoveRoad():
            return partial(made.without_road, source=change.source, target=change.target)


def said(change: Change, panel: Panel) -> str:
    """The change in words, such as 'without the readings of station S038'."""
    match change:
        case RemoveEvent():
            return f"without the log's entries about {change.event}"
        case AddEvent():
            return f"with {change.text!r} in the log, at {place_of(panel, change.node)}"
        case SetCovariate():
            return f"with {covariate_name(panel, change.name)} at {change.value:g} {covariate_unit(panel, change.name)}"
        case RemoveSensor():
            return f"without the readings of {place_of(panel, change.node)}"
        case RemoveRoad():
            return f"without the edge from {change.source} to {change.target}"


def entries_gone(change: Change, panel: Panel) -> list[Event]:
    """The entries that it takes out of the log."""
    from mm4st_agent.forecaster.counterfactual import same_happening

    return same_happening(panel, change.event) if isinstance(change, RemoveEvent) else []


def covariate_name(panel: Panel, name: str) -> str:
    """A covariate in words."""
    return str(panel.covariates[name].attrs.get("long_name") or name).replace("_", " ")


def covariate_unit(panel: Panel, name: str) -> str:
    """Its unit; '' where it has none."""
    unit = str(panel.covariates[name].attrs.get("units", ""))
    return "" if unit == "1" else unit
