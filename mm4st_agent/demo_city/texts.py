"""What people in the city publish: bulletins, listings, warnings and notes; some late, wrong, or meant to mislead.

What happens decides what is written, and the truth about each text is kept in it. Each text has random numbers of
its own, so taking a cause away takes its texts away and leaves what the others say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.chance import stream
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.phrases import CAUSES, INJECTIONS, NOTHING, RUMOURS
from mm4st_agent.demo_city.records import Cause, Text, Weather
from mm4st_agent.demo_city.wording import Places, capital, clock, day, day_and_clock, style, with_article

CITY = "Port Alder"
DESK = "Port Alder traffic desk (synthetic)"
WORKS_OFFICE = "Port Alder road works office (synthetic)"
LISTINGS = "What's on in Port Alder (synthetic)"
WEATHER_SERVICE = "Port Alder weather service (synthetic)"
BOARD = "Port Alder notice board (synthetic)"

_UNREPORTED, _LATE, _WRONG = 0.06, 0.07, 0.08
"""Shares of the incidents; the wrong ones by place, time or severity alike."""
_NOTICES_A_DAY, _RUMOURS_A_DAY, _FALSE_ALARMS_A_DAY = 0.8, 0.07, 0.06

Truth = Literal["true", "late", "wrong", "irrelevant", "injection"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Draft:
    """A text before its words: `phrases` and the `fields` that fill them in."""

    id: str
    group: str
    kind: str
    fields: Mapping[str, str]
    start: pd.Timestamp
    end: pd.Timestamp | None
    published_at: pd.Timestamp
    source: str
    place: str
    node: str | None
    cause: str | None
    truth: Truth
    phrases: Sequence[str] = ()


def write_texts(
    causes: Iterable[Cause], network: Network, weather: Weather, time: pd.DatetimeIndex, seed: int
) -> tuple[Text, ...]:
    """Write what is published about the causes, and what is about nothing.

    Args:
        causes: All that act on the city.
        network: Where; the texts name its roads, places and venues.
        weather: T steps; how hard it rains is in the warnings.
        time: `(T,)` starts of the steps, evenly spaced, in the city's zone.
        seed: Of what is said, when, and how well.

    Returns:
        In the order of publication. The first text about a cause has the cause's id, further ones `/2`, `/3`; all
        others are `notice-001`, ... Texts about what comes early may be published before `time` begins; none is
        after it ends.
    """
    desk = _Desk(network, weather, time, seed)
    drafts = [draft for cause in causes for draft in _numbered(cause.id, desk.about(cause))]
    others = sorted(desk.about_nothing(), key=lambda draft: (draft.published_at, draft.id))
    drafts += [dataclasses.replace(draft, id=f"notice-{n:03d}") for n, draft in enumerate(others, start=1)]
    end = time[-1] + (time[1] - time[0])
    drafts = sorted((d for d in drafts if d.published_at < end), key=lambda draft: (draft.published_at, draft.id))
    return tuple(_worded(drafts, seed))


def _numbered(cause: str, drafts: Iterable[_Draft]) -> Iterator[_Draft]:
    """In the order of publication: the cause's id, then the id with /2, /3."""
    for number, draft in enumerate(sorted(drafts, key=lambda draft: draft.published_at), start=1):
        yield dataclasses.replace(draft, id=cause if number == 1 else f"{cause}/{number}", cause=cause)


def _worded(drafts: Iterable[_Draft], seed: int) -> Iterator[Text]:
    """Choose a phrasing for each, never the one before again, and spoil the spelling of a few."""
    before: dict[str, int] = {}
    for draft in drafts:
        chance = stream(seed, f"texts/{draft.id}")
        phrases = draft.phrases or CAUSES[draft.group]
        chosen = int(chance.integers(0, len(phrases)))
        if chosen == before.get(draft.group):
            chosen = (chosen + 1) % len(phrases)
        before[draft.group] = chosen
        text = phrases[chosen].format_map(draft.fields)
        text = text[0].upper() + text[1:]
        given = {f.name: getattr(draft, f.name) for f in dataclasses.fields(Text) if f.name != "text"}
        yield Text(text=text if draft.truth == "injection" else style(text, chance), **given)


