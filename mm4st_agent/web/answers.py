"""Chat messages: what a run tells while it works, and what a stored turn holds, look the same."""

from __future__ import annotations

import html
import logging
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from mm4st_agent.agent.answer import Answer, AnswerFigure, Citation, Claim
from mm4st_agent.agent.claims import MARK
from mm4st_agent.agent.claims.reader import POINTER
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.manifest import NO_TOOLS
from mm4st_agent.agent.run_events import Answered, Drafted, RunEvent, ToolFinished, ToolStarted
from mm4st_agent.errors import MM4STError
from mm4st_agent.web import words
from mm4st_agent.web.markup import plain
from mm4st_agent.web.prose import Insert, Mark, to_html
from mm4st_agent.web.served import PREFIX, Part

if TYPE_CHECKING:
    from mm4st_agent.agent.conversations import Turn

log = logging.getLogger(__name__)

Message = dict[str, Any]
"""One chat message as Gradio's chatbot takes it: `{role, content, metadata}`."""

THINKING: Message = {"role": "assistant", "content": "", "metadata": {"title": "Thinking", "status": "pending"}}
BUG = "Sorry, that went wrong, and it is a bug in mm4st, not in your question. The server's log has the details."
STOPPED = "Stopped."
UNREAD = "Draft, numbers not checked yet"
_DRAFT = '<div class="draft">'
_STATUS = {"verified": "", "corrected": "~", "unsupported": ""}
"""What stands behind a claim, so that its status can be told without colour."""


def _from_route(figure: AnswerFigure) -> str:
    return f"{PREFIX}/pictures/{figure.image_id}.png"


@dataclass(frozen=True)
class Look:
    """How an answer is written.

    Attributes:
        picture: The address of a picture; None where it is not kept any more.
        role: What the links to evidence do: in the app they open the panel, as buttons do.
        charts: Whether a forecast's picture gives way to a chart.
    """

    picture: Callable[[AnswerFigure], str | None] = _from_route
    role: str = ' role="button"'
    charts: bool = True


# -- messages ---------------------------------------------------------------------------------


def said(question: str) -> Message:
    """What the person asked, in their words; tags in them are shown, and `question_of` gives the words back."""
    return {"role": "user", "content": html.escape(question.strip(), quote=False)}


def question_of(content: str) -> str:
    """The words of a message that `said` made and the person may have changed."""
    return html.unescape(content)


def sentence(text: str) -> Message:
    """A plain sentence of ours."""
    return {"role": "assistant", "content": f'<p class="sentence">{plain(text)}</p>'}


def failed(error: BaseException) -> Message:
    """What went wrong and what would work; a bug is only named as one, its traceback goes to the log."""
    if isinstance(error, MM4STError):
        return sentence(str(error))
    log.error("A question ended in a bug.", exc_info=error)
    return sentence(BUG)


def draft(text: str) -> Message:
    """What a chat model has written so far, before anything in it is checked."""
    content = f'{_DRAFT}<p class="label">{UNREAD}</p>{to_html(text)}</div>'
    return {"role": "assistant", "content": content}


def shown(chat: list[Message], event: RunEvent) -> list[Message]:
    """The chat after one more event: a step begins, a step ends, or the answer is there."""
    match event:
        case ToolStarted():
            return [*_without_draft(chat), _begun(event.call_id, event.title, event.args)]
        case ToolFinished():
            return [_ended(m, event.evidence) if _step(m).get("id") == event.call_id else m for m in chat]
        case Drafted():
            return [*_without_draft(chat), *([draft(event.text)] if event.text.strip() else [])]
        case Answered():
            return [*closed(chat), answered(event.answer)]


def waiting(chat: list[Message]) -> list[Message]:
    """The chat while an answer is under way: where nothing can be seen to happen, the chat model thinks."""
    moving = any(_step(message).get("status") == "pending" for message in chat) or _is_draft(chat[-1:])
    return chat if moving else [*chat, THINKING]


def closed(chat: list[Message]) -> list[Message]:
    """The chat without running steps: what had not ended was broken off; an unchecked draft does not stay."""
    ended = {"status": "done", "log": "broken off"}
    return [
        {**m, "metadata": {**_step(m), **ended}} if _step(m).get("status") == "pending" else m
        for m in _without_draft(chat)
    ]


def answered(answer: Answer, turn: int | None = None) -> Message:
    """The answer with all that belongs to it; `turn` where the answer itself does not know its place."""
    return {"role": "assistant", "content": answer_html(answer, answer.turn if turn is None else turn)}


def turn_messages(turn: Turn) -> list[Message]:
    """A stored turn as it was seen while it ran: question, steps, and answer or what came instead."""
    if turn.answer is not None:
        return _written.messages(turn, turn.answer)
    if turn.state == "running":
        return [said(turn.question)]
    return [said(turn.question), sentence(turn.message or (STOPPED if turn.state == "stopped" else BUG))]


