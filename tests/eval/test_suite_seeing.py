"""The seeing suite: made series show what is said to be true of them, and readings of answers are strict."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import numpy as np
import pytest

from eval.suites.seeing import OPTIONS, SUITE, SWAP
from eval.suites.seeing_words import said_option
from eval.suites.suite import Item
from mm4st_agent.agent.answer import Answer
from mm4st_agent.runtime import Runtime


@pytest.fixture(scope="module")
def items(runtime: Runtime) -> list[Item]:
    return SUITE.items("dev", runtime)


def shown(runtime: Runtime, item: Item) -> np.ndarray:
    panel = runtime.registry.open(item.dataset)
    return panel.only([item.expect["shown"]]).values("level")[-7 * 96 :, 0].astype(float)


def test_items_are_the_same_each_time_and_the_halves_share_nothing(runtime: Runtime, items: list[Item]) -> None:
    other = SUITE.items("test", runtime)

    assert items == SUITE.items("dev", runtime)
    assert {item.dataset for item in items} == {"seeing-dev"}
    assert {item.dataset for item in other} == {"seeing-test"}
    assert not {item.family for item in items} & {item.family for item in other}
    assert not {q for item in items for q in item.questions} & {q for item in other for q in item.questions}


def test_the_series_show_what_is_true_of_them(runtime: Runtime, items: list[Item]) -> None:
    """By plain statistics; the faintest are within the noise of such a look, so a share is asked for."""
    right: dict[str, list[bool]] = {}
    for item in (i for i in items if i.kind != SWAP):
        asked, values = item.expect["asked"], shown(runtime, item)
        daily = np.nanmean(values.reshape(7, 96), axis=1)
        if asked == "missing":
            seen = "some" if np.isnan(values).any() else "none"
        elif asked == "trend":
            change = daily[-3:].mean() - daily[:3].mean()
            seen = "none" if abs(change) < 1 else "rising" if change > 0 else "falling"
        elif asked == "spike":
            off = values[1:-1] - (values[:-2] + values[2:]) / 2
            largest = off[np.abs(off).argmax()]
            seen = "none" if abs(largest) < 9 else "up" if largest > 0 else "down"
        elif asked == "level shift":
            change = daily[-2:].mean() - daily[:2].mean()
            seen = "none" if abs(change) < 1 else "up" if change > 0 else "down"
        else:
            day, third = np.abs(np.fft.rfft(values - values.mean()))[[7, 21]] * 2 / len(values)
            seen = "none" if max(day, third) < 0.7 else "day" if day > third else "8 hours"
        right.setdefault(asked, []).append(seen == item.expect["true"])

    assert all(right.pop("missing"))
    for hits in right.values():
        assert np.mean(hits) >= 0.75


def test_what_is_true_is_balanced(items: list[Item]) -> None:
    counts = Counter((i.expect["asked"], i.expect["true"]) for i in items if i.kind != SWAP)
    for asked, options in OPTIONS.items():
        of_each = [counts[asked, option] for option in options]
        assert max(of_each) - min(of_each) <= 1


def test_a_swapped_picture_says_the_truth_as_often_as_chance(items: list[Item]) -> None:
    swapped = [item for item in items if item.kind == SWAP]
    true_of = {i.expect["shown"]: i.expect["true"] for i in items if i.kind != SWAP}
    agreed = [true_of[item.expect["shown"]] == item.expect["true"] for item in swapped]

    assert len(swapped) == 20
    assert all(item.id.split("/")[-1].split("-")[0] != item.expect["shown"] for item in swapped)
    chance = sum(1 / len(item.expect["options"]) for item in swapped)
    assert abs(sum(agreed) - chance) < 1


@pytest.mark.parametrize(
    ("asked", "text", "said"),
    [
        ("trend", "**Gauge G01**, level: the series falls steadily (linear trend): by 13.2 cm [E7].", "falling"),
        ("trend", "Upward.", "rising"),
        ("trend", "The series shows no lasting trend in this time [E7].", "none"),
        ("trend", "The picture shows a gauge.", None),
        ("trend", "It is rising or falling.", None),
        ("cycle", "The series repeats every 24 hours: this cycle explains 81 % [E7].", "day"),
        ("cycle", "It repeats every 8.02 hours.", "8 hours"),
        ("cycle", "There is a cycle of 5 hours.", None),
        ("cycle", "The series repeats in no cycle that could be found.", "none"),
        ("spike", "It has 1 stretch that does not fit the rest:\n- at 13:45: a spike, 19.6 cm below the rest", "down"),
        ("spike", "The series shows nothing that does not fit: no spike, no frozen value.", "none"),
        ("level shift", "It changed to another level 1 time:\n- 10:30: the mean went up from 50 cm to 63 cm", "up"),
        ("level shift", "The series keeps its level and its spread.", "none"),
        ("missing", "98.3 % of the readings were measured, 1.7 % are missing and 0.0 % were filled in.", "some"),
        ("missing", "100.0 % of the readings were measured, 0.0 % are missing.", "none"),
        ("missing", "None.", "none"),
        ("missing", "10 cells have no value and are drawn as gaps [E3].", "some"),
    ],
)
def test_an_answer_is_read(asked: str, text: str, said: str | None) -> None:
    assert said_option(asked, text) == said


def test_the_embedded_model_reads_what_is_drawn(runtime: Runtime, items: list[Item]) -> None:
    async def ask(item: Item) -> list[Answer]:
        about: dict[str, Any] = {"dataset": item.dataset, "as_of": item.as_of}
        drawn = await runtime.ask(item.questions[0], **about)
        return [drawn, await runtime.ask(item.questions[1], thread=drawn.thread, **about)]

    item = next(i for i in items if i.kind == "level shift, line")
    answers = asyncio.run(ask(item))
    other = next(option for option in OPTIONS["level shift"] if option != item.expect["true"])
    swapped = item.model_copy(update={"expect": {**item.expect, "true": other}})
    right, wrong = (SUITE.score(each, answers, runtime) for each in (item, swapped))

    assert right is not None
    assert wrong is not None
    assert (right.value, wrong.value, right.details["drawn"]) == (1.0, 0.0, 1.0)
