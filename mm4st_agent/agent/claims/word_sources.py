"""What a claim in words rests on: times, ids, short texts and passages of the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.clock_words import WEEKDAYS, WHEN, WrittenTime, same_time, written_time
from mm4st_agent.agent.ledger import EvidenceValue
from prompts import quotable

_MOST_TIMES = 2
HOW = Literal["stated", "computed", "counted"]


@dataclass(frozen=True)
class Source:
    """One thing of an entry that a claim rests on.

    Attributes:
        entry: Id of the entry.
        path: Where it stands in the reply; "" for the entry's clock, `texts[n]` for a passage, `labels[n]` for a
            short text whose place is not kept.
        value: The number, time, id or words.
        how: Whether the claim states it, is computed from it and others, or counts what lies there.
    """

    entry: str
    path: str
    value: EvidenceValue
    how: HOW = "stated"


def times_of(claim: Claim, reader: Reader) -> Iterator[Source]:
    """Times of the entries that are the one written; else the clock, a step's end, or a text that tells it."""
    found = WHEN.fullmatch(claim.text)
    wanted = written_time(found) if found is not None else None
    day = claim.text.lower() if WEEKDAYS.fullmatch(claim.text) else None
    stated = []
    for facts in reader.facts:
        for path, value in facts.entry.values.items():
            if value.unit == "time" and _is_then(wanted, day, datetime.fromisoformat(str(value.value))):
                stated.append(Source(facts.entry.id, path, value))
        clock = facts.entry.as_of
        if not stated and clock is not None and _is_then(wanted, day, datetime.fromisoformat(clock)):
            stated.append(Source(facts.entry.id, "", EvidenceValue(value=clock, unit="time")))
    yield from stated[:_MOST_TIMES]
    if stated or wanted is None:
        return
    for facts in reader.facts:
        for fact in facts.numbers:
            if fact.group == "steps" and fact.moment and facts.step and same_time(wanted, fact.moment + facts.step):
                path = f"{fact.path.rpartition('.')[0]}.time"
                if (value_at := facts.entry.values.get(path)) is not None:
                    yield Source(facts.entry.id, path, value_at, "computed")
        for n, passage in enumerate(facts.entry.texts):
            published = passage.published_at
            if (published is not None and same_time(wanted, published)) or claim.text in passage.text:
                yield _passage(facts, n)
        yield from _with_words(facts, claim.text)


def _is_then(wanted: WrittenTime | None, day: str | None, moment: datetime) -> bool:
    if day is not None:
        return moment.strftime("%A").lower() == day
    return wanted is not None and same_time(wanted, moment)


def words_of(claim: Claim, reader: Reader) -> Iterator[Source]:
    """Ids and short texts that are, word for word, what the claim says; else those that hold it."""
    said = str(claim.value)
    for facts in reader.facts:
        own = [
            Source(facts.entry.id, p, v) for p, v in facts.entry.values.items() if v.unit == "id" and v.value == said
        ]
        own += [
            Source(facts.entry.id, path, EvidenceValue(value=word, unit="word"))
            for path, word in facts.entry.words.items()
            if word == said
        ]
        yield from own or [*_quoted(facts, said), *_with_words(facts, said)]


def quotes_of(claim: Claim, reader: Reader) -> Iterator[Source]:
    """Passages, then short texts, that hold the words."""
    for facts in reader.facts:
        yield from _quoted(facts, str(claim.value))
        yield from _with_words(facts, str(claim.value))


def _quoted(facts: Facts, said: str) -> Iterator[Source]:
    wanted = quotable(said).rstrip(".,;!?").casefold()
    for n, passage in enumerate(facts.entry.texts):
        if wanted in quotable(passage.text).casefold():
            yield _passage(facts, n)


def _with_words(facts: Facts, said: str) -> Iterator[Source]:
    """Short texts of the reply, which is what the passages' own are not."""
    found = [
        Source(facts.entry.id, path, EvidenceValue(value=word, unit="word"))
        for path, word in facts.entry.words.items()
        if isinstance(word, str) and said.casefold() in word.casefold() and "passage." not in path
    ]
    labels = enumerate(facts.entry.labels)
    yield from found or [
        Source(facts.entry.id, f"labels[{n}]", EvidenceValue(value=label, unit="word"))
        for n, label in labels
        if said.casefold() in label.casefold() and not any(label in passage.text for passage in facts.entry.texts)
    ]


def _passage(facts: Facts, n: int) -> Source:
    return Source(facts.entry.id, f"texts[{n}]", EvidenceValue(value=facts.entry.texts[n].text, unit="text"))


# -- directions and comparisons ---------------------------------------------------------------
