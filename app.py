"""The chat in a browser. Only widgets and events live here: every answer comes from `Runtime.stream`."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import os
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr

from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.run_events import Answered, RunEvent, ToolFinished, ToolStarted
from mm4st_agent.errors import MM4STError, UsageError
from mm4st_agent.forecaster.measured import words_of
from mm4st_agent.settings import ChatModelName  # Gradio reads the annotations of its handlers

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.runtime import Runtime

log = logging.getLogger(__name__)

Message = dict[str, Any]
"""One chat message as Gradio takes it: `{role, content, metadata}`."""

CHAT_MODELS = [("Embedded: no GPU, writes from templates", "embedded"), ("vLLM: a served model", "vllm")]

EXAMPLES = {
    "demo": (
        "How much traffic will station S096 carry over the next hour, and why?",
        "How is traffic at Central Park southbound now, compared with normal?",
        "Were there any incidents near S096 in the last 48 hours?",
        "What is a capacity drop?",
    ),
    "pems-orange": (
        "How much traffic will station 1205330 carry over the next hour, and why?",
        "How busy is station 1205330 right now compared with normal?",
        "Were there any incidents near station 1205330 in the last 24 hours?",
        "Why does rain slow traffic down?",
    ),
}
"""Questions to start with; any other data set gets some made from its own places."""

THINKING: Message = {"role": "assistant", "content": "", "metadata": {"title": "Thinking", "status": "pending"}}
BUG = "Sorry, that went wrong, and it is a bug in mm4st, not in your question. The server's log has the details."

TAGLINE = "# mm4st\nAsk about spatio-temporal data in plain words. Every number can be traced."
WELCOME = "### What would you like to know?\nEach answer shows its steps, its evidence and its sources."

HEAD = """<meta http-equiv="Content-Security-Policy"
 content="default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; base-uri 'self'; object-src 'none'">
