"""Events on disk and by the clock."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from mm4st_agent.data.events import Event, read_events, write_events
from mm4st_agent.errors import DataError

START = pd.Timestamp("2022-01-03T08:00", tz="US/Pacific")
CRASH = Event(
    id="a",
    text="crash in the left lane",
    start=START,
    end=START + pd.Timedelta(hours=1),
    published_at=START + pd.Timedelta(minutes=5),
    source="log",
    node="n1",
    place="Main Street",
    distance=0.25,
    kind="incident",
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    still_running = dataclasses.replace(CRASH, id="b", end=None, end_known=False, node=None, distance=None)

    write_events([CRASH, still_running], tmp_path / "events.jsonl")

    assert read_events(tmp_path / "events.jsonl") == (CRASH, still_running)


@pytest.mark.parametrize("character", ["\u2028", "\u0085", "\x0b", "\x1c", "\r", "\n", "\t", '"', "é", "\U0001f6a7"])
def test_no_character_of_a_text_breaks_the_file(tmp_path: Path, character: str) -> None:
    event = dataclasses.replace(CRASH, text=f"before{character}after")

    write_events([event, CRASH], tmp_path / "events.jsonl")

    assert read_events(tmp_path / "events.jsonl") == (event, CRASH)


def test_no_events_are_none(tmp_path: Path) -> None:
    write_events([], tmp_path / "events.jsonl")

    assert read_events(tmp_path / "events.jsonl") == ()


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": "a"}', '{"start": "soon", "end": null, "published_at": null}', "3", '"text"']
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    write_events([CRASH], path)
    with path.open("a") as file:
        file.write(line + "\n")

    with pytest.raises(DataError, match="line 2: not an event"):
        read_events(path)


def test_an_event_without_a_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events([CRASH], path)
    path.write_text(path.read_text().replace(f'"start": "{START.isoformat()}"', '"start": null'))

    with pytest.raises(DataError, match="start and published_at must be given"):
        read_events(path)


def test_nobody_sees_an_event_before_it_is_published_nor_its_end_before_it_ended() -> None:
    assert CRASH.until(START) is None
    assert CRASH.until(START + pd.Timedelta(minutes=5)) == dataclasses.replace(CRASH, end=None)
    assert CRASH.until(START + pd.Timedelta(hours=1)) == CRASH
