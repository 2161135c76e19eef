"""`python gradio_pages.py PORT`: small pages that `PageSession` must get along with, below one path each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI


def parts() -> tuple[gr.Chatbot, gr.Textbox, gr.Textbox]:
    """What every page has that can be asked."""
    return gr.Chatbot(elem_id="chat"), gr.Textbox(elem_id="question"), gr.Textbox(elem_id="thread", visible="hidden")


def chained() -> gr.Blocks:
    """Steps, functions in a chain, a box that another one fills, partial updates, state on the server."""
    with gr.Blocks() as page:
        kept, unit = gr.State([]), gr.Radio(["km", "mi"], value="km")
        place, note = gr.Textbox(), gr.Textbox("unseen")
        window, box, thread = parts()

        def post(question: str, before: list[str]) -> Any:
            chat = [{"role": "user", "content": text} for text in [*before, question]]
            return "", chat, [*before, question], f"t{len(chat)}"

        def work(chat: list[Any], unit: str, place: str, note: str) -> Iterator[Any]:
            step = {"role": "assistant", "content": "", "metadata": {"title": "Thinking", "status": "pending"}}
            yield gr.update(value=[*chat, step])
            yield gr.update(value=[*chat, {**step, "content": "x=1", "metadata": {"title": "Adding"}}])
            yield gr.update(value=[*chat, {"role": "assistant", "content": f"{unit} {place} {note}"}])

        page.load(lambda: gr.Textbox("Faro", info="loaded"), None, place)
        place.change(lambda place: f"seen {place}", place, note)
        box.submit(post, [box, kept], [box, window, kept, thread]).then(work, [window, unit, place, note], window)
    return page


def failing() -> gr.Blocks:
    """A function that fails."""
    with gr.Blocks() as page:
        window, box, _ = parts()

        def fail(question: str) -> None:
            raise gr.Error("out of paper", print_exception=False)

        box.submit(fail, box, window)
    return page


def silent() -> gr.Blocks:
    """The question is shown, and nothing follows."""
    with gr.Blocks() as page:
        window, box, _ = parts()
        box.submit(lambda question: [{"role": "user", "content": question}], box, window)
    return page


def boxless() -> gr.Blocks:
    """Nothing to ask with."""
    with gr.Blocks() as page:
        gr.Chatbot(elem_id="chat")
    return page


if __name__ == "__main__":
    server = FastAPI()
    for build in (chained, failing, silent, boxless):
        server = gr.mount_gradio_app(server, build(), path=f"/{build.__name__}")
    uvicorn.run(server, port=int(sys.argv[1]), log_level="error")
