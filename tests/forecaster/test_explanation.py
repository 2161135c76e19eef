from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster import explanation
from mm4st_agent.forecaster.attribution import Part, Window
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.deletion import DeletionTest, delete
from mm4st_agent.forecaster.explanation import Explanation, explain
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.tokens import Modality
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.forecaster.training import train_checkpoint

FLOW = Channel(name="flow", unit="vehicles/h", title="traffic flow", aggregation="sum", total_unit="vehicles")
LAG = 4
"""B shows what A showed so many steps earlier."""


def make(
    values: np.ndarray, edges: list[tuple[str, str, float]], events: tuple[Event, ...] = (), step: str = "1h"
) -> Panel:
    times = pd.date_range("2022-01-03", periods=len(values), freq=step)
    ids = list("ABCDEF")[: values.shape[1]]
    return Panel(
        card=DataCard(
            name="made", title="Made for a test", source="a test", licence="CC0-1.0", place_word="station",
            time_zone="UTC", time_label="start", channels=(FLOW,),
        ),
        data=xr.Dataset(
            {"flow": (("time", "node"), values.astype(np.float32), {"units": FLOW.unit})},
            coords={"time": times, "node": np.array(ids, dtype=object)},
        ),
        edges=pd.DataFrame(edges, columns=["source", "target", "weight"]),
        events=events,
    )  # fmt: skip


def train(panel: Panel, folder: Path, config: TrainConfig) -> TrainedForecaster:
    out, threads = folder / f"{panel.name}-flow", torch.get_num_threads()
    torch.set_num_threads(1)  # several are slower for so small a network where others use the machine too
    try:
        train_checkpoint(panel, "flow", out=out, config=config, progress=False)
    finally:
        torch.set_num_threads(threads)
    return TrainedForecaster(out)


# -- a sensor that another one copies ---------------------------------------------------------


@pytest.fixture(scope="module")
def copied() -> Panel:
    """B repeats A; C is linked to B as well, and has nothing to do with it."""
    chance = np.random.default_rng(1)
    walks = np.zeros((1000, 4))
    for step in range(1, len(walks)):
        walks[step] = 0.6 * walks[step - 1] + 10 * chance.standard_normal(4)
    walks[LAG:, 1] = walks[:-LAG, 0]
    return make(200 + walks, [("A", "B", 1.0), ("C", "B", 0.3), ("C", "D", 1.0)])


@pytest.fixture(scope="module")
def copier(copied: Panel, tmp_path_factory: pytest.TempPathFactory) -> TrainedForecaster:
    shape = NumericConfig(history=6, horizon=3, hidden=32, blocks=1, identity=4, eigenvectors=2, dropout=0.0)
    config = TrainConfig(network=shape, max_epochs=8, learning_rate=5e-3, averaging=0.9)
    return train(copied, tmp_path_factory.mktemp("copied"), config)


def moments(panel: Panel, count: int) -> list[str]:
    return [panel.times[-at].isoformat() for at in range(20, 20 + 7 * count, 7)]


def test_the_sensor_that_is_copied_is_the_top_sensor(copied: Panel, copier: TrainedForecaster) -> None:
    found = [explain(copier, copied.until(when), "B", None, 3) for when in moments(copied, 10)]

    tops = [next(driver.node for driver in each.measured if driver.kind == "sensor") for each in found]
    assert tops.count("A") >= 9
    for each in found:
        assert next(driver for driver in each.measured if driver.node == "D").effect == pytest.approx(0, abs=1e-3)
    # Without A, the mean over B's neighbours is what C shows.
    ahead = [copied.until(when).values("flow")[-LAG : -LAG + 3, [0, 2]].sum(axis=0) for when in moments(copied, 10)]
    claimed = [sum(driver.effect for driver in each.measured if driver.node == "A") for each in found]
    assert np.corrcoef([a - c for a, c in ahead], claimed)[0, 1] > 0.8


def test_a_removed_sensor_is_one_that_was_not_measured(copied: Panel, copier: TrainedForecaster) -> None:
    panel = copied.until(moments(copied, 1)[0])
    window = window_of(copier, panel, "B")
    silent = dataclasses.replace(panel, data=panel.data.copy(deep=True))
    silent.data["flow"][-7 * 24 :, panel.position("A")] = np.nan

    (without,) = window.totals([[Part("sensor", panel.position("A"))]])

    expected = window_of(copier, silent, "B").totals([()])[0]
    assert without == pytest.approx(expected, rel=1e-5)
    assert abs(without - window.totals([()])[0]) > 1


def test_removing_nothing_shifts_nothing(copied: Panel, copier: TrainedForecaster) -> None:
    panel = copied.until(moments(copied, 1)[0])
    window = window_of(copier, panel, "B")
    fan = copier.checkpoint.fan(panel)

    whole, again = window.totals([(), ()])

    assert whole == again == pytest.approx(fan[:3, 1, 2].sum(), rel=1e-6)
    assert window.totals([[Part("sensor", 3)]])[0] == pytest.approx(whole, rel=1e-6)  # D is no neighbour of B


