"""`check_quality` finds the faults that were put into readings, and none in sound ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ToolError
from tools.check_quality import CHECK_QUALITY, CheckQualityOut
from tools.context import ToolContext

Check = Callable[..., CheckQualityOut]


@pytest.fixture
def check(context_of: Callable[..., ToolContext]) -> Check:
    return lambda panel, as_of=None, **args: CHECK_QUALITY.run({"dataset": "mixed", **args}, context_of(panel, as_of))


@pytest.fixture
def sound(mixed: Panel) -> Panel:
    """Flow with a daily course and noise; nothing is imputed or missing."""
    flow, imputed = mixed.data["flow"], mixed.data["imputed"]
    steps = np.arange(flow.sizes["time"])
    course = 200 + 100 * np.sin(2 * np.pi * steps / 96)[:, None]
    noise = np.random.default_rng(0).normal(0, 10, flow.shape)
    values = np.where(np.isfinite(flow), np.abs(course + noise), np.nan).astype(np.float32)
    clean = imputed.copy(data=np.zeros(imputed.shape, dtype=bool))
    return dataclasses.replace(mixed, data=mixed.data.assign({"flow": flow.copy(data=values), "imputed": clean}))


def edited(panel: Panel, edit: Callable[[np.ndarray, np.ndarray], None]) -> Panel:
    """With values and mask changed in place: `edit(flow, imputed)`, both `(T, N)`."""
    flow, mask = panel.data["flow"].to_numpy().copy(), panel.data["imputed"].to_numpy().copy()
    edit(flow, mask)
    data = panel.data.assign(
        {"flow": panel.data["flow"].copy(data=flow), "imputed": panel.data["imputed"].copy(data=mask)}
    )
    return dataclasses.replace(panel, data=data)


def test_sound_readings_have_no_fault(sound: Panel, check: Check) -> None:
    reply = check(sound)

    assert (reply.measured, reply.missing, reply.imputed) == (100, 0, 0)
    assert (reply.places, reply.complete, reply.silent, reply.steps) == (4, 4, 0, 96)
    assert (reply.longest_gap, reply.stuck, reply.implausible, reply.worst, reply.warnings) == (None, [], [], [], [])
    assert reply.last_age == 0


def test_gaps_and_filled_in_readings_are_counted(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        flow[-20:-8, 0] = np.nan
        mask[-48:-24, 1] = True

    reply = check(edited(sound, edit))

    assert reply.missing == pytest.approx(100 * 12 / (4 * 96), abs=0.01)
    assert reply.imputed == pytest.approx(100 * 24 / (4 * 96), abs=0.01)
    assert reply.longest_gap is not None
    assert (reply.longest_gap.id, reply.longest_gap.minutes, reply.longest_gap.imputed) == ("S002", 360, 100)
    assert [place.id for place in reply.worst] == ["S002", "S001"]
    alone = check(edited(sound, edit), node="S001")
    assert (alone.places, alone.missing, alone.imputed) == (1, 12.5, 0)
    assert alone.longest_gap is not None
    assert alone.longest_gap.end - alone.longest_gap.start == pd.Timedelta(hours=3)
    assert not alone.longest_gap.lasts


def test_a_silent_station_is_said(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        flow[-8:, 2] = np.nan

    reply = check(edited(sound, edit))

    assert reply.silent == 1
    assert "1 of 4 places are silent: their last reading is more than 3 steps old." in reply.warnings
    alone = check(edited(sound, edit), node="S003")
    assert (alone.last_age, alone.silent) == (120, 1)
    assert alone.longest_gap is not None
    assert alone.longest_gap.lasts


def test_a_stuck_station_is_found_with_its_value(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        flow[-40:-10, 3] = 123.5

    for reply in (check(edited(sound, edit)), check(edited(sound, edit), node="S004")):
        assert [(one.id, one.value, one.minutes) for one in reply.stuck] == [("S004", 123.5, 450)]
    assert check(edited(sound, edit), node="S003").stuck == []
    assert check(edited(sound, edit), hours=2).stuck == []


def test_impossible_and_jumping_readings_are_found(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        flow[-30, 0] = -5
        flow[-50, 1] += 2000

    reply = check(edited(sound, edit))

    assert reply.implausible_count == 2
    impossible, jump = reply.implausible
    assert (impossible.id, impossible.value, impossible.jump) == ("S001", -5, None)
    assert jump.id == "S002"
    assert jump.jump == pytest.approx(2000, rel=0.1)


def test_what_most_stations_show_at_once_is_no_fault(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        for day in range(28):  # every night is empty, the last one for longer
            flow[96 * day : 96 * day + 8, :4] = 0
        flow[-96:-56, :4] = 0

    assert check(edited(sound, edit)).stuck_count == 0


def test_nothing_after_the_window_is_seen(sound: Panel, check: Check) -> None:
    def edit(flow: np.ndarray, mask: np.ndarray) -> None:
        flow[-96:, 0] = np.nan

    broken = edited(sound, edit)
    assert check(broken, until="2025-09-28T00:00", node="S001").missing == 0
    assert check(broken, "2025-09-28T00:00", node="S001").missing == 0
    assert check(broken, node="S001").warnings == ["Nothing was measured at S001 in this window."]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"node": "S999"}, "no station 'S999'"),
        ({"node": "A01", "channel": "flow"}, "does not measure traffic|does not measure flow"),
        ({"hours": 0}, "greater than 0"),
        ({"until": "2030-01-01T00:00"}, "is not between"),
    ],
)
def test_bad_arguments_get_one_sentence(mixed: Panel, check: Check, args: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        check(mixed, **args)
