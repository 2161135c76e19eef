from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from mm4st_agent.imaging import heatmap, lines
from mm4st_agent.imaging.store import ImageStore
from tools.context import ToolContext
from tools.render_series import RENDER_SERIES, Method
from tools.series_pictures import MAX_ROWS, ROWS_AROUND

METHODS = get_args(Method)


def chain_panel(nodes: int, step: str = "5min", steps: int = 600, linked: bool = True) -> Panel:
    """Nodes in a row, N0 > N1 > ...; node i reads 10 * i, plus 1 at every odd step."""
    time = pd.date_range("2024-03-04", periods=steps, freq=step, unit="ns")
    ids = [f"N{i}" for i in range(nodes)]
    values = (10.0 * np.arange(nodes) + (np.arange(steps) % 2)[:, None]).astype(np.float32)
    imputed = np.zeros(values.shape, dtype=bool)
    imputed[-3:, 0] = True
    values[-6:-2, 0] = np.nan
    links = range(nodes - 1) if linked else ()
    edges = {"source": [ids[i] for i in links], "target": [ids[i + 1] for i in links], "weight": [1.0 for _ in links]}
    card = DataCard(
        name="chain", title="A chain", source="this test", licence="CC0-1.0", time_zone="UTC",
        channels=(Channel(name="level", unit="m", title="water level"), Channel(name="spare", unit="1")),
    )  # fmt: skip
    dims = ("time", "node")
    return Panel(
        card=card,
        data=xr.Dataset(
            {"level": (dims, values, {MASK: "imputed"}), "spare": (dims, values), "imputed": (dims, imputed)},
            coords={"time": time, "node": np.array(ids, dtype=object)},
        ),
        edges=pd.DataFrame(edges),
    )


