"""`Panel.until` is the clock: whatever is later than `as_of` must have no influence at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, MASK, Panel
from mm4st_agent.errors import DataError, UsageError

ZONE = "US/Pacific"
STEPS = 48


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz=ZONE)


def make_panel(label: Literal["start", "instant"] = "start") -> Panel:
    """Two nodes, hourly, 2022-01-01 00:00 .. 2022-01-02 23:00 local time."""
    time = pd.date_range("2022-01-01T08:00", periods=STEPS, freq="h")
    ahead = pd.date_range("2022-01-01T08:00", periods=2 * STEPS, freq="h")
    values = np.arange(STEPS * 2, dtype=np.float32).reshape(STEPS, 2)
    values[3, 1] = np.nan
    card = DataCard(
        name="tiny",
        title="Tiny",
        source="this test",
        licence="none",
        time_zone=ZONE,
        time_label=label,
        channels=(Channel(name="flow", unit="vehicles/h"), Channel(name="speed", unit="mph")),
    )
    data = xr.Dataset(
        {
            "flow": (("time", "node"), values, {"units": "vehicles/h", MASK: "imputed"}),
            "speed": (("time", "node"), values + 1, {"units": "mph"}),
            "imputed": (("time", "node"), np.arange(STEPS * 2).reshape(STEPS, 2) % 7 == 0),
        },
        coords={"time": time, "node": np.array(["a", "b"], dtype=object), "name": ("node", ["A", "B"])},
    )
    events = (
        Event("1", "over", at("2022-01-01T02:00"), at("2022-01-01T03:00"), at("2022-01-01T02:00"), "log", "a"),
        Event("2", "runs", at("2022-01-01T09:30"), at("2022-01-01T11:00"), at("2022-01-01T09:40"), "log", "a"),
        Event("3", "late entry", at("2022-01-01T09:00"), at("2022-01-01T09:30"), at("2022-01-01T10:30"), "log", "b"),
        Event("4", "planned", at("2022-01-02T09:00"), at("2022-01-02T12:00"), at("2022-01-01T00:00"), "log", "b"),
    )
    covariates = xr.Dataset(
        {
            "rain": ("time", np.arange(2 * STEPS, dtype=np.float32)),
            "holiday": ("time", np.arange(2 * STEPS, dtype=np.float32), {KNOWN_FUTURE: True}),
            "elevation": ("node", np.float32([10, 20])),
        },
        coords={"time": ahead, "node": np.array(["a", "b"], dtype=object)},
    )
    tracks = pd.DataFrame(
        {
            "object": "bus",
            "time": pd.date_range("2022-01-01T00:30", periods=STEPS, freq="h", tz=ZONE),
            "lat": np.arange(STEPS, dtype=float),
            "lon": 0.0,
        }
    )
    edges = pd.DataFrame({"source": ["a"], "target": ["b"], "weight": [0.5]})
    return Panel(card, data, edges, events, covariates, trajectories=tracks)


def test_a_start_label_hides_the_running_interval() -> None:
    panel = make_panel("start")

    assert panel.start == at("2022-01-01T01:00")
    assert panel.end == at("2022-01-03T00:00")
    assert panel.until("2022-01-01T10:00").times[-1] == at("2022-01-01T09:00")
    assert panel.until("2022-01-01T09:59").times[-1] == at("2022-01-01T08:00")


def test_an_instant_label_shows_the_reading_of_that_moment() -> None:
    panel = make_panel("instant")

    assert panel.start == at("2022-01-01T00:00")
    assert panel.end == at("2022-01-02T23:00")
    assert panel.until("2022-01-01T10:00").times[-1] == at("2022-01-01T10:00")
    assert panel.until("2022-01-01T09:59").times[-1] == at("2022-01-01T09:00")


def test_until_the_end_keeps_everything() -> None:
    panel = make_panel()

    cut = panel.until(None)

    assert cut.as_of == panel.end
    assert cut.data.identical(panel.data)
    assert len(cut.events) == 4


def test_a_naive_time_is_local_time_of_the_data() -> None:
    panel = make_panel()

    assert panel.until("2022-01-01T10:00").as_of == at("2022-01-01T10:00")
    assert panel.until("2022-01-01T18:00Z").as_of == at("2022-01-01T10:00")
    assert panel.until(pd.Timestamp("2022-01-01T19:00", tz="Europe/Paris")).as_of == at("2022-01-01T10:00")


def test_events_appear_when_published_and_end_when_over() -> None:
    cut = make_panel().until("2022-01-01T10:00")

    assert {event.id: event.end for event in cut.events} == {
        "1": at("2022-01-01T03:00"),
        "2": None,
        "4": None,
    }
    later = make_panel().until("2022-01-01T11:00")
    assert {event.id for event in later.events} == {"1", "2", "3", "4"}
    assert {event.id for event in later.events if event.end is None} == {"4"}


def test_only_known_covariates_reach_beyond_the_clock() -> None:
    panel = make_panel()

    cut = panel.until("2022-01-01T10:00").covariates

    assert cut.sizes["time"] == 2 * STEPS
    assert np.isfinite(cut["rain"].to_numpy()).sum() == 10
    instant = make_panel("instant").until("2022-01-01T10:00").covariates
    assert np.isfinite(instant["rain"].to_numpy()).sum() == 11
    assert cut["holiday"].identical(panel.covariates["holiday"])
    assert cut["elevation"].identical(panel.covariates["elevation"])


def test_tracks_end_at_the_clock() -> None:
    tracks = make_panel().until("2022-01-01T10:30").trajectories

    assert tracks is not None
    assert tracks["time"].max() == at("2022-01-01T10:30")


@pytest.mark.parametrize("when", ["2022-01-01T00:59", "2022-01-03T00:01", "1999-01-01", "2030-01-01"])
def test_outside_the_data_is_refused_with_what_would_work(when: str) -> None:
    with pytest.raises(UsageError, match="outside the data of 'tiny'") as caught:
        make_panel().until(when)

    assert "2022-01-01T01:00 to 2022-01-03T00:00" in caught.value.hint


@pytest.mark.parametrize(
    "when",
    ["soon", "", "2022-13-01", "25:00", "02/01/2022 07:30", "01/02/2022", "2022-01-02T24:30", "20220102T0730", "Jan 2"],
)
def test_what_is_not_iso_8601_is_refused_with_an_example(when: str) -> None:
    with pytest.raises(UsageError, match="is not a point in time") as caught:
        make_panel().until(when)

    assert "2022-01-25T07:30" in caught.value.hint


@pytest.mark.parametrize(
    "when", ["2022-01-02T07:30", "2022-01-02 07:30:00", "2022-01-02T15:30Z", "2022-01-02T16:30+01:00"]
)
def test_iso_8601_is_read(when: str) -> None:
    assert make_panel().moment(when) == at("2022-01-02T07:30")


def test_the_end_has_a_name() -> None:
    assert make_panel().moment("end") == make_panel().end
    assert make_panel().moment("2022-01-02") == at("2022-01-02T00:00")


@pytest.mark.parametrize(
    ("when", "message", "hint"),
    [
        ("2024-10-27T02:30", "repeats it", "Write 2024-10-27T02:30+02:00 or 2024-10-27T02:30+01:00."),
        ("2024-03-31T02:30", "skips it", "Write 2024-03-31T03:30+02:00."),
    ],
)
def test_a_time_that_a_clock_change_repeats_or_skips_needs_its_offset(when: str, message: str, hint: str) -> None:
    card = make_panel("instant").card.model_copy(update={"time_zone": "Europe/Berlin"})
    data = make_panel().data
    year = data.isel(time=slice(0, 2)).assign_coords(time=pd.to_datetime(["2024-01-01", "2024-12-31"]).as_unit("ns"))
    panel = Panel(card, year)

    for form in (when, pd.Timestamp(when), datetime.fromisoformat(when)):
        with pytest.raises(UsageError, match=message) as caught:
            panel.moment(form)
        assert caught.value.hint == hint
    for offset in hint.removeprefix("Write ").removesuffix(".").split(" or "):
        assert panel.moment(offset) == pd.Timestamp(offset)


def test_a_place_has_a_name_and_words() -> None:
    data = make_panel().data.assign_coords(name=("node", ["KATELLA  2", ""]))
    panel = dataclasses.replace(make_panel(), data=data)

    assert [panel.place_name(node) for node in "ab"] == ["KATELLA 2", "b"]
    assert [panel.place(node) for node in "ab"] == ["sensor a (KATELLA 2)", "sensor b"]
    assert dataclasses.replace(panel, data=data.drop_vars("name")).place("a") == "sensor a"
    with pytest.raises(UsageError, match="no sensor 'c'"):
        panel.place_name("c")


def test_one_reading_is_too_few() -> None:
    with pytest.raises(UsageError, match="only 1 reading"):
        make_panel().until("2022-01-01T01:00")


def test_a_cut_panel_cannot_be_asked_about_later() -> None:
    cut = make_panel().until("2022-01-01T10:00")

    with pytest.raises(UsageError, match="outside"):
        cut.until("2022-01-01T10:01")
    assert cut.end == at("2022-01-01T10:00")
    assert cut.until("2022-01-01T05:00").times[-1] == at("2022-01-01T04:00")


def corrupt_after(panel: Panel, moment: pd.Timestamp) -> Panel:
    """Another panel that equals this one in all that was known at `moment`, and in nothing later."""
    delay = panel.step if panel.card.time_label == "start" else pd.Timedelta(0)
    utc = moment.tz_convert("UTC").tz_localize(None)
    hidden = xr.DataArray(panel.data.indexes["time"] + delay > utc, dims="time", coords={"time": panel.data["time"]})
    ahead = panel.covariates["time"] > (utc - delay).to_datetime64()
    assert panel.trajectories is not None
    tracks = panel.trajectories.copy()
    tracks.loc[tracks["time"] > moment, ["lat", "lon"]] = -99.0

    def event(event: Event) -> Event:
        if event.published_at > moment:
            return dataclasses.replace(event, text="leak", node="b", start=event.start + pd.Timedelta("9h"))
        late = event.end is not None and event.end > moment
        return dataclasses.replace(event, end=event.end + pd.Timedelta("5h")) if late and event.end else event

    masks = {"imputed": panel.data["imputed"] ^ hidden}
    channels = {name: panel.data[name].where(~hidden, -1e6) for name in ("flow", "speed")}
    rain = panel.covariates["rain"].where(~ahead, -1e6)
    return dataclasses.replace(
        panel,
        data=panel.data.assign(**channels, **masks),
        events=tuple(event(e) for e in panel.events),
        covariates=panel.covariates.assign(rain=rain),
        trajectories=tracks,
    )


@settings(max_examples=60, deadline=None)
@given(minutes=st.integers(2 * 60, STEPS * 60), label=st.sampled_from(["start", "instant"]))
def test_nothing_later_leaks(minutes: int, label: Literal["start", "instant"]) -> None:
    panel = make_panel(label)
    moment = min(at("2022-01-01") + pd.Timedelta(minutes=minutes), panel.end)
    other = corrupt_after(panel, moment)

    cut, same = panel.until(moment), other.until(moment)

    assert same.data.identical(cut.data)
    assert same.covariates.identical(cut.covariates)
    assert same.events == cut.events
    assert same.end == cut.end
    assert same.times.equals(cut.times)
    np.testing.assert_array_equal(same.observed(), cut.observed())
    assert cut.trajectories is not None
    assert same.trajectories is not None
    pd.testing.assert_frame_equal(same.trajectories, cut.trajectories)
    assert other.data.identical(panel.data) == (len(cut.times) == STEPS)


def test_readings_masks_and_lookups() -> None:
    panel = make_panel()

    assert panel.step_s == 3600
    assert panel.channel().name == "flow"
    assert np.isnan(panel.values()[3, 1])
    assert panel.imputed().sum() == 14
    assert np.isnan(panel.observed()).sum() == 14
    assert not panel.imputed("speed").any()
    assert panel.position("b") == 1
    np.testing.assert_array_equal(panel.adjacency().toarray(), [[0, 0.5], [0, 0]])
    with pytest.raises(UsageError, match="no sensor 'c'"):
        panel.position("c")
    with pytest.raises(UsageError, match="no channel 'occupancy'"):
        panel.channel("occupancy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.isel(time=[0, 1, 3]), "not evenly spaced"),
        (lambda data: data.isel(time=slice(None, None, -1)), "not evenly spaced"),
        (lambda data: data.isel(time=[0]), "not evenly spaced"),
        (lambda data: data.isel(node=[0, 0]), "appears twice"),
        (lambda data: data.drop_vars("speed"), "channels that the data lack"),
        (lambda data: data.rename(node="sensor"), r"dims \(time, node\)"),
    ],
)
def test_malformed_data_are_refused(change: Callable[[xr.Dataset], xr.Dataset], message: str) -> None:
    panel = make_panel()

    with pytest.raises(DataError, match=message):
        dataclasses.replace(panel, data=change(panel.data))
