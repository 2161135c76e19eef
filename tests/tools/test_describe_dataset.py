"""`describe_dataset` says what a data set holds, as it was known at the clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.errors import ToolError
from tools.context import ToolContext
from tools.describe_dataset import DESCRIBE_DATASET


def context(folder: Path, data_dir: Path | None = None, as_of: str | None = "end") -> ToolContext:
    absent = cast(Any, None)
    return ToolContext(Registry(data_dir, folder, {"demo": demo_panel}), absent, absent, absent, as_of)


def test_the_demo_panel_says_that_it_is_synthetic(tmp_path: Path) -> None:
    reply = DESCRIBE_DATASET.run({"dataset": "demo"}, context(tmp_path))

    panel = demo_panel()
    assert reply.synthetic
    assert "synthetic" in reply.title
    assert (reply.nodes, reply.edges, reply.events) == (24, 28, 48)
    missing = np.mean([np.isnan(panel.values("flow")).mean(), np.isnan(panel.values("speed")).mean()])
    assert reply.missing_share == pytest.approx(missing, abs=1e-6)
    assert reply.imputed_share == pytest.approx(panel.imputed().mean(), abs=1e-6)
    assert {group.column: group.values for group in reply.groups}["direction"] == [
        "eastbound",
        "northbound",
        "southbound",
        "westbound",
    ]


def test_the_json_form_has_the_agreed_fields_and_no_nan(tmp_path: Path) -> None:
    reply = DESCRIBE_DATASET.run({"dataset": "demo"}, context(tmp_path))

    found = json.loads(reply.model_dump_json())
    agreed = "name nodes channels start end step_s missing_share imputed_share events edges licence source sha256"
    assert set(agreed.split()) <= set(found)
    assert {"name": "flow", "unit": "vehicles/5 min"}.items() <= found["channels"][0].items()
    assert found["start"] == "2025-09-01T00:00:00+01:00"
    assert found["end"] == "2025-09-28T23:55:00+01:00"
    json.dumps(found, allow_nan=False)


def test_every_number_has_its_unit(tmp_path: Path) -> None:
    quantities = DESCRIBE_DATASET.run({"dataset": "demo"}, context(tmp_path)).quantities()

    assert (quantities["step_s"].value, quantities["step_s"].unit) == (300, "s")
    assert quantities["imputed_share"].unit == "1"
    assert quantities["start"].unit == "time"
    assert quantities["nodes"].unit == ""


def test_only_what_was_known_is_counted(tmp_path: Path) -> None:
    reply = DESCRIBE_DATASET.run({"dataset": "demo"}, context(tmp_path, as_of="2025-09-10T08:02"))

    assert reply.end == pd.Timestamp("2025-09-10T07:55", tz="Europe/Lisbon")
    published = [event for event in demo_panel().events if event.published_at <= pd.Timestamp("2025-09-10T07:02Z")]
    assert reply.events == len(published) < 48


def test_without_a_clock_it_is_what_the_data_call_now(tmp_path: Path) -> None:
    reply = DESCRIBE_DATASET.run({"dataset": "demo"}, context(tmp_path, as_of=None))

    assert reply.end == pd.Timestamp("2025-09-25T07:35", tz="Europe/Lisbon")


def test_orange(real_data: Path, tmp_path: Path) -> None:
    reply = DESCRIBE_DATASET.run({"dataset": "pems_orange"}, context(tmp_path, real_data))

    assert (reply.name, reply.nodes, reply.edges, reply.events) == ("pems-orange", 81, 84, 372)
    assert not reply.synthetic
    assert reply.imputed_share == pytest.approx(0.141, abs=0.0005)
    assert reply.missing_share == 0
    assert reply.start == pd.Timestamp("2022-01-01T00:00", tz="US/Pacific")
    assert reply.end == pd.Timestamp("2022-01-28T23:55", tz="US/Pacific")
    assert {group.column: group.values for group in reply.groups}["freeway"][0] == "I5-N"
    assert "none stated" in reply.licence


def test_an_unknown_data_set_is_said_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no data set 'demmo'") as caught:
        DESCRIBE_DATASET.run({"dataset": "demmo"}, context(tmp_path))

    assert "Did you mean 'demo'?" in caught.value.hint
    assert caught.value.exit_code == 2
