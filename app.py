"""The chat in a browser. Only widgets and events live here: every answer comes from `Runtime.stream`."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from mm4st_agent.errors import MM4STError
from mm4st_agent.memory import keep
from mm4st_agent.settings import ChatModelName  # Gradio reads the annotations of its handlers
from mm4st_agent.web import about, charts, exports, files, maps, uploads
from mm4st_agent.web.accounts import Accounts
from mm4st_agent.web.answers import question_of
from mm4st_agent.web.markup import plain, script
from mm4st_agent.web.runs import Runs
from mm4st_agent.web.server import listen, runtimes, serve, signed_in_user, web_app
from mm4st_agent.web.sign_in import SIGN_OUT_FORM, Gate
from mm4st_agent.web.talk import Rating, Talk, View, known_thread, new_thread, turn_at
from mm4st_agent.widgets.clock import clock_box, written
from mm4st_agent.widgets.conversations import conversation_list, refreshed
from mm4st_agent.widgets.evidence import chosen_text, evidence_panel
from mm4st_agent.widgets.network_map import ChosenNode, map_value, network_map
from mm4st_agent.widgets.upload import upload_panel

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime
    from mm4st_agent.web.served import RuntimeFor

log = logging.getLogger(__name__)

CHAT_MODELS = [("Embedded: no GPU, writes from templates", "embedded"), ("vLLM: a served model", "vllm")]
RATINGS: dict[Rating, str] = {"up": "Like", "down": "Dislike"}
LIKED: dict[bool | str, Rating] = {True: "up", False: "down"}

TAGLINE = "# mm4st\nAsk about spatio-temporal data in plain words. Every number can be traced."
NO_DATA = "### These data cannot be opened\n{}\n\nChoose another data set."

OPEN_IF_WIDE = "() => ({ open: window.innerWidth >= 1100, __type__: 'update' })"
"""The page's width decides whether the side panels are open at first."""
REMEMBER = """thread => {
  const here = new URL(window.location);
  thread ? here.searchParams.set('thread', thread) : here.searchParams.delete('thread');
  window.history.replaceState(null, '', here);
}"""
"""The address names the conversation, so that a reload, or another tab, shows it again."""

CLEAN = """() => [[], '', { value: '', submit_btn: true, stop_btn: false, __type__: 'update' }, null,
  { visible: false, __type__: 'update' }]"""
"""A new conversation begins in the page itself: a person may ask before any server has answered."""

STYLES = ("page.css", "answers.css", "chart.css", "evidence.css", "map.css", "upload.css")
SCRIPTS = ("page.js", "chart.js")
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
Updates = dict[Any, Any]


