"""`describe_dataset` says what a data set holds and how complete it is, as it was known at the clock."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import prompts
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.ledger import from_reply
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, MASK, Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.describe_dataset import DESCRIBE_DATASET, DescribeDatasetOut

STEPS = 3 * 288


def town() -> Panel:
    """Three road stations measure flow, two air stations PM2.5; three days from 1 September 2025 in Lisbon."""
    ids = np.array(["R1", "R2", "R3", "A1", "A2"], dtype=object)
    rng = np.random.default_rng(0)
    flow, air = np.full((STEPS, 5), np.nan, dtype=np.float32), np.full((STEPS, 5), np.nan, dtype=np.float32)
    flow[:, :3] = rng.poisson(50, (STEPS, 3))
    air[:, 3:] = rng.gamma(4, 3, (STEPS, 2))
    flow[: STEPS // 2, 1] = np.nan
    imputed = np.zeros((STEPS, 5), dtype=bool)
    imputed[:, 2] = True
    stamps = pd.date_range("2025-08-31T23:00", periods=STEPS, freq="5min").as_unit("ns")
    data = xr.Dataset(
        {
            "flow": (("time", "node"), flow, {"units": "vehicles/5 min", MASK: "imputed"}),
            "pm25": (("time", "node"), air, {"units": "µg/m³"}),
            "imputed": (("time", "node"), imputed),
        },
        coords={
            "time": stamps,
            "node": ids,
            "name": ("node", np.array(["North", "South", "Harbour", "Park", "Quay"], dtype=object)),
            "kind": ("node", np.array(["road station"] * 3 + ["air station"] * 2, dtype=object)),
        },
    )
    channels = (
        Channel(name="flow", unit="vehicles/5 min", title="traffic flow", kinds=("road station",)),
        Channel(name="pm25", unit="µg/m³", title="PM2.5", kinds=("air station",)),
    )
    card = DataCard(
        name="town", title="A synthetic town", source="made here", licence="none", place_word="station",
        time_zone="Europe/Lisbon", channels=channels, synthetic=True, now=datetime(2025, 9, 3, 8),
    )  # fmt: skip
    covariates = xr.Dataset(
        {
            "rain": ("time", np.where(np.arange(STEPS) == 100, np.nan, np.arange(STEPS) / 10), {"units": "mm"}),
            "holiday": ("time", np.arange(STEPS) // 288.0, {"units": "1", KNOWN_FUTURE: True}),
            "temp": (("time", "node"), np.arange(5.0) + np.zeros((STEPS, 1)), {"units": "°C", "long_name": "air_temp"}),
            "wind_from": (("time", "node"), np.zeros((STEPS, 5)), {"units": "°"}),
        },
        coords={"time": stamps},
    )
    zoned = stamps.tz_localize("UTC")
    tracks = pd.DataFrame({"object": ["t1", "t1", "t2"], "time": zoned[[3, 700, 800]], "lat": 41.0, "lon": -12.0})
    events = tuple(
        Event(id=f"e{i}", text="works", start=zoned[i], end=None, published_at=zoned[i], source="log") for i in (5, 500)
    )
    edges = pd.DataFrame({"source": ["R1", "R2"], "target": ["R2", "R3"], "weight": [1.0, 0.5]})
    return Panel(
        card=card, data=data, edges=edges, events=events, covariates=covariates, trajectories=tracks,
        static={"poi": pd.DataFrame({"name": ["stadium"]})},
    )  # fmt: skip


def context(folder: Path, data_dir: Path | None = None, as_of: str | None = "end") -> ToolContext:
    absent = cast(Any, None)
    return ToolContext(Registry(data_dir, folder, {"town": town}), absent, absent, absent, as_of)


def describe(folder: Path, as_of: str | None = "end") -> DescribeDatasetOut:
    return DESCRIBE_DATASET.run({"dataset": "town"}, context(folder, as_of=as_of))


def test_what_the_panel_holds(tmp_path: Path) -> None:
    reply = describe(tmp_path)

    assert reply.synthetic
    assert (reply.nodes, reply.edges, reply.events, reply.trajectories) == (5, 2, 2, 2)
    assert [(kind.kind, kind.nodes) for kind in reply.kinds] == [("road station", 3), ("air station", 2)]
    assert [(c.name, c.unit, c.known_ahead) for c in reply.covariates] == [
        ("rain", "mm", False), ("holiday", "1", True), ("temp", "°C", False), ("wind_from", "°", False),
    ]  # fmt: skip
    assert reply.static_layers == ["poi"]
    assert {group.column: group.values for group in reply.groups} == {"kind": ["air station", "road station"]}


def test_shares_are_of_the_nodes_that_measure_a_channel(tmp_path: Path) -> None:
    reply = describe(tmp_path)

    flow, air = reply.channels
    assert (flow.nodes, air.nodes) == (3, 2)
    assert (flow.missing_share, air.missing_share) == (pytest.approx(1 / 6, abs=1e-6), 0)
    assert (flow.imputed_share, air.imputed_share) == (pytest.approx(1 / 3, abs=1e-6), 0)
    assert reply.missing_share == pytest.approx(0.1, abs=1e-6)  # half a node of five
    assert reply.imputed_share == pytest.approx(0.2, abs=1e-6)
    assert reply.quality == [
        "16.7 % of the readings of traffic flow are missing; "
        "33.3 % were filled in by the source without a measurement.",
        "Every reading of PM2.5 is there, and none is marked as filled in.",
        "Station R3 has no measured reading of traffic flow at all.",
    ]


def test_the_json_form_has_the_agreed_fields_and_no_nan(tmp_path: Path) -> None:
    found = json.loads(describe(tmp_path).model_dump_json())

    agreed = "name nodes channels start end step_s missing_share imputed_share events edges licence source sha256"
    assert set(agreed.split()) <= set(found)
    assert {"name": "flow", "unit": "vehicles/5 min"}.items() <= found["channels"][0].items()
    assert found["start"] == "2025-09-01T00:00:00+01:00"
    assert found["end"] == "2025-09-03T23:55:00+01:00"
    json.dumps(found, allow_nan=False)


def test_every_number_has_its_unit(tmp_path: Path) -> None:
    quantities = describe(tmp_path).quantities()

    assert (quantities["step_s"].value, quantities["step_s"].unit) == (300, "s")
    assert quantities["imputed_share"].unit == quantities["channels[0].missing_share"].unit == "1"
    assert quantities["start"].unit == "time"
    assert quantities["nodes"].unit == quantities["kinds[0].nodes"].unit == quantities["trajectories"].unit == ""


def test_only_what_was_known_is_counted(tmp_path: Path) -> None:
    reply = describe(tmp_path, as_of="2025-09-02T12:00")

    assert reply.end == pd.Timestamp("2025-09-02T12:00", tz="Europe/Lisbon")
    assert (reply.events, reply.trajectories) == (1, 1)
    assert reply.channels[0].missing_share == pytest.approx(432 / 433 / 3, abs=1e-6)


def test_without_a_clock_it_is_what_the_data_call_now(tmp_path: Path) -> None:
    assert describe(tmp_path, as_of=None).end == pd.Timestamp("2025-09-03T08:00", tz="Europe/Lisbon")


def test_covariates_tell_their_latest_known_value(tmp_path: Path) -> None:
    now = {c.name: c for c in describe(tmp_path, "2025-09-01T08:20:00+01:00").covariates}

    assert (now["rain"].last, str(now["rain"].last_time)) == (9.9, "2025-09-01 08:15:00+01:00")  # the 101st is missing
    assert (now["holiday"].last, str(now["holiday"].last_time)) == (0, "2025-09-01 08:20:00+01:00")
    assert (now["temp"].title, now["temp"].by_node, now["temp"].last) == ("air temp", True, 2)
    assert (now["wind_from"].last, now["wind_from"].last_time) == (None, None)  # directions have no mean
    assert not now["rain"].by_node


def test_clocks_and_panels_are_not_mixed_up(tmp_path: Path) -> None:
    shared = context(tmp_path)
    first = DESCRIBE_DATASET.run({"dataset": "town"}, shared)
    early = DESCRIBE_DATASET.run({"dataset": "town"}, context(tmp_path, as_of="2025-09-01T06:00"))

    assert early.channels[0].missing_share == pytest.approx(1 / 3, abs=1e-6)
    assert DESCRIBE_DATASET.run({"dataset": "town"}, shared) == first


def test_the_answer_says_it_and_every_number_is_supported(tmp_path: Path) -> None:
    reply = describe(tmp_path)
    entry = from_reply("E1", "describe_dataset", {"dataset": "town"}, None, reply, 0.1)
    described = {"evidence": "E1", "reply": reply.model_dump(mode="json")}
    text = prompts.load("answer_dataset").render(described=described, session={"places": ["R1"]})

    for sentence in reply.quality:
        assert sentence in text
    assert "Kinds: road station (3), air station (2)" in text
    assert "Beside them: rain (mm), holiday" in text
    assert "Tracks of 2 moving objects" in text
    checked = check(text, [entry])
    assert [claim.text for claim in checked.claims if claim.status == "unsupported"] == []
    assert "33.3 %" in checked.text


def test_orange(real_data: Path, tmp_path: Path) -> None:
    shared = context(tmp_path, real_data)
    shared.registry.open("pems-orange")
    began = time.perf_counter()
    reply = DESCRIBE_DATASET.run({"dataset": "pems_orange"}, shared)

    assert time.perf_counter() - began < 0.5
    assert (reply.name, reply.nodes, reply.edges, reply.events) == ("pems-orange", 81, 84, 372)
    assert not reply.synthetic
    assert reply.imputed_share == pytest.approx(0.141, abs=0.0005)
    assert reply.missing_share == 0
    assert reply.start == pd.Timestamp("2022-01-01T00:00", tz="US/Pacific")
    assert reply.end == pd.Timestamp("2022-01-28T23:55", tz="US/Pacific")
    assert {group.column: group.values for group in reply.groups}["freeway"][0] == "I5-N"
    assert reply.quality[1].startswith("Stations 1205364 and 1221932 have no measured reading")
    assert "none stated" in reply.licence


def test_an_unknown_data_set_is_said_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no data set 'townn'") as caught:
        DESCRIBE_DATASET.run({"dataset": "townn"}, context(tmp_path))

    assert "Did you mean 'town'?" in caught.value.hint
    assert caught.value.exit_code == 2