def test_the_parts_are_what_was_measured(copied: Panel, copier: TrainedForecaster) -> None:
    panel = copied.until(moments(copied, 1)[0])
    gappy = dataclasses.replace(panel, data=panel.data.copy(deep=True))
    gappy.data["flow"][-3, 1] = np.nan
    gappy.data["flow"][-7 * 24 :, 2] = np.nan

    parts = window_of(copier, gappy, "B").parts()

    assert parts == [
        Part("usual"), Part("level"), *(Part("lag", step) for step in (0, 1, 2, 4, 5)),
        Part("sensor", 0), Part("sensor", 3),
    ]  # fmt: skip


def test_screening_keeps_the_sensors_that_matter(
    copied: Panel, copier: TrainedForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanation, "SCREENED", 1)

    found = explain(copier, copied.until(moments(copied, 1)[0]), "B", None, 3)

    assert [driver.node for driver in found.measured if driver.kind == "sensor"] == ["A"]
    assert found.sensors == 3


def test_the_same_seed_gives_the_same_explanation(copied: Panel, copier: TrainedForecaster) -> None:
    panel = copied.until(moments(copied, 1)[0])
    one, two = (explain(copier, panel, "B", None, 3, seed=3) for _ in range(2))
    other = explain(copier, panel, "B", None, 3, seed=4)

    assert one.named == two.named == other.named
    np.testing.assert_array_equal(one.test.random, two.test.random)
    assert (one.test.random != other.test.random).any()
    assert one.test.random.shape == (explanation.DRAWS, len(one.named))
    assert one.test.shift == pytest.approx(one.test.named[-1] - one.total)


def test_only_the_asked_steps_are_explained(copied: Panel, copier: TrainedForecaster) -> None:
    panel = copied.until(moments(copied, 1)[0])

    last, whole = explain(copier, panel, "B", None, 1, skip=2), explain(copier, panel, "B", None, 3)

    fan = copier.checkpoint.fan(panel)
    assert last.total == pytest.approx(fan[2, 1, 2], rel=1e-6)
    assert last.total < whole.total


def test_nothing_later_than_the_clock_is_read(copied: Panel, copier: TrainedForecaster) -> None:
    when = moments(copied, 1)[0]
    later = dataclasses.replace(copied, data=copied.data.copy(deep=True))
    later.data["flow"][-10:] = 0

    one, two = (explain(copier, panel.until(when), "B", None, 3) for panel in (copied, later))

    assert one.measured == two.measured


def test_without_draws_there_is_no_test(copied: Panel, copier: TrainedForecaster) -> None:
    with pytest.raises(UsageError, match="0 random removals"):
        explain(copier, copied, "B", None, 3, draws=0)


def test_the_numeric_branch_has_no_shares_and_no_lines(copied: Panel, copier: TrainedForecaster) -> None:
    found = explain(copier, copied, "B", None, 3)

    assert found.shares is None
    assert not found.reads_text
    assert {driver.kind for driver in found.measured} == {"level", "lag", "sensor"}
    assert found.usual.kind == "usual"


def window_of(forecaster: TrainedForecaster, panel: Panel, node: str) -> Window:
    return Window.of(forecaster.checkpoint, panel, FLOW, node, slice(0, 3))


# -- an event that halves the readings --------------------------------------------------------


@pytest.fixture(scope="module")
def closed() -> Panel:
    """A closure, published as it begins, halves all readings for four hours; nothing else announces it."""
    chance = np.random.default_rng(5)
    steps = 42 * 24
    hour = np.arange(steps) % 24
    values = (100 + 40 * np.sin(2 * np.pi * hour / 24))[:, None] * (1 + 0.03 * chance.standard_normal((steps, 3)))
    events: list[Event] = []
    at = 10
    while at < steps - 6:
        values[at : at + 4] *= 0.5
        start = pd.Timestamp("2022-01-03", tz="UTC") + pd.Timedelta(hours=at)
        events.append(
            Event(
                f"closure-{len(events)}", "Bridge closed, traffic is turned away.", start, start + pd.Timedelta("4h"),
                start, "road office", "B", "the bridge", kind="closure",
            )
        )  # fmt: skip
        at += int(chance.integers(8, 20))
    return make(values, [("A", "B", 1.0), ("B", "C", 1.0)], tuple(events))


@pytest.fixture(scope="module")
def reader(closed: Panel, tmp_path_factory: pytest.TempPathFactory) -> TrainedForecaster:
    numeric = NumericConfig(history=4, horizon=3, hidden=24, blocks=1, identity=4, eigenvectors=2, dropout=0.0)
    shape = StVlmConfig(numeric=numeric, patch=1, text_tokens=24, modality_dropout=0.0)
    config = TrainConfig(network=shape, max_epochs=6, learning_rate=2e-3, averaging=0.9)
    return train(closed, tmp_path_factory.mktemp("closed"), config)


