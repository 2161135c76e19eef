"""A panel on disk is complete or not there."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mm4st_agent.data import chunks
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.importing.draft import Draft, Layers
from mm4st_agent.data.known import known_card, read_known
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.data.store import open_panel, save_panel, store_draft
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import DataError, UsageError

KILLED_HALF_WAY = """
import os, pathlib, signal, sys
from mm4st_agent.data import store
from mm4st_agent.demo_city.panel import demo_panel
store.write_events = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.save_panel(demo_panel(), pathlib.Path(sys.argv[1]))
"""

STAYS_HALF_WAY = """
import pathlib, sys
import numpy as np, pandas as pd
from mm4st_agent.data import chunks
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.importing.draft import Draft
from mm4st_agent.data.store import store_draft

def progress(done, total):
    print(done, total, flush=True)
    sys.stdin.read()  # until killed

steps, nodes = 9000, 100
card = DataCard(name="big", title="", source="", licence="", channels=(Channel(name="x", unit=""),))
store_draft(
    Draft(
        card=card, time=pd.date_range("2024-01-01", periods=steps, freq="5min"),
        nodes=pd.DataFrame({"name": ""}, index=[str(i) for i in range(nodes)]),
        blocks=lambda: ((t, {"x": np.ones((1000, nodes), np.float32)}) for t in range(0, steps, 1000)),
    ),
    pathlib.Path(sys.argv[1]), progress=progress,
)
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
        "static",
        "trajectories.parquet",
    ]


def test_the_clock_works_on_a_stored_panel(tmp_path: Path) -> None:
    panel = demo_panel()
    save_panel(panel, tmp_path / "demo")

    cut, expected = (p.until("2025-09-10T08:00") for p in (open_panel(tmp_path / "demo"), panel))

    assert cut.data.identical(expected.data)
    assert cut.events == expected.events
    assert cut.covariates.identical(expected.covariates)


def test_orange_survives(real_data: Path, tmp_path: Path) -> None:
    panel = read_known(real_data, known_card("pems-orange"))

    save_panel(panel, tmp_path / "orange")

    assert_same(open_panel(tmp_path / "orange"), panel)


