"""The explaining suite: what is asked about truly acts, and answers are held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from eval.suites import explaining
from eval.suites.explaining import SLOWED_KMH, SUITE
from eval.suites.explaining_phrases import CAUSE, DRIVERS, WHAT_IF
from eval.suites.suite import Item
from mm4st_agent.agent.answer import Answer, Citation, Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.runtime import Runtime


@pytest.fixture(scope="module")
def items(runtime: Runtime) -> list[Item]:
    """The city is simulated once for this module, which takes some seconds."""
    return SUITE.items("dev", runtime)


def item_of(kind: str, **expect: Any) -> Item:
    known = {"node": "S001", **expect}
    return Item(id="i", questions=("?",), dataset="demo", family="f", kind=kind, expect=known)


def answer_of(
    text: str = "",
    cited: Sequence[str] = (),
    tool: str = "",
    node: str = "S001",
    values: Mapping[str, float] | None = None,
) -> Answer:
    passages = [
        Citation(
            doc_id=doc_id, text=f"text of {doc_id}", source="s", span=(0, 1), evidence="E1",
            published_at=datetime.fromisoformat("2025-10-20T08:00+01:00"),
        )
        for doc_id in cited
    ]  # fmt: skip
    entry = Evidence(
        id="E1", tool=tool or "retrieve_context", args={"node": node}, as_of=None, seconds=0.0,
        values={path: EvidenceValue(value=value, unit="km/h") for path, value in (values or {}).items()},
    )  # fmt: skip
    claim = Claim(text="1", span=(0, 1), kind="number", value=1.0, unit=None, status="verified", evidence=["E1"])
    return Answer(
        question="?", answer=text, claims=[claim], evidence=[entry], figures=[], citations=passages, warnings=[],
        chat_model="t", dataset="demo", as_of="2025-10-20T09:00+01:00", thread="t", seconds=0.0,
    )  # fmt: skip


def baseline_of(item: Item, runtime: Runtime) -> float:
    scored = SUITE.baseline(item, runtime)
    assert scored is not None
    return scored.value


def value_of(item: Item, answer: Answer, runtime: Runtime) -> float:
    scored = SUITE.score(item, [answer], runtime)
    assert scored is not None
    return scored.value


def test_the_halves_share_nothing(runtime: Runtime, items: list[Item]) -> None:
    other = SUITE.items("test", runtime)

    assert len({item.id for item in [*items, *other]}) == len(items) + len(other)
    assert not {item.family for item in items} & {item.family for item in other}
    assert max(pd.Timestamp(str(i.as_of)) for i in items) < min(pd.Timestamp(str(i.as_of)) for i in other)
    assert {CAUSE, DRIVERS, WHAT_IF} == {item.kind for item in items} == {item.kind for item in other}


def test_a_cause_to_be_named_is_published_and_slows_the_place(runtime: Runtime, items: list[Item]) -> None:
    panel, city = runtime.registry.open("demo"), explaining._city()
    causes = [item for item in items if item.kind == CAUSE]

    assert len(causes) >= 10
    for item in causes:
        moment = pd.Timestamp(str(item.as_of))
        told = {event.id.partition("/")[0] for event in panel.until(item.as_of).events}
        assert item.expect["cause"] in told
        effect = city.without(item.expect["cause"]).effect("speed")[item.expect["node"]]
        past = effect[(effect.index >= moment - pd.Timedelta(minutes=30)) & (effect.index < moment)]
        assert past.sum() / 6 <= -SLOWED_KMH


def test_a_true_change_is_that_of_the_simulator(items: list[Item]) -> None:
    city = explaining._city()
    for item in [i for i in items if i.kind == WHAT_IF][:8]:
        moment, channel = pd.Timestamp(str(item.as_of)), item.expect["channel"]
        effect = city.without(item.expect["cause"]).effect(channel)[item.expect["node"]]
        ahead = effect[(effect.index >= moment) & (effect.index < moment + pd.Timedelta(hours=1))]
        total = ahead.sum() if channel == "flow" else ahead.sum() / 12
        assert item.expect["change"] == pytest.approx(-total, abs=1e-6)


def test_a_cause_counts_by_its_place_among_those_named(runtime: Runtime) -> None:
    item = item_of(CAUSE, cause="incident-1", known=3, effect=-10.0)
    texts = ["demo/rain-2", "demo/incident-1/2", "demo/incident-1", "note/shock-waves"]

    first = answer_of("text of demo/incident-1/2, then text of demo/rain-2", texts)
    second = answer_of("text of demo/rain-2, then text of demo/incident-1", texts)

    assert value_of(item, first, runtime) == 1.0
    assert value_of(item, second, runtime) == 0.5
    assert value_of(item, answer_of("", ["demo/rain-2"]), runtime) == 0.0
    assert baseline_of(item, runtime) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_drivers_count_by_the_test_of_the_same_answer(runtime: Runtime) -> None:
    item = item_of(DRIVERS, channel="speed")
    told = {"test.random_below_percent": 80.0, "test.moved": 6.0, "test.random_moved": 3.0}

    assert value_of(item, answer_of(tool="explain_forecast", values=told), runtime) == pytest.approx(0.8)
    assert value_of(item, answer_of(tool="explain_forecast", node="S002", values=told), runtime) == 0.0
    assert value_of(item, answer_of(tool="forecast"), runtime) == 0.0


@pytest.mark.parametrize(("claimed", "value"), [(10.0, 1.0), (0.0, 0.5), (5.0, 10 / 15), (-10.0, 10 / 30)])
def test_a_change_counts_by_its_error_beside_that_of_no_change(runtime: Runtime, claimed: float, value: float) -> None:
    item = item_of(WHAT_IF, cause="incident-1", channel="speed", change=10.0)

    answer = answer_of(tool="what_if", values={"difference.median": claimed})

    assert value_of(item, answer, runtime) == pytest.approx(value)
    assert value_of(item, answer_of(tool="forecast"), runtime) == 0.0
    assert baseline_of(item, runtime) == 0.5
