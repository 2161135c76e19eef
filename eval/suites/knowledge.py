"""Knowledge: what is retrieved and cited, against the texts that are relevant by construction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from eval.suites.halves import chance_of, clock, interleaved
from eval.suites.knowledge_questions import NOTE_QUESTIONS
from eval.suites.suite import Half, Item, Scored
from mm4st_agent.agent.answer import Answer
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.records import Text
from mm4st_agent.runtime import Runtime
from mm4st_agent.toolspec import Passage

DEMO, REAL = "demo", "pems-orange"
SPANS: Mapping[str, Mapping[Half, tuple[str, str]]] = {
    DEMO: {"dev": ("2025-09-03", "2025-10-02"), "test": ("2025-10-03", "2025-10-30")},
    REAL: {"dev": ("2022-01-03", "2022-01-15"), "test": ("2022-01-16", "2022-01-28")},
}
"""Days of publication. Nothing was trained on what is scored here, so the halves are longer than elsewhere."""
FIRST = 5
LOGGED, ANNOUNCED, ROADS, NOTES, EARLY = (
    "demo log",
    "demo announcements",
    "pems-orange log",
    "notes",
    "not yet published",
)
ITEMS: Mapping[str, int] = {LOGGED: 16, ANNOUNCED: 14, ROADS: 14, EARLY: 8}
"""Items of each kind, beside one for each note."""
LATER_MIN = (10, 60, 150)
"""What happened is asked about so long after its first text: before later ones, or when others have come."""
AHEAD = pd.Timedelta(hours=3)
"""What is announced is asked about so long before it begins."""
ROADS_HOURS = 3

PHRASES: Mapping[Half, Mapping[str, str]] = {
    "dev": {
        "incident": "Has anything been reported on the roads near station {node}?",
        "works": "Are there road works near station {node}?",
        "rain": "Is rain expected today?",
        "event": "Is there an event on near station {node}?",
        ROADS: "What has been logged at station {node} in the last 3 hours?",
    },
    "test": {
        "incident": "Did the traffic desk log a disruption around station {node}?",
        "works": "Will anybody be repairing the road by station {node}?",
        "rain": "Which weather warnings are out?",
        "event": "Does a show or a match bring people to station {node} today?",
        ROADS: "Which incidents were there at station {node} over the past 3 hours?",
    },
}


class Knowledge:
    """Questions whose relevant texts are known: those about the cause asked about, or the one note on a subject."""

    name = "knowledge"
    measures = (
        "Mean of recall@5, mean reciprocal rank and citation precision; 0 where anything published after the clock "
        "was retrieved. Not yet published: 1 without such a leak."
    )
    baseline_name = "the five most recent texts; five notes at random"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Log entries and announcements of the demo city, the real incident log where it is here, and the notes."""
        found = [*_demo_items(half, runtime), *_note_items(half)]
        if runtime.registry.available(REAL):
            found += _road_items(half, runtime.registry.open(REAL))
        return interleaved(found)

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """What was retrieved for the last answer, in its order, and what it cites."""
        answer = answers[-1]
        texts = [text for e in answer.evidence if e.tool == "retrieve_context" for text in e.texts]
        as_of = pd.Timestamp(answer.as_of)
        late = [t.doc_id for t in [*texts, *answer.citations] if _later(t, as_of)]
        relevant = list(item.expect["relevant"])
        sort = [t.doc_id for t in texts if t.doc_id.startswith("note/") == (item.kind == NOTES)]
        scored = _ranked(list(dict.fromkeys(sort)), [c.doc_id for c in answer.citations], relevant)
        details = {**scored.details, "leaked": float(len(late))}
        if late:
            return Scored(value=0.0, details=details, why=f"Published after the clock: {', '.join(late)}.")
        return scored.model_copy(update={"details": details})

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """The most recent texts that were known, whatever they are about; of notes, the mean over random ones."""
        relevant = list(item.expect["relevant"])
        if item.kind == NOTES:
            notes = len(NOTE_QUESTIONS)
            parts = (FIRST / notes, sum(1 / (rank * notes) for rank in range(1, FIRST + 1)), 1 / notes)
            return Scored(value=sum(parts) / 3)
        known = runtime.registry.open(item.dataset).until(item.as_of).events
        latest = sorted(known, key=lambda event: event.published_at, reverse=True)[:FIRST]
        ids = [f"{item.dataset}/{event.id}" for event in latest]
        return _ranked(ids, ids, relevant)