def count_messages(turn: Turn) -> int:
    """How many `turn_messages` there are, without writing them."""
    if turn.answer is None:
        return 1 if turn.state == "running" else 2
    return 2 + len(steps(turn.answer))


class _Written:
    """Answered turns as messages: a conversation of a hundred turns would else be written again for each question."""

    MOST = 512

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], list[Message]] = OrderedDict()
        self._lock = Lock()

    def messages(self, turn: Turn, answer: Answer) -> list[Message]:
        """Those of a turn that ended in an answer."""
        key = (turn.n, turn.question, answer.thread, answer.manifest, answer.seconds, answer.answer, *_parts(answer))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return deepcopy(self._kept[key])
        tools = [_ended(_begun(e.id, words.tool_title(e.tool), e.args), e) for e in steps(answer)]
        messages = [said(turn.question), *tools, answered(answer, turn.n)]
        with self._lock:
            self._kept[key] = messages
            if len(self._kept) > self.MOST:
                self._kept.popitem(last=False)
        return deepcopy(messages)


def _parts(answer: Answer) -> Iterator[tuple[object, ...]]:
    """What tells an answer from another of the same text: its calls, the fate of its claims, and what stands below."""
    yield tuple((entry.id, entry.tool, entry.seconds, entry.error) for entry in answer.evidence)
    yield tuple((claim.span, claim.status) for claim in answer.claims)
    yield tuple(figure.image_id for figure in answer.figures)
    yield (*answer.warnings, *answer.choices)


_written = _Written()


def steps(answer: Answer) -> list[Evidence]:
    """The tool calls of this answer's question, without entries of earlier ones that it points to."""
    opened = [n for n, entry in enumerate(answer.evidence) if entry.tool in NO_TOOLS]
    return answer.evidence[opened[-1] + 1 :] if opened else answer.evidence


def _step(message: Message) -> dict[str, Any]:
    step: dict[str, Any] = message.get("metadata") or {}
    return step


def _is_draft(messages: list[Message]) -> bool:
    return bool(messages) and messages[-1]["role"] == "assistant" and messages[-1]["content"].startswith(_DRAFT)


def _without_draft(chat: list[Message]) -> list[Message]:
    return chat[:-1] if _is_draft(chat) else chat


def _begun(call_id: str, title: str, args: dict[str, Any]) -> Message:
    pairs = "".join(
        f"<div><dt>{plain(name)}:</dt> <dd>{plain(given)}</dd></div>" for name, given in words.arguments(args)
    )
    content = f'<dl class="args">{pairs}</dl>' if pairs else '<p class="args">No arguments.</p>'
    meta = {"id": call_id, "title": plain(title), "status": "pending"}
    return {"role": "assistant", "content": content, "metadata": meta}


def _ended(message: Message, entry: Evidence) -> Message:
    log = f"{entry.id}, failed" if entry.error else entry.id
    return {
        **message,
        "content": f'{message["content"]}<p class="outcome">{plain(outcome(entry))}</p>',
        "metadata": {**message["metadata"], "status": "done", "duration": entry.seconds, "log": log},
    }


def outcome(entry: Evidence) -> str:
    """What came of a call, as a sentence."""
    if entry.error:
        return f"That did not work: {entry.error}"
    kinds = {"value": len(entry.values), "text": len(entry.texts), "picture": len(entry.images)}
    found = [words.counted(n, what) for what, n in kinds.items() if n]
    return f"Found: {', '.join(found) or 'nothing'}. It is kept as {entry.id}."


# -- the answer -------------------------------------------------------------------------------


def answer_html(answer: Answer, turn: int, look: Look = Look()) -> str:
    """The text with its claims, marks and pictures, then choices, warnings, sources and what it took; on one line."""
    figures = list(_figures(answer, turn, look))
    body = to_html(answer.answer, list(marks(answer, turn, look)), figures)
    parts = [
        body,
        _choices(answer.choices, look),
        _warnings(answer.warnings),
        _sources(answer, turn, look),
        _footer(answer),
    ]
    return f'<div class="answer">{"".join(parts)}</div>'


