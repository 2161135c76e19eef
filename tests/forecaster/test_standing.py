"""What was known at a moment: worked out once, of windows that the network reads once."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.forecaster.checkpoint import Checkpoint, load
from mm4st_agent.forecaster.earlier import Earlier
from mm4st_agent.forecaster.evaluation import few
from mm4st_agent.forecaster.prediction import shipped_checkpoints
from mm4st_agent.forecaster.slots import slots_of
from mm4st_agent.forecaster.standing import Standing, Standings

MOMENTS = ("2022-02-04T07:00", "2022-02-03T18:30", "2022-02-04T07:30", "2022-02-05T00:00")
"""In the test part of the small panel, which begins on 2022-01-31."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows a network has read, call by call."""
    counts, quantiles = [], Checkpoint.quantiles

    def counted(self: Checkpoint, inputs: object, origins: np.ndarray) -> np.ndarray:
        counts.append(len(origins))
        return quantiles(self, inputs, origins)  # type: ignore[arg-type]

    monkeypatch.setattr(Checkpoint, "quantiles", counted)
    return counts


def close(one: Standing, other: Standing) -> None:
    assert one.widths == pytest.approx(other.widths, rel=1e-5)
    for mine, theirs in ((one.record and one.record[0], other.record and other.record[0]), (one.recent, other.recent)):
        assert mine is not None
        assert theirs is not None
        assert (mine.windows, mine.stride, mine.cells) == (theirs.windows, theirs.stride, theirs.cells)
        for model, errors in mine.by_step.items():
            assert errors.mae == pytest.approx(theirs.by_step[model].mae, rel=1e-5)
            assert errors.coverage80 == pytest.approx(theirs.by_step[model].coverage80, abs=0.1)
            assert errors.total_coverage80 == pytest.approx(theirs.by_step[model].total_coverage80, abs=0.1)


def test_from_each_moment_it_is_as_if_nobody_had_looked_before(panel: Panel, trained: Path, read: list[int]) -> None:
    checkpoint, kept = load(trained), Standings()
    cuts = [panel.until(moment) for moment in MOMENTS]
    alone = [Standing.of(checkpoint, cut, Earlier()) for cut in cuts]
    without = sum(read)
    read.clear()

    found = [kept.of(checkpoint, cut) for cut in cuts]

    for one, other in zip(found, alone, strict=True):
        close(one, other)
    assert len({one.record[1] for one in found if one.record}) == len(MOMENTS)
    assert sum(read) < 0.6 * without
    read.clear()
    assert [kept.of(checkpoint, cut) for cut in cuts] == found
    assert read == []


def test_a_network_that_reads_texts_says_the_same_from_a_later_moment(read: list[int]) -> None:
    panel = demo_panel().of("pm25")
    checkpoint, kept = load(shipped_checkpoints() / "demo-pm25"), Standings()
    early, late = panel.until("2025-10-23T11:20"), panel.until("2025-10-24T12:00")
    kept.of(checkpoint, early)
    before = sum(read)

    found = kept.of(checkpoint, late)

    assert sum(read) - before <= 52 < before / 4  # of a day and 40 minutes, every half hour
    close(found, Standing.of(checkpoint, late, Earlier()))


def test_windows_without_room_are_read_each_time(
    panel: Panel, trained: Path, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load(trained)
    whole, cut = panel.until(MOMENTS[0]), panel.until(MOMENTS[1])
    expected = Standing.of(checkpoint, cut, Earlier())
    monkeypatch.setattr(Earlier, "MOST_BYTES", 12 * 5 * 5 * 4 * 10)
    cramped = Standings()
    close(cramped.of(checkpoint, whole), Standing.of(checkpoint, whole, Earlier()))
    read.clear()

    close(cramped.of(checkpoint, cut), expected)

    assert sum(read) > 100


def test_other_data_of_the_same_name_are_looked_at_anew(panel: Panel, trained: Path) -> None:
    checkpoint, kept = load(trained), Standings()
    doubled = dataclasses.replace(
        panel,
        card=panel.card.model_copy(update={"title": "Twice as much"}),
        data=panel.data.assign(flow=(panel.data["flow"] * 2).assign_attrs(panel.data["flow"].attrs)),
    )
    kept.of(checkpoint, panel.until(MOMENTS[0]))

    found = kept.of(checkpoint, doubled.until(MOMENTS[1]))

    close(found, Standing.of(checkpoint, doubled.until(MOMENTS[1]), Earlier()))


def test_of_many_who_ask_at_once_one_works_it_out(panel: Panel, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, cut, kept, of = load(trained), panel.until(MOMENTS[0]), Standings(), Standing.of
    calls, started = [], threading.Barrier(4)

    def counted(*given: object) -> Standing:
        calls.append(given)
        if len(calls) == 1:
            raise MemoryError("the first has no room")
        return of(*given)  # type: ignore[arg-type]

    def ask() -> Standing | MemoryError:
        started.wait(30)
        try:
            return kept.of(checkpoint, cut)
        except MemoryError as err:
            return err

    monkeypatch.setattr(Standing, "of", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ask(), range(4)))

    assert len(calls) == 2  # what fails is not kept, and hinders nobody
    assert sum(isinstance(one, MemoryError) for one in found) == 1
    assert len({id(one) for one in found if isinstance(one, Standing)}) == 1


def test_the_moments_that_were_asked_for_last_are_kept(
    panel: Panel, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Standings, "MOST", 2)
    checkpoint, kept = load(trained), Standings()
    first, second, third = (panel.until(moment) for moment in MOMENTS[:3])
    one, two = kept.of(checkpoint, first), kept.of(checkpoint, second)

    assert kept.of(checkpoint, first) is one
    kept.of(checkpoint, third)
    assert kept.of(checkpoint, first) is one
    assert kept.of(checkpoint, second) is not two


@pytest.mark.parametrize(
    ("count", "most", "minutes", "stride", "first"),
    [
        (200, 300, 5, 1, 0),  # all
        (900, 300, 5, 3, 2),  # every quarter of an hour
        (2000, 300, 5, 12, 11),  # 7 would not divide the hour
        (4000, 300, 5, 24, 11),
        (4000, 300, 60, 14, 0),  # each step is on the hour
        (900, 300, 15, 4, 3),
    ],
)
def test_few_windows_lie_where_others_looked_back(count: int, most: int, minutes: int, stride: int, first: int) -> None:
    times = pd.date_range("2022-01-03T00:00", periods=5000, freq=f"{minutes}min", tz="US/Pacific")
    slots = slots_of(times, minutes * 60)
    begin = slots.per_hour + 1  # just after a full hour

    windows = few(np.arange(begin, begin + count), most, slots)

    assert windows.stride == stride
    assert windows.origins[0] - begin == first
    assert set(np.diff(windows.origins)) == {stride}
    assert windows.origins[-1] > begin + count - 1 - stride
    assert few(np.arange(begin, begin + count), most).origins[0] == begin
