"""The known data sets, read from their original files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.known import KNOWN, check_files, known_card, missing_files, read_los_loop, read_pems_orange
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError


@pytest.fixture
def orange(real_data: Path) -> Panel:
    return read_pems_orange(real_data, known_card("pems-orange"))


@pytest.mark.parametrize("name", KNOWN)
def test_each_card_says_where_from_and_under_which_licence(name: str) -> None:
    card = known_card(name)

    assert card.name == name
    assert card.source
    assert card.licence
    assert card.where
    assert all(path.startswith(f"{name.replace('-', '_')}/") for path in card.files)
    assert all(len(digest) == 64 for digest in card.files.values())


def test_an_unknown_card_is_refused() -> None:
    with pytest.raises(UsageError, match="'metr-la'"):
        known_card("metr-la")


def test_orange_readings_equal_the_original_arrays(orange: Panel, real_data: Path) -> None:
    with np.load(real_data / "pems_orange" / "orange_traffic.npz", allow_pickle=False) as raw:
        np.testing.assert_array_equal(orange.values("flow"), raw["flow"])
        np.testing.assert_array_equal(orange.values("speed"), raw["speed_mph"])
        np.testing.assert_array_equal(orange.imputed("occupancy"), raw["pct_observed"] == 0)
        assert orange.node_ids == [str(station) for station in raw["station_id"]]
    assert orange.channel().name == "flow"
    assert orange.imputed().mean() == pytest.approx(0.141, abs=0.0005)
    assert [node for node, share in zip(orange.node_ids, orange.imputed().mean(axis=0), strict=True) if share == 1] == [
        "1205364",
        "1221932",
    ]


def test_orange_time_is_local(orange: Panel) -> None:
    assert orange.times[0] == pd.Timestamp("2022-01-01T00:00", tz="US/Pacific")
    assert orange.end == pd.Timestamp("2022-01-29T00:00", tz="US/Pacific")
    quietest = np.nansum(orange.observed(), axis=1).reshape(28, 288).mean(axis=0).argmin() / 12
    assert 1 <= quietest <= 4


def test_orange_stations(orange: Panel) -> None:
    station = orange.nodes.loc["1205330"]

    assert station.to_dict() | {"lat": None, "lon": None} == {
        "name": "N OF 57",
        "kind": "Mainline",
        "lat": None,
        "lon": None,
        "freeway": "I5-N",
        "postmile": 106.551,
        "city": "Orange",
        "lanes": 4,
    }
    assert orange.nodes["lat"].isna().all()


def test_orange_edges(orange: Panel) -> None:
    edges = orange.edges

    assert len(edges) == 84
    assert set(edges["source"]) | set(edges["target"]) <= set(orange.node_ids)
    assert edges["weight"].between(0, 1, inclusive="right").all()
    first = edges.iloc[0]
    assert (first["source"], first["target"], first["distance"]) == ("1205320", "1205330", 0.1)
    assert first["weight"] == pytest.approx(np.exp(-((0.1 / edges["distance"].std(ddof=0)) ** 2)))
    shared = edges[edges["distance"] == 0].iloc[0]
    assert (shared["source"], shared["target"], shared["weight"]) == ("1202451", "1221932", 1.0)


def test_orange_incidents_keep_the_words_of_the_log(orange: Panel) -> None:
    events = {event.id: event for event in orange.events}

    assert len(events) == 372
    event = events["chp-20660740"]
    assert event.text == "I5 S - Sr57: 1183-Trfc Collision-Unkn Inj"
    assert event.start == event.published_at == pd.Timestamp("2022-01-01T01:32", tz="US/Pacific")
    assert event.end == pd.Timestamp("2022-01-01T01:40", tz="US/Pacific")
    assert event.place == "I5-S abs PM 106.4"
    assert (event.node, event.distance) == ("1205335", 0.088)
    assert [e.start for e in orange.events] == sorted(e.start for e in orange.events)
    assert events["chp-20661197"].text.startswith("Sr55 N Sr91 W  Con - Sr91 W: ")


def test_orange_incidents_with_holes(orange: Panel) -> None:
    events = {event.id: event for event in orange.events}

    nowhere = events["chp-20690330"]
    assert (nowhere.node, nowhere.distance, nowhere.place) == (None, None, "")
    assert nowhere.text == "Sr57 S To - I5 S Con: SIG Alert"
    assert (events["chp-20669870"].end, events["chp-20669870"].end_known) == (None, False)
    assert all(event.end_known == (event.end is not None) for event in orange.events)
    assert all(event.end is None or event.end >= event.start for event in orange.events)
    assert sum(event.node is None for event in orange.events) == 1


def test_orange_incidents_are_on_the_freeway_and_direction_of_their_station(orange: Panel) -> None:
    nodes = orange.nodes
    for event in orange.events:
        if event.node is None:
            continue
        freeway, postmile = event.place.split(" abs PM ")
        assert nodes.loc[event.node, "freeway"] == freeway
        along = nodes[nodes["freeway"] == freeway]["postmile"]
        assert event.distance == pytest.approx((along - float(postmile)).abs().min(), abs=0.001)
        assert event.distance is not None
        assert event.distance <= 1
    # Two stations at one place: the one that measures something is the better witness.
    assert "1221932" not in {event.node for event in orange.events}
    assert "1202451" in {event.node for event in orange.events}


def test_los_loop(real_data: Path) -> None:
    panel = read_los_loop(real_data, known_card("los-loop"))

    raw = pd.read_csv(real_data / "los_loop" / "los_speed.csv")
    adjacency = pd.read_csv(real_data / "los_loop" / "los_adj.csv", header=None).to_numpy()
    np.testing.assert_allclose(panel.values(), raw.to_numpy(), rtol=1e-6)
    assert panel.node_ids == list(raw.columns)
    assert panel.times[0] == pd.Timestamp("2012-03-01T00:00", tz="US/Pacific")
    assert panel.times[-1] == pd.Timestamp("2012-03-07T23:55", tz="US/Pacific")
    assert (panel.nodes.loc["773869", "lat"], panel.nodes.loc["773869", "lon"]) == (34.15497, -118.31829)
    np.fill_diagonal(adjacency, 0)
    np.testing.assert_array_equal(panel.adjacency().toarray(), adjacency)
    assert (panel.edges["weight"] > 0).all()
    assert panel.events == ()
    assert not panel.imputed().any()


def test_a_missing_file_is_named_and_where_to_put_it(tmp_path: Path) -> None:
    card = known_card("los-loop")

    assert missing_files(tmp_path, card) == list(card.files)
    with pytest.raises(DataError, match=r"los_loop/los_speed\.csv") as caught:
        read_los_loop(tmp_path, card)
    assert "MM4ST_DATA_DIR" in caught.value.hint
    assert "lehaifeng/T-GCN" in caught.value.hint


def test_a_changed_file_is_named(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "los_loop"
    shutil.copytree(real_data / "los_loop", folder, copy_function=shutil.copyfile)
    card = known_card("los-loop")
    check_files(tmp_path, card)
    folder.chmod(0o755)
    with (folder / "los_adj.csv").open("a") as file:
        file.write("\n")

    with pytest.raises(DataError, match=r"los_adj\.csv is not the file"):
        read_los_loop(tmp_path, card)