def marks(answer: Answer, turn: int, look: Look) -> Iterator[Mark]:
    """What is set apart in the text: claims, the words behind unsupported ones, and evidence marks."""
    for n, claim in enumerate(answer.claims):
        yield _claim(claim, Part("claim", answer.thread, turn, n), look)
        if claim.status == "unsupported" and answer.answer.startswith(MARK, claim.span[1]):
            start = claim.span[1] + len(MARK) - len(MARK.lstrip())
            yield Mark(start, claim.span[1] + len(MARK), shown='<strong class="flag">⚠ unsupported</strong>')
    position = {entry.id: n for n, entry in enumerate(answer.evidence)}
    for found in POINTER.finditer(answer.answer):
        for one in re.finditer(r"E\d+", found[0]):
            if one[0] in position:
                part = Part("entry", answer.thread, turn, position[one[0]])
                start = found.start() + one.start()
                yield Mark(start, start + len(one[0]), f'<a class="mark" href="#{part}"{look.role}>', "</a>")


def _claim(claim: Claim, part: Part, look: Look) -> Mark:
    sign = _STATUS[claim.status]
    strike, unstrike = ("<s>", "</s>") if claim.status == "unsupported" else ("", "")
    tail = f'<sup class="flag" title="corrected by us">{sign}</sup>' if sign else ""
    opening = f'<a class="claim {claim.status}" href="#{part}"{look.role}>{strike}'
    return Mark(*claim.span, before=opening, after=f"{unstrike}</a>", tail=tail)


def _figures(answer: Answer, turn: int, look: Look) -> Iterator[Insert]:
    """Each picture behind what first speaks of its evidence, else at the end."""
    forecasts = [entry.id for entry in answer.evidence if entry.tool == "forecast" and not entry.error]
    first: dict[str, int] = defaultdict(lambda: len(answer.answer))
    for found in POINTER.finditer(answer.answer):
        for one in re.findall(r"E\d+", found[1]):
            first[one] = min(first[one], found.start())
    charted: set[str] = set()
    for figure in answer.figures:
        opening = "<figure>"
        if look.charts and figure.evidence in forecasts and figure.evidence not in charted:
            charted.add(figure.evidence)
            chart = Part("chart", answer.thread, turn, forecasts.index(figure.evidence))
            opening = f'<figure class="chart" id="{chart}">'
        yield Insert(first[figure.evidence], f"{opening}{picture(figure, look)}</figure>")


def picture(figure: AnswerFigure, look: Look) -> str:
    """A picture with its caption; in the app it links to itself, for a closer look."""
    caption = f"<figcaption>{plain(figure.title)} [{plain(figure.evidence)}]</figcaption>"
    address = look.picture(figure)
    if address is None:
        return f"<p>This picture is not kept any more. It showed: {plain(figure.alt)}</p>{caption}"
    image = f'<img src="{html.escape(address)}" alt="{plain(figure.alt)}">'
    link = f'<a href="{html.escape(address)}" target="_blank" rel="noopener">{image}</a>'
    return f"{link if look.role else image}{caption}"


def _choices(choices: list[str], look: Look) -> str:
    """What may be meant: the person presses one, types its number, or writes words of their own."""
    opening, closing = ('<button type="button" class="choice">', "</button>") if look.role else ("", "")
    items = "".join(f"<li>{opening}{plain(choice)}{closing}</li>" for choice in choices)
    return f'<ol class="choices">{items}</ol>' if items else ""


def _warnings(warnings: list[str]) -> str:
    items = "".join(f"<li>{plain(warning)}</li>" for warning in warnings)
    return f'<div class="warnings" role="note"><strong>⚠ Keep in mind</strong><ul>{items}</ul></div>' if items else ""


def _sources(answer: Answer, turn: int, look: Look) -> str:
    """Each passage that was cited; one that two steps brought stands once."""
    first = {(cited.source, cited.text): n for n, cited in reversed(list(enumerate(answer.citations)))}
    items = "".join(
        f'<li><a class="source" href="#{Part("source", answer.thread, turn, n)}"{look.role}>{plain(source)}</a>'
        f" <cite>{plain(source_line(answer.citations[n]))}</cite></li>"
        for (source, _), n in sorted(first.items(), key=lambda item: item[1])
    )
    return f'<div class="sources"><strong>Sources</strong><ol>{items}</ol></div>' if items else ""


def source_line(citation: Citation) -> str:
    """When, where, and by which evidence."""
    when = words.local_time(citation.published_at) if citation.published_at else "undated"
    return " · ".join(part for part in (when, citation.place, citation.evidence) if part)


def _footer(answer: Answer) -> str:
    kept = sum(claim.status != "unsupported" for claim in answer.claims)
    corrected = sum(claim.status == "corrected" for claim in answer.claims)
    parts = [
        f"{kept} of {words.counted(len(answer.claims), 'claim')} supported by the evidence" if answer.claims else "",
        f"{corrected} of them corrected (~)" if corrected else "",
        f"answered by {answer.chat_model}",
        f"data {answer.dataset} as of {words.local_time(answer.as_of)}",
        words.seconds(answer.seconds),
    ]
    return f'<div class="footer">{" · ".join(plain(part) for part in parts if part)}</div>'