@pytest.fixture(scope="module")
def at_a_closure(closed: Panel, reader: TrainedForecaster) -> Explanation:
    start = next(event.start for event in closed.events if event.start > pd.Timestamp(reader.card.test.start))
    return explain(reader, closed.until(start.isoformat()), "B", None, 3)


def test_the_event_that_halves_the_readings_is_the_top_driver(closed: Panel, at_a_closure: Explanation) -> None:
    top = at_a_closure.named[0]

    assert top.kind == "event"
    assert top.event is not None
    assert top.event in closed.until(at_a_closure.forecast.times[0].isoformat()).events
    assert top.event.start == at_a_closure.forecast.times[0]
    assert -0.6 < top.effect / (at_a_closure.total - top.effect) < -0.1
    assert top.event.text not in top.label  # the words of a source are no part of ours


def test_all_modalities_are_shared_and_taken_away(at_a_closure: Explanation) -> None:
    assert at_a_closure.shares is not None
    assert set(at_a_closure.shares) == set(Modality)
    assert sum(at_a_closure.shares.values()) == pytest.approx(1, abs=1e-5)
    kinds = {driver.kind for driver in at_a_closure.measured}
    assert {"sensor", "lag", "calendar", "event", "picture"} <= kinds
    picture = next(driver for driver in at_a_closure.measured if driver.kind == "picture")
    assert picture.effect != 0


def test_a_removed_line_is_one_that_was_never_written(
    closed: Panel, reader: TrainedForecaster, at_a_closure: Explanation
) -> None:
    panel = closed.until(at_a_closure.forecast.times[0].isoformat())
    window = window_of(reader, panel, "B")
    line = next(n for n, event in enumerate(window.events) if event is not None)
    silent = dataclasses.replace(panel, events=tuple(e for e in panel.events if e.id != window.events[line].id))  # type: ignore[union-attr]

    (without,) = window.totals([[Part("line", line)]])

    other = window_of(reader, silent, "B")
    if len(other.prompt) == len(window.prompt) - 1:  # no further line took its room
        assert without == pytest.approx(other.totals([()])[0], rel=1e-5)
    assert sum(event is not None for event in other.events) == sum(event is not None for event in window.events) - 1
    assert window.totals([()])[0] == pytest.approx(reader.checkpoint.fan(panel)[:3, 1, 2].sum(), rel=1e-5)


def test_all_text_and_the_picture_can_go_together(closed: Panel, reader: TrainedForecaster) -> None:
    window = window_of(reader, closed, "B")

    (left,) = window.totals([[part for part in window.parts() if part.kind != "usual"]])

    assert np.isfinite(left)


# -- the test itself --------------------------------------------------------------------------

EFFECTS = {f"{kind}{n}": size for kind, sizes in {"a": [9, -7, 1, 0.5, 0.2], "b": [5]}.items()
           for n, size in enumerate(sizes)}  # fmt: skip


def additive(removals: Sequence[Collection[str]]) -> np.ndarray:
    return np.array([100 - sum(EFFECTS[item] for item in set(removal)) for removal in removals], dtype=np.float64)


def curve(named: list[str]) -> DeletionTest:
    return delete(additive, named, list(EFFECTS), lambda item: item[0], draws=200, seed=0)


def test_effects_of_both_signs_do_not_cancel_out() -> None:
    found = curve(["a0", "a1", "b0"])

    assert found.whole == 100
    assert found.shift == -7
    np.testing.assert_allclose(found.moved, [0, 9, 16, 21])
    assert found.share_below >= 0.9
    assert found.faithful


def test_idle_inputs_are_found_out() -> None:
    found = curve(["a4", "a3"])

    assert not found.faithful
    assert found.share_below == 0


def test_a_draw_keeps_the_kinds_and_repeats_nothing() -> None:
    seen: list[frozenset[str]] = []

    def totals(removals: Sequence[Collection[str]]) -> np.ndarray:
        seen.extend(frozenset(removal) for removal in removals if len(removal) == 2)
        return additive(removals)

    delete(totals, ["a0", "a2"], list(EFFECTS), lambda item: item[0], draws=50, seed=1)

    assert len(seen) == 51  # no draw has one input twice
    assert all(item[0] == "a" for pair in seen for item in pair)
    assert len(set(seen)) > 5


def test_any_input_stands_in_for_one_that_is_the_only_one_of_its_kind() -> None:
    random = curve(["b0"]).random[:, 0]

    assert set(np.round(100 - random, 6)) == {9.0, -7.0, 1.0, 0.5, 0.2, 5.0}


def test_nothing_named_moves_nothing() -> None:
    found = curve([])

    assert found.shift == 0
    assert found.moved.tolist() == [0]
    assert found.random_shifts.tolist() == [0] * 200
    assert not found.faithful
