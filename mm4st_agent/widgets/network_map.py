"""The map of a data set's nodes: colours by reading or by forecast change, a slider over the last day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mm4st_agent.web.markup import script

_START = "networkMap(element, props, trigger, watch);  // tells 'select'"


@dataclass(frozen=True)
class ChosenNode:
    """What a person chose on the map.

    Attributes:
        dataset: The data set that the map shows.
        channel: What its colours count.
        node: The node's id.
        name: Its name; the id where it has none.
        text: The node as one writes it in a question, such as 'station S096'.
    """

    dataset: str
    channel: str
    node: str
    name: str
    text: str

    @classmethod
    def of(cls, event: gr.EventData) -> ChosenNode:
        """Read a `select` event of `network_map`."""
        said: dict[str, Any] = event._data or {}
        return cls(**{field: str(said.get(field, "")) for field in cls.__dataclass_fields__})


def network_map(**layout: Any) -> gr.HTML:
    """Make the map in the current Blocks context; it shows nothing before it has a value.

    Its value is `map_value(dataset, as_of)`; setting it draws the map anew. `select` is told when a person chooses
    a node: read it with `ChosenNode.of`. The data come from the routes of `web.maps`, once the map is visible;
    the page loads `map.css`.

    Args:
        layout: Passed on to `gr.HTML`, such as `elem_id` or `scale`.
    """
    scripts = "\n".join([script("map_canvas.js"), script("map.js"), _START])
    template = '<div class="mm4st-map"></div>'
    return gr.HTML(None, html_template=template, js_on_load=scripts, apply_default_css=False, **layout)


def map_value(dataset: str | None, as_of: str | None = None) -> dict[str, str | None]:
    """What the map shows: a data set at a clock; None is the data set's `now`, no data set an empty map."""
    return {"dataset": dataset, "as_of": as_of}
