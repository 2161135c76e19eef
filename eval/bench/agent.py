"""`mm4st bench agent`: what the embedded chat model makes of a question set, through the real graph and tools."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from eval.bench.agent_matching import Call, Meaning, judge
from eval.bench.agent_questions import Half, Question, load_questions
from eval.bench.agent_scores import Outcome, failure_of, groups_of, rows_of
from eval.bench.report import report_of
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.measured import measuring
from mm4st_agent.memory import settle
from mm4st_agent.runtime import Runtime

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.agent.backends.embedded import EmbeddedChatModel
    from mm4st_agent.agent.chat import ChatModel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.settings import ChatModelName, Settings

WARM_UP = "How many vehicles will pass {place} in the next hour?"
NO_TOOLS = frozenset({"question", "clarify"})
"""Entries of the ledger that are no tool call."""


class _Listening(Runtime):
    """A runtime that keeps what the chat model was given first for the latest question.

    Attributes:
        heard: The messages, the question last; empty when the model was not asked.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.heard: list[Any] = []

    def _chat_model(self, name: ChatModelName) -> ChatModel:
        chat = super()._chat_model(name)

        def wire(messages: Sequence[Any]) -> list[Any]:
            self.heard = self.heard or list(messages)
            return chat.wire(messages)

        return dataclasses.replace(chat, wire=wire)

    def tasks(self) -> tuple[str, ...]:
        """What the embedded model took the latest question for."""
        model = cast("EmbeddedChatModel", self._chat_model("embedded").model)
        return tuple(model.tasks(self.heard)) if self.heard else ()


def bench_agent(
    settings: Settings,
    half: Half = "dev",
    *,
    dataset: str | None = None,
    limit: int | None = None,
    failures: bool = False,
    questions: Sequence[Question] | None = None,
) -> dict[str, Any]:
    """Ask every question of a set in a thread and home of its own, and score what the embedded model did.

    Args:
        settings: Where the data are; the home is a temporary one.
        half: Which set: 'dev', which may be looked at while working, or 'test'.
        dataset: Only questions about this data set.
        limit: Only so many questions, spread over the set.
        failures: Also tell each question that is not as expected.
        questions: These instead of the set of `half`.

    Returns:
        `{rows, commit, machine, half, asked, skipped, by}` and, where wanted, `failures`; `skipped` counts the
        questions by data set that is not on this machine.

    Raises:
        UsageError: no question is left.
        DataError: the question set is missing or broken.
    """
    whole = load_questions(half) if questions is None else questions
    chosen = [question for question in whole if dataset in (None, question.dataset)]
    with tempfile.TemporaryDirectory() as home:
        runtime = _Listening(settings.model_copy(update={"home": Path(home)}))
        here = [question for question in chosen if runtime.registry.available(question.dataset)]
        skipped = Counter(question.dataset for question in chosen if question not in here)
        if not here:
            known = ", ".join(sorted({question.dataset for question in whole}))
            about = f"on {dataset!r}" if dataset else "on a data set"
            raise UsageError(f"The question set {half!r} has no question {about} that is here.", f"It has: {known}.")
        settle()
        outcomes = asyncio.run(_ask_all(runtime, _spread(here, limit)))
    report = report_of(
        rows_of(outcomes),
        half=half,
        asked=len(outcomes),
        skipped=dict(skipped),
        by={
            "intent": groups_of(outcomes, lambda outcome: outcome.question.topic),
            "manner": groups_of(outcomes, lambda outcome: outcome.question.manner),
        },
    )
    if failures:
        report["failures"] = [failure_of(outcome) for outcome in outcomes if outcome.faults]
    return report


def _spread(questions: list[Question], limit: int | None) -> list[Question]:
    """So many of them, evenly over the set, which is ordered by intent."""
    if limit is None or limit >= len(questions):
        return questions
    return [questions[n * len(questions) // limit] for n in range(limit)]


async def _ask_all(runtime: _Listening, questions: Sequence[Question]) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    meanings: dict[str, Meaning] = {}
    outcomes = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Questions", total=len(questions))
        for question in questions:
            if question.dataset not in meanings:
                panel = runtime.registry.open(question.dataset)
                meanings[question.dataset] = meaning_of(runtime, panel)
                await runtime.ask(WARM_UP.format(place=panel.nodes_of()[0]), dataset=question.dataset)
            outcomes.append(await _ask(runtime, question, meanings[question.dataset]))
            bar.advance(task)
    return outcomes


async def _ask(runtime: _Listening, question: Question, meaning: Meaning) -> Outcome:
    thread = uuid.uuid4().hex
    made: list[Call] = []
    tasks: tuple[str, ...] = ()
    answer: Answer | None = None
    error: str | None = None
    seconds: float | None = None
    try:
        for earlier in question.before:
            await runtime.ask(earlier, dataset=question.dataset, chat_model="embedded", thread=thread)
        runtime.heard = []
        started = time.perf_counter()
        answer = await runtime.ask(question.question, dataset=question.dataset, chat_model="embedded", thread=thread)
        seconds = time.perf_counter() - started
        made, tasks = _calls_of(answer), runtime.tasks()
    except Exception as err:  # noqa: BLE001 - a bug of the product is a failed question; the run goes on and names it
        error = f"{type(err).__name__}: {err}"
    return Outcome(
        question=question,
        tasks=tasks,
        judgement=judge(question.expected, made, meaning),
        made=tuple(f"{call.tool} {dict(call.args)}" for call in made),
        asked=answer is not None and bool(answer.choices),
        claims=Counter(claim.status for claim in answer.claims) if answer is not None else {},
        seconds=seconds,
        error=error,
    )


def _calls_of(answer: Answer) -> list[Call]:
    """The calls of the latest question, as the ledger has them: what stands behind its last opening entry."""
    entries = answer.evidence
    first = max((n for n, entry in enumerate(entries) if entry.tool == "question"), default=-1)
    return [Call(entry.tool, entry.args) for entry in entries[first + 1 :] if entry.tool not in NO_TOOLS]


def meaning_of(runtime: Runtime, panel: Panel) -> Meaning:
    """What the arguments of calls about a data set mean: defaults of the tools, step, zone, clock, channels."""
    first: dict[str | None, str] = {None: panel.card.channels[0].name}
    for channel in panel.card.channels:
        for node in measuring(panel, channel).node_ids:
            first.setdefault(node, channel.name)
    defaults = {
        name: {
            field: info.get_default() for field, info in spec.input_model.model_fields.items() if not info.is_required()
        }
        for name, spec in runtime.tools.items()
    }
    now: datetime = panel.until(panel.now).end.to_pydatetime()
    return Meaning(defaults, panel.step_s, ZoneInfo(panel.card.time_zone), now, first.get)
