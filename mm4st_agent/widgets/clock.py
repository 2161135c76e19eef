"""The clock: nothing later than it is visible to any tool."""

from __future__ import annotations

import gradio as gr
import pandas as pd

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import MM4STError
from mm4st_agent.web.served import RuntimeFor

MOVES = {"-1 d": "-1D", "-1 h": "-1h", "+1 h": "1h", "+1 d": "1D"}
"""Buttons that move the clock, and by how much."""


def written(moment: pd.Timestamp) -> str:
    """A point in time as the clock shows it: local time of the data, to the minute."""
    return f"{moment:%Y-%m-%dT%H:%M}"


def moved(panel: Panel, text: str, by: str) -> pd.Timestamp:
    """The clock moved by one of `MOVES`, as far as the data go.

    Raises:
        UsageError: `text` is no time of these data.
    """
    now = panel.moment(text.strip()) if text.strip() else panel.now
    earliest = panel.times[1] + (panel.start - panel.times[0])  # with fewer than two readings nothing can be asked
    return min(max(now + pd.Timedelta(MOVES[by]), earliest), panel.end)


def clock_box(runtime_for: RuntimeFor, dataset: gr.Dropdown) -> gr.Textbox:
    """The clock's text, with buttons that move it; it is empty until a data set is opened."""
    box = gr.Textbox(label="Clock", elem_id="clock", max_lines=1)
    with gr.Row(elem_id="clock-moves"):
        back = [gr.Button(name, size="sm", min_width=40) for name in list(MOVES)[:2]]
        now = gr.Button("Now", size="sm", min_width=40)
        forward = [gr.Button(name, size="sm", min_width=40) for name in list(MOVES)[2:]]

    def move(text: str, name: str, by: str, request: gr.Request) -> str:
        try:
            panel = runtime_for(request.username).registry.open(name)
            return written(moved(panel, text, by))
        except MM4STError as err:
            raise gr.Error(str(err), title="The clock stays", print_exception=False) from err

    def reset(name: str, request: gr.Request) -> str:
        try:
            return written(runtime_for(request.username).registry.open(name).now)
        except MM4STError as err:
            raise gr.Error(str(err), title="The clock stays", print_exception=False) from err

    for button in (*back, *forward):
        button.click(move, [box, dataset, button], box, api_visibility="private", show_progress="hidden")
    now.click(reset, dataset, box, api_visibility="private", show_progress="hidden")
    return box