def one_series(values: np.ndarray, imputed: np.ndarray | None = None) -> Panel:
    """Node N0 alone, 5-minute steps."""
    panel = chain_panel(1, steps=len(values))
    mask = np.zeros(len(values), dtype=bool) if imputed is None else imputed
    dims = ("time", "node")
    data = panel.data.assign(
        level=(dims, values[:, None].astype(np.float32), {MASK: "imputed"}), imputed=(dims, mask[:, None])
    )
    return dataclasses.replace(panel, data=data)


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., ToolContext]:
    def make(as_of: str | None = None, data_dir: Path | None = None, **panels: Panel) -> ToolContext:
        makers = {"demo": demo_panel, **{name: (lambda panel=panel: panel) for name, panel in panels.items()}}
        registry = Registry(data_dir, tmp_path / "imported", makers)
        absent = cast(Any, None)
        return ToolContext(registry, ImageStore(tmp_path / "images"), absent, absent, as_of)

    return make


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the tool gave to the drawing functions, in order."""
    calls: list[dict] = []

    def note(module: ModuleType, name: str) -> None:
        original = getattr(module, name)

        def noting(**arguments):
            calls.append(arguments)
            return original(**arguments)

        monkeypatch.setattr(module, name, noting)

    note(lines, "draw_line")
    note(heatmap, "draw_heatmap")
    return calls


def test_a_line_of_the_demo_city(context) -> None:
    ctx = context("2025-09-20T12:00")

    reply = RENDER_SERIES.run({"dataset": "demo", "node": "S065"}, ctx)

    assert ctx.images.get(reply.figure.image_id).startswith(b"\x89PNG")
    assert reply.figure.title == "Road station S065 (Stadium westbound): traffic flow"
    assert reply.figure.alt.startswith("Synthetic data. ")
    assert (reply.steps, reply.nodes, reply.unit, reply.channel) == (288, 1, "vehicles/5 min", "flow")
    assert reply.until == datetime.fromisoformat("2025-09-20T11:55+01:00")
    assert reply.since == datetime.fromisoformat("2025-09-19T12:00+01:00")
    assert [image.image_id for image in reply.images()] == [reply.figure.image_id]
    assert json.loads(reply.model_dump_json())["figure"]["image_id"] == reply.figure.image_id


def test_nothing_after_as_of_changes_the_picture(context) -> None:
    whole = chain_panel(5)
    values = whole.data["level"].to_numpy().copy()
    values[300:] = 777.0
    later = dataclasses.replace(whole, data=whole.data.assign(level=(("time", "node"), values, {MASK: "imputed"})))
    cut = str(whole.times[299])

    for method in ("auto", *METHODS):
        asked = {"dataset": "chain", "hours": 4, "method": method, "node": None if method == "heatmap" else "N2"}
        one = RENDER_SERIES.run(asked, context(cut, chain=whole))
        assert one == RENDER_SERIES.run(asked, context(cut, chain=later))
        assert one.until.replace(tzinfo=None) == whole.times[299].tz_localize(None)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_draws_a_week_with_gaps(method, context) -> None:
    ctx = context("2025-10-22T07:40")

    reply = RENDER_SERIES.run({"dataset": "demo", "node": "S096", "hours": 168, "method": method}, ctx)

    with Image.open(io.BytesIO(ctx.images.get(reply.figure.image_id))) as picture:
        assert picture.size[0] == 1280
        assert len(picture.resize((64, 64)).getcolors(64 * 64)) > 16
    assert "oad station S096 (Castle Hill southbound)" in reply.figure.title
    assert reply.figure.title.endswith(": traffic flow")
    assert reply.figure.title in reply.figure.alt
    assert "unit vehicles/5 min" in reply.figure.alt
    assert "(Europe/Lisbon)" in reply.figure.alt
    assert (reply.method, reply.reason, reply.alternatives, reply.steps) == (method, None, [], 2016)
    assert reply.missing > 0
    if reply.nodes == 1:
        assert f"{reply.missing} of 2016 steps missing" in reply.figure.alt


@pytest.mark.parametrize("method", ["stft", "cwt", "filterbank"])
def test_a_gap_does_not_move_the_strongest_period(method, context) -> None:
    wave = 50 + 10 * np.sin(2 * np.pi * np.arange(1200) / 24)
    wave[500:600] = np.nan

    reply = RENDER_SERIES.run(
        {"dataset": "chain", "node": "N0", "hours": 100, "method": method}, context(chain=one_series(wave))
    )

    told = re.search(r"Strongest on average are periods of about ([\d.]+) h", reply.figure.alt)
    assert told is not None
    assert float(told[1]) == pytest.approx(2.0, rel=0.12)
    assert reply.missing == 100


def test_auto_folds_a_week_by_its_day(context) -> None:
    ctx = context("2025-10-22T07:40")

    reply = RENDER_SERIES.run({"dataset": "demo", "node": "S096", "hours": 168, "method": "auto"}, ctx)
    folded = RENDER_SERIES.run({"dataset": "demo", "node": "S096", "hours": 168, "method": "uvh"}, ctx)

    assert reply.method == "uvh"
    assert reply.reason is not None
    assert re.search(r"a cycle of 24 hours explains \d+% of the variance", reply.reason)
    assert "line" in reply.alternatives
    assert "uvh" not in reply.alternatives
    assert reply.figure == folded.figure


def test_auto_draws_a_ramp_as_a_line(context) -> None:
    ramp = np.arange(300.0) + np.random.default_rng(1).normal(0, 3, 300)

    reply = RENDER_SERIES.run(
        {"dataset": "chain", "node": "N0", "method": "auto", "hours": 25}, context(chain=one_series(ramp))
    )

    assert reply.method == "line"
    assert re.search(r"trend, which moves by 3\.\d standard deviations", reply.reason)


def test_auto_measures_what_was_measured(context) -> None:
    """Imputed steps that repeat every two hours do not make a period."""
    rng = np.random.default_rng(2)
    noise = rng.normal(50, 5, 1200)
    imputed = np.arange(1200) % 24 < 6
    noise[imputed] = 200.0

    told = {}
    for name, mask in (("imputed", imputed), ("measured", np.zeros(1200, dtype=bool))):
        panel = one_series(noise, mask)
        asked = {"dataset": "chain", "node": "N0", "hours": 100, "method": "auto"}
        told[name] = RENDER_SERIES.run(asked, context(chain=panel)).method

    assert told["measured"] == "uvh"
    assert told["imputed"] != "uvh"


def test_auto_without_a_node_is_a_heatmap_unless_there_is_one_node(context) -> None:
    many = RENDER_SERIES.run({"dataset": "chain", "method": "auto"}, context(chain=chain_panel(24)))
    ramp = np.arange(300.0) + np.random.default_rng(1).normal(0, 3, 300)
    one = RENDER_SERIES.run({"dataset": "chain", "method": "auto"}, context(chain=one_series(ramp)))

    assert (many.method, many.nodes) == ("heatmap", 24)
    assert "24 series with a mean correlation of" in many.reason
    assert (one.method, one.nodes) == ("line", 1)


def test_auto_goes_on_where_the_best_method_cannot_draw(context) -> None:
    beat = 50 + 10 * np.sin(2 * np.pi * np.arange(4032) / 8) + np.random.default_rng(3).normal(0, 1, 4032)
    ctx = context(chain=one_series(beat))
    asked = {"dataset": "chain", "node": "N0", "hours": 336}

    with pytest.raises(ToolError, match="504 rows"):
        RENDER_SERIES.run(asked | {"method": "uvh"}, ctx)
    reply = RENDER_SERIES.run(asked | {"method": "auto"}, ctx)

    assert reply.method != "uvh"
    assert reply.alternatives[0] == "uvh"


def test_multiples_show_a_node_and_its_nearest(context) -> None:
    eight = RENDER_SERIES.run(
        {"dataset": "chain", "node": "N50", "method": "multiples"}, context(chain=chain_panel(100))
    )
    two = RENDER_SERIES.run({"dataset": "chain", "node": "N1", "method": "multiples"}, context(chain=chain_panel(2)))

    assert (eight.nodes, two.nodes) == (9, 2)
    assert eight.figure.title == "Sensor N50 and its 8 nearest: water level"
    assert two.figure.title == "Sensor N1 and its nearest: water level"
    for node in range(46, 55):
        assert f"N{node}: mean " in eight.figure.alt
    with pytest.raises(ToolError, match="Only sensor N0 measures water level"):
        RENDER_SERIES.run({"dataset": "chain", "node": "N0", "method": "multiples"}, context(chain=chain_panel(1)))


def test_counts_tell_missing_from_imputed(context, drawn) -> None:
    reply = RENDER_SERIES.run({"dataset": "chain", "node": "N0", "hours": 1}, context(chain=chain_panel(3)))

    assert (reply.steps, reply.missing, reply.imputed) == (12, 4, 2)
    assert np.isnan(drawn[0]["values"]).sum() == 4
    spare = {"dataset": "chain", "node": "N0", "hours": 1, "channel": "spare"}
    assert RENDER_SERIES.run(spare, context(chain=chain_panel(3))).imputed == 0


def test_usual_is_the_mean_of_earlier_weeks_without_what_nobody_measured(context, drawn) -> None:
    panel = chain_panel(2, step="1h", steps=24 * 22)
    values = panel.data["level"].to_numpy().copy()
    values[:, 1] = np.repeat([100, 200, 900, 60], 24 * 7)[: len(values)]
    imputed = panel.data["imputed"].to_numpy().copy()
    imputed[24 * 14 : 24 * 21, 1] = True
    dims = ("time", "node")
    panel = dataclasses.replace(
        panel, data=panel.data.assign(level=(dims, values, {MASK: "imputed"}), imputed=(dims, imputed))
    )

    RENDER_SERIES.run({"dataset": "chain", "node": "N1"}, context(chain=panel))
    RENDER_SERIES.run({"dataset": "chain", "node": "N1", "hours": 1}, context("2024-03-05T03:00", chain=panel))

    assert drawn[0]["usual"].tolist() == [150.0] * 24
    assert drawn[1]["usual"] is None


@pytest.mark.parametrize("hours", [0.5, 24, 200])
def test_usual_agrees_with_the_reading_of_the_series(context, drawn, hours) -> None:
    from tools.query_series import QUERY_SERIES

    ctx = context("2025-09-17T08:00")

    RENDER_SERIES.run({"dataset": "demo", "node": "S004", "hours": hours}, ctx)
    told = QUERY_SERIES.run({"dataset": "demo", "node": "S004", "hours": hours}, ctx)

    measured = ~np.isnan(drawn[0]["values"][-6:]) & ~drawn[0]["imputed"][-6:]
    assert drawn[0]["usual"][-6:][measured].mean() == pytest.approx(told.usual, rel=1e-5)


def test_until_ends_the_window(context, drawn) -> None:
    ctx = context("2025-09-20T12:00")

    reply = RENDER_SERIES.run({"dataset": "demo", "node": "S065", "hours": 1.5, "until": "2025-09-18T09:00"}, ctx)
    then = RENDER_SERIES.run({"dataset": "demo", "node": "S065", "hours": 1.5}, context("2025-09-18T09:00"))

    assert reply == then
    assert (reply.steps, reply.until.isoformat()) == (18, "2025-09-18T08:55:00+01:00")
    with pytest.raises(ToolError, match="until 2025-09-20T12:01 is not between"):
        RENDER_SERIES.run({"dataset": "demo", "node": "S065", "until": "2025-09-20T12:01"}, ctx)


def test_names_are_shown_with_single_spaces(context, drawn) -> None:
    panel = chain_panel(2)
    panel = dataclasses.replace(panel, data=panel.data.assign_coords(name=("node", ["KATELLA  2", "N1"])))

    RENDER_SERIES.run({"dataset": "chain", "node": "N0"}, context(chain=panel))
    RENDER_SERIES.run({"dataset": "chain", "node": "N0", "method": "heatmap"}, context(chain=panel))

    assert drawn[0]["title"] == "Sensor N0 (KATELLA 2): water level"
    assert drawn[1]["node_labels"] == ["N0 KATELLA 2", "N1"]


def test_a_heatmap_shows_the_surroundings_in_road_order(context, drawn) -> None:
    ctx = context(chain=chain_panel(100))

    reply = RENDER_SERIES.run({"dataset": "chain", "node": "N50", "method": "heatmap"}, ctx)

    (call,) = drawn
    assert reply.nodes == ROWS_AROUND
    rows = [int(label[1:]) for label in call["node_labels"]]
    assert rows == list(range(rows[0], rows[0] + ROWS_AROUND))
    assert abs(rows[0] + ROWS_AROUND / 2 - 50) <= 1
    assert call["highlight"] == "N50"
    assert call["values"][0].tolist() == [10.0 * row for row in rows]
    assert call["title"] == "Around sensor N50: water level"


def test_a_heatmap_without_a_node_shows_all_or_the_nodes_around_the_hub(context, drawn) -> None:
    few = RENDER_SERIES.run({"dataset": "chain", "method": "heatmap", "hours": 6}, context(chain=chain_panel(24)))
    many = RENDER_SERIES.run({"dataset": "chain", "method": "heatmap"}, context(chain=chain_panel(207)))

    assert (few.nodes, many.nodes) == (24, MAX_ROWS)
    assert drawn[0]["title"] == "All 24 sensors: water level"
    assert [label.split()[0] for label in drawn[0]["node_labels"][:6]] == [f"N{i}" for i in range(6)]
    assert drawn[1]["title"] == "60 of 207 sensors, nearest to the one with the most links: water level"
    assert drawn[1]["highlight"] is None


def test_nodes_without_links_keep_their_order(context, drawn) -> None:
    RENDER_SERIES.run({"dataset": "chain", "method": "heatmap"}, context(chain=chain_panel(4, linked=False)))

    assert drawn[0]["node_labels"] == ["N0", "N1", "N2", "N3"]
    assert drawn[0]["order"] == "in the data set's order"


def test_a_window_longer_than_the_data_or_shorter_than_a_step_is_cut(context) -> None:
    long = RENDER_SERIES.run({"dataset": "chain", "node": "N1", "hours": 336}, context(chain=chain_panel(2)))
    daily = chain_panel(2, step="1D")
    short = RENDER_SERIES.run({"dataset": "chain", "node": "N1", "hours": 1}, context(chain=daily))

    assert long.steps == 600
    assert short.steps == 1


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"dataset": "chain"}, "A picture of 'chain' by 'line' needs one sensor, and node is None.", "find_places"),
        ({"dataset": "chain", "method": "multiples"}, "'multiples' needs one sensor", "method='heatmap'"),
        ({"dataset": "chain", "node": "N9"}, "'chain' has no sensor 'N9'.", "such as N0, N1"),
        ({"dataset": "chain", "node": "N9", "method": "heatmap"}, "'chain' has no sensor 'N9'.", "such as N0"),
        ({"dataset": "chain", "node": "N1", "channel": "wind"}, "'chain' has no channel 'wind'.", "level, spare"),
        ({"dataset": "chains", "node": "N1"}, "There is no data set 'chains'.", "Did you mean 'chain'?"),
        ({"dataset": "chain", "node": "N1", "hours": 0.1, "method": "uvh"}, "1 time step is too few", "at least 2"),
        ({"dataset": "chain", "node": "N1", "hours": 0.5, "method": "cwt"}, "6 steps cannot be drawn", "8 to 20,000"),
        ({"dataset": "chain", "node": "N1", "hours": 0}, "hours: Input should be greater than 0", "hours?"),
        ({"dataset": "chain", "node": "N1", "hours": 337}, "less than or equal to 336", "hours?"),
        ({"dataset": "chain", "node": "N1", "method": "pie"}, "method: Input should be 'auto', 'line', 'heatmap'", ""),
        ({"dataset": "chain", "steps": 3}, "steps: Extra inputs are not permitted", "dataset, node?"),
    ],
)
def test_a_bad_request_is_told_to_the_model(asked, message, hint, context) -> None:
    with pytest.raises(ToolError) as caught:
        RENDER_SERIES.run(asked, context(chain=chain_panel(3)))

    assert message in caught.value.message
    assert hint in caught.value.hint


def test_as_of_outside_the_data_is_told_to_the_model(context) -> None:
    with pytest.raises(ToolError, match="outside the data of 'chain'"):
        RENDER_SERIES.run({"dataset": "chain", "node": "N1"}, context("2031-01-01", chain=chain_panel(3)))


def test_the_real_station(context, real_data) -> None:
    ctx = context("2022-01-25T07:30", real_data)

    line = RENDER_SERIES.run({"dataset": "pems-orange", "node": "1205330"}, ctx)
    around = RENDER_SERIES.run({"dataset": "pems-orange", "node": "1205330", "method": "heatmap"}, ctx)

    assert line.until.isoformat() == "2022-01-25T07:25:00-08:00"
    assert "last 423 at 2022-01-25 07:25" in line.figure.alt
    assert "highest 474 at 2022-01-24 16:40" in line.figure.alt
    assert (line.missing, line.imputed) == (0, 0)
    assert around.imputed > 0
    assert around.nodes == ROWS_AROUND


def test_importing_the_tool_does_not_load_what_draws() -> None:
    code = "import sys, tools.render_series; assert not {'matplotlib', 'torch', 'chromadb'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
