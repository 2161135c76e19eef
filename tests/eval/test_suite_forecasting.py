"""The forecasting suite: its truths are the readings that came, and its value is the naive error's share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval.suites.forecasting import SUITE
from eval.suites.suite import Item
from mm4st_agent.agent.answer import Answer, Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.runtime import Runtime


@pytest.fixture(scope="module")
def items(runtime: Runtime) -> list[Item]:
    return SUITE.items("dev", runtime)


def item_of(**expect: Any) -> Item:
    """A forecast of 60 minutes whose truth is 100 where the naive forecast said 80."""
    span = {"from": "2025-10-20T08:00:00+01:00", "until": "2025-10-20T09:00:00+01:00", "step_s": 300}
    known = {"node": "S001", "channel": "flow", "unit": "vehicles", "truth": 100.0, "naive": 80.0, "scale": 10.0}
    return Item(id="i", questions=("?",), dataset="demo", family="f", kind="demo", expect={**span, **known, **expect})


def answer_of(
    said: float, unit: str = "vehicles", *, until: str = "2025-10-20T09:00+01:00", rests: bool = True
) -> Answer:
    times = {"covers_from": "2025-10-20T08:00+01:00", "covers_until": until}
    total = {"low": 90.0, "median": 110.0, "high": 120.0}
    entry = Evidence(
        id="E1", tool="forecast", args={"dataset": "demo", "node": "S001"}, as_of=None, seconds=0.0,
        values={name: EvidenceValue(value=time, unit="time") for name, time in times.items()}
        | {f"total.{name}": EvidenceValue(value=value, unit="vehicles") for name, value in total.items()},
        words={"channel": "flow"},
    )  # fmt: skip
    claims = [
        Claim(
            text=f"{value}", span=(0, 1), kind="number", value=value, unit=unit, status="verified",
            evidence=["E1"] if rests else [],
        )
        for value in (90.0, said)
    ]  # fmt: skip
    return Answer(
        question="?", answer="", claims=claims if rests else claims[1:], evidence=[entry], figures=[], citations=[],
        warnings=[], chat_model="t", dataset="demo", as_of="2025-10-20T08:00+01:00", thread="t", seconds=0.0,
    )  # fmt: skip


def test_items_are_the_same_each_time_and_the_halves_share_nothing(runtime: Runtime, items: list[Item]) -> None:
    other = SUITE.items("test", runtime)

    assert items == SUITE.items("dev", runtime)
    assert len({item.id for item in [*items, *other]}) == len(items) + len(other)
    assert not {item.family for item in items} & {item.family for item in other}
    assert max(pd.Timestamp(i.expect["until"]) for i in items) < min(pd.Timestamp(str(i.as_of)) for i in other)
    assert {"demo", "demo, incidents", "demo, rain"} <= {item.kind for item in other}


def test_the_first_items_are_of_several_kinds(items: list[Item]) -> None:
    assert len({item.kind for item in items[:8]}) >= 3


def test_truth_and_naive_are_what_the_panel_holds(runtime: Runtime, items: list[Item]) -> None:
    panel = runtime.registry.open("demo")
    for item in items[:12]:
        expect = item.expect
        channel, known = panel.channel(expect["channel"]), panel.until(item.as_of)
        readings = pd.Series(panel.only([expect["node"]]).observed(channel.name)[:, 0], index=panel.times)
        first, last = pd.Timestamp(expect["from"]), pd.Timestamp(expect["until"])
        came = readings[(readings.index >= first) & (readings.index < last)]
        assert known.end <= first
        assert expect["truth"] == pytest.approx(came.sum() if channel.aggregation == "sum" else came.mean(), rel=1e-5)
        if channel.name in ("flow", "requests"):
            week = readings.reindex(pd.DatetimeIndex(came.index) - pd.Timedelta(weeks=1))
            assert expect["naive"] == pytest.approx(
                week.sum() if channel.aggregation == "sum" else week.mean(), rel=1e-5
            )  # fmt: skip
        else:
            assert expect["naive"] == pytest.approx(readings[readings.index < known.end].dropna().iloc[-1], rel=1e-5)
        assert expect["scale"] > 0


@pytest.mark.parametrize(("said", "value"), [(110.0, 20 / 30), (100.0, 1.0), (80.0, 0.5), (140.0, 20 / 60)])
def test_the_value_is_the_naive_errors_share(runtime: Runtime, said: float, value: float) -> None:
    scored = SUITE.score(item_of(), [answer_of(said)], runtime)

    # The answer says the median, else the first number in the unit: the interval's end of 90 stands first.
    expected = value if said == 110.0 else 20 / 30
    assert scored is not None
    assert scored.value == pytest.approx(expected)
    alone = SUITE.score(item_of(), [answer_of(said, rests=False)], runtime)
    assert alone is not None
    assert alone.value == pytest.approx(value)
    assert "pinball" not in alone.details


def test_interval_and_losses_stand_in_the_details(runtime: Runtime) -> None:
    scored = SUITE.score(item_of(), [answer_of(110.0)], runtime)

    assert scored is not None
    # Pinball loss of 90, 110, 120 at 100: 0.1 * 10, 0.5 * 10, 0.1 * 20; a third of it, by the scale of 10.
    assert scored.details["pinball"] == pytest.approx((1 + 5 + 2) / 3 / 10)
    assert scored.details["naive_pinball"] == pytest.approx(20 / 2 / 10)
    assert scored.details["covered"] == 1.0
    assert scored.details["scaled_error"] == pytest.approx(1.0)


def test_another_unit_span_or_place_scores_nothing(runtime: Runtime) -> None:
    wrong = [
        (item_of(), answer_of(100.0, "km/h")),
        (item_of(), answer_of(110.0, until="2025-10-20T10:00+01:00")),
        (item_of(node="S002"), answer_of(110.0)),
    ]
    for item, answer in wrong:
        scored = SUITE.score(item, [answer], runtime)
        assert scored is not None
        assert scored.value == 0.0
    late = SUITE.score(item_of(), [answer_of(110.0, until="2025-10-20T09:05+01:00")], runtime)
    assert late is not None
    assert late.details["horizon_right"] == 1.0  # one step more


def test_the_baseline_is_half_and_says_its_error(runtime: Runtime) -> None:
    scored = SUITE.baseline(item_of(), runtime)

    assert scored is not None
    assert (scored.value, scored.details["error"], scored.details["scaled_error"]) == (0.5, 20.0, 2.0)


def test_the_embedded_model_is_scored(runtime: Runtime, items: list[Item], tmp_path: Path) -> None:
    item = next(i for i in items if i.expect["channel"] == "requests")

    answer = asyncio.run(runtime.ask(item.questions[0], dataset=item.dataset, as_of=item.as_of))
    scored = SUITE.score(item, [answer], runtime)

    assert scored is not None
    assert (scored.details["answered"], scored.details["unit_right"], scored.details["horizon_right"]) == (1, 1, 1)
    error = scored.details["error"]
    assert error is not None
    assert np.isfinite(error)