def _ranked(found: Sequence[str], cited: Sequence[str], relevant: Sequence[str]) -> Scored:
    """Recall@5, reciprocal rank and citation precision; 1 where nothing is relevant."""
    if not relevant:
        return Scored(value=1.0, why="Nothing about it was published yet, and nothing later was shown.")
    recall = sum(doc_id in found[:FIRST] for doc_id in relevant) / min(len(relevant), FIRST)
    rank = next((n for n, doc_id in enumerate(found, start=1) if doc_id in relevant), None)
    precision = sum(doc_id in relevant for doc_id in cited) / len(cited) if cited else 0.0
    reciprocal = 1 / rank if rank else 0.0
    return Scored(
        value=(recall + reciprocal + precision) / 3,
        details={"recall_at_5": recall, "mrr": reciprocal, "citation_precision": precision},
        why=f"Relevant: {', '.join(relevant)}; retrieved first: {', '.join(found[:FIRST]) or 'nothing'}.",
    )


def _later(text: Passage, as_of: pd.Timestamp) -> bool:
    return text.published_at is not None and pd.Timestamp(text.published_at) > as_of


# -- items ----------------------------------------------------------------------------------------


def _demo_items(half: Half, runtime: Runtime) -> Iterator[Item]:
    """By cause: some time after its first text, before what was announced begins, and just before the first text."""
    panel, city = runtime.registry.open(DEMO), City()
    kinds = {cause.id: cause.kind for cause in city.draws}
    texts: dict[str, list[Text]] = {}
    for text in sorted(city.texts, key=lambda text: text.published_at):
        if text.cause is not None and text.truth == "true":
            texts.setdefault(text.cause, []).append(text)
    chance = chance_of("knowledge", half, DEMO)
    left = dict(ITEMS)
    for at in chance.permutation(len(texts)):
        cause, about = list(texts.items())[at]
        kind, first = kinds[cause], about[0]
        if not _within(panel, half, first.published_at) or kind == "holiday":
            continue
        announced = first.published_at < first.start - AHEAD
        later = pd.Timedelta(minutes=int(chance.choice(LATER_MIN)))
        moments = [(LOGGED if kind == "incident" else ANNOUNCED, first.published_at + later)]
        if announced:
            moments = [(ANNOUNCED, first.start - AHEAD)]
        elif kind == "incident" and first.start < first.published_at:
            moments.append((EARLY, first.published_at - pd.Timedelta(minutes=1)))
        for name, moment in moments:
            if left[name] == 0 or (name == ANNOUNCED and not announced) or not _within(panel, half, moment):
                continue
            left[name] -= 1
            relevant = [f"{DEMO}/{text.id}" for text in about if text.published_at <= moment]
            question = PHRASES[half][kind].format(node=first.node)
            yield _item(half, name, cause, DEMO, moment.tz_convert(panel.zone), question, relevant, kind)


def _road_items(half: Half, panel: Panel) -> Iterator[Item]:
    """By incident at a station: some time after it, every one of the last three hours there is relevant."""
    chance = chance_of("knowledge", half, REAL)
    events = [event for event in panel.events if event.node is not None and _within(panel, half, event.published_at)]
    for at in chance.permutation(len(events))[: ITEMS[ROADS]]:
        event = events[at]
        later = pd.Timedelta(minutes=int(chance.choice(LATER_MIN)))
        moment = (event.published_at + later).tz_convert(panel.zone)
        relevant = [f"{REAL}/{other.id}" for other in panel.events if _ran(other, event.node, moment)]
        question = PHRASES[half][ROADS].format(node=event.node)
        yield _item(half, ROADS, event.id, REAL, moment, question, relevant, ROADS)


def _ran(event: Event, node: str | None, moment: pd.Timestamp) -> bool:
    """Whether it was at the node within the hours before, and published."""
    end = event.end or event.start
    return event.node == node and event.published_at <= moment and end > moment - pd.Timedelta(hours=ROADS_HOURS)


def _note_items(half: Half) -> Iterator[Item]:
    for note, questions in NOTE_QUESTIONS.items():
        question = questions[0 if half == "dev" else 1]
        yield _item(half, NOTES, note, DEMO, None, question, [f"note/{note}"], note)


def _item(
    half: Half,
    kind: str,
    number: str,
    dataset: str,
    moment: pd.Timestamp | None,
    question: str,
    relevant: Sequence[str],
    family: str,
) -> Item:
    return Item(
        id=f"{half}/{kind}/{number}",
        questions=(question,),
        dataset=dataset,
        as_of=None if moment is None else clock(moment),
        family=f"{half}/{kind}/{family}",
        kind=kind,
        expect={"relevant": list(relevant)},
    )


def _within(panel: Panel, half: Half, moment: pd.Timestamp) -> bool:
    first, last = (pd.Timestamp(day, tz=panel.zone) for day in SPANS[panel.name][half])
    return bool(first <= moment < last)


SUITE = Knowledge()
