"""The guard: a fixed sample of every suite, through the embedded model, scores no less than its recorded floor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.harness.guard import MARGIN, read_floors, run_guard, write_floors
from eval.suites import suite_names
from mm4st_agent.errors import DataError
from mm4st_agent.settings import load_settings


@pytest.mark.timeout(600)
def test_no_suite_scores_below_its_floor(tmp_path: Path) -> None:
    found = run_guard(load_settings())

    assert not found.below, " ".join(found.below)
    assert {suite.name for suite in found.record.suites} == set(suite_names())
    assert not [one for one in found.record.items if one.status == "failed"]
    raised = write_floors(found, tmp_path / "floors.json")
    for name, floor in read_floors(raised).floors.items():
        assert floor.floor == pytest.approx(max(0.0, floor.score - MARGIN))
        assert floor.scored <= floor.limit == found.floors.floors[name].limit


def test_the_file_has_a_floor_for_every_suite_and_says_how_it_was_made() -> None:
    floors = read_floors()

    assert set(floors.floors) == set(suite_names())
    assert "mm4st eval guard --write" in floors.how
    assert all(0 < floor.floor < floor.score for floor in floors.floors.values())


def test_a_broken_floor_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_floors(tmp_path / "floors.json")
    path = tmp_path / "floors.json"
    path.write_text(json.dumps({"how": "", "made": "", "commit": None, "floors": {"planning": {"limit": 0}}}))
    with pytest.raises(DataError, match=r"floors\.json is no floor file: floors\.planning\.limit"):
        read_floors(path)
