"""What the words of one question say by themselves: places, a time, quantities, a picture, a ranking, a supposition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mm4st_agent.agent.backends import channels, slots
from mm4st_agent.agent.backends.contrasts import Contrast, contrast, past_span
from mm4st_agent.agent.backends.day_parts import REST
from mm4st_agent.agent.backends.directions import direction
from mm4st_agent.agent.backends.generalities import explains_words, general
from mm4st_agent.agent.backends.levels import converted
from mm4st_agent.agent.backends.looks import Look, look
from mm4st_agent.agent.backends.premises import Premise, premise
from mm4st_agent.agent.backends.probes import Probe, probe, without_forecast
from mm4st_agent.agent.backends.rankings import Ranking, ranking, without_pace
from mm4st_agent.agent.backends.request import Direction, clock_of
from mm4st_agent.agent.backends.splitting import asks
from mm4st_agent.agent.backends.suppositions import Change, Supposition, supposed
from mm4st_agent.agent.backends.thresholds import Threshold, threshold
from mm4st_agent.agent.backends.times import Span, tense_of, time_span
from mm4st_agent.agent.backends.unknowables import Unknowable, unknowable
from mm4st_agent.agent.chat import Session

_RATE = re.compile(
    r"\b(?:vehicles?|cars?|requests?|tokens?|counts?|readings?|units?|mm|km|kilomet(?:re|er)s?|miles?|times?)\s*(?:/"
    r"|\b(?:a|an|per|every|each)\b)\s*(?:\d+\s*|five\s+|ten\s+|fifteen\s+)?(?:min(?:ute)?s?|h(?:ou)?rs?|sec(?:ond)?s?"
    r"|day)\b"
    r"(?!\s+(?:ago|later|ahead|earlier|from now|after|before))",
    re.IGNORECASE,
)
"""A rate, such as "requests a minute", says no time."""


@dataclass(frozen=True)
class Reading:
    """The parts of a question.

    Attributes:
        question: The words that were read.
        span: The time that they name.
        look: The picture or the pattern.
        contrast: Two windows that are compared.
        probe: What is asked of the forecaster itself.
        found: The words that name places.
        phrase: Words that may name a place, where none surely do: what stands behind a preposition.
        changes: What is supposed to be otherwise.
        direction: From these places, or those spoken of, to the one that is meant.
        ranking: How places are ranked; None where some are named.
        quantity: The channel.
        kind: Of place.
        unmeasured: A quantity that the data do not have.
        unknowable: Why no data of this kind can tell it.
        premise: What it takes for granted of the readings.
        general: It asks how something is in general.
        threshold: A level that is asked about.
        unread: Several times or quantities are named.
        bare: The question with the words for times, quantities and the like as ';', as long as it is.
        plain: The question with the card's word for a place instead of each place's name.
    """

    question: str
    span: Span
    look: Look
    contrast: Contrast | None
    probe: Probe
    found: tuple[slots.PlaceWords, ...]
    phrase: str | None
    changes: tuple[Change, ...]
    direction: Direction | None
    ranking: Ranking | None
    quantity: channels.Named
    kind: str | None
    unmeasured: str | None
    unknowable: Unknowable | None
    premise: Premise | None
    general: bool
    threshold: Threshold | None
    unread: Literal["times", "quantities"] | None
    bare: str
    plain: str

    @property
    def named(self) -> tuple[str, ...]:
        """The words for places, once each."""
        return tuple(dict.fromkeys(place.text for place in self.found))

    @property
    def identified(self) -> frozenset[str]:
        """Those that are ids or quoted."""
        return frozenset(place.text for place in self.found if place.kind == "id")

    @property
    def says_when(self) -> bool:
        """Whether a time is named, one that cannot be read included."""
        return self.span.start is not None or self.span.now or self.span.problem is not None


def read(question: str, session: Session) -> Reading:
    """Read one question, without the thread that it stands in."""
    # "the rest of the morning" rests on nothing
    clock, asked = clock_of(session), probe(REST.sub(lambda found: ";" * len(found[0]), question))
    level = threshold(question)
    timed = _blank(question, [level[1]] if level else [], " ")
    timed = _RATE.sub(lambda found: ";" * len(found[0]), timed)
    if asked.kind == "backtest":
        timed = without_forecast(timed)  # these forecasts were made before
    asking = _asking_sentence(timed, clock)
    span, wanted, against = time_span(asking, clock), look(question), contrast(timed, clock)
    if wanted.wanted and span.side(clock) == "future" and tense_of(question) != "future":
        span = past_span(timed, clock)  # what is looked at was measured
    supposing = asked.supposition
    beside = direction(question)
    masked = _blank(
        question,
        (
            *span.at,
            *(against.at if against else ()),
            *wanted.at,
            *(supposing.at if supposing else ()),
            *([level[1]] if level else ()),
            *([beside.at] if beside else ()),
        ),
    )
    if span.compared:
        masked = masked.replace(span.compared, ";" * len(span.compared))
    masked = _blank(masked, channels.spans(masked, session.channels, with_digits=True))
    bare = _blank(masked, channels.spans(masked, session.channels))
    found = slots.places(question, session.place_word, known=session.place_ids, masked=masked, names=session.names)
    if supposing and found and all(supposing.clause[0] <= place.at[0] < supposing.clause[1] for place in found):
        rest = _blank(masked, [supposing.clause])  # the place whose forecast is meant, named in another way
        named = slots.places(rest, session.place_word, known=session.place_ids, names=session.names)
        found += [place for place in named if place.kind != "phrase"]
    if wanted.map:
        found = [place for place in found if re.search(r"\w", bare[slice(*place.at)])]
    title = re.split(r"[,(:]", session.title)[0].strip().casefold()
    found = [place for place in found if place.text.casefold() != title]
    if beside is None:  # else a way leads on from the place
        found = slots.in_each_way(question, [slots.with_heading(question, place) for place in found])
    phrase = next((place.text for place in found if place.kind == "phrase"), None)
    found = [place for place in found if place.kind != "phrase"]
    found, changes = _supposed(question, supposing, found)
    ranked = ranking(question, session.place_word)
    meant = _blank(question, [supposing.clause] if supposing else [])
    quantity = channels.named(without_pace(meant) if ranked else meant, session.channels)
    if quantity.channel is None and level:
        quantity = _measured_in(level[0].unit, session)
    return Reading(
        question=question,
        span=span,
        look=wanted,
        contrast=against,
        probe=asked,
        found=tuple(found),
        phrase=phrase,
        changes=changes,
        direction=beside.way if beside else None,
        ranking=None if found else ranked,
        quantity=quantity,
        kind=slots.kind(_plain(question, found, session.place_word), session.kinds),
        unmeasured=channels.unmeasured(question, session.channels, session.domain),
        unknowable=unknowable(question),
        premise=premise(question),
        general=explains_words(question) or (not found and general(question)),
        threshold=level[0] if level else None,
        unread=_unread(question, span, quantity.channel, session),
        bare=bare,
        plain=_plain(question, found, session.place_word),
    )


def _asking_sentence(text: str, clock: datetime) -> str:
    """The text with other sentences as ';' where the one that asks names a time: "We decide by eight. ... at nine?"."""
    ends = [found.end() for found in re.finditer(r"[.!?]\s+(?=[A-Z])", text)]
    sentences = list(zip([0, *ends], [*ends, len(text)], strict=True))
    if len(sentences) < 2:
        return text
    for start, end in reversed(sentences):
        sentence = text[start:end]
        if asks(sentence) and time_span(sentence, clock).start is not None:
            return ";" * start + sentence + ";" * (len(text) - end)
    return text


def _measured_in(unit: str | None, session: Session) -> channels.Named:
    """The quantity that a level with this unit is about: "is it over 40 µg/m³?"; sure where only one has the unit."""
    fitting = [c["name"] for c in session.channels if unit is not None and converted(1.0, unit, c["unit"]) is not None]
    return channels.Named(fitting[0] if fitting else None, len(fitting) == 1)


def with_span(reading: Reading, span: Span) -> Reading:
    """The same about another time."""
    return replace(reading, span=span)


def _supposed(
    question: str, supposing: Supposition | None, found: list[slots.PlaceWords]
) -> tuple[list[slots.PlaceWords], tuple[Change, ...]]:
    """The places whose forecast is meant, and the changes, which have places of their own."""
    if supposing is None:
        return found, ()
    start, end = supposing.clause
    inside = [place for place in found if start <= place.at[0] < end]
    outside = [place for place in found if place not in inside]
    changes = supposed(question, supposing, [place.text for place in inside])
    kind = changes[0].kind if changes else None
    if kind == "remove_sensor":
        return outside, changes  # without one, it is the sensor's own forecast
    return outside or (inside[1:2] if kind == "remove_road" else inside[:1]), changes


def _unread(question: str, span: Span, channel: str | None, session: Session) -> Literal["times", "quantities"] | None:
    if span.more:
        return "times"
    others = [c for c in session.channels if c["name"] != channel]
    return "quantities" if channel and channels.named(question, others, general=False).channel else None


def _plain(question: str, found: Iterable[slots.PlaceWords], place_word: str) -> str:
    """The question with "the sensor" for each place, and for "sensor K1" and "the sensor K1" alike."""
    called = re.compile(rf"\b(?:the\s+)?(?:{re.escape(place_word)}|station|sensor)\s+$", re.IGNORECASE)
    for place in sorted(found, key=lambda place: place.at, reverse=True):
        before = called.sub("", question[: place.at[0]])
        question = f"{before}the {place_word}{question[place.at[1] :]}"
    return question


def _blank(text: str, spans: Iterable[tuple[int, int]], mark: str = ";") -> str:
    """The text with what stands there as ';', so that it names no place."""
    for start, end in spans:
        text = text[:start] + mark * (end - start) + text[end:]
    return text
