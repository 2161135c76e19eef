"""A panel on disk is complete or not there."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data.known import known_card, read_pems_orange
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.data.store import open_panel, save_panel
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import DataError, UsageError

KILLED_HALF_WAY = """
import os, pathlib, signal, sys
from mm4st_agent.data import store
from mm4st_agent.demo_city.panel import demo_panel
store.write_events = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.save_panel(demo_panel(), pathlib.Path(sys.argv[1]))
"""


def assert_same(found: Panel, saved: Panel) -> None:
    assert found.card == saved.card
    assert found.data.identical(saved.data)
    assert found.covariates.identical(saved.covariates)
    assert found.events == saved.events
    pd.testing.assert_frame_equal(found.edges, saved.edges, check_dtype=False)
    pd.testing.assert_frame_equal(found.nodes, saved.nodes, check_dtype=False)
    for channel in saved.card.channels:
        np.testing.assert_array_equal(found.values(channel.name), saved.values(channel.name))
        np.testing.assert_array_equal(found.imputed(channel.name), saved.imputed(channel.name))


def test_the_demo_panel_survives(tmp_path: Path) -> None:
    panel = demo_panel()

    save_panel(panel, tmp_path / "deep" / "demo")

    found = open_panel(tmp_path / "deep" / "demo")
    assert_same(found, panel)
    assert np.isnan(found.values()).any()
    assert found.imputed().any()
    assert sorted(path.name for path in (tmp_path / "deep" / "demo").iterdir()) == [
        "arrays.zarr",
        "card.yaml",
        "covariates.zarr",
        "edges.csv",
        "events.jsonl",
        "nodes.csv",
    ]


def test_the_clock_works_on_a_stored_panel(tmp_path: Path) -> None:
    panel = demo_panel()
    save_panel(panel, tmp_path / "demo")

    cut, expected = (p.until("2025-09-10T08:00") for p in (open_panel(tmp_path / "demo"), panel))

    assert cut.data.identical(expected.data)
    assert cut.events == expected.events
    assert cut.covariates.identical(expected.covariates)


def test_orange_survives(real_data: Path, tmp_path: Path) -> None:
    panel = read_pems_orange(real_data, known_card("pems-orange"))

    save_panel(panel, tmp_path / "orange")

    assert_same(open_panel(tmp_path / "orange"), panel)


def test_text_that_looks_like_numbers_and_all_optional_parts_survive(tmp_path: Path) -> None:
    demo = demo_panel()
    nodes = [f"{number:03d}" for number in range(24)]
    data = demo.data.assign_coords(
        node=np.array(nodes, dtype=object),
        name=("node", np.array(["NA", '"007", a', "", *["x"] * 21], dtype=object)),
        count=("node", np.arange(24)),
        open=("node", np.arange(24) % 2 == 0),
    )
    panel = dataclasses.replace(
        demo,
        data=data,
        edges=pd.DataFrame({"source": ["000"], "target": ["001"], "weight": [1 / 3], "distance": [np.nan]}),
        covariates=xr.Dataset(
            {"level": (("time", "node"), np.ones((2, 24)))},
            coords={"time": demo.data["time"].to_numpy()[:2], "node": data["node"]},
        ).drop_vars(["name", "kind", "lat", "lon", "road", "direction", "count", "open"]),
        static={"poi": pd.DataFrame({"node": ["000"], "schools": [3]})},
        trajectories=pd.DataFrame(
            {"object": ["bus"], "time": pd.to_datetime(["2025-09-02T00:00Z"]), "lat": [41.5], "lon": [-12.0]}
        ),
    )

    save_panel(panel, tmp_path / "x")

    found = open_panel(tmp_path / "x")
    assert_same(found, panel)
    pd.testing.assert_frame_equal(found.static["poi"], panel.static["poi"])
    assert found.trajectories is not None
    assert panel.trajectories is not None
    assert found.trajectories.to_dict() == panel.trajectories.to_dict()


def test_killed_half_way_leaves_nothing_visible(tmp_path: Path) -> None:
    imported = tmp_path / "imported"

    done = subprocess.run([sys.executable, "-c", KILLED_HALF_WAY, str(imported / "city")], timeout=60, check=False)

    assert done.returncode == -signal.SIGKILL
    assert any(imported.iterdir()), "the process died before it wrote anything, so this test shows nothing"
    assert Registry(None, imported, {}).names() == Registry(None, tmp_path / "none", {}).names()
    save_panel(demo_panel(), imported / "city")
    assert open_panel(imported / "city").node_ids == demo_panel().node_ids


def test_a_failure_cleans_up(tmp_path: Path) -> None:
    panel = dataclasses.replace(demo_panel(), static={"bad": pd.DataFrame({"mixed": [1, "a"]})})

    with pytest.raises(Exception, match="mixed"):
        save_panel(panel, tmp_path / "city")

    assert list(tmp_path.glob("**/*city*")) == []


def test_existing_folders_and_cut_panels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "city").mkdir()

    with pytest.raises(UsageError, match="exists already"):
        save_panel(demo_panel(), tmp_path / "city")
    with pytest.raises(UsageError, match="only a whole panel"):
        save_panel(demo_panel().until("2025-09-10"), tmp_path / "other")


@pytest.mark.parametrize("part", ["card.yaml", "nodes.csv", "edges.csv", "events.jsonl", "arrays.zarr"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    save_panel(demo_panel(), tmp_path / "city")
    path = tmp_path / "city" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(DataError, match=part) as caught:
        open_panel(tmp_path / "city")
    assert caught.value.hint == f"Delete the folder {tmp_path / 'city'} and import the data again."


def test_events_of_older_files_have_an_unknown_end_where_none_was_logged(tmp_path: Path) -> None:
    save_panel(demo_panel(), tmp_path / "city")
    path = tmp_path / "city" / "events.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["end_known"]
    rows[0]["end"] = None
    path.write_text("\n".join(map(json.dumps, rows)))

    events = open_panel(tmp_path / "city").events

    assert [event.end_known for event in events] == [False] + [True] * (len(rows) - 1)
    assert events[1:] == demo_panel().events[1:]
