"""Numbers, times and lengths as templates write them."""

from __future__ import annotations

import pytest

import prompts


@pytest.fixture
def series() -> dict[str, object]:
    """A reply of query_series as far as its texts need it."""
    return {
        "channel_title": "occupancy", "unit": "1", "recent": 0.0842, "recent_minutes": 30.0, "level": 101.0,
        "usual": 0.083, "usual_weeks": 3, "shift": None, "trend": "falling", "trend_minutes": 60.0, "slope": -0.00001,
        "slope_unit": "1 per hour", "last": 0.098, "last_time": "2022-01-25T07:25-08:00", "mean": 0.069, "steps": 288,
        "total": None, "window_hours": 24.0, "minimum": 0.008, "minimum_time": "2022-01-25T03:15-08:00",
        "maximum": 0.134, "maximum_time": "2022-01-24T16:40-08:00", "coverage": 100.0,
        "until": "2022-01-25T07:30-08:00", "as_of": "2022-01-25T07:30-08:00", "measured": 288,
    }  # fmt: skip


def _status(series: dict[str, object], **changes: object) -> str:
    session = {"place_word": "station", "as_of": "2022-01-25T07:30-08:00"}
    result = {"error": None, "evidence": "E1", "reply": {**series, **changes}}
    return prompts.load("answer_status").render(
        level=None,
        request={"premise": None},
        went=None,
        session=session,
        place={"label": "7", "word": "station"},
        series=result,
        events=None,
        windowed=False,
        moment=False,
    )


def test_a_share_is_written_without_a_unit(series: dict[str, object]) -> None:
    text = _status(series)

    assert "the occupancy was 0.084, 101 % of the usual 0.083" in text
    assert "The last reading, 0.098, is from 07:25" in text


def test_a_slope_of_nothing_is_left_out(series: dict[str, object]) -> None:
    assert "it was falling [E1]" in _status(series)


def test_a_day_is_called_one(series: dict[str, object]) -> None:
    daily = _status(series, recent_minutes=1440.0, trend_minutes=5760.0, window_hours=168.0)

    assert "Over the last day" in daily
    assert "In the last 4 days" in daily
    assert "In the 7 days before" in daily
    assert "In the hour before" in _status(series, window_hours=1.0)


def test_a_jump_and_no_clear_trend_are_said(series: dict[str, object]) -> None:
    text = _status(series, shift=-33.1, unit="km/h", trend="unclear")

    assert "It dropped suddenly by 33.1 km/h" in text
    assert "The last hour shows no clear trend" in text


def test_a_span_over_midnight_names_both_days() -> None:
    text = prompts.until("2012-03-06T23:55-08:00", "2012-03-07T00:55-08:00")

    assert text == "from 23:55 on Tuesday 6 March 2012 to 00:55 on Wednesday 7 March 2012"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Closed until noon.", '"Closed until noon."'),
        ('He said "all clear" [E1]\n# and left', "\"He said 'all clear' (E1) # and left\""),
        ("“Now” <img src=x> ![p](u)", "\"'Now' ‹img src=x› !(p)(u)\""),
    ],
)
def test_a_quotation_cannot_be_ended_from_inside(text: str, quoted: str) -> None:
    assert prompts._quoted(text) == quoted
    assert prompts._quoted(prompts.quotable(text)) == quoted


def test_a_place_from_outside_stays_short() -> None:
    assert prompts._inline("Harbour\nBridge") == "Harbour Bridge"
    assert len(prompts._inline("x" * 500)) < 100


@pytest.mark.parametrize(
    ("title", "verb"),
    [("traffic flow", "was"), ("travel information requests", "were"), ("fine particles (PM2.5)", "were"),
     ("PM2.5", "was"), ("bus", "was"), ("loss", "was"), ("", "was")],
)  # fmt: skip
def test_a_title_has_its_verb(title: str, verb: str) -> None:
    assert prompts._was(title) == verb
