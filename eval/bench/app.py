"""`mm4st bench app`: how long people wait for the chat, alone and together, and what memory it takes."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.bench.app_people import Ask, Asked, Person, faults_of, mixed_threads, plan, pool_of, strays_of
from eval.bench.report import BenchRow, compared, report_of
from eval.bench.served_app import ServedApp, processor_times, served_app, stolen_between
from eval.bench.sessions import AskFailedError, PageSession, Reply
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

COLD_START_S = 12.0
FIRST_STEP_MS = 300.0
TIMES_ALONE = 4.0
"""With everybody at once, the 95th percentile may be that many times the one of a person alone."""
GROWTH_MB = 50.0
CONVERSATION = 10
"""Questions after which a person opens a new one."""


@dataclass
class Phase:
    """What was measured while so many people asked; `mixed` tells what was shown to the wrong person.

    Attributes:
        stolen: Percent of the processor time that was wanted, by any program, but given to other virtual machines of
            the same hardware; None where the system does not tell.
    """

    replies: list[Reply] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    stolen: float | None = None

    @property
    def cpu_s_each(self) -> float | None:
        """The app's processor time for an answer: other programs of the machine hardly change it."""
        return self.cpu_s / len(self.replies) if self.replies else None

    def answer_s(self, share: float) -> float | None:
        """A quantile of the seconds to the whole answer; None without any."""
        return _quantile([reply.answer_s for reply in self.replies], share)

    def step_ms(self, share: float) -> float | None:
        """A quantile of the milliseconds to the first step."""
        return _quantile([1000 * reply.step_s for reply in self.replies], share)

    def sign_ms(self, share: float) -> float | None:
        """A quantile of the milliseconds to the first sign of work."""
        return _quantile([1000 * reply.sign_s for reply in self.replies], share)


@dataclass
class Measured:
    """A whole run.

    Attributes:
        memory_mb: After each answer to one person or to people who think, whatever else was under way.
        resting_mb: Before the first and after the last of those, when nobody waited.
    """

    cold_start_s: float
    alone: Phase
    together: Phase
    hurried: Phase
    memory_mb: list[float]
    resting_mb: tuple[float, float]


def bench_app(runtime: Runtime, *, users: int = 20, questions: int = 200, think_s: float = 15.0) -> dict[str, Any]:
    """Start the app on loopback and ask it as browsers do.

    After a warm-up with a question of each kind, half of the questions come from one person, one after the other,
    the other half from all people at once, who think between an answer and their next question (exponentially
    distributed). After ten questions everybody begins a new conversation, on a new page. Memory is read before and
    after those, when the app rests. Then as many come from all at once without a pause. The questions are those of
    the development set of `bench agent` that name one road station of the demo city, which becomes one of the
    person's own, or no place at all.

    Args:
        runtime: Knows the demo city; the app gets a home of its own.
        users: People at once.
        questions: Between the two readings of the memory.
        think_s: Mean, in seconds.

    Returns:
        `{rows, commit, machine, load, failures, mixed, memory_mb}`: `load` is the machine's over the last minute,
        before and after; `memory_mb` has one reading for each answer.

    Raises:
        UsageError: more people than stations, or fewer questions than people.
        ServerError: the app does not start.
    """
    stations = runtime.registry.open("demo").nodes_of()
    if users > len(stations):
        raise UsageError(f"There are no {users} people with a station of their own.", f"At most: {len(stations)}.")
    if questions < 2 * users:
        raise UsageError(f"{questions} questions are too few for {users} people.", f"Give {2 * users} or more.")
    own = [list(stations[n::users]) for n in range(users)]
    load = [os.getloadavg()[0]]
    with served_app() as app:
        measured = asyncio.run(_measure(app, pool_of(stations), own, questions, think_s))
    load.append(os.getloadavg()[0])
    phases = (measured.alone, measured.together, measured.hurried)
    return report_of(
        rows_of(measured, users, think_s),
        load=load,
        failures=[text for phase in phases for text in phase.failures],
        mixed=[text for phase in phases for text in phase.mixed],
        memory_mb=[round(value, 1) for value in measured.memory_mb],
    )


