"""Explaining: named causes, drivers of a forecast and what-if effects, against the simulator of the demo city."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from eval.suites.explaining_phrases import CAUSE, DRIVERS, PHRASES, WHAT_IF, WITHOUT
from eval.suites.halves import chance_of, clock, interleaved, span_of
from eval.suites.suite import Half, Item, Scored
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.city import LINGER, City
from mm4st_agent.demo_city.records import Cause
from mm4st_agent.runtime import Runtime

DEMO = "demo"
EVERY = pd.Timedelta(minutes=15)
PAST, AHEAD, KNOWN = pd.Timedelta(minutes=30), pd.Timedelta(hours=1), pd.Timedelta(hours=24)
SLOWED_KMH = 5.0
"""A place is slow for a reason where the cause took at least so much off its mean speed of the last half hour."""
MOVED = {"speed": 1.5, "flow": 6.0}
"""A what-if is asked where the true mean effect over the next hour is at least this, in the channel's unit a step."""
DOMINANT = 0.5
"""The share of all true effects at the place that the cause to be named has, at least."""
PER_CAUSE, CAUSES, WHAT_IFS, FAITHFUL = 3, 20, 20, {DEMO: 8, "pems-orange": 6}
SAID_EFFECTS = 3
"""Chance names so many of the causes that the last day's texts tell of."""

QUANTITIES = {"speed": "speed", "flow": "traffic flow"}


class Explaining:
    """Three kinds: the cause of a jam, what moved a forecast, and what would be without a cause."""

    name = "explaining"
    measures = (
        "Named cause: 1 / its rank among those named. Faithfulness: the share of random removals that moved the "
        "forecast less than the named inputs. What if: the error of claiming no change as a share of it and the "
        "answer's error together."
    )
    baseline_name = "chance (cause, faithfulness), no change (what if)"

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """Places and moments of the half at which something published truly acts; the city is simulated first."""
        return interleaved(
            [*_cause_items(half, runtime), *_faithful_items(half, runtime), *_what_if_items(half, runtime)]
        )

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """By the item's kind."""
        score = {CAUSE: _score_cause, DRIVERS: _score_drivers, WHAT_IF: _score_what_if}[item.kind]
        return score(item, answers[-1])

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """What chance scores on average, or claiming no change."""
        if item.kind == CAUSE:
            known = int(item.expect["known"])
            share = sum(1 / rank for rank in range(1, min(SAID_EFFECTS, known) + 1)) / known
            return Scored(value=share, details={"known": float(known)})
        return Scored(value=0.5)


# -- what truly acted -----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _city() -> City:
    """The simulated city behind the demo panel; runs without a cause are kept with it."""
    city = City()
    city.simulate()
    return city


@dataclass(frozen=True)
class Moment:
    """A node and a clock at which a cause that was published acts.

    Attributes:
        entry: The first text about the cause.
        effect: Its true mean effect, in the channel's unit.
    """

    cause: Cause
    entry: Event
    node: str
    as_of: pd.Timestamp
    channel: str
    effect: float


def _published(panel: Panel, city: City) -> Iterator[tuple[Cause, Event]]:
    """Each cause of which a text tells, with the first such text."""
    first: dict[str, Event] = {}
    for entry in sorted(panel.events, key=lambda event: event.published_at):
        cause = city.cause_of(entry.id)
        if cause is not None and cause.kind in WITHOUT:
            first.setdefault(cause.id, entry)
    for cause in city.draws:
        if cause.id in first:
            yield cause, first[cause.id]


