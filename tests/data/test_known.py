"""The known data sets, read from their original files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.known import KNOWN, check_files, known_card, known_draft, missing_files, read_known, recipe
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, UsageError


@pytest.fixture
def orange(real_data: Path) -> Panel:
    return read_known(real_data, known_card("pems-orange"))


@pytest.mark.parametrize("name", KNOWN)
def test_each_card_says_where_from_and_under_which_licence(name: str) -> None:
    card = known_card(name)

    assert card.name == name
    assert card.source
    assert card.licence
    assert card.where
    assert all(path.startswith(f"{name.replace('-', '_')}/") for path in card.files)
    assert all(len(digest) == 64 for digest in card.files.values())


@pytest.mark.parametrize("name", KNOWN)
def test_each_recipe_is_what_a_person_could_state(name: str, tmp_path: Path) -> None:
    card = known_card(name)
    path, options = recipe(tmp_path, card)

    assert path == tmp_path / name.replace("-", "_")
    assert (options.time_zone, options.time_label) == (card.time_zone, card.time_label)
    stated = [str(p.relative_to(tmp_path)) for p in (options.nodes, options.edges, options.events) if p is not None]
    assert set(stated) <= set(card.files)
    assert options != ImportOptions()


@pytest.mark.parametrize("name", KNOWN)
def test_each_url_is_of_a_file_that_is_taken_as_it_is(name: str) -> None:
    card = known_card(name)

    assert set(card.urls) <= set(card.files)
    for file, url in card.urls.items():
        assert url.startswith("https://raw.githubusercontent.com/")
        assert Path(url).name == Path(file).name
        assert len(url.split("/")[5]) == 40, "pinned to a commit"


def test_the_sha256_of_a_set_does_not_depend_on_how_it_is_got() -> None:
    card = known_card("pems-orange")
    bare = card.model_copy(update={"urls": {}, "recipe": {}, "now": None})
    without_files = bare.model_copy(update={"files": {}})

    # The shipped checkpoints carry this one.
    assert card.sha256 == bare.sha256 == "6d895469c5c739264b7e75cb2580466cd2957189f673eaacee895feb77707c23"
    assert without_files.sha256 == card.model_copy(update={"files": {}}).sha256
    assert without_files.sha256 != without_files.model_copy(update={"title": "other"}).sha256


def test_cards_have_the_sums_that_are_kept_beside_the_files(real_data: Path) -> None:
    lines = (real_data / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}

    carded = {file: digest for name in KNOWN for file, digest in known_card(name).files.items()}
    assert carded == sums


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
    panel = read_known(real_data, known_card("los-loop"))

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
        read_known(tmp_path, card)
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
        read_known(tmp_path, card)


# -- the five further sets ------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_each_set_reads_as_its_card_says(name: str, real_data: Path) -> None:
    panel = read_known(real_data, known_card(name))

    assert panel.card == known_card(name)
    assert panel.start < panel.now <= panel.end
    for channel in panel.card.channels:
        assert panel.data[channel.name].attrs["units"] == channel.unit
        assert np.isfinite(panel.of(channel.name).values(channel.name)).any()
    assert {event.node for event in panel.events} <= {*panel.node_ids, None}


def test_zeros_of_the_taxis_are_missing_and_the_days_weather_is_held(real_data: Path) -> None:
    panel = read_known(real_data, known_card("sz-taxi"))
    raw = np.load(real_data / "sz_taxi" / "SZ_taxi.npz", allow_pickle=False)["data"][:, :, 0]

    np.testing.assert_array_equal(np.isnan(panel.values()), raw == 0)
    assert np.isnan(panel.values()).mean() == pytest.approx(0.248, abs=0.0005)
    np.testing.assert_allclose(panel.values()[raw != 0], raw[raw != 0], rtol=1e-6)
    assert panel.times[0] == pd.Timestamp("2015-01-01T00:00", tz="Asia/Shanghai")
    assert panel.times[-1] == pd.Timestamp("2015-01-31T23:45", tz="Asia/Shanghai")
    highest = panel.covariates["MaxTemp"]
    assert highest.attrs["units"] == "°C"
    np.testing.assert_array_equal(highest[:96], np.full(96, 18))
    np.testing.assert_array_equal(highest[96:192], np.full(96, 21))
    adjacency = pd.read_csv(real_data / "sz_taxi" / "sz_adj.csv", header=None).to_numpy()
    np.fill_diagonal(adjacency, 0)
    np.testing.assert_array_equal(panel.adjacency().toarray(), adjacency)


def test_beijing_readings_weather_and_the_blank_cell(real_data: Path) -> None:
    panel = read_known(real_data, known_card("beijing-air"))
    raw = pd.read_csv(
        real_data / "beijing_air" / "PRSA_Data_Aotizhongxin_20130301-20170228.csv.gz", na_values=["NA", " "]
    )
    at = panel.position("Aotizhongxin")

    assert (len(panel.times), len(panel.node_ids)) == (35064, 12)
    for channel in ("PM2.5", "SO2", "O3"):
        np.testing.assert_array_equal(panel.values(channel)[:, at], raw[channel].astype(np.float32))
    np.testing.assert_array_equal(panel.covariates["TEMP"][:, at], raw["TEMP"].astype(np.float32))
    assert np.isnan(panel.values("SO2")[74, at]), "No 75 is blank"
    assert raw["wd"][0] == "NNW"
    assert panel.covariates["wd"][0, at] == 337.5
    missing = np.isnan(panel.values("PM2.5")).sum(axis=0)
    assert (missing.min(), missing.max()) == (382, 953)
    assert (panel.nodes.loc["Dongsi", "lat"], panel.nodes.loc["Dongsi", "lon"]) == (39.9522, 116.434)
    assert panel.times[0] == pd.Timestamp("2013-03-01T00:00", tz="Asia/Shanghai")


def test_rain_stations_have_the_ids_and_places_of_the_table(real_data: Path) -> None:
    panel = read_known(real_data, known_card("noaa-rain"))
    table = pd.read_csv(real_data / "noaa_rain" / "stations.csv", dtype={"station_id": str})
    with np.load(real_data / "noaa_rain" / "noaa_1990_1993.npz", allow_pickle=False) as raw:
        np.testing.assert_array_equal(panel.values("precip"), raw["precip_in"])
        np.testing.assert_array_equal(panel.values("tmin"), raw["tmin_F"])

    assert panel.node_ids == list(table["station_id"])
    np.testing.assert_allclose(panel.nodes["lat"], table["lat"])
    assert panel.step == pd.Timedelta(days=1)
    assert ((np.isfinite(panel.values("precip")).mean(axis=0)) > 0.9).sum() == 124


def test_requests_are_counted_by_service(real_data: Path) -> None:
    panel = read_known(real_data, known_card("azure-llm-trace"))
    code = pd.read_csv(real_data / "azure_llm_trace" / "AzureLLMInferenceTrace_code.csv", parse_dates=["TIMESTAMP"])

    assert panel.node_ids == ["code", "conv"]
    assert panel.values("requests").sum(axis=0).tolist() == [8819, 19366]
    by_step = code.groupby(code["TIMESTAMP"].dt.floor("10s"))["GeneratedTokens"].sum()
    ours = pd.Series(panel.values("GeneratedTokens")[:, 0], panel.times.tz_localize(None))
    assert (ours[by_step.index] == by_step).all()
    assert ours.sum() == by_step.sum()


def test_each_server_measures_its_own_metric_and_labels_are_events(real_data: Path) -> None:
    panel = read_known(real_data, known_card("nab-cloud"))
    raw = pd.read_csv(
        real_data / "nab_cloud" / "realAWSCloudwatch" / "ec2_cpu_utilization_5f5533.csv", parse_dates=["timestamp"]
    )

    assert len(panel.node_ids) == 17
    assert len(panel.nodes_of("cpu_utilization")) == 10
    assert panel.nodes_of("request_count") == ["elb_request_count_8c0756"]
    assert set(panel.nodes_of("network_in")) >= {"iio_us-east-1_i-a2eb1cd9_NetworkIn"}
    ours = panel.values("cpu_utilization")[:, panel.position("ec2_cpu_utilization_5f5533")]
    moved = pd.Series(raw["value"].to_numpy(), raw["timestamp"].dt.floor("5min"))
    moved = moved[~moved.index.duplicated(keep="last")]
    at = panel.times.tz_localize(None).get_indexer(moved.index)
    np.testing.assert_allclose(ours[at], moved, rtol=1e-6)
    assert np.isfinite(ours).sum() == len(moved)
    assert len(panel.events) == 30
    event = next(event for event in panel.events if event.node == "ec2_cpu_utilization_24ae8d")
    assert (event.start, event.end) == (
        pd.Timestamp("2014-02-26T13:45", tz="UTC"),
        pd.Timestamp("2014-02-27T06:25", tz="UTC"),
    )
    assert event.published_at == event.end, "a label is hindsight"


def test_what_a_recipe_found_can_be_looked_at(real_data: Path) -> None:
    draft = known_draft("pems-orange", real_data)

    assert draft.has_mask
    assert {finding.what for finding in draft.findings} >= {"imputed cells", "time zone", "node ids"}
    assert draft.card == known_card("pems-orange")
