"""The people of `mm4st bench app`: what each asks, and whether what each sees is their own."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from eval.bench.agent_questions import Question, load_questions
from eval.bench.sessions import PageSession, Reply

SEED = 0
_STATION = re.compile(r"\b[A-Z]\d{2,3}\b")
Asked = tuple[Question, str | None]
"""A question of the set, and the one station that it names, if any."""
Ask = tuple[str, str | None]
"""A person's question, and the station of theirs that it names, if any."""


@dataclass
class Person:
    """One page, and what it was asked and shown."""

    session: PageSession
    asked: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)


def pool_of(stations: Sequence[str]) -> list[Asked]:
    """Questions of the development set about the demo city, with the one station that each names, if any."""
    known = set(stations)
    pool: list[Asked] = []
    for question in load_questions("dev"):
        if question.dataset != "demo" or question.before or question.clarify:
            continue
        named = set(_STATION.findall(question.question))
        if len(named) == 1 and named <= known:
            pool.append((question, named.pop()))
        elif not named and not any("node" in argument for call in question.calls for argument in call.args):
            pool.append((question, None))
    return pool


def plan(pool: Sequence[Asked], count: int, own: Sequence[Sequence[str]]) -> list[list[Ask]]:
    """Questions for each person, spread over the pool and shuffled; stations become the person's own."""
    chosen = [pool[n * len(pool) // count] for n in range(count)]
    random.Random(SEED).shuffle(chosen)
    planned: list[list[Ask]] = [[] for _ in own]
    for n, (question, named) in enumerate(chosen):
        person, turn = n % len(own), n // len(own)
        if named is None:
            planned[person].append((question.question, None))
        else:
            station = own[person][turn % len(own[person])]
            planned[person].append((question.question.replace(named, station), station))
    return planned


def faults_of(reply: Reply, person: Person, question: str) -> list[str]:
    """Why a reply is no answer; remembers which conversation the page shows."""
    person.threads.add(reply.thread)
    foot = 'class="footer"'  # what went wrong is said in a sentence without one
    return [] if foot in reply.answer else [f"{question}: the reply is no answer: {reply.answer[:200]!r}"]


def strays_of(reply: Reply, person: Person, question: str, station: str | None) -> list[str]:
    """What a reply shows that is not this person's: other questions, or another station instead of theirs."""
    strays = [f"{other!r} is shown to who asked {question!r}" for other in reply.questions if other not in person.asked]
    if reply.questions[-1] != question:
        strays.append(f"the reply to {question!r} stands below {reply.questions[-1]!r}")
    named = set(_STATION.findall(reply.answer))
    if station is not None and named and station not in named:
        strays.append(f"the reply to {question!r} is about {', '.join(sorted(named))}")
    return strays


def mixed_threads(people: Sequence[Person]) -> list[str]:
    """Conversations that several people were shown, and people who were shown several."""
    owners: defaultdict[str, list[int]] = defaultdict(list)
    for n, person in enumerate(people):
        for thread in person.threads:
            owners[thread].append(n)
    shared = [f"conversation {thread} is shown to the people {who}" for thread, who in owners.items() if len(who) > 1]
    several = [f"person {n} is shown {sorted(one.threads)}" for n, one in enumerate(people) if len(one.threads) > 1]
    return shared + several
