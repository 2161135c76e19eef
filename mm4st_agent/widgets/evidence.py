"""The evidence panel as a component: whatever is chosen in an answer, it shows where that comes from."""

from __future__ import annotations

import gradio as gr

from mm4st_agent.web.evidence import empty_panel, panel
from mm4st_agent.web.markup import script
from mm4st_agent.web.served import RuntimeFor

LONGEST_LINK = 200
"""Characters; our own links are shorter."""


def evidence_panel(runtime_for: RuntimeFor) -> gr.HTML:
    """Make the panel within the current Blocks; a page has one.

    It listens to the whole page. `panel.submit(...)` adds what else shall happen when something was chosen, such as
    opening the side bar that the panel is in; it need not wait for the panel. `panel.select(...)` is for a choice
    that an answer offers: `chosen_text` gives its words, which are the person's reply.

    Args:
        runtime_for: Gives the runtime of the person who asks; only their own conversations are looked into.
    """
    shown = gr.HTML(empty_panel(), js_on_load=script("evidence.js"), elem_id="evidence", apply_default_css=False)

    def show(event: gr.EventData, request: gr.Request) -> str:
        return panel(runtime_for(request.username).conversations, _text(event, "part")[:LONGEST_LINK])

    shown.submit(show, None, shown, show_progress="hidden", queue=False, api_visibility="private")
    return shown


def chosen_text(event: gr.EventData) -> str:
    """The words of the choice that was pressed, from a `select` event of the panel."""
    return " ".join(_text(event, "text").split())


def _text(event: gr.EventData, name: str) -> str:
    """A text that the page sends with an event; the page is not trusted to send one."""
    data = event._data
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
