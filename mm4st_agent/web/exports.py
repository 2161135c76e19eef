"""A whole conversation as one file: Markdown, HTML that needs no network, or JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from mm4st_agent.agent.answer import Answer, AnswerFigure
from mm4st_agent.agent.claims import MARK
from mm4st_agent.agent.claims.sources import sources_of
from mm4st_agent.agent.manifest import read_manifest
from mm4st_agent.errors import MM4STError, UsageError
from mm4st_agent.web import words
from mm4st_agent.web.answers import BUG, STOPPED, Look, answer_html, outcome, source_line
from mm4st_agent.web.evidence import STATUS, entry_body, origin_values
from mm4st_agent.web.markup import plain, script
from mm4st_agent.web.served import PREFIX, Part, RuntimeFor

if TYPE_CHECKING:
    from mm4st_agent.agent.conversations import Conversations, Turn

Pictures = Callable[[str], bytes]
"""Gives a picture's PNG by its id; raises `UsageError` where it is not kept."""

LEGEND = "Underlined words link to their evidence. ~ marks what we corrected, ⚠ what nothing supports."
_ALLOWED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_RUNNING = "This question was still being answered when the conversation was exported."
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_LINKING = re.compile(r"<|\](?=[(\[:])|!(?=\[)|&(?=#?\w+;)")
"""In a chat model's Markdown: what would become HTML, a link, a picture, or a character by its name."""


# -- Markdown ---------------------------------------------------------------------------------


def markdown(title: str, turns: Sequence[Turn]) -> str:
    """A conversation as Markdown; pictures are told by their descriptions, as they lie in no file beside it.

    Args:
        title: Of the conversation.
        turns: All of it.
    """
    blocks = [f"# {_literal(title)}", "~ marks what we corrected, ⚠ what nothing supports. [E1] names evidence."]
    for turn in turns:
        blocks += [f"## {turn.n}. {_literal(turn.question)}", f"Asked {_asked(turn)}."]
        blocks += _markdown_answer(turn.answer) if turn.answer is not None else [f"*{_literal(_instead(turn))}*"]
    return "\n\n".join(blocks) + "\n"


def _markdown_answer(answer: Answer) -> Iterator[str]:
    yield _markdown_text(answer)
    if answer.choices:
        yield "\n".join(f"{n}. {_literal(choice)}" for n, choice in enumerate(answer.choices, 1))
    for figure in answer.figures:
        yield f"*Picture [{figure.evidence}]: {_literal(figure.title)}.* {_literal(figure.alt)}"
    if answer.warnings:
        yield "**Keep in mind**\n\n" + "\n".join(f"- {_literal(warning)}" for warning in answer.warnings)
    if answer.citations:
        cited = (f"- {_literal(c.source)} ({_literal(source_line(c))}): “{_literal(c.text)}”" for c in answer.citations)
        yield "**Sources**\n\n" + "\n".join(cited)
    if answer.evidence:
        yield "**Evidence**\n\n" + "\n".join(_markdown_entries(answer))
    yield f"Answered by {_literal(answer.chat_model)} from the data {_literal(answer.dataset)}, known up to " + (
        f"{words.local_time(answer.as_of)}, in {words.seconds(answer.seconds)}."
    )


def _markdown_text(answer: Answer) -> str:
    """The answer's own Markdown with a sign behind what was corrected or is unsupported; nothing in it is a link."""
    edits = [(found.start(), found.start(), "\\") for found in _LINKING.finditer(answer.answer)]
    for claim in answer.claims:
        end = claim.span[1]
        if claim.status == "corrected":
            edits.append((end, end, "~"))
        elif claim.status == "unsupported":
            marked = answer.answer.startswith(MARK, end)
            edits.append((end, end + len(MARK) if marked else end, " **⚠ unsupported**"))
    parts, at = [], 0
    for start, end, new in sorted(edits):
        parts += [answer.answer[at:start], new]
        at = max(at, end)
    return "".join([*parts, answer.answer[at:]])