def _moments(
    panel: Panel, half: Half, channel: str, least: float, before: pd.Timedelta, after: pd.Timedelta
) -> Iterator[Moment]:
    """Up to three for each cause, drawn from those where its mean effect from `before` to `after` the clock counts.

    A `least` below 0 asks for a fall of that size; above 0, for a change of either direction.
    """
    city, (first, last) = _city(), span_of(panel, half)
    chance = chance_of("explaining", half, channel, str(after))
    for cause, entry in _published(panel, city):
        if cause.end + LINGER < first or max(cause.start - LINGER, entry.published_at) > last:
            continue
        effect = city.without(cause.id).effect(channel)
        if effect.empty:
            continue
        begin = max(first, entry.published_at, effect.index[0]).ceil(EVERY).tz_convert(panel.zone)
        end = min(last - AHEAD, effect.index[-1])
        found = []
        for moment in pd.date_range(begin, end, freq=EVERY) if begin <= end else ():
            span = effect.loc[(effect.index >= moment - before) & (effect.index < moment + after)]
            mean = span.sum() / ((before + after) / panel.step)
            strong = mean[mean <= least] if least < 0 else mean[mean.abs() >= least]
            found += [Moment(cause, entry, str(n), moment, channel, float(v)) for n, v in strong.items()]
        yield from (found[at] for at in chance.permutation(len(found))[:PER_CAUSE])


# -- named causes ---------------------------------------------------------------------------------


def _cause_items(half: Half, runtime: Runtime) -> Iterator[Item]:
    panel, city = runtime.registry.open(DEMO), _city()
    found = []
    for moment in _moments(panel, half, "speed", -SLOWED_KMH, PAST, pd.Timedelta(0)):
        acting = city.causes(moment.node, (moment.as_of - PAST).to_pydatetime(), moment.as_of.to_pydatetime())
        if acting[0].cause is moment.cause and acting[0].share >= DOMINANT:
            found.append(moment)
    order = chance_of("explaining", half, CAUSE).permutation(len(found))[:CAUSES]
    for number, at in enumerate(order):
        moment = found[at]
        told = {
            _cause_id(event.id)
            for event in panel.events
            if event.published_at <= moment.as_of and event.published_at > moment.as_of - KNOWN
        } | {moment.cause.id}
        expect = {"cause": moment.cause.id, "known": len(told), "effect": moment.effect}
        yield _item(half, CAUSE, number, moment.node, moment.as_of, expect)


def _score_cause(item: Item, answer: Answer) -> Scored:
    """By the causes of the texts that the answer cites, in the order in which it cites them."""
    named: list[str] = []
    for citation in sorted(answer.citations, key=lambda c: _place_in(answer.answer, c.text)):
        cause = _cause_id(citation.doc_id.removeprefix(f"{item.dataset}/"))
        if not citation.doc_id.startswith("note/") and cause not in named:
            named.append(cause)
    right = str(item.expect["cause"])
    rank = named.index(right) + 1 if right in named else None
    return Scored(
        value=0.0 if rank is None else 1 / rank,
        details={"named": float(len(named)), "rank": rank, "found": float(rank is not None)},
        why=f"{right} slowed it by {-float(item.expect['effect']):.0f} km/h; named: {', '.join(named) or 'nothing'}.",
    )


def _cause_id(event: str) -> str:
    return event.partition("/")[0]


def _place_in(text: str, passage: str) -> int:
    """Where an answer quotes a passage; behind everything where it does not."""
    at = text.find(passage[:40])
    return at if at >= 0 else len(text)


# -- faithfulness ---------------------------------------------------------------------------------


def _faithful_items(half: Half, runtime: Runtime) -> Iterator[Item]:
    for dataset, count in FAITHFUL.items():
        if not runtime.registry.available(dataset):
            continue
        panel = runtime.registry.open(dataset)
        chance = chance_of("explaining", half, dataset)
        first, last = span_of(panel, half)
        hours = pd.date_range(first.ceil("h"), last - AHEAD, freq="h")
        hours = hours[(hours.hour >= 6) & (hours.hour <= 20)]
        for number in range(count):
            channel = tuple(QUANTITIES)[number % 2]
            node = str(chance.choice(panel.nodes_of(channel)))
            moment = hours[int(chance.integers(len(hours)))]
            yield _item(half, DRIVERS, f"{dataset}/{number}", node, moment, {"channel": channel}, panel, channel)