def build(runtime: Runtime, runtime_for: RuntimeFor, runs: Runs, ready: threading.Event) -> gr.Blocks:
    """The page and its events; nothing is served yet.

    Args:
        runtime: That of the app, with its settings.
        runtime_for: Gives a person's runtime by their name.
        runs: The answers under way, of all people.
        ready: What a first answer needs has been loaded.

    Raises:
        UsageError: there is no data set of the name in the settings.
    """
    default = runtime.settings
    usual = runtime.registry.card(default.dataset).name

    def talk_of(request: gr.Request) -> Talk:
        return Talk(runtime_for(request.username), runs, request.username)

    # -- what the page shows ------------------------------------------------------------------

    def seen(view: View, text: str | None = None) -> Updates:
        """A conversation; while an answer is under way, the question box offers to stop it.

        Args:
            view: What to show.
            text: What stands in the question box; None leaves it to the person.
        """
        rated = [RATINGS[rating] if rating else None for rating in view.ratings]
        typed: dict[str, Any] = {} if text is None else {"value": text}
        return {
            window: gr.update(value=view.messages, feedback_value=rated),
            box: gr.update(submit_btn=not view.busy, stop_btn="Stop" if view.busy else False, **typed),
        }

    def listed(thread_id: str, request: gr.Request) -> Updates:
        """The list of conversations, with the open one chosen; what it was where it cannot be read."""
        try:
            return dict(zip(kept.outputs, refreshed(runtime_for(request.username), thread_id), strict=True))
        except MM4STError as err:
            log.warning("The conversations cannot be listed: %s", err)
            return {}

    def data_set(name: str, request: gr.Request, at: str | None = None) -> Updates:
        """All that is about the data set, before anything is asked."""
        runtime = runtime_for(request.username)
        choices = gr.update(choices=available(runtime), value=name)
        try:
            panel = runtime.registry.open(name)
        except MM4STError as err:
            empty = {facts: "", card: "", clock: gr.update(value="", info=""), places: map_value(None)}
            told = gr.update(examples=[], placeholder=NO_DATA.format(plain(str(err))))
            return {dataset: choices, window: told, **empty}
        now = at or written(panel.now)
        examples = [{"text": text} for text in about.example_questions(panel)]
        return {
            dataset: choices,
            facts: about.data_line(panel),
            card: about.data_card(panel),
            clock: gr.update(value=now, info=about.clock_hint(panel)),
            window: gr.update(examples=examples, placeholder=about.welcome(panel)),
            places: map_value(panel.name, now),
        }

    # -- events -------------------------------------------------------------------------------

    async def open_conversation(named: str | None, request: gr.Request) -> AsyncIterator[Updates]:
        """Show a conversation as it stands, and the answer under way in it."""
        talk = talk_of(request)
        thread_id, name, at = await asyncio.to_thread(talk.about, known_thread(named))
        shown = await asyncio.to_thread(data_set, name or usual, request, at)
        listing = await asyncio.to_thread(listed, thread_id, request)
        async for view in talk.follow(thread_id):
            yield {thread: thread_id, **listing, **merged(shown, seen(view))}
            shown, listing = {}, {}
        yield await asyncio.to_thread(listed, thread_id, request)

    async def arrive(request: gr.Request) -> AsyncIterator[Updates]:
        """The page opens: at the conversation of its address, or for a new one."""
        named = known_thread(dict(request.query_params).get("thread"))
        if named and talk_of(request).about(named)[0]:
            async for updates in open_conversation(named, request):
                yield updates
        else:  # without touching chat and question: the person may be faster than this
            yield await asyncio.to_thread(data_set, usual, request)
            yield await asyncio.to_thread(listed, "", request)

    def start(name: str, request: gr.Request) -> Updates:
        """A new conversation about a data set."""
        return {thread: "", **listed("", request), **merged(data_set(name, request), seen(View([], [])))}

    async def asked(
        question: str, thread_id: str, request: gr.Request, *, instead_of_last: bool = False, **options: Any
    ) -> AsyncIterator[Updates]:
        talk, open_thread = talk_of(request), known_thread(thread_id)
        thread_id = open_thread or new_thread()
        view, first = View([], []), True
        if not ready.is_set():
            gr.Info(
                "The forecaster and the texts are still being loaded.",
                duration=20,
                title="The first answer takes longer",
            )
        async for view in talk.ask(question, thread_id, instead_of_last=instead_of_last, **options):
            if view.busy:  # only the first view empties the box, which then is the person's again
                yield {thread: thread_id, **seen(view, "")} if first else {window: view.messages}
                first = False
        end = await asyncio.to_thread(listed, thread_id, request)  # with the answer: what is typed later stays
        if open_thread:  # so does the new name that is being typed for this conversation
            end.pop(kept.title, None)
        yield {thread: thread_id, **seen(view, view.refused or ("" if first else None)), **end}

    async def ask(
        question: str, thread_id: str, name: str, at: str, model: ChatModelName, request: gr.Request
    ) -> AsyncIterator[Updates]:
        async for updates in asked(question, thread_id, request, **chosen(name, at, model)):
            yield updates

    async def retry(
        thread_id: str, name: str, at: str, model: ChatModelName, request: gr.Request
    ) -> AsyncIterator[Updates]:
        if turns := await asyncio.to_thread(talk_of(request).turns, thread_id):
            again = asked(turns[-1].question, thread_id, request, instead_of_last=True, **chosen(name, at, model))
            async for updates in again:
                yield updates

    async def edit(
        thread_id: str, name: str, at: str, model: ChatModelName, change: gr.EditData, request: gr.Request
    ) -> AsyncIterator[Updates]:
        talk = talk_of(request)
        turns = await asyncio.to_thread(talk.turns, thread_id)
        if turn_at(turns, position(change.index)) is not turns[-1]:
            gr.Warning("Only the last question can be changed. Ask the other one anew.", title="Not changed")
            async for view in talk.follow(thread_id):
                yield seen(view)
            return
        text = question_of(str(change.value))
        async for updates in asked(text, thread_id, request, instead_of_last=True, **chosen(name, at, model)):
            yield updates

    async def stop(thread_id: str, request: gr.Request) -> None:
        talk_of(request).stop(thread_id)

    def rate(thread_id: str, rated: gr.LikeData, request: gr.Request) -> None:
        """Keep what a person thinks of an answer, with its manifest."""
        turn = turn_at(talk_of(request).turns(thread_id), position(rated.index))
        if turn is not None:
            runtime_for(request.username).conversations.rate(thread_id, turn.n, LIKED.get(rated.liked))

    def examine(model: ChatModelName, request: gr.Request) -> str:
        """Whether this chat model can answer now."""
        ready, sentence = about.chat_model_state(runtime_for(request.username).settings, model)
        return f"{'✓' if ready else '⚠'} {sentence}"

    def pick_place(question: str, name: str, picked: gr.EventData, request: gr.Request) -> str:
        """The question with the place in it that was chosen on the map."""
        panel = runtime_for(request.username).registry.open(name)
        return about.with_place(panel, question, ChosenNode.of(picked).text)

    def use_upload(name: str, chosen: gr.EventData, request: gr.Request) -> Updates:
        """A new conversation about data of the person's own."""
        return start(upload.dataset(chosen, request.username) or name, request)

    def lose_upload(name: str, request: gr.Request) -> Updates:
        """Data of the person's own are gone, perhaps those that the page is about."""
        return start(name if name in available(runtime_for(request.username)) else usual, request)

    def choose_example(example: gr.SelectData) -> str:
        return str(example.value["text"])

    # -- widgets ------------------------------------------------------------------------------

    page = gr.Blocks(title="mm4st", fill_height=True, fill_width=True, delete_cache=(3600, 86400))
    with page:
        thread = gr.Textbox("", label="Conversation", visible="hidden", elem_id="thread")
        with gr.Sidebar(width=320, open=False, elem_id="about") as left:
            gr.Markdown(TAGLINE)
            restart = gr.Button("New conversation", variant="primary")
            kept = conversation_list(runtime_for)
            dataset = gr.Dropdown(label="Data set", filterable=False, elem_id="dataset")
            with gr.Accordion("About these data", open=False):
                card = gr.HTML()
            with gr.Accordion("Bring your own data", open=False):
                upload = upload_panel(runtime_for)
            clock = clock_box(runtime_for, dataset)
            chat_model = gr.Radio(CHAT_MODELS, value=default.chat_model, label="Who answers")
            model_state = gr.Markdown(elem_id="model-state")
            if default.auth_file is not None:
                gr.HTML(SIGN_OUT_FORM)
        facts = gr.HTML(elem_id="facts")
        window = gr.Chatbot(
            elem_id="chat",
            label="Conversation",
            show_label=False,
            scale=1,
            buttons=["copy"],
            autoscroll=False,  # page.js keeps the last question in sight
            editable="user",
            feedback_options=tuple(RATINGS.values()),
            latex_delimiters=[],
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
        with (
            gr.Sidebar(width=420, open=False, position="right", elem_id="evidence-and-map") as right,
            gr.Tabs(selected="evidence") as tabs,
        ):
            with gr.Tab("Evidence", id="evidence"):
                evidence = evidence_panel(runtime_for)
            with gr.Tab("Map", id="map"):
                places = network_map(elem_id="map")

        # -- wiring ---------------------------------------------------------------------------

        answering = [window, box, thread, *kept.outputs]
        everything = [*answering, dataset, facts, card, clock, places]
        settings = [thread, dataset, clock, chat_model]
        arrival = page.load(arrive, None, everything, **QUIET)
        arrival.then(None, thread, None, js=REMEMBER, **QUIET)  # a conversation that is gone leaves the address
        typed = box.submit(ask, [box, *settings], answering, **QUIET)
        example = window.example_select(choose_example, None, box, **QUIET)
        choice = evidence.select(chosen_text, None, box, **QUIET)
        picked = [event.then(ask, [box, *settings], answering, **QUIET) for event in (example, choice)]
        again = window.retry(retry, settings, answering, **QUIET)
        changed = window.edit(edit, settings, answering, **QUIET)
        following = [arrival, typed, *picked, again, changed]
        opened = kept.chosen.input(open_conversation, kept.chosen, everything, cancels=following, **QUIET)
        afresh: dict[str, Any] = {"outputs": everything, "cancels": [*following, opened], **QUIET}
        clean = [window, thread, box, kept.chosen, kept.tools]
        restart.click(None, None, clean, js=CLEAN, cancels=[*following, opened], **QUIET)
        dataset.input(start, dataset, **afresh)
        kept.deleted.then(start, dataset, **afresh)
        upload.html.submit(use_upload, dataset, **afresh)
        upload.html.delete(lose_upload, dataset, **afresh)
        box.stop(stop, thread, None, **QUIET)
        window.like(rate, thread, None, **QUIET)
        gr.on([page.load, chat_model.input], examine, chat_model, model_state, **QUIET)
        clock.change(map_value, [dataset, clock], places, **QUIET)
        places.select(pick_place, [box, dataset], box, **QUIET)
        evidence.submit(lambda: (gr.Sidebar(open=True), gr.Tabs(selected="evidence")), None, [right, tabs], **QUIET)
        thread.change(None, thread, None, js=REMEMBER, **QUIET)
        page.load(None, None, left, js=OPEN_IF_WIDE, **QUIET)
        page.load(None, None, right, js=OPEN_IF_WIDE, **QUIET)
    return page


def merged(one: Updates, other: Updates) -> Updates:
    """Updates of both; a widget in both gets what either says of it."""
    return {**one, **{key: {**one.get(key, {}), **value} for key, value in other.items()}}


def chosen(name: str, at: str, model: ChatModelName) -> dict[str, Any]:
    """What the person set, as `Runtime.stream` takes it."""
    return {"dataset": name or None, "as_of": at.strip() or None, "chat_model": model}


def available(runtime: Runtime) -> list[str]:
    """The data sets whose files are here."""
    registry = runtime.registry
    return [name for name in registry.names() if registry.available(name)]


def position(index: int | tuple[int, int]) -> int:
    """Which message an event of the chatbot is about."""
    return index if isinstance(index, int) else index[0]


# -- the server -------------------------------------------------------------------------------


def launch(runtime: Runtime) -> None:
    """Serve the chat until Ctrl-C.

    Raises:
        UsageError: the host or the port cannot be used.
        DataError: the accounts file cannot be read.
    """
    settings = runtime.settings
    listening = listen(settings.host, settings.port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(settings.ready_home() / "cache")
    gate = Gate(Accounts(settings.auth_file)) if settings.auth_file else None
    runtime_for = runtimes(runtime, gate)
    ready, leaving = threading.Event(), threading.Event()
    warming = threading.Thread(target=_warm_up, args=[runtime, ready, leaving], daemon=True)
    page = build(runtime, runtime_for, Runs(), ready)
    page.queue(max_size=256, default_concurrency_limit=64, api_open=False)
    routers = [part.router(runtime_for) for part in (about, charts, exports, files, maps, uploads)]
    app = web_app(settings, routers, gate)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        auth_dependency=signed_in_user if gate else None,
        theme=theme(),
        head="".join(head()),
        footer_links=[],
        allowed_paths=[],
        max_file_size=1,  # byte: uploads have a route of ours
        ssr_mode=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
    )
    try:
        serve(app, settings.host, listening, on_start=warming.start)
    finally:
        leaving.set()
        if warming.is_alive():  # a process that ends while another thread computes is aborted
            warming.join()


def head() -> list[str]:
    """Styles and scripts of the page. The styles are here, as Gradio applies `css` only inside of `main.contain`."""
    styles = "\n".join(script(name) for name in STYLES)
    scripts = [f'<script src="{files.address(name)}" defer></script>' for name in SCRIPTS]
    return [f"<style>{styles}</style>", *scripts]


def theme() -> gr.themes.Base:
    """Gradio's usual look, dark enough to be read on white (WCAG AA)."""
    usual = gr.themes.Default(
        primary_hue="sky",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )
    return usual.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def _warm_up(runtime: Runtime, ready: threading.Event, leaving: threading.Event) -> None:
    """Load what answers need, first that of a first answer, while the person still reads the page.

    Args:
        runtime: That of the app.
        ready: Is set once a first answer has all it needs, or cannot get it.
        leaving: The app ends; nothing further is loaded.
    """
    try:
        runtime.warm_up()
        ready.set()
        if any(leaving.is_set() for _ in runtime.load_forecasters()):
            return
        keep()
    except MM4STError as err:
        log.warning("Not warmed up: %s", err)
    finally:
        ready.set()