def _markdown_entries(answer: Answer) -> Iterator[str]:
    for entry in answer.evidence:
        asked = ", ".join(f"{name}: {given}" for name, given in words.arguments(entry.args))
        came = "" if entry.tool == "question" else f" {outcome(entry)}"
        yield f"- **{entry.id}** {_literal(f'{words.tool_title(entry.tool)} ({asked}).{came}')}"


def _literal(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


# -- HTML -------------------------------------------------------------------------------------


def page(title: str, turns: Sequence[Turn], pictures: Pictures) -> str:
    """A conversation as one HTML file that loads nothing: pictures are in it, links lead to its own evidence.

    Args:
        title: Of the conversation.
        turns: All of it.
        pictures: Gives the pictures of the answers.
    """
    look = Look(picture=lambda figure: _embedded(figure, pictures), role="", charts=False)
    styles = "".join(script(name) for name in ("answers.css", "evidence.css", "export.css"))
    said = "".join(_section(turn, look) for turn in turns)
    origins = "".join(_origins(turn.answer, turn.n) for turn in turns if turn.answer is not None)
    evidence = f'<section class="origins evidence-panel"><h2>Evidence</h2>{origins}</section>' if origins else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_ALLOWED}">'
        f"<title>{plain(title)}</title><style>{styles}</style></head><body>"
        f"<header><h1>{plain(title)}</h1><p>A conversation with mm4st. {LEGEND}</p></header>"
        f"<main>{said}{evidence}</main></body></html>\n"
    )


def _embedded(figure: AnswerFigure, pictures: Pictures) -> str | None:
    try:
        return f"data:image/png;base64,{base64.b64encode(pictures(figure.image_id)).decode()}"
    except (UsageError, OSError):
        return None


def _section(turn: Turn, look: Look) -> str:
    head = f'<h2>{turn.n}. {plain(turn.question)}</h2><p class="when">Asked {_asked(turn)}</p>'
    if turn.answer is None:
        return f'<section id="turn-{turn.n}">{head}<p>{plain(_instead(turn))}</p></section>'
    return f'<section id="turn-{turn.n}">{head}{answer_html(turn.answer, turn.n, look)}</section>'


def _origins(answer: Answer, turn: int) -> str:
    """Where each claim comes from, the cited passages, and every step, each where the answer's links lead."""
    back = f'<a href="#turn-{turn}">Back to the answer</a>'
    entries = {entry.id: (n, entry) for n, entry in enumerate(answer.evidence)}
    claims = []
    for n, (claim, found) in enumerate(
        zip(answer.claims, sources_of(answer.claims, answer.answer, answer.evidence), strict=True)
    ):
        rests = "".join(
            f'<div><a href="#{Part("entry", answer.thread, turn, entries[named][0])}">{plain(named)}</a> '
            f"{plain(words.tool_title(entries[named][1].tool))}"
            f"{origin_values(entries[named][1], [source for source in found if source.entry == named], claim)}</div>"
            for named in claim.evidence
            if named in entries
        )
        claims.append(
            f'<li id="{Part("claim", answer.thread, turn, n)}"><strong>{plain(claim.text)}</strong>'
            f'<p class="status {claim.status}">{STATUS[claim.status]}</p>{rests}{back}</li>'
        )
    sources = "".join(
        f'<li id="{Part("source", answer.thread, turn, n)}"><blockquote><p>{plain(citation.text)}</p>'
        f"<cite>{plain(citation.source)} · {plain(source_line(citation))}</cite></blockquote>{back}</li>"
        for n, citation in enumerate(answer.citations)
    )
    steps = "".join(
        f'<section id="{Part("entry", answer.thread, turn, n)}">'
        f"<h5>{plain(entry.id)}: {plain(words.tool_title(entry.tool))}</h5>{entry_body(entry, '')}{back}</section>"
        for n, entry in enumerate(answer.evidence)
    )
    parts = [
        f"<h3>{turn}. {plain(answer.question)}</h3>",
        f"<h4>Where each statement comes from</h4><ol>{''.join(claims)}</ol>" if claims else "",
        f"<h4>Passages</h4><ol>{sources}</ol>" if sources else "",
        f"<h4>Steps</h4>{steps}" if steps else "",
    ]
    return "".join(parts)


