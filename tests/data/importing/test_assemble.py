"""A source becomes a draft: every reading where it belongs, and every decision said."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.importing import infer, regrid, spool
from mm4st_agent.data.importing.assemble import assemble
from mm4st_agent.data.importing.draft import Block, Draft, Layers, Source, SourceChannel
from mm4st_agent.data.importing.inspect import draft_panel
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.errors import DataError, MM4STError, UsageError

NAN = np.nan


def source(
    folder: Path, values: NDArray[np.floating], stamps: list[str] | None = None, rows_a_block: int = 100, **more: Any
) -> Source:
    """One channel `speed` of nodes a, b, ... in a file of five-minute rows."""
    path = folder / "t.csv"
    path.write_text("the file")
    times = stamps or [str(time) for time in pd.date_range("2022-01-01", periods=len(values), freq="5min")]

    def blocks() -> Iterator[Block]:
        for start in range(0, len(values), rows_a_block):
            yield {"speed": values[start : start + rows_a_block]}

    fields: dict[str, Any] = {
        "path": path,
        "files": (path,),
        "stamps": pd.Series(times, index=range(2, len(times) + 2), name="time"),
        "node_ids": tuple(f"n{i}" if values.shape[1] > 26 else chr(97 + i) for i in range(values.shape[1])),
        "channels": (SourceChannel("speed"),),
        "blocks": blocks,
    }
    return Source(**{**fields, **more})


def drafted(found: Source, layers: Layers | None = None, **stated: Any) -> Draft:
    return assemble("mine", found, layers or Layers(), ImportOptions(**stated))


def values(draft: Draft, channel: str = "speed") -> NDArray[np.float32]:
    return draft_panel(draft).values(channel)


def said(draft: Draft, what: str) -> list[str]:
    return [f"{finding.value}: {finding.why}" for finding in draft.findings if finding.what == what]


# -- duplicates ------------------------------------------------------------------------------

TWICE = ["2022-01-01 00:00", "2022-01-01 00:05", "2022-01-01 00:05", "2022-01-01 00:05", "2022-01-01 00:10"]
READINGS = np.array([[1.0, 1], [2, 5], [4, NAN], [6, 5], [3, 3]])


@pytest.mark.parametrize(("rule", "expected"), [("last", [6, 5]), ("first", [2, 5]), ("mean", [4, 5])])
def test_several_rows_of_a_step(tmp_path: Path, rule: str, expected: list[float]) -> None:
    for rows_a_block in (1, 2, 100):
        draft = drafted(source(tmp_path, READINGS, TWICE, rows_a_block), duplicates=rule)

        np.testing.assert_array_equal(values(draft), np.float32([[1, 1], expected, [3, 3]]))
        why = said(draft, "duplicates")[0]
        assert why.startswith("3 readings")
        assert "rows 3, 4 (speed of 'a')" in why
        assert "2 differ" in why


def test_rows_that_differ_may_be_refused_and_equal_ones_are_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows 3, 4 \(speed of 'a'\): two readings for the same node and time step"):
        drafted(source(tmp_path, READINGS, TWICE), duplicates="refuse")
    equal = np.array([[1.0], [2], [2], [2], [3]])

    draft = drafted(source(tmp_path, equal, TWICE), duplicates="refuse")

    assert values(draft)[:, 0].tolist() == [1, 2, 3]
    assert "0 differ" in said(draft, "duplicates")[0]


def test_a_missing_code_replaces_no_reading(tmp_path: Path) -> None:
    readings = np.array([[1.0], [2], [-999], [4], [3]])

    draft = drafted(source(tmp_path, readings, TWICE), duplicates="mean", missing=(-999,))

    assert values(draft)[:, 0].tolist() == [1, 3, 3]


# -- the order of rows -----------------------------------------------------------------------


def test_rows_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through buckets much smaller than the data, and through the temporary file."""
    monkeypatch.setattr(regrid, "BLOCK_BYTES", 600)
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1000)
    rng = np.random.default_rng(0)
    readings = rng.random((500, 3)).astype(np.float32)
    times = np.array([str(time) for time in pd.date_range("2022-01-01", periods=500, freq="5min")])
    order = rng.permutation(500)

    for rows in (np.arange(500), np.arange(500)[::-1], order):
        draft = drafted(source(tmp_path, readings[rows], times[rows].tolist(), rows_a_block=37))

        np.testing.assert_array_equal(values(draft), readings)
        starts = [start for start, _ in draft.blocks()]
        assert starts == sorted(set(starts))
        assert len(starts) > 3


def test_steps_without_rows_are_missing(tmp_path: Path) -> None:
    stamps = ["2022-01-01 00:00", "2022-01-01 00:05", "2022-01-01 00:10", "2022-01-01 00:25"]

    draft = drafted(source(tmp_path, np.arange(4.0)[:, None], stamps))

    np.testing.assert_array_equal(values(draft)[:, 0], np.float32([0, 1, 2, NAN, NAN, 3]))
    assert said(draft, "gaps")[0].startswith("2 of 6 steps")