<style>
main.contain { max-width: 1280px; margin: 0; }
@media (max-width: 600px) { .main.fillable { padding: .5rem !important; } }
</style>"""
"""Whatever a text contains, the page loads nothing from another host. The styles are here as Gradio applies
`css` only inside of `main.contain`."""

OPEN_IF_WIDE = "() => ({ open: window.innerWidth >= 1000, __type__: 'update' })"

CSS = """
:root { --quiet: #52607a; --warn: #92400e; --bad: #b91c1c; }
.dark { --quiet: #9fb0c8; --warn: #fcd34d; --bad: #fca5a5; }
#facts, .evidence, .footer, figcaption, cite { color: var(--quiet); font-size: .875rem; }
#facts strong { color: var(--body-text-color); }
.synthetic, .unsupported { border: 1px solid; border-radius: 4px; padding: 0 .4em; white-space: nowrap; }
.synthetic, .warnings { color: var(--warn); }
.unsupported { color: var(--bad); }
.warnings { border-left: 4px solid; padding-left: .75em; margin: .75em 0; }
#chat .sources { margin: .75em 0; }
#chat .sources :is(blockquote, p) { margin: .25em 0 !important; font-style: normal; }
#chat .sources blockquote { padding: .1em .75em; }
cite { display: block; font-style: normal; }
#chat .top-panel { display: none; }
#chat .placeholder { padding: 1rem; }
#chat .message .prose { opacity: 1; }
#chat .thought-group { padding: .25rem .75rem; margin: 0 0 .25rem; }
#chat .thought-group .duration { color: var(--quiet); }
#chat figure { margin: .75em 0; }
#chat figure img { width: 720px; max-width: 100%; margin: 0; border: 1px solid var(--border-color-primary); }
@media (max-width: 600px) {
  #facts { padding-left: 1.5rem; }
  #chat .prose { font-size: .95rem; }
}
"""

# -- events to messages -----------------------------------------------------------------------


def sentence(text: str) -> Message:
    """A plain sentence of ours."""
    return {"role": "assistant", "content": f'<p class="sentence">{_plain(text)}</p>'}


def failed(error: BaseException) -> Message:
    """What went wrong and what would work; a bug is only named as one, its traceback goes to the log."""
    if isinstance(error, MM4STError):
        return sentence(str(error))
    log.error("A question ended in a bug.", exc_info=error)
    return sentence(BUG)


def shown(chat: list[Message], event: RunEvent) -> list[Message]:
    """The chat after one more event: a step begins, a step ends, or the answer is there."""
    match event:
        case ToolStarted():
            meta = {"id": event.call_id, "title": event.title, "status": "pending"}
            return [*chat, {"role": "assistant", "content": _arguments(event.args), "metadata": meta}]
        case ToolFinished():
            return [_finished(m, event.evidence) if _step(m).get("id") == event.call_id else m for m in chat]
        case Answered():
            return [*chat, answered(event.answer)]


def waiting(chat: list[Message]) -> list[Message]:
    """The chat while an answer is under way: where no step runs, the chat model thinks."""
    running = any(_step(message).get("status") == "pending" for message in chat)
    return chat if running else [*chat, THINKING]


def closed(chat: list[Message]) -> list[Message]:
    """The chat without running steps: what had not ended was broken off."""
    ended = {"status": "done", "log": "broken off"}
    return [{**m, "metadata": {**_step(m), **ended}} if _step(m).get("status") == "pending" else m for m in chat]


def answered(answer: Answer) -> Message:
    """The text, then pictures, warnings, sources, and what it took."""
    pictures = map(_picture, answer.figures)
    parts = [_marked(answer), *pictures, _warnings(answer.warnings), _sources(answer.citations), _footer(answer)]
    return {"role": "assistant", "content": "\n\n".join(part for part in parts if part)}


def _step(message: Message) -> dict[str, Any]:
    step: dict[str, Any] = message.get("metadata") or {}
    return step


def _finished(message: Message, evidence: Evidence) -> Message:
    counts = {"value": len(evidence.values), "text": len(evidence.texts), "picture": len(evidence.images)}
    found = ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in counts.items() if n) or "nothing"
    outcome = f"Could not: {_plain(evidence.error)}" if evidence.error else f"Evidence {evidence.id}: {found}."
    log = f"{evidence.id}, failed" if evidence.error else evidence.id
    return {
        **message,
        "content": f"{message['content']}\n\n{outcome}",
        "metadata": {**message["metadata"], "status": "done", "duration": evidence.seconds, "log": log},
    }


def _arguments(args: dict[str, Any]) -> str:
    """Arguments as code, where neither Markdown nor HTML in a value means anything."""
    pairs = (f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("`", "'") for name, value in args.items())
    return " ".join(f"`{' '.join(pair.split())}`" for pair in pairs)


def _marked(answer: Answer) -> str:
    """The answer's Markdown; unsupported claims are struck through and labelled, evidence marks are small."""
    text = answer.answer
    for claim in sorted(answer.claims, key=lambda claim: claim.span, reverse=True):
        if claim.status == "unsupported":
            start, end = claim.span
            text = f"{text[:start]}<s>{text[start:end]}</s>{text[end:]}"
    text = re.sub(r"\[(E\d+(?:, ?E\d+)*)\]", r'<span class="evidence">[\1]</span>', text)
    return text.replace("[unsupported]", '<strong class="unsupported">⚠ unsupported</strong>')


def _picture(figure: AnswerFigure) -> str:
    """Our own HTML, as Gradio's picture has no alternative text. The path opens the whole picture."""
    source = f"gradio_api/file={quote(figure.path)}"
    image = f'<a href="{source}" target="_blank"><img src="{source}" alt="{_plain(figure.alt)}"></a>'
    return f"<figure>{image}<figcaption>{_plain(f'[{figure.evidence}] {figure.title}')}</figcaption></figure>"


def _warnings(warnings: list[str]) -> str:
    lines = "".join(f"<li>{_plain(warning)}</li>" for warning in warnings)
    return f'<div class="warnings" role="note"><strong>⚠ Keep in mind</strong><ul>{lines}</ul></div>' if lines else ""


def _sources(citations: list[Citation]) -> str:
    return f'<div class="sources"><strong>Sources</strong>{"".join(map(_source, citations))}</div>' if citations else ""


def _source(citation: Citation) -> str:
    when = f"{citation.published_at:%Y-%m-%d %H:%M}" if citation.published_at else ""
    where = " · ".join(_plain(part) for part in (citation.evidence, citation.source, when) if part)
    return f"<blockquote><p>{_plain(citation.text)}</p><cite>{where}</cite></blockquote>"


def _footer(answer: Answer) -> str:
    verified = sum(claim.status != "unsupported" for claim in answer.claims)
    parts = [
        f"{verified} of {len(answer.claims)} claims supported by the evidence" if answer.claims else "",
        f"answered by {answer.chat_model}",
        f"data {answer.dataset} as of {answer.as_of}",
        f"{answer.seconds:.1f} s",
        f"thread {answer.thread}",
    ]
    return f'<div class="footer">{" · ".join(_plain(part) for part in parts if part)}</div>'


def _plain(text: str) -> str:
    """Text for inside an HTML block: no tags, no line that would end the block."""
    return html.escape(" ".join(text.split()))


# -- the page ---------------------------------------------------------------------------------


def build(runtime: Runtime) -> gr.Blocks:
    """The page and its events; nothing is served yet."""
    running: dict[str | None, asyncio.Task[None]] = {}  # by browser session

    def controls(*, busy: bool) -> dict[Any, Any]:
        """What can be pressed: while an answer is under way, only the stop button."""
        return {
            box: gr.Textbox("", submit_btn=False, stop_btn="Stop")
            if busy
            else gr.Textbox(submit_btn=True, stop_btn=False),
            dataset: gr.Dropdown(interactive=not busy),
            restart: gr.Button(interactive=not busy),
        }

    async def answer(
        question: str,
        said: list[Message],
        thread_id: str | None,
        name: str,
        clock: str,
        model: ChatModelName,
        request: gr.Request,
    ) -> AsyncIterator[dict[Any, Any]]:
        events: asyncio.Queue[RunEvent | None] = asyncio.Queue()
        stream = runtime.stream(question, dataset=name, as_of=clock.strip() or None, chat_model=model, thread=thread_id)
        task = running[request.session_hash] = asyncio.create_task(_pump(stream, events))
        said = [*said, {"role": "user", "content": question}] if question.strip() else said
        try:
            yield {window: waiting(said), chat: said, **controls(busy=True)}
            while (event := await events.get()) is not None:
                said = shown(said, event)
                if isinstance(event, Answered):
                    yield {window: said, chat: said, thread: event.answer.thread}
                else:
                    yield {window: waiting(said), chat: said}
            await asyncio.wait([task])
            if task.cancelled():
                said = [*closed(said), sentence("Stopped.")]
            elif (error := task.exception()) is not None:
                said = [*closed(said), failed(error)]
            yield {window: said, chat: said, **controls(busy=False)}
        finally:
            task.cancel()
            del running[request.session_hash]

    async def stop(request: gr.Request) -> None:
        if task := running.get(request.session_hash):
            task.cancel()

    def start(name: str) -> dict[Any, Any]:
        """A new conversation about a data set."""
        fresh: dict[Any, Any] = {chat: [], thread: None, as_of: "", facts: "", window: gr.Chatbot([], examples=[])}
        try:
            panel = registry.open(name)
        except MM4STError as err:
            return {**fresh, window: [failed(err)]}
        examples: list[Any] = [{"text": text} for text in example_questions(panel)]
        span = f"Nothing later is visible. From {panel.start:%Y-%m-%dT%H:%M} to {panel.end:%Y-%m-%dT%H:%M}."
        clock = gr.Textbox("", placeholder=f"{panel.now:%Y-%m-%dT%H:%M}", info=span)
        return {**fresh, as_of: clock, facts: data_facts(panel), window: gr.Chatbot([], examples=examples)}

    def choose(example: gr.SelectData) -> str:
        return str(example.value["text"])

    registry = runtime.registry
    default = registry.card(runtime.settings.dataset).name
    names = [name for name in registry.names() if name == default or registry.available(name)]
    page = gr.Blocks(title="mm4st", fill_height=True, fill_width=True, delete_cache=(3600, 86400))
    with page:
        chat, thread = gr.State([]), gr.State(None)
        with gr.Sidebar(width=320, open=False) as side:
            gr.Markdown(TAGLINE)
            dataset = gr.Dropdown(names, value=default, label="Data set", filterable=False)
            as_of = gr.Textbox(label="Clock", max_lines=1)
            chat_model = gr.Radio(CHAT_MODELS, value=runtime.settings.chat_model, label="Chat model")
            restart = gr.Button("New conversation")
        facts = gr.HTML(elem_id="facts")
        window = gr.Chatbot(
            elem_id="chat",
            label="Conversation",
            show_label=False,
            scale=1,
            buttons=["copy"],
            feedback_options=None,
            placeholder=WELCOME,
        )
        box = gr.Textbox(
            elem_id="question",
            label="Question",
            show_label=False,
            placeholder="Ask about a place or the data",
            lines=1,
            max_lines=6,
            submit_btn=True,
        )

        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        asking: dict[str, Any] = {
            "fn": answer,
            "inputs": [box, chat, thread, dataset, as_of, chat_model],
            "outputs": [window, chat, thread, box, dataset, restart],
            **hidden,
        }
        box.submit(**asking)
        window.example_select(choose, None, box, **hidden).then(**asking)
        box.stop(stop, None, None, **hidden)
        page.unload(stop)
        gr.on([page.load, dataset.input, restart.click], start, dataset, [window, chat, thread, facts, as_of], **hidden)
        page.load(None, None, side, js=OPEN_IF_WIDE, **hidden)
    return page


async def _pump(stream: AsyncIterator[RunEvent], events: asyncio.Queue[RunEvent | None]) -> None:
    """Run an answer in one task, so that cancelling the task stops it wherever it stands; None ends the events."""
    try:
        async for event in stream:
            events.put_nowait(event)
    finally:
        events.put_nowait(None)


def example_questions(panel: Panel) -> tuple[str, ...]:
    """Questions that this data set can answer."""
    card, node = panel.card, panel.node_ids[0]
    return EXAMPLES.get(panel.name) or (
        f"What is expected at {card.place_word} {node} over the next hour, and why?",
        f"How does {card.place_word} {node} compare with its usual level now?",
        f"Which {card.place_word}s are the most above their usual level right now?",
        "How complete are the data?",
    )


def data_facts(panel: Panel) -> str:
    """One line of HTML: what the data are, and whether they are real."""
    card = panel.card
    channels = ", ".join(f"{c.label} ({c.unit})" if c.unit not in ("", "1") else c.label for c in card.channels)
    span = f"{panel.start:%-d %b %Y} to {panel.end:%-d %b %Y}, {card.time_zone}"
    parts = (_places(panel), channels, span)
    line = " · ".join([f"<strong>{_plain(card.title)}</strong>", *map(_plain, parts)])
    return f'<span class="synthetic">Synthetic data</span> {line}' if card.synthetic else line


def _places(panel: Panel) -> str:
    """How many places there are; by kind where channels are told apart by it."""
    counts = Counter(words_of(panel))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())


# -- the server -------------------------------------------------------------------------------


def launch(runtime: Runtime) -> None:
    """Serve the chat until Ctrl-C.

    Raises:
        UsageError: the host or the port cannot be used.
    """
    settings = runtime.settings
    port = _free_port(settings.host, settings.port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "cache")
    page = build(runtime)
    page.queue(max_size=32, default_concurrency_limit=4, api_open=False)
    _, url, _ = page.launch(
        server_name=settings.host,
        server_port=port,
        theme=gr.themes.Default(
            primary_hue="sky",
            neutral_hue="slate",
            font=("system-ui", "sans-serif"),
            font_mono=("ui-monospace", "monospace"),
        ),
        css=CSS,
        head=HEAD,
        footer_links=[],
        allowed_paths=[str(runtime.images.folder)],
        max_file_size=1,  # byte: nothing is uploaded
        share=False,
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    sys.stderr.write(f"The chat is at {url} (Ctrl-C stops it).\n")
    threading.Thread(target=_warm_up, args=[runtime], daemon=True).start()
    page.block_thread()


def _free_port(host: str, port: int) -> int:
    """The port, checked; 0 becomes one that is free."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server((str(address[0]), int(address[1])), family=family) as server:
            return int(server.getsockname()[1])
    except OSError as err:
        raise UsageError(
            f"The chat cannot be served at {host}, port {port}: {err.strerror or err}.",
            "Set MM4ST_PORT to a free port (0 takes any), or MM4ST_HOST to an address of this machine.",
        ) from err


def _warm_up(runtime: Runtime) -> None:
    """Load what a first answer needs, while the person still reads the page."""
    try:
        runtime.warm_up()
    except MM4STError as err:
        log.warning("Not warmed up: %s", err)