# -- JSON -------------------------------------------------------------------------------------


def as_json(thread: str, title: str, turns: Sequence[Turn]) -> dict[str, Any]:
    """A conversation with the manifest of each answer; a turn that has none holds what is known of it.

    Args:
        thread: The conversation.
        title: Of it.
        turns: All of it.
    """
    return {"format": 1, "thread": thread, "title": title, "turns": [_json_turn(turn) for turn in turns]}


def _json_turn(turn: Turn) -> dict[str, Any]:
    data: dict[str, Any] = turn.model_dump(mode="json", exclude={"answer"})
    data["manifest"] = data["answer"] = None
    if turn.answer is None:
        return data
    try:
        if turn.answer.manifest is None:
            raise UsageError("This answer has no manifest.")
        data["manifest"] = read_manifest(Path(turn.answer.manifest)).model_dump(mode="json")
        answer = data["manifest"]["answer"]
    except MM4STError:
        answer = data["answer"] = turn.answer.to_json()
    for figure in answer["figures"]:  # where it lies on this machine is of no use elsewhere
        figure["path"] = Path(figure["path"]).name
    answer["manifest"] = answer["manifest"] and Path(answer["manifest"]).name
    return data


# -- routes -----------------------------------------------------------------------------------


def router(runtime_for: RuntimeFor) -> APIRouter:
    """The routes that export a conversation of the person who asks; another's is not there for them."""
    routes = APIRouter(prefix=f"/{PREFIX}/exports")

    @routes.get("/{thread}.md")
    def as_markdown_file(thread: str, request: Request) -> Response:
        return _file(runtime_for(request.state.user).conversations, thread, "md", markdown, "text/markdown")

    @routes.get("/{thread}.html")
    def as_html_file(thread: str, request: Request) -> Response:
        runtime = runtime_for(request.state.user)

        def write(title: str, turns: Sequence[Turn]) -> str:
            return page(title, turns, runtime.images.get)

        return _file(runtime.conversations, thread, "html", write, "text/html")

    @routes.get("/{thread}.json")
    def as_json_file(thread: str, request: Request) -> Response:
        def write(title: str, turns: Sequence[Turn]) -> str:
            return json.dumps(as_json(thread, title, turns), ensure_ascii=False, indent=1, allow_nan=False)

        return _file(runtime_for(request.state.user).conversations, thread, "json", write, "application/json")

    return routes


def _file(
    conversations: Conversations,
    thread: str,
    ending: str,
    write: Callable[[str, Sequence[Turn]], str],
    media_type: str,
) -> Response:
    try:
        turns = conversations.turns(thread)
    except UsageError:
        turns = []
    if not turns:
        return PlainTextResponse("There is no such conversation. It may have been deleted.", status_code=404)
    title = title_of(conversations, thread, turns)
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name(title, thread)}.{ending}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(write(title, turns), media_type=f"{media_type}; charset=utf-8", headers=headers)


def title_of(conversations: Conversations, thread: str, turns: Sequence[Turn]) -> str:
    """What the list of conversations calls it."""
    titles = {known.thread: known.title for known in conversations.list()}
    return titles.get(thread) or " ".join(turns[0].question.split())


def file_name(title: str, thread: str) -> str:
    """A file's name without its ending, of plain letters only.

    >>> file_name("How busy is S039?", "3f2a"), file_name("渋滞", "3f2a")
    ('mm4st-how-busy-is-s039', 'mm4st-3f2a')
    """
    said = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    return f"mm4st-{said or re.sub(r'[^A-Za-z0-9_-]', '', thread)}"


def _asked(turn: Turn) -> str:
    return f"{turn.asked_at:%Y-%m-%d %H:%M} UTC"


def _instead(turn: Turn) -> str:
    """What is said of a turn without an answer."""
    if turn.state == "running":
        return _RUNNING
    return turn.message or (STOPPED if turn.state == "stopped" else BUG)