# -- what readings mean ----------------------------------------------------------------------


def test_stated_codes_are_missing_and_none_is_inferred(tmp_path: Path) -> None:
    readings = np.full((300, 2), 60.0) + np.arange(300)[:, None] % 7
    readings[::10] = 0
    readings[5] = -999

    draft = drafted(source(tmp_path, readings), missing=(-999,))

    assert np.isnan(values(draft)).sum() == 2
    assert (values(draft) == 0).sum() == 60
    assert said(draft, "missing code") == ["-999: As stated."]
    assert said(drafted(source(tmp_path, readings), missing=()), "missing code") == ["none: As stated."]


def test_inferred_codes_are_said_and_become_missing(tmp_path: Path) -> None:
    readings = np.full((300, 2), 60.0) + np.arange(300)[:, None] % 7
    readings[::10] = 0
    readings[5] = -999

    draft = drafted(source(tmp_path, readings))

    assert np.isnan(values(draft)).sum() == 62
    assert [each.split(":")[0] for each in said(draft, "missing code")] == ["-999", "0"]


def test_zeros_of_a_node_outside_of_the_sample_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "SAMPLE_CELLS", 1000)
    readings = np.full((300, 40), 60.0) + np.arange(300)[:, None] % 7
    readings[100:130, 5] = 0

    draft = drafted(source(tmp_path, readings))

    assert np.isnan(values(draft)[100:130, 5]).all()
    assert "30 of 12,000 readings" in said(draft, "missing code")[0]


def test_imputed_cells_come_from_the_share_observed(tmp_path: Path) -> None:
    readings = np.array([[50.0, 51], [52, 53], [54, 55]])
    share = np.array([[100.0, 0], [NAN, 20], [0, 100]])

    found = source(tmp_path, readings, observed="pct", blocks=lambda: iter([{"speed": readings, "pct": share}]))
    draft = drafted(found)

    panel = draft_panel(draft)
    assert draft.has_mask
    assert panel.imputed("speed").tolist() == [[False, True], [False, False], [True, False]]
    np.testing.assert_array_equal(panel.values("speed"), readings.astype(np.float32))
    assert [channel.name for channel in draft.card.channels] == ["speed"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.inf, "row 3, 'b': the speed inf is not finite"), (1e39, "row 3, 'b': the speed 1e\\+39 is too large")],
)
def test_numbers_that_cannot_be_stored_are_refused(tmp_path: Path, bad: float, message: str) -> None:
    readings = np.array([[1.0, 2], [3, bad], [5, 6]])

    with pytest.raises(DataError, match=message):
        drafted(source(tmp_path, readings))
    assert np.isnan(values(drafted(source(tmp_path, readings), missing=(bad,)))[1, 1])


def test_a_source_without_any_reading_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no reading"):
        drafted(source(tmp_path, np.full((5, 2), NAN)))
    with pytest.raises(DataError, match="holds no reading"):
        drafted(source(tmp_path, np.full((5, 2), -1.0)), missing=(-1,))


def test_rounded_large_numbers_are_said(tmp_path: Path) -> None:
    assert said(drafted(source(tmp_path, np.array([[1.0], [2**25 + 1], [3]]))), "precision")[0].startswith("speed")
    assert not said(drafted(source(tmp_path, np.array([[1.0], [2**23 + 1], [3]]))), "precision")


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    readings = np.ones((5, 1))

    for blocks in ([{"speed": readings[:3]}], [{"speed": readings}, {"speed": readings}]):
        with pytest.raises(DataError, match="changed while it was read"):
            drafted(source(tmp_path, readings, blocks=lambda each=blocks: iter(each)))


# -- time ------------------------------------------------------------------------------------


def test_a_source_without_stamps(tmp_path: Path) -> None:
    bare = dataclasses.replace(source(tmp_path, np.ones((3, 1))), stamps=None)

    draft = drafted(bare, start="2012-03-01", step_s=300, time_zone="US/Pacific")

    assert draft.time.tolist() == [pd.Timestamp(f"2012-03-01 08:{m:02d}") for m in (0, 5, 10)]
    with pytest.raises(DataError, match="--start 2012-03-01 --step 300"):
        drafted(bare)


def test_an_assumed_zone_is_questioned_where_the_place_is_known(tmp_path: Path) -> None:
    nodes = pd.DataFrame({"lat": [34.0], "lon": [-118.2]}, index=["a"])

    why = said(drafted(source(tmp_path, np.ones((3, 1))), Layers(nodes=nodes)), "time zone")[0]

    assert why.startswith("UTC")
    assert "UTC-8" in why


def test_a_dropped_row_takes_its_readings_along(tmp_path: Path) -> None:
    stamps = [f"2022-03-27 0{hour}:00" for hour in (0, 1, 2, 3, 4)]

    draft = drafted(source(tmp_path, np.arange(5.0)[:, None], stamps), time_zone="Europe/Zurich")

    assert values(draft)[:, 0].tolist() == [0, 1, 3, 4]
    assert "1 rows were dropped" in said(draft, "skipped hour")[0]