def rows_of(measured: Measured, users: int, think_s: float) -> list[BenchRow]:
    """The figures against their goals, or against those of one person alone."""
    alone, together, hurried, memory = measured.alone, measured.together, measured.hurried, measured.memory_mb
    before_mb, after_mb = measured.resting_mb
    alone_p95 = alone.answer_s(0.95)
    most = None if alone_p95 is None else TIMES_ALONE * alone_p95
    last = memory[len(memory) // 2 :]
    slope = 100 * statistics.linear_regression(range(len(last)), last).slope
    rows = [compared("cold start to the first page", measured.cold_start_s, COLD_START_S, "the goal", "s")]
    rows += [
        compared("one person: first sign of work, p50", alone.sign_ms(0.5), None, "", "ms"),
        compared("one person: first sign of work, p95", alone.sign_ms(0.95), None, "", "ms"),
        compared("one person: first step, p50", alone.step_ms(0.5), FIRST_STEP_MS, "the goal", "ms"),
        compared("one person: first step, p95", alone.step_ms(0.95), None, "", "ms"),
        compared("one person: answer, p50", alone.answer_s(0.5), None, "", "s"),
        compared("one person: answer, p95", alone_p95, None, "", "s"),
        compared("one person: processor time for an answer", alone.cpu_s_each, None, "", "s"),
    ]
    crowds = {f"{users} people, {think_s:g} s between questions": together, f"{users} people without a pause": hurried}
    for who, phase in crowds.items():
        rows += [
            compared(f"{who}: first sign of work, p50", phase.sign_ms(0.5), alone.sign_ms(0.5), "one person", "ms"),
            compared(f"{who}: first step, p50", phase.step_ms(0.5), alone.step_ms(0.5), "one person", "ms"),
            compared(f"{who}: first step, p95", phase.step_ms(0.95), alone.step_ms(0.95), "one person", "ms"),
            compared(f"{who}: answer, p50", phase.answer_s(0.5), alone.answer_s(0.5), "one person", "s"),
            compared(f"{who}: answer, p95", phase.answer_s(0.95), alone_p95, "one person", "s"),
            compared(f"{who}: processor time for an answer", phase.cpu_s_each, alone.cpu_s_each, "one person", "s"),
        ]
    phases = (alone, together, hurried)
    rows += [
        compared(f"{who}: processor time that other machines got", phase.stolen, None, "", "%")
        for who, phase in {"one person": alone, **crowds}.items()
    ]
    unanswered = sum(len(phase.failures) for phase in phases)
    strayed = sum(len(phase.mixed) for phase in phases)
    return [
        *rows,
        compared(
            f"p95 of {users} people", together.answer_s(0.95), most, f"the goal: {TIMES_ALONE:g} times one's", "s"
        ),
        compared("questions without an answer", unanswered, 0, "the goal", "questions"),
        compared("shown to the wrong person", strayed, 0, "the goal", "times"),
        compared("memory after the warm-up", before_mb, None, "", "MB"),
        compared(f"memory growth over {len(memory)} answers", after_mb - before_mb, GROWTH_MB, "the goal", "MB"),
        compared("highest memory meanwhile", max(memory), None, "", "MB"),
        compared("memory growth in the last half, for 100 answers", slope, None, "", "MB"),
    ]


async def _measure(app: ServedApp, pool: list[Asked], own: list[list[str]], questions: int, think_s: float) -> Measured:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:

        async def phase(title: str, planned: list[list[Ask]], pause_s: float, memory_mb: list[float]) -> Phase:
            task = bar.add_task(title, total=sum(map(len, planned)))

            def answered() -> None:
                memory_mb.append(app.memory_mb())
                bar.advance(task)

            busy_s, before = app.cpu_s(), processor_times()
            done = await _ask_all(app.url, planned, pause_s, answered)
            done.cpu_s, done.stolen = app.cpu_s() - busy_s, stolen_between(before, processor_times())
            return done

        kinds = list({question.topic: (question, named) for question, named in pool}.values())
        await phase("Warming up", plan(kinds, len(kinds), own[:1]), 0.0, [])
        memory_mb: list[float] = []
        before_mb = await app.resting_mb()
        alone = await phase("One person", plan(pool, questions // 2, own[:1]), 0.0, memory_mb)
        everyone = plan(pool, questions - questions // 2, own)
        together = await phase(f"{len(own)} people", everyone, think_s, memory_mb)
        after_mb = await app.resting_mb()
        hurried = await phase(f"{len(own)} people without a pause", everyone, 0.0, [])
    return Measured(app.cold_start_s, alone, together, hurried, memory_mb, (before_mb, after_mb))


async def _ask_all(url: str, planned: list[list[Ask]], pause_s: float, answered: Callable[[], None]) -> Phase:
    """Let everyone ask what is planned for them, each on pages of their own, a conversation on each."""
    phase = Phase()
    pages: list[Person] = []

    async def visit(questions: list[Ask], chance: random.Random) -> None:
        for first in range(0, len(questions), CONVERSATION):
            async with PageSession.open(url) as session:
                person = Person(session)
                pages.append(person)
                await converse(person, questions[first : first + CONVERSATION], chance)

    async def converse(person: Person, questions: list[Ask], chance: random.Random) -> None:
        for question, station in questions:
            if pause_s:
                await asyncio.sleep(chance.expovariate(1 / pause_s))
            person.asked.append(question)
            try:
                reply = await person.session.ask(question)
            except AskFailedError as err:
                phase.failures.append(f"{question}: {err}")
            else:
                phase.replies.append(reply)
                phase.failures += faults_of(reply, person, question)
                phase.mixed += strays_of(reply, person, question, station)
            answered()

    await asyncio.gather(*(visit(questions, random.Random(n)) for n, questions in enumerate(planned)))
    phase.mixed += mixed_threads(pages)
    return phase


def _quantile(values: list[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
