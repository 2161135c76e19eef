"""The list of a person's conversations: open, rename, export, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from mm4st_agent.errors import MM4STError
from mm4st_agent.runtime import Runtime
from mm4st_agent.web.markup import plain
from mm4st_agent.web.served import PREFIX, RuntimeFor

NONE_YET = "No conversations yet. What you ask is kept here, also over a restart."


@dataclass(frozen=True)
class ConversationList:
    """The widgets that others wire to.

    Attributes:
        chosen: The open conversation; its `input` event is a choice of the person.
        empty: What stands there instead of an empty list.
        tools: What can be done with the open one; hidden where there is none.
        title: Its name, to be changed.
        links: Its exports.
        deleted: The event after which a conversation is gone.
    """

    chosen: gr.Radio
    empty: gr.Markdown
    tools: gr.Accordion
    title: gr.Textbox
    links: gr.HTML
    deleted: gr.events.Dependency

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """What `refreshed` sets."""
        return [self.chosen, self.empty, self.tools, self.title, self.links]


def conversation_list(runtime_for: RuntimeFor) -> ConversationList:
    """Make the list and its own events; opening a conversation is wired outside."""
    chosen = gr.Radio([], label="Conversations", elem_id="conversations")
    empty = gr.Markdown(NONE_YET, elem_id="no-conversations")
    with gr.Accordion("This conversation", open=False, visible=False, elem_id="conversation") as tools:
        title = gr.Textbox(label="Name", max_lines=1, submit_btn="Rename")
        links = gr.HTML()
        delete = gr.Button("Delete", size="sm", variant="stop")
        with gr.Row(visible=False) as sure:
            yes = gr.Button("Delete it for good", size="sm", variant="stop", min_width=100)
            no = gr.Button("Keep it", size="sm", min_width=60)
    outputs: list[gr.blocks.Block] = [chosen, empty, tools, title, links]

    def rename(thread: str, name: str, request: gr.Request) -> list[gr.blocks.Block]:
        runtime = runtime_for(request.username)
        try:
            runtime.conversations.rename(thread, name)
        except MM4STError as err:
            raise gr.Error(str(err), title="Not renamed", print_exception=False) from err
        return refreshed(runtime, thread)

    def remove(thread: str, request: gr.Request) -> gr.Row:
        try:
            runtime_for(request.username).conversations.delete(thread)
        except MM4STError as err:
            raise gr.Error(str(err), title="Not deleted", print_exception=False) from err
        return gr.Row(visible=False)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    title.submit(rename, [chosen, title], outputs, **quiet)
    delete.click(lambda: gr.Row(visible=True), None, sure, **quiet)
    no.click(lambda: gr.Row(visible=False), None, sure, **quiet)
    deleted = yes.click(remove, chosen, sure, **quiet)
    return ConversationList(chosen, empty, tools, title, links, deleted)


def refreshed(runtime: Runtime, thread: str) -> list[gr.blocks.Block]:
    """New values for `ConversationList.outputs`."""
    known = runtime.conversations.list()
    names = {conversation.thread: conversation.title for conversation in known}
    return [
        gr.Radio(
            [(_short(title), thread) for thread, title in names.items()], value=thread if thread in names else None
        ),
        gr.Markdown(visible=not known),
        gr.Accordion(visible=thread in names),
        gr.Textbox(names.get(thread, "")),
        gr.HTML(_links(thread) if thread in names else ""),
    ]


def _links(thread: str) -> str:
    kinds = {"md": "Markdown", "html": "Web page with pictures", "json": "Manifest (JSON)"}
    links = (
        f'<li><a href="{PREFIX}/exports/{plain(thread)}.{kind}" download>{name}</a></li>'
        for kind, name in kinds.items()
    )
    return f'<div class="exports">Save it as<ul>{"".join(links)}</ul></div>'


def _short(title: str, most: int = 60) -> str:
    return title if len(title) <= most else f"{title[: most - 1].rstrip()}…"
