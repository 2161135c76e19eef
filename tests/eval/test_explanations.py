"""The scores of explanations, and the cases of the demo city on which they rest."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval.bench.explanations import Case, Score, bench_explanations, draw_cases, rank_correlation, score, summary
from mm4st_agent.demo_city.city import THRESHOLD, City
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.explanation import Driver
from mm4st_agent.runtime import Runtime


@pytest.fixture(scope="module")
def city() -> City:
    made = City()
    made.simulate()
    return made


def case_of(city: City) -> Case:
    return Case(
        node="S039",
        as_of=pd.Timestamp("2025-10-23T08:00", tz="Europe/Lisbon"),
        cause="incident-001",
        effects={"incident-001": -20.0, "rain-001": -3.0},
        touched=frozenset({"S039", "S040"}),
    )


def driver(kind: str, effect: float, node: str | None = None, event: str | None = None) -> Driver:
    told: Any = None if event is None else SimpleNamespace(id=event)
    return Driver(kind, "", "", effect, node, told)  # type: ignore[arg-type]


def scored(city: City, *drivers: Driver) -> Score:
    found: Any = SimpleNamespace(
        measured=tuple(sorted(drivers, key=lambda each: -abs(each.effect))), test=SimpleNamespace(faithful=True)
    )
    return score(found, case_of(city), city, seconds=1.0)


def test_the_largest_claim_is_compared_with_what_acts_most(city: City) -> None:
    right = scored(city, driver("event", -9, event="incident-001/2"), driver("event", 1, event="rain-001"))
    wrong = scored(city, driver("event", -1, event="incident-001"), driver("event", -9, event="rain-001"))
    untold = scored(city, driver("event", -9, event="rain-001"))

    assert (right.event_hit, right.about, right.told) == (True, 1, 2)
    assert wrong.event_hit is False
    assert untold.event_hit is None
    assert scored(city, driver("event", -9, event="incident-001")).event_hit is None  # nothing else could be named


def test_texts_about_one_cause_add_up_and_texts_about_nothing_have_no_effect(city: City) -> None:
    found = scored(
        city, driver("event", -5, event="incident-001"), driver("event", -4, event="incident-001/2"),
        driver("event", 2, event="no such cause"),
    )  # fmt: skip

    assert sorted(found.pairs) == [(-9.0, -20.0), (2, 0.0)]


def test_a_sensor_is_right_where_the_cause_acted(city: City) -> None:
    found = scored(city, driver("sensor", 3, "S040"), driver("sensor", 1, "S001"), driver("sensor", 0, "S002"))

    assert found.sensor_hit is True
    assert found.sensor_chance == 0.5  # S002 moved nothing
    assert scored(city).sensor_hit is None


def test_true_claims_score_full_and_random_ones_as_chance(city: City) -> None:
    chance = np.random.default_rng(0)
    true = [
        Score(4, 1, True, tuple((effect, 2 * effect) for effect in chance.normal(size=4)), True, 0.25, True, 2.0)
        for _ in range(40)
    ]
    blind = [
        dataclasses.replace(each, event_hit=bool(n % 4 == 0), pairs=tuple(map(tuple, chance.normal(size=(4, 2)))))
        for n, each in enumerate(true)
    ]

    first, second, third = summary(true, "m", "speed", 0)["rows"]
    assert (first["ours"], first["peer"], first["ratio"]) == (1.0, 0.25, 4.0)
    assert second["ours"] == pytest.approx(1)
    assert (third["ours"], third["peer"]) == (1.0, 0.25)
    guessed = summary(blind, "m", "speed", 0)
    assert guessed["rows"][0]["ratio"] == pytest.approx(1)
    assert abs(guessed["rows"][1]["ours"]) < 0.2
    assert guessed["p_value"] > 0.01


def test_a_correlation_that_cannot_be_told_is_none() -> None:
    assert rank_correlation([(1, 2), (2, 3)]) == (None, None)
    assert rank_correlation([(1, 2), (1, 3), (1, 4)]) == (None, None)
    assert rank_correlation([(1, 2), (2, 3), (3, 9)])[0] == pytest.approx(1)


def test_cases_are_strong_published_and_later_than_the_training(city: City) -> None:
    runtime = Runtime()
    panel = runtime.registry.open("demo")
    channel = panel.channel("speed")
    forecaster: Any = runtime.forecaster(panel, channel)

    cases = draw_cases(city, panel, channel, forecaster, 6, seed=1)

    assert len(cases) == 6
    assert cases == draw_cases(city, panel, channel, forecaster, 6, seed=1)
    assert cases != draw_cases(city, panel, channel, forecaster, 6, seed=2)
    for case in cases:
        assert case.as_of >= forecaster.card.validation.end
        assert any(
            event.published_at <= case.as_of and getattr(city.cause_of(event.id), "id", "") == case.cause
            for event in panel.events
        )
        truth = city.causes(case.node, case.as_of.to_pydatetime(), (case.as_of + pd.Timedelta("1h")).to_pydatetime())
        assert {each.cause.id: pytest.approx(each.mean["speed"]) for each in truth} == case.effects
        assert abs(case.effects[case.cause]) == max(map(abs, case.effects.values()))
        assert abs(case.effects[case.cause]) >= 4 * THRESHOLD["speed"] - 1e-9


def test_a_model_without_text_names_no_event(city: City) -> None:
    report = bench_explanations(Runtime(), channel="speed", cases=2, city=city)

    events, correlation, sensors = report["rows"]
    assert report["cases"] == 2
    if report["cases_told"] == 0:
        assert events["ours"] is None
        assert correlation["ours"] is None
        assert any("reads no text" in note for note in report["notes"])
    assert 0 <= sensors["ours"] <= 1
    assert report["median_seconds"] > 0


def test_air_is_not_scored(city: City) -> None:
    with pytest.raises(UsageError, match="'pm25' are not scored"):
        bench_explanations(Runtime(), channel="pm25", city=city)
