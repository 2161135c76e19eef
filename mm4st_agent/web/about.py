"""What is known about a data set and a chat model before anything is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from mm4st_agent.errors import MM4STError, ServerError
from mm4st_agent.forecaster.measured import words_of
from mm4st_agent.web.markup import plain
from mm4st_agent.web.served import PREFIX, RuntimeFor

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.settings import ChatModelName, Settings

EXAMPLES = {
    "demo": (
        "How much traffic will station S096 carry over the next hour, and why?",
        "How is traffic at Central Park southbound now, compared with normal?",
        "Were there any incidents near S096 in the last 48 hours?",
    ),
    "pems-orange": (
        "How much traffic will station 1205330 carry over the next hour, and why?",
        "How busy is station 1205330 right now compared with normal?",
        "Were there any incidents near station 1205330 in the last 24 hours?",
    ),
}
"""Questions to start with; any other data set gets some made from its own places."""

WELCOME = "### What would you like to know?\nEach answer shows its steps, its evidence and its sources."
DEMO = (
    "The demo city is a simulation: its traffic, air and requests follow causes that are known, such as roadworks, "
    "rain and events, so that answers and explanations can be checked against the truth."
)


def example_questions(panel: Panel) -> tuple[str, ...]:
    """Three questions that this data set can answer."""
    card, node = panel.card, panel.node_ids[0]
    return EXAMPLES.get(panel.name) or (
        f"What is expected at {card.place_word} {node} over the next hour, and why?"
        if panel.step_s < 3600
        else f"What is expected at {card.place_word} {node} over the next {6 * panel.step_s // 3600} hours?",
        f"Which {card.place_word}s have the highest {panel.channel().label} right now?",
        "How complete are the data?",
    )


def welcome(panel: Panel) -> str:
    """What stands where no question has been asked yet."""
    return f"{WELCOME}\n\n{DEMO}" if panel.name == "demo" else WELCOME


def data_line(panel: Panel) -> str:
    """One line of HTML: what the data are, and whether they are real."""
    card = panel.card
    channels = ", ".join(f"{c.label} ({c.unit})" if c.unit not in ("", "1") else c.label for c in card.channels)
    measured = f'<span class="measured"> · {plain(channels)}</span>'
    line = f"<strong>{plain(card.title)}</strong> · {plain(_places(panel))}{measured}"
    return f'<span class="synthetic">Synthetic data</span> {line}' if card.synthetic else line


def data_card(panel: Panel) -> str:
    """The card as HTML: what, where from, under which licence, how good."""
    card = panel.card
    rows = [
        ("What", f"{_places(panel)}; " + ", ".join(f"{c.label} [{c.unit or 'no unit'}]" for c in card.channels)),
        ("Time", f"{panel.start:%-d %b %Y %H:%M} to {panel.end:%-d %b %Y %H:%M}, {card.time_zone}"),
        ("Step", f"{panel.step_s / 60:g} minutes"),
        ("Source", card.source),
        ("Licence", card.licence),
    ]
    lines = "".join(f"<dt>{name}</dt><dd>{plain(text)}</dd>" for name, text in rows)
    notes = "".join(f"<li>{plain(note)}</li>" for note in ([DEMO] if panel.name == "demo" else []) + list(card.notes))
    link = f'<a href="{PREFIX}/quality/{plain(panel.name)}" target="_blank">How complete and plausible are they?</a>'
    return f'<div class="card"><dl>{lines}</dl>{f"<ul>{notes}</ul>" if notes else ""}<p>{link}</p></div>'


def clock_hint(panel: Panel) -> str:
    """What the clock may be set to."""
    return f"Nothing later is visible. From {panel.start:%Y-%m-%dT%H:%M} to {panel.end:%Y-%m-%dT%H:%M}."


def with_place(panel: Panel, question: str, place: str) -> str:
    """A question about a place: the place joins what the person has written, or a question begins with it.

    Args:
        panel: The data set.
        question: What stands in the question box.
        place: The place in words, such as 'station S096'.
    """
    if question.strip():
        return question if place in question else f"{question.rstrip()} {place}"
    span = "hour" if panel.step_s < 3600 else f"{6 * panel.step_s // 3600} hours"
    return f"What is expected at {place} over the next {span}?"


def chat_model_state(settings: Settings, name: ChatModelName) -> tuple[bool, str]:
    """Whether a chat model can answer now, and a sentence on it; asks the server that would."""
    if name == "embedded":
        return True, "Ready. It writes from templates, on this machine."
    from mm4st_agent.agent.backends.vllm import served_model

    try:
        served = served_model(settings)
    except MM4STError as err:
        sentence = f"Not reachable. {err}" if isinstance(err, ServerError) else str(err)
        return False, sentence
    return True, f"Ready: {served.name} at {settings.vllm_url}."


def router(runtime_for: RuntimeFor) -> APIRouter:
    """`GET /mm4st/quality/{dataset}`: the quality page of a data set."""
    routes = APIRouter(prefix=f"/{PREFIX}")

    @routes.get("/quality/{dataset}")
    async def quality(dataset: str, request: Request) -> Response:
        runtime = runtime_for(request.state.user)
        try:
            panel = await asyncio.to_thread(runtime.registry.open, dataset)
        except MM4STError as err:
            return PlainTextResponse(str(err), status_code=404)
        return HTMLResponse(await asyncio.to_thread(_quality_page, panel))

    return routes


@lru_cache(maxsize=8)  # by the object: the registry gives the same one each time
def _quality_page(panel: Panel) -> str:
    from mm4st_agent.data.quality import assess
    from mm4st_agent.imaging.quality_page import quality_page

    return quality_page(panel, assess(panel))


def _places(panel: Panel) -> str:
    """How many places there are; by kind where channels are told apart by it."""
    counts = Counter(words_of(panel))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in counts.items())