def test_text_that_looks_like_numbers_and_all_optional_parts_survive(tmp_path: Path) -> None:
    _, city = _draft()
    data = city.data.assign_coords(
        node=np.array(["000", "001", "1e5"], dtype=object),
        name=("node", np.array(["NA", '"007", a', "two\nlines"], dtype=object)),
        count=("node", np.arange(3)),
        open=("node", np.arange(3) % 2 == 0),
        share=("node", np.array([0.1, np.nan, 1 / 3])),
    )
    panel = dataclasses.replace(
        city,
        data=data,
        edges=pd.DataFrame({"source": ["000"], "target": ["001"], "weight": [1 / 3], "distance": [np.nan]}),
        covariates=xr.Dataset(
            {"level": (("time", "node"), np.ones((2, 3)))},
            coords={"time": data["time"].to_numpy()[:2], "node": data["node"].to_numpy()},
        ),
        static={"poi": pd.DataFrame({"node": ["000"], "schools": [3]})},
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

    assert [event.end_known for event in events] == [event.end is not None for event in events]
    assert not events[0].end_known
    assert [event.id for event in events] == [event.id for event in demo_panel().events]


# -- drafts -----------------------------------------------------------------------------------

NODES = pd.DataFrame(
    {"name": ["one", "", "three, 3"], "kind": "", "lat": [1.5, np.nan, 3.0], "lon": np.nan, "lanes": [2, 3, 4]},
    index=["007", "b", "c"],
)


def _draft(steps: int = 50, cuts: tuple[int, ...] = (0, 7, 30), *, gap: int | None = None) -> tuple[Draft, Panel]:
    """A draft whose blocks start at `cuts` and leave out the step `gap`, and what should be stored."""
    rng = np.random.default_rng(2)
    speed, flow = rng.random((2, steps, 3)).astype(np.float32)
    speed[rng.random(speed.shape) < 0.2] = np.nan
    imputed = rng.random(speed.shape) < 0.3
    arrays = {"speed": speed, "flow": flow, "imputed": imputed}

    def blocks() -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        for first, last in itertools.pairwise((*cuts, steps)):
            if gap is None or not first <= gap < last:
                yield first, {name: values[first:last] for name, values in arrays.items()}
                continue
            for start, stop in ((first, gap), (gap + 1, last)):
                yield start, {name: values[start:stop] for name, values in arrays.items()}

    time = pd.date_range("2024-01-01", periods=steps, freq="5min", unit="s")
    stamp = pd.Timestamp("2024-01-01T01:00", tz="US/Pacific")
    card = DataCard(
        name="city",
        title="A city",
        source="a test",
        licence="CC0-1.0",
        time_zone="US/Pacific",
        channels=(Channel(name="speed", unit="mph"), Channel(name="flow", unit="vehicles/5 min", aggregation="sum")),
    )
    layers = Layers(
        edges=pd.DataFrame({"source": ["007"], "target": ["b"], "weight": [0.5]}),
        events=(Event(id="1", text="a crash", start=stamp, end=None, published_at=stamp, source="a test", node="b"),),
        static={"poi": pd.DataFrame({"node": ["b"], "schools": [3]})},
        trajectories=pd.DataFrame({"object": ["bus"], "time": [stamp], "lat": [41.5], "lon": [-12.0]}),
    )
    rain = xr.Dataset({"rain": (("time",), rng.random(steps), {"units": "mm"})}, coords={"time": time.as_unit("ns")})
    draft = Draft(card=card, time=time, nodes=NODES, blocks=blocks, has_mask=True, covariates=rain, layers=layers)
    if gap is not None:
        speed[gap], flow[gap], imputed[gap] = np.nan, np.nan, False
    attributes = {"ancillary_variables": "imputed"}
    data = xr.Dataset(
        {
            "speed": (("time", "node"), speed, {"units": "mph", **attributes}),
            "flow": (("time", "node"), flow, {"units": "vehicles/5 min", **attributes}),
            "imputed": (("time", "node"), imputed),
        },
        coords={
            "time": time.as_unit("ns"),
            "node": NODES.index.to_numpy(dtype=object),
            **{str(name): ("node", column.to_numpy(dtype=object if column.dtype.kind not in "if" else None))
               for name, column in NODES.items()},
        },
    )  # fmt: skip
    return draft, Panel(
        card=card,
        data=data,
        edges=layers.edges,
        events=layers.events,
        covariates=rain,
        static=layers.static,
        trajectories=layers.trajectories,
    )


@pytest.mark.parametrize("row", [1, 8, 50])
@pytest.mark.parametrize("cuts", [(0,), (0, 7, 30), tuple(range(50)), (20, 21)])
def test_blocks_of_any_size_make_the_same_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, cuts: tuple[int, ...]
) -> None:
    monkeypatch.setattr(chunks, "ROW_BYTES", row * 3 * 9)  # two floats and a mask at three nodes
    draft, panel = _draft(cuts=cuts)
    late = panel.data.isel(time=slice(0, cuts[0]))
    for name in ("speed", "flow", "imputed"):
        late[name].to_numpy()[:] = False if name == "imputed" else np.nan
    steps: list[tuple[int, int]] = []

    store_draft(draft, tmp_path / "city", progress=lambda *step: steps.append(step))

    assert_same(open_panel(tmp_path / "city"), panel)
    assert steps[-1] == (50, 50)
    assert steps == sorted(steps)
    assert len(steps) == len(range(cuts[0] // row, -(-50 // row)))


def test_a_draft_survives_with_all_its_layers(tmp_path: Path) -> None:
    draft, panel = _draft(gap=10)

    store_draft(draft, tmp_path / "city")

    found = open_panel(tmp_path / "city")
    assert_same(found, panel)
    assert np.isnan(found.values("flow")[10]).all()
    pd.testing.assert_frame_equal(found.static["poi"], panel.static["poi"])
    assert found.trajectories is not None
    assert found.trajectories["time"].dt.tz is not None
    assert [path.name for path in tmp_path.iterdir()] == ["city"]


def test_a_draft_without_anything_beside_its_readings_survives(tmp_path: Path) -> None:
    draft, panel = _draft()

    store_draft(dataclasses.replace(draft, layers=Layers(), covariates=xr.Dataset()), tmp_path / "city")

    found = open_panel(tmp_path / "city")
    assert list(found.edges.columns) == ["source", "target", "weight"]
    assert (len(found.edges), found.events, found.static, found.trajectories) == (0, (), {}, None)
    assert found.data.identical(panel.data)


def test_files_that_vanish_while_they_are_read_are_bad_data(tmp_path: Path) -> None:
    draft, _ = _draft()

    def blocks() -> Iterator[Any]:
        yield from itertools.islice(draft.blocks(), 1)
        (tmp_path / "gone.csv").read_bytes()

    with pytest.raises(DataError, match=r"files of 'city' cannot be read any more: .*gone\.csv"):
        store_draft(dataclasses.replace(draft, blocks=blocks), tmp_path / "home" / "city")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("name", ["../../outside", "", "a/b"])
def test_layers_cannot_be_written_elsewhere(tmp_path: Path, name: str) -> None:
    draft, _ = _draft()
    layers = Layers(static={name: pd.DataFrame({"x": [1]})})

    with pytest.raises(UsageError, match="cannot name a static layer"):
        store_draft(dataclasses.replace(draft, layers=layers), tmp_path / "deep" / "down" / "city")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_killed_half_way_the_next_import_clears_up_and_completes(tmp_path: Path) -> None:
    folder, (draft, panel) = tmp_path / "home" / "big", _draft()
    command = [sys.executable, "-c", STAYS_HALF_WAY, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert 0 < int(writer.stdout.readline().split()[0]) < 9000
        assert not folder.exists()
        with pytest.raises(UsageError, match="Another process is writing"):
            store_draft(draft, folder)
        store_draft(draft, folder.with_name("other"))  # leaves alone what a living process writes
        assert any(folder.with_name(".big.partial").rglob("c/*"))
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert Registry(None, folder.parent, {}).names()[0] == "other"

    store_draft(draft, folder.with_name("third"))

    assert sorted(path.name for path in folder.parent.iterdir()) == ["other", "third"]
    store_draft(draft, folder)
    assert_same(open_panel(folder), panel)