# -- names, units, nodes, covariates ---------------------------------------------------------


def test_units_are_stated_known_or_asked_for(tmp_path: Path) -> None:
    found = source(tmp_path, np.ones((3, 1)))

    assert drafted(found, units={"speed": "mph"}).card.channels[0].unit == "mph"
    draft = drafted(found)
    assert draft.card.channels[0].unit == ""
    assert "--unit speed=UNIT" in said(draft, "unit of speed")[0]


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("flow", None, ("vehicles/5 min", "sum", "vehicles")),
        ("flow", "vehicles/h", ("vehicles/h", "mean", None)),
        ("PM2.5", None, ("µg/m³", "mean", None)),
        ("rain", "in", ("in", "sum", "in")),
        ("demand", None, ("", "sum", None)),
    ],
)
def test_how_readings_add_up(
    tmp_path: Path, name: str, unit: str | None, expected: tuple[str, str, str | None]
) -> None:
    readings = np.ones((3, 1))

    found = source(tmp_path, readings, channels=(SourceChannel(name, unit),), blocks=lambda: iter([{name: readings}]))

    channel = drafted(found).card.channels[0]
    assert (channel.unit, channel.aggregation, channel.total_unit) == expected


def test_channels_are_chosen_ordered_and_renamed(tmp_path: Path) -> None:
    readings = np.ones((3, 1))
    names = ("flow", "speed", "CO/NO")
    found = source(
        tmp_path,
        readings,
        channels=tuple(map(SourceChannel, names)),
        blocks=lambda: iter([{name: readings * i for i, name in enumerate(names)}]),
    )

    draft = drafted(found, channels=("CO/NO", "flow"))

    assert [channel.name for channel in draft.card.channels] == ["CO-NO", "flow"]
    assert values(draft, "CO-NO")[0, 0] == 2
    assert said(draft, "left out") == ["speed: They are not among the stated channels."]
    with pytest.raises(UsageError, match="has no channel 'gone'"):
        drafted(found, channels=("gone",))
    with pytest.raises(UsageError, match="names one channel, but"):
        drafted(found, channel="x")


def test_nodes_take_what_the_sensor_table_says(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"name": ["Main St", None], "lat": [1.0, 2], "lon": [3.0, 4], "lanes": [2, 3]}, index=["b", "z"]
    )

    draft = drafted(source(tmp_path, np.ones((3, 2))), Layers(nodes=table))

    assert draft.nodes.index.tolist() == ["a", "b"]
    assert draft.nodes["name"].tolist() == ["a", "Main St"]
    assert draft.nodes["kind"].tolist() == ["", ""]
    assert draft.nodes.loc["b", ["lat", "lon", "lanes"]].tolist() == [1, 3, 2]
    assert np.isnan(draft.nodes.loc["a", "lat"])
    assert "does not have them: a" in said(draft, "nodes without a place")[0]
    assert "no readings of them: z" in said(draft, "nodes without readings")[0]


def test_a_sensor_table_of_other_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the nodes .* called a, b, those of the table x"):
        drafted(source(tmp_path, np.ones((3, 2))), Layers(nodes=pd.DataFrame({"lat": [1.0]}, index=["x"])))


def test_covariates_go_to_the_grid_with_their_rows(tmp_path: Path) -> None:
    covariates = xr.Dataset(
        {"rain": ("row", np.array([1.0, 2, 3])), "temp": (("row", "node"), np.array([[1.0, 2], [3, 4], [5, 6]]))}
    )
    stamps = ["2022-01-01 00:15", "2022-01-01 00:00", "2022-01-01 00:05"]

    draft = drafted(source(tmp_path, np.ones((3, 2)), stamps, covariates=covariates), units={"temp": "K"})

    np.testing.assert_array_equal(draft.covariates["rain"].values, np.float32([2, 3, NAN, 1]))
    np.testing.assert_array_equal(draft.covariates["temp"].values[:, 1], np.float32([4, 6, NAN, 2]))
    assert draft.covariates["rain"].attrs["units"] == "mm"
    assert draft.covariates["temp"].attrs["units"] == "K"


def test_the_card_has_the_sha256_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.csv").write_text("places")

    draft = drafted(source(tmp_path, np.ones((3, 1))), Layers(files=(tmp_path / "sub" / "t.csv",)))

    assert draft.card.files == {
        "t.csv": hashlib.sha256(b"the file").hexdigest(),
        "sub/t.csv": hashlib.sha256(b"places").hexdigest(),
    }


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    assemble(
        "mine",
        source(tmp_path, np.ones((300, 1))),
        Layers(),
        ImportOptions(),
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen[-1] == (300, 300)


@pytest.mark.parametrize("ids", [("a", "a"), ("a", "")])
def test_node_ids_differ(tmp_path: Path, ids: tuple[str, ...]) -> None:
    with pytest.raises(MM4STError, match="is empty or appears twice"):
        drafted(source(tmp_path, np.ones((3, 2)), node_ids=ids))