class _Desk:
    """Knows the city and writes drafts about what happens there."""

    def __init__(self, network: Network, weather: Weather, time: pd.DatetimeIndex, seed: int) -> None:
        self._places, self._weather, self._time, self._seed = Places(network), weather, time, seed

    def about(self, cause: Cause) -> list[_Draft]:
        """All texts about a cause, without their ids."""
        chance = stream(self._seed, f"texts/drafts/{cause.id}")
        write = {
            "incident": self._incident, "works": self._works, "event": self._event, "rain": self._rain,
            "holiday": self._holiday,
        }[cause.kind]  # fmt: skip
        return write(cause, chance)

    def _incident(self, cause: Cause, chance: np.random.Generator) -> list[_Draft]:
        fate, which = chance.random(2).tolist()
        noticed = cause.start + _minutes(chance, 3, 14)
        lasts = cause.end - cause.start
        if fate < _UNREPORTED:
            return []
        kind, source = "bulletin", DESK
        true = self._draft(cause, cause.start, cause.end, noticed, kind=kind, source=source)
        if fate < _UNREPORTED + _LATE:
            share = 0.65 + 0.6 * chance.random()
            return [dataclasses.replace(true, group="incident late", truth="late", published_at=_then(cause, share))]
        drafts = [true]
        if fate < _UNREPORTED + _LATE + _WRONG:
            wrong = self._wrong(cause, which, chance)
            drafts = [dataclasses.replace(wrong, kind=kind, source=source, published_at=noticed)]
            if chance.random() < 0.6:
                corrected = noticed + _minutes(chance, 8, 25)
                drafts += [dataclasses.replace(true, group="incident correction", published_at=corrected)]
        elif lasts >= pd.Timedelta(minutes=35) and chance.random() < 0.6:
            later = max(_then(cause, 0.4 + 0.3 * chance.random()), noticed + pd.Timedelta(minutes=10))
            fields = {**true.fields, "clock": clock(later)}
            drafts += [dataclasses.replace(true, group="incident update", fields=fields, published_at=later)]
        if chance.random() < 0.6:
            over = cause.end + _minutes(chance, 1, 15)
            drafts += [dataclasses.replace(true, group="incident over", published_at=max(over, _last(drafts)))]
        return drafts

    def _wrong(self, cause: Cause, which: float, chance: np.random.Generator) -> _Draft:
        """A draft that says a wrong place, time or severity."""
        if which < 1 / 3:
            return self._draft(
                cause, cause.start, cause.end, cause.start, link=self._places.elsewhere(str(cause.link), chance)
            )
        if which < 2 / 3:
            shift = pd.Timedelta(minutes=45 + 5 * int(chance.integers(0, 12)))
            return self._draft(cause, cause.start - shift, cause.end - shift, cause.start, truth="wrong")
        share = 0.8 if cause.capacity_share < 0.4 else 0.0
        return self._draft(cause, cause.start, cause.end, cause.start, share=share)

    def _works(self, cause: Cause, chance: np.random.Generator) -> list[_Draft]:
        announced = _morning(cause.start, 2 + int(chance.integers(0, 8)), chance)
        kind, source = "maintenance note", WORKS_OFFICE
        true = self._draft(cause, cause.start, cause.end, announced, kind=kind, source=source)
        drafts = [true]
        fate = chance.random()
        if fate < 0.05:
            wrong = self._draft(
                cause, cause.start, cause.end, announced, link=self._places.elsewhere(str(cause.link), chance)
            )
            drafts = [dataclasses.replace(wrong, kind=kind, source=source)]
        elif fate < 0.12:
            later = pd.Timedelta(days=1)
            wrong = self._draft(cause, cause.start + later, cause.end + later, announced, truth="wrong")
            drafts = [dataclasses.replace(wrong, kind=kind, source=source)]
        if chance.random() < 0.6:
            soon = _morning(cause.start, 1, chance)
            drafts += [dataclasses.replace(true, group="works soon", published_at=max(soon, _last(drafts)))]
        if chance.random() < 0.5:
            over = cause.end + _minutes(chance, 5, 80)
            drafts += [dataclasses.replace(true, group="works over", kind="bulletin", published_at=over)]
        return drafts

    def _event(self, cause: Cause, chance: np.random.Generator) -> list[_Draft]:
        start, truth = cause.start, "true"
        if chance.random() < 0.08:
            start, truth = cause.start + pd.Timedelta(hours=1 if chance.random() < 0.5 else -1), "wrong"
        listed = _morning(cause.start, 3 + int(chance.integers(0, 12)), chance)
        true = self._venue_draft(cause, cause.start, cause.end, listed)
        drafts = [true]
        if truth == "wrong":
            wrong = self._venue_draft(cause, start, cause.end + (start - cause.start), listed)
            drafts = [dataclasses.replace(wrong, truth="wrong")]
        if chance.random() < 0.5:
            soon = max(cause.start.normalize() + pd.Timedelta(hours=9), cause.start - pd.Timedelta(hours=6))
            soon += _minutes(chance, 0, 90)
            drafts += [dataclasses.replace(true, group="event soon", kind="bulletin", source=DESK, published_at=soon)]
        if chance.random() < 0.35:
            over = cause.end + _minutes(chance, 2, 20)
            drafts += [dataclasses.replace(true, group="event over", kind="bulletin", source=DESK, published_at=over)]
        return drafts

    def _rain(self, cause: Cause, chance: np.random.Generator) -> list[_Draft]:
        peak, total = self._rainfall(cause.start, cause.end)
        forecast, fate = chance.random(2).tolist()
        drafts = []
        if forecast >= (0.12 if peak >= 4 else 0.3):  # light rain is missed more often
            more = fate < 0.15
            early = cause.start + _minutes(chance, -40, 40)
            late = cause.end + _minutes(chance, -40, 60)
            warned = min(early, cause.start) - _minutes(chance, 120, 480)
            late = max(late, early + pd.Timedelta(hours=1))
            factor = 3.0 if more else 0.8 + 0.4 * chance.random()
            least = 8.0 if more else 0.5
            draft = self._rain_draft(early, late, warned, max(peak * factor, least), max(total * factor, least))
            drafts += [dataclasses.replace(draft, truth="wrong" if more else "true")]
        if chance.random() < 0.35:
            now = cause.start + _minutes(chance, 4, 25)
            draft = self._rain_draft(cause.start, cause.end, now, peak, total)
            drafts += [dataclasses.replace(draft, group="rain now", kind="bulletin", source=DESK)]
        return drafts

    def _holiday(self, cause: Cause, chance: np.random.Generator) -> list[_Draft]:
        fields = {"first_day": day(cause.start), "last_day": day(cause.end - pd.Timedelta(minutes=1))}
        return [
            _Draft("", "holiday", "notice", fields, cause.start, cause.end, _morning(cause.start, days, chance),
                   BOARD, CITY, None, None, "true")
            for days in (8 + int(chance.integers(0, 5)), 2)
        ]  # fmt: skip

    def about_nothing(self) -> Iterator[_Draft]:
        """Notices, rumours, false alarms and injections over the whole time, without a cause."""
        days = self._time.normalize().unique()
        for date in days:
            chance = stream(self._seed, f"texts/drafts/{date:%Y-%m-%d}")
            draws = chance.random(3).tolist()
            if draws[0] < _NOTICES_A_DAY:
                yield self._aside(date, "notice", BOARD, "nothing", "irrelevant", NOTHING, chance)
            if draws[1] < _RUMOURS_A_DAY:
                yield self._aside(date, "bulletin", DESK, "rumour", "wrong", RUMOURS, chance)
            start = date + pd.Timedelta(hours=12 + int(chance.integers(0, 6)))
            if draws[2] < _FALSE_ALARMS_A_DAY and self._rainfall(start, start + pd.Timedelta(hours=5))[0] == 0:
                warned = start - _minutes(chance, 120, 480)
                draft = self._rain_draft(start, start + pd.Timedelta(hours=3), warned, 6.0, 9.0)
                yield dataclasses.replace(draft, id=f"{date:%Y-%m-%d} alarm", truth="wrong")
        chance = stream(self._seed, "texts/drafts/injections")
        for number, phrase in enumerate(INJECTIONS):
            date = days[min(int((number + chance.random()) / len(INJECTIONS) * len(days)), len(days) - 1)]
            kind, source = ("bulletin", DESK) if number % 3 else ("maintenance note", WORKS_OFFICE)
            yield self._aside(date, kind, source, f"injection {number}", "injection", (phrase,), chance)

    def _aside(
        self, date: pd.Timestamp, kind: str, source: str, group: str, truth: Truth, phrases: Sequence[str],
        chance: np.random.Generator,
    ) -> _Draft:  # fmt: skip
        """A text about a place where nothing happens."""
        published = date + pd.Timedelta(hours=7) + _minutes(chance, 0, 13 * 60)
        link = self._places.anywhere(chance)
        fields, place = self._places.words_of(link)
        later = published + pd.Timedelta(days=1 + int(chance.integers(0, 6)))
        fields |= {"day": day(later), "clock": clock(published - pd.Timedelta(minutes=10))}
        if truth == "irrelevant":
            fields["spot"] = self._places.start_of(link)
            return _Draft(f"{date:%Y-%m-%d} {group}", group, kind, fields, published, None, published, source,
                          fields["spot"], None, None, truth, phrases)  # fmt: skip
        end = published + _minutes(chance, 20, 90)
        return _Draft(f"{date:%Y-%m-%d} {group}", group, kind, fields, published, end, published, source,
                      place, link, None, truth, phrases)  # fmt: skip

    def _draft(
        self, cause: Cause, start: pd.Timestamp, end: pd.Timestamp, published: pd.Timestamp, *,
        link: str | None = None, share: float | None = None, truth: Truth = "true", kind: str = "", source: str = "",
    ) -> _Draft:  # fmt: skip
        """An incident or works; with another `link` or `share` of the capacity than is true, it is wrong."""
        assert cause.link is not None
        fields, place = self._places.words_of(link or cause.link)
        thing = cause.title.partition(" on ")[0]
        what = with_article(thing)
        lanes = self._places.closed(cause, link or cause.link, cause.capacity_share if share is None else share)
        fields |= {
            "what": what, "What": capital(what), "thing": thing, "Thing": capital(thing),
            "lanes": lanes, "Lanes": capital(lanes),
            "clock": clock(start), "end_clock": clock(end), "start": day_and_clock(start), "end": day_and_clock(end),
        }  # fmt: skip
        truth = truth if link is None and share is None else "wrong"
        node = self._places.nearest(link or cause.link)
        return _Draft("", cause.kind, kind, fields, start, end, published, source, place, node, cause.id, truth)

    def _venue_draft(self, cause: Cause, start: pd.Timestamp, end: pd.Timestamp, published: pd.Timestamp) -> _Draft:
        venue = str(cause.venue)
        thing = cause.title.removesuffix(f" at {venue}")
        fields = {
            "thing": thing, "Thing": capital(thing), "sort": thing.partition(":")[0], "venue": venue,
            "junction": self._places.junction_of(venue), "people": f"{round(cause.attendance, -2):,}",
            "day": day(start), "clock": clock(start), "end_clock": clock(end), "start": day_and_clock(start),
        }  # fmt: skip
        node = self._places.sensor_at(venue)
        return _Draft("", "event", "event listing", fields, start, end, published, LISTINGS, venue, node, cause.id,
                      "true")  # fmt: skip

    def _rain_draft(
        self, start: pd.Timestamp, end: pd.Timestamp, published: pd.Timestamp, peak: float, total: float
    ) -> _Draft:
        strength = "light" if peak < 2.5 else "moderate" if peak < 6.35 else "heavy"
        fields = {
            "strength": strength, "Strength": capital(strength), "peak": f"{max(round(peak), 1)}",
            "total": f"{max(round(total), 1)}", "day": day(start), "clock": clock(start.round("15min")),
            "end_clock": clock(end.round("15min")),
        }  # fmt: skip
        return _Draft("", "rain", "weather warning", fields, start, end, published, WEATHER_SERVICE, CITY, None, None,
                      "true")  # fmt: skip

    def _rainfall(self, start: pd.Timestamp, end: pd.Timestamp) -> tuple[float, float]:
        """The largest rate in mm/h and the amount in mm of a span."""
        rain = self._weather.rain[(self._time >= start) & (self._time < end)]
        hours = (self._time[1] - self._time[0]).total_seconds() / 3600.0
        return (float(rain.max()), float(round(rain.sum() * hours, 3))) if len(rain) else (0.0, 0.0)


def _minutes(chance: np.random.Generator, least: int, most: int) -> pd.Timedelta:
    return pd.Timedelta(minutes=int(chance.integers(least, most + 1)))


def _then(cause: Cause, share: float) -> pd.Timestamp:
    """When so much of the cause is over, to the minute."""
    return (cause.start + share * (cause.end - cause.start)).floor("min")


def _last(drafts: Sequence[_Draft]) -> pd.Timestamp:
    return max(draft.published_at for draft in drafts) + pd.Timedelta(minutes=1)


def _morning(moment: pd.Timestamp, days: int, chance: np.random.Generator) -> pd.Timestamp:
    """A time in office hours so many days before."""
    return (moment - pd.Timedelta(days=days)).normalize() + pd.Timedelta(hours=8) + _minutes(chance, 0, 9 * 60)