def _score_drivers(item: Item, answer: Answer) -> Scored:
    entry = _cited(answer, "explain_forecast")
    below = None if entry is None else _value(entry, "test.random_below_percent")
    if entry is None or below is None or str(entry.args.get("node")) != item.expect["node"]:
        return Scored(value=0.0, details={"explained": 0.0}, why="The answer rests on no explanation of the forecast.")
    moved, random = _value(entry, "test.moved"), _value(entry, "test.random_moved")
    gain = moved / random if moved is not None and random else None
    return Scored(
        value=below / 100,
        details={"explained": 1.0, "moved": moved, "random_moved": random, "moved_over_random": gain},
        why=f"{below:.0f} % of the random removals moved the forecast less than the named inputs.",
    )


# -- what if --------------------------------------------------------------------------------------


def _what_if_items(half: Half, runtime: Runtime) -> Iterator[Item]:
    panel = runtime.registry.open(DEMO)
    for channel, least in MOVED.items():
        steps = AHEAD / panel.step if panel.channel(channel).aggregation == "sum" else 1.0
        found = list(_moments(panel, half, channel, least, pd.Timedelta(0), AHEAD))
        order = chance_of("explaining", half, WHAT_IF, channel).permutation(len(found))[: WHAT_IFS // len(MOVED)]
        for number, at in enumerate(sorted(order)):
            moment = found[at]
            without, absent = (
                words.format(place=moment.entry.place.rpartition(" at ")[2]) for words in WITHOUT[moment.cause.kind]
            )
            expect = {"cause": moment.cause.id, "channel": channel, "change": -moment.effect * steps}
            words = {"without": without, "absent": absent}
            yield _item(
                half, WHAT_IF, f"{channel}/{number}", moment.node, moment.as_of, expect, panel, channel, words
            )  # fmt: skip


def _score_what_if(item: Item, answer: Answer) -> Scored:
    """The claimed change against the true one, in the unit of the total (vehicles) or the mean."""
    entry, true = _cited(answer, "what_if"), float(item.expect["change"])
    right_place = entry is not None and entry.args.get("node") == item.expect["node"]
    claimed = _value(entry, "difference.median") if entry is not None and right_place else None
    if claimed is None:
        return Scored(value=0.0, details={"claimed": 0.0}, why="The answer rests on no forecast of what was asked.")
    error = abs(claimed - true)
    direction = float(np.sign(claimed) == np.sign(true)) if claimed else None
    return Scored(
        value=abs(true) / (abs(true) + error),
        details={"claimed": 1.0, "error": error, "no_change_error": abs(true), "direction_right": direction},
        why=f"Without {item.expect['cause']} it would truly change by {true:+.3g}; claimed {claimed:+.3g}.",
    )


# -- shared ---------------------------------------------------------------------------------------


def _item(
    half: Half,
    kind: str,
    number: int | str,
    node: str,
    moment: pd.Timestamp,
    expect: Mapping[str, object],
    panel: Panel | None = None,
    channel: str = "speed",
    words: Mapping[str, str] | None = None,
) -> Item:
    (phrase,) = PHRASES[half][kind]
    place = f"{'station' if panel is None else panel.card.place_word} {node}"
    return Item(
        id=f"{half}/{kind}/{number}",
        questions=(phrase.format(place=place, quantity=QUANTITIES[channel], **(words or {})),),
        dataset=DEMO if panel is None else panel.name,
        as_of=clock(moment),
        family=f"{half}/{kind}",
        kind=kind,
        expect={"node": node, **expect},
    )


def _cited(answer: Answer, tool: str) -> Evidence | None:
    """The entry of a tool on which a claim of the answer rests."""
    cited = {entry_id for claim in answer.claims for entry_id in claim.evidence}
    return next((e for e in answer.evidence if e.tool == tool and e.error is None and e.id in cited), None)


def _value(entry: Evidence, path: str) -> float | None:
    found = entry.values.get(path)
    return None if found is None else float(found.value)


SUITE = Explaining()
