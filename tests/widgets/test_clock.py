"""The clock moves by buttons, and stays inside the data."""

from __future__ import annotations

import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.widgets.clock import moved, written


@pytest.mark.parametrize(
    ("text", "by", "expected"),
    [
        ("2025-10-22T07:40", "-1 d", "2025-10-21T07:40"),
        ("2025-10-22T07:40", "+1 h", "2025-10-22T08:40"),
        ("", "-1 h", "2025-10-22T06:40"),
        ("2025-10-30T22:30", "+1 d", "2025-10-30T23:00"),
        ("2025-09-01T05:00", "-1 d", "2025-09-01T00:10"),
        ("2025-10-26T00:30", "+1 d", "2025-10-26T23:30"),
    ],
    ids=["back", "forward", "from now", "not past the end", "not before two readings", "24 hours over a clock change"],
)
def test_a_move_ends_inside_the_data(text: str, by: str, expected: str) -> None:
    panel = Runtime().registry.open("demo")

    assert written(moved(panel, text, by)) == expected
    panel.until(expected)


def test_a_clock_that_is_no_time_is_refused() -> None:
    with pytest.raises(UsageError, match="'noon' is not a point in time"):
        moved(Runtime().registry.open("demo"), "noon", "-1 h")
