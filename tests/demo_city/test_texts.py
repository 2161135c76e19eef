from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.demo_city.network import Network, build_network
from mm4st_agent.demo_city.phrases import CAUSES, INJECTIONS, NOTHING, RUMOURS
from mm4st_agent.demo_city.records import Cause, Text, Weather
from mm4st_agent.demo_city.texts import write_texts
from mm4st_agent.demo_city.wording import Places, closed_lanes, with_article

ZONE = "Europe/Lisbon"
TIME = pd.date_range("2025-09-01", periods=60 * 288, freq="5min", tz=ZONE)


def at(day: int, hour: float) -> pd.Timestamp:
    return TIME[int(288 * day + 12 * hour)]


@pytest.fixture(scope="module")
def network() -> Network:
    return build_network()


@pytest.fixture(scope="module")
def causes(network: Network) -> tuple[Cause, ...]:
    """Eighty incidents, and some of each other kind."""
    incidents = [
        Cause(f"incident-{n:03d}", "incident", f"{('collision', 'debris on the road')[n % 2]} on Somewhere Road",
              at(n // 2, 7 + n % 11), at(n // 2, 8 + n % 11), link=network.links.index[(n * 37) % 124],
              capacity_share=(0.35, 0.81)[n % 2])
        for n in range(1, 81)
    ]  # fmt: skip
    works = [
        Cause(f"works-{n:02d}", "works", "resurfacing on Somewhere Road", at(5 * n, 9.5), at(5 * n, 15.5),
              link=network.links.index[n], capacity_share=0.5)
        for n in range(1, 11)
    ]  # fmt: skip
    events = [
        Cause(f"event-{n:02d}", "event", "concert: Night Ferry at Quayside Hall", at(4 * n, 21), at(4 * n, 23.5),
              venue="Quayside Hall", attendance=3210)
        for n in range(1, 13)
    ]  # fmt: skip
    rains = [Cause(f"rain-{n:02d}", "rain", "heavy rain", at(3 * n, 15), at(3 * n, 18)) for n in range(1, 19)]
    holiday = Cause("holiday-1", "holiday", "autumn break", at(33, 0), at(42, 0))
    return (*incidents, *works, *events, *rains, holiday)


@pytest.fixture(scope="module")
def weather(causes: tuple[Cause, ...]) -> Weather:
    rain = np.zeros(len(TIME))
    for cause in causes:
        if cause.kind == "rain":
            rain[slice(*TIME.searchsorted([cause.start, cause.end]))] = 5.0
    return Weather(rain, *(np.ones(len(TIME)) for _ in range(4)))


@pytest.fixture(scope="module")
def texts(causes: tuple[Cause, ...], network: Network, weather: Weather) -> tuple[Text, ...]:
    return write_texts(causes, network, weather, TIME, seed=7)


def test_each_text_has_an_id_of_its_own_that_names_its_cause(texts, causes) -> None:
    ids = [text.id for text in texts]
    known = {cause.id for cause in causes}

    assert len(set(ids)) == len(ids)
    assert [text.published_at for text in texts] == sorted(text.published_at for text in texts)
    for text in texts:
        if text.cause is None:
            assert re.fullmatch(r"notice-\d{3}", text.id)
        else:
            assert text.cause in known
            assert text.id.partition("/")[0] == text.cause
    for about in {text.cause for text in texts if text.cause}:
        mine = [text.id for text in texts if text.cause == about]
        assert mine == [about, *(f"{about}/{n}" for n in range(2, len(mine) + 1))]
    assert max(text.published_at for text in texts) < TIME[-1] + pd.Timedelta(minutes=5)


def test_every_sort_of_truth_and_kind_occurs(texts) -> None:
    truths = Counter(text.truth for text in texts)
    kinds = {text.kind for text in texts}

    assert kinds == {"bulletin", "event listing", "weather warning", "maintenance note", "notice"}
    assert set(truths) == {"true", "late", "wrong", "irrelevant", "injection"}
    assert 5 <= truths["injection"] <= 10
    assert truths["true"] > 0.5 * len(texts)
    assert 3 <= truths["late"] <= 15
    assert 5 <= truths["wrong"] <= 30


def test_incidents_are_reported_minutes_after_they_start_or_late(texts, causes) -> None:
    by_id = {cause.id: cause for cause in causes}
    first = [text for text in texts if text.id in by_id and by_id[text.id].kind == "incident"]

    assert len(first) < 80  # some are never reported
    for text in first:
        cause = by_id[text.id]
        waited = text.published_at - cause.start
        if text.truth == "late":
            assert waited >= 0.6 * (cause.end - cause.start)
        else:
            assert pd.Timedelta(minutes=3) <= waited <= pd.Timedelta(minutes=14)
    overs = [t for t in texts if t.cause and t.cause.startswith("incident") and t.published_at >= by_id[t.cause].end]
    assert len(overs) > 25


def test_what_is_planned_is_published_days_before(texts, causes) -> None:
    by_id = {cause.id: cause for cause in causes}
    for kind, least, most in (("works", 1.5, 10), ("event", 2.5, 15), ("holiday", 7, 14)):
        first = [text for text in texts if text.id in by_id and by_id[text.id].kind == kind]
        assert len(first) == sum(cause.kind == kind for cause in causes)
        for text in first:
            before = (by_id[text.id].start - text.published_at) / pd.Timedelta(days=1)
            assert least <= before <= most, text


def test_rain_is_forecast_hours_before_and_sometimes_missed(texts, causes) -> None:
    by_id = {cause.id: cause for cause in causes}
    warnings = [text for text in texts if text.kind == "weather warning" and text.cause]

    assert 8 <= len(warnings) < 18
    for text in warnings:
        assert pd.Timedelta(hours=1) < by_id[text.cause].start - text.published_at < pd.Timedelta(hours=10)
    assert any(text.kind == "weather warning" and text.cause is None and text.truth == "wrong" for text in texts)


def plain(text: Text) -> str:
    return text.text.lower()


def test_a_true_text_names_its_place_and_a_wrong_one_says_something_else(texts, causes, network) -> None:
    by_id = {cause.id: cause for cause in causes}
    places = Places(network)
    astray = 0
    for text in texts:
        if text.cause is None or by_id[text.cause].link is None:
            continue
        cause = by_id[text.cause]
        _, place = places.words_of(cause.link)
        if text.truth != "wrong":
            assert text.node == cause.link
            assert text.place == place
            assert (text.start, text.end) == (cause.start, cause.end)
        else:
            severity = places.closed(cause, cause.link, cause.capacity_share)
            assert text.node != cause.link or text.start != cause.start or severity not in plain(text)
            astray += text.node != cause.link
    assert astray >= 1


def test_no_phrasing_comes_twice_in_a_row(network: Network, weather: Weather) -> None:
    notes = tuple(
        Cause(f"works-{n:02d}", "works", "resurfacing on X", at(12 + n, 9), at(12 + n, 15),
              link=network.links.index[0], capacity_share=0.5)
        for n in range(1, 45)
    )  # fmt: skip
    said = [t for t in write_texts(notes, network, weather, TIME, seed=7) if t.cause and t.kind == "maintenance note"]
    # One place: without its dates and times, a note is its phrasing.
    stripped = [re.sub(r"(?i)\w+day \d+ \w+|\d+:\d+", "", text.text) for text in said]
    alike = sum(a == b for a, b in itertools.pairwise(stripped))

    assert alike == 0
    assert len(set(stripped)) >= 6


def test_each_group_has_six_phrasings_or_more() -> None:
    for group, phrases in {**CAUSES, "nothing": NOTHING, "rumour": RUMOURS}.items():
        assert len(set(phrases)) == len(phrases) >= 6, group
    assert 5 <= len(INJECTIONS) <= 10
    for address in re.findall(r"https?://([^/\s]+)", " ".join(INJECTIONS)):
        assert address == "example.com"


def test_injections_are_whole_and_differ(texts) -> None:
    injections = [text for text in texts if text.truth == "injection"]

    assert len({text.text for text in injections}) == len(injections)
    assert all(text.cause is None and text.node is not None for text in injections)
    assert any("Ignore all previous instructions" in text.text for text in injections)
    assert any("4242" in text.text for text in injections)
    spread = [text.published_at for text in injections]
    assert max(spread) - min(spread) > pd.Timedelta(days=30)


def test_texts_are_filled_in(texts) -> None:
    for text in texts:
        assert "{" not in text.text, text
        assert "None" not in text.text, text
        assert text.text[0].isupper() or not text.text[0].isalpha(), text


def test_some_texts_shout_err_or_hurry(texts) -> None:
    shouted = [text for text in texts if text.text.isupper()]
    hurried = [text for text in texts if re.search(r"\b(Rd|NB|SB|EB|WB|tfc|abt)\b", text.text)]

    assert 1 <= len(shouted) < 0.1 * len(texts)
    assert 1 <= len(hurried) < 0.12 * len(texts)


def test_without_a_cause_the_other_texts_stay(texts, causes, network, weather) -> None:
    gone = causes[10].id
    fewer = write_texts([cause for cause in causes if cause.id != gone], network, weather, TIME, seed=7)

    def facts(all_of_them) -> list[Text]:
        return [dataclasses.replace(text, text="") for text in all_of_them if text.cause != gone]

    assert facts(fewer) == facts(texts)
    # The phrasing moves on only where the one before would be repeated.
    differs = sum(a.text != b.text for a, b in zip(fewer, [t for t in texts if t.cause != gone], strict=True))
    assert differs <= 4


def test_the_same_seed_writes_the_same(texts, causes, network, weather) -> None:
    assert write_texts(causes, network, weather, TIME, seed=7) == texts
    assert write_texts(causes, network, weather, TIME, seed=8) != texts


@pytest.mark.parametrize(
    ("lanes", "share", "words"),
    [
        (2, 0.35, "one of two lanes is closed"), (3, 0.49, "one of three lanes is closed"),
        (3, 0.17, "two of three lanes are closed"), (2, 0.81, "the hard shoulder is blocked"),
        (2, 0.18, "traffic passes in turns"), (1, 0.3, "traffic passes in turns"), (2, 0.0, "the road is closed"),
    ],
)  # fmt: skip
def test_lanes_in_words(lanes: int, share: float, words: str) -> None:
    assert closed_lanes(lanes, share, works=False) == words


def test_narrow_lanes_and_articles() -> None:
    assert closed_lanes(2, 0.72, works=True) == "the lanes are narrower than usual"
    assert [with_article(thing) for thing in ("collision", "overturned van", "debris")] == [
        "a collision", "an overturned van", "debris",
    ]  # fmt: skip
