"""Whether a level is passed is read off an interval or a reading; what lies inside it is never called sure."""

from __future__ import annotations

from typing import Any

import pytest

from mm4st_agent.agent.backends.levels import converted, foreseen, reached
from mm4st_agent.agent.backends.thresholds import Side, Threshold

STEPS = [
    {"time": "08:00", "low": 40.0, "median": 50.0, "high": 60.0},
    {"time": "08:05", "low": 30.0, "median": 42.0, "high": 55.0},
]
MEAN = {"unit": "km/h", "total": {"aggregation": "mean", "unit": "km/h"}, "steps": STEPS}
SUM: dict[str, Any] = {
    "unit": "vehicles/5 min",
    "total": {"aggregation": "sum", "unit": "vehicles", "low": 500.0, "median": 600.0, "high": 700.0},
    "steps": STEPS,
}


@pytest.mark.parametrize(
    ("value", "side", "grade", "time"),
    [
        (65, "above", "no", "08:00"), (58, "above", "possible", "08:00"), (45, "above", "likely", "08:00"),
        (35, "above", "yes", "08:00"), (25, "below", "no", "08:05"), (35, "below", "possible", "08:05"),
        (45, "below", "likely", "08:05"), (56, "below", "yes", "08:05"),
    ],
)  # fmt: skip
def test_any_step_counts_where_readings_do_not_add_up(value: float, side: Side, grade: str, time: str) -> None:
    verdict = foreseen(Threshold(value, None, side), MEAN, None)

    assert (verdict.grade, verdict.time, verdict.steps) == (grade, time, 2)


def test_a_total_counts_where_they_do() -> None:
    assert foreseen(Threshold(550, None, "above"), SUM, None).grade == "likely"
    assert foreseen(Threshold(450, "vehicles", "above"), SUM, None).grade == "yes"
    assert foreseen(Threshold(35, "vehicles per 5 minutes", "below"), SUM, None).time == "08:05"
    assert foreseen(Threshold(45, None, "below"), SUM, STEPS[0]).grade == "possible"


def test_units_are_converted_or_refused() -> None:
    assert converted(10, "mph", "km/h") == pytest.approx(16.09344)
    assert converted(20, "%", "1") == pytest.approx(0.2)
    assert converted(20, "°C", "km/h") is None
    assert foreseen(Threshold(20, "mph", "below"), MEAN, None).grade == "possible"
    assert foreseen(Threshold(20, "°C", "below"), MEAN, None).grade is None


def test_a_reading_passes_a_level_or_not() -> None:
    reply = {
        "unit": "km/h", "last": 38.4, "last_time": "07:35", "minimum": 10.0, "minimum_time": "08:45", "maximum": 65.0,
        "maximum_time": "01:55",
    }  # fmt: skip

    assert reached(Threshold(40, None, "below"), reply, windowed=False).passed is True
    assert reached(Threshold(40, None, "above"), reply, windowed=False).passed is False
    over_a_day = reached(Threshold(40, None, "above"), reply, windowed=True)
    assert (over_a_day.passed, over_a_day.value, over_a_day.time) == (True, 65.0, "01:55")
    assert reached(Threshold(40, None, "above"), {**reply, "last": None}, windowed=False).passed is None
