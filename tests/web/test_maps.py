"""The map's data over HTTP, from real panels and real forecasters."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.forecaster.forecast import Forecast
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import maps
from mm4st_agent.web.map_places import MOST_LAID_OUT

STEPS = 2 * 288
CLOCK = "2024-03-02T12:00"
KNOWN = 288 + 144
"""Steps that are over at the clock."""


def city(
    nodes: int = 6,
    *,
    step: str = "5min",
    steps: int = STEPS,
    links: bool = True,
    columns: dict[str, Any] | None = None,
    name: str = "town",
    unit: str = "vehicles/5 min",
) -> Panel:
    """A town on a line, with a day's rhythm, one missing reading and one imputed one at the clock."""
    ids = [f"N{at}" for at in range(nodes)]
    places = {"lat": np.linspace(48.0, 48.1, nodes), "lon": np.full(nodes, 11.0)} if columns is None else columns
    rhythm = 100 + 50 * np.sin(2 * np.pi * np.arange(steps)[:, None] / 288) + 10 * np.arange(nodes)
    values = (rhythm + np.random.default_rng(0).normal(0, 3, (steps, nodes))).astype(np.float32)
    imputed = np.zeros(values.shape, dtype=bool)
    if steps > KNOWN and nodes > 2:
        values[KNOWN - 1, 1] = np.nan
        imputed[KNOWN - 1, 2] = True
    data = xr.Dataset(
        {
            "flow": (("time", "node"), values, {"units": unit, MASK: "flow_imputed"}),
            "flow_imputed": (("time", "node"), imputed),
        },
        coords={
            "time": pd.date_range("2024-03-01", periods=steps, freq=step),
            "node": ids,
            "name": ("node", [f"{at} <b>Street</b>" for at in range(nodes)]),
            **{key: ("node", column) for key, column in places.items()},
        },
    )
    card = DataCard(
        name=name,
        title="A town",
        source="made by a test",
        licence="CC0-1.0",
        place_word="station",
        time_label="start",
        channels=(Channel(name="flow", unit=unit, title="traffic flow", aggregation="sum"),),
    )
    edges = pd.DataFrame({"source": ids[:-1], "target": ids[1:], "weight": 1.0}) if links else None
    return Panel(card, data) if edges is None else Panel(card, data, edges)


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def served(*panels: Panel, home: Path) -> tuple[TestClient, Runtime]:
    runtime = Runtime(load_settings(home=home))
    for panel in panels:
        runtime.registry.add(panel)
    server = FastAPI()
    server.include_router(maps.router(lambda user: runtime))
    return TestClient(server), runtime


def test_the_last_day_is_what_was_measured_up_to_the_clock(tmp_path: Path) -> None:
    panel = city()
    client, _ = served(panel, home=tmp_path)

    got = client.get("/mm4st/map/town", params={"as_of": CLOCK}).json()

    shown = decoded(got["values"]).reshape(288, 6)
    np.testing.assert_array_equal(shown, panel.observed("flow")[KNOWN - 288 : KNOWN])
    assert np.isnan(shown[-1, [1, 2]]).all(), "a missing and an imputed reading are both hollow"
    assert got["times"][-1] == "2024-03-02T11:55:00+00:00"
    assert got["labels"][-1] == "2 Mar 11:55–12:00"
    assert got["ids"] == panel.node_ids
    assert got["names"][0] == "0 <b>Street</b>"
    assert got["metres"] is True
    assert got["y"] == sorted(got["y"], reverse=True), "north is up"
    assert got["y"][0] - got["y"][-1] == pytest.approx(0.1 * 111_195, abs=2)
    assert got["links"] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert got["scale"]["words"] == ["quiet", "busy"]
    low, high = got["scale"]["low"], got["scale"]["high"]
    assert np.mean((shown[np.isfinite(shown)] >= low) & (shown[np.isfinite(shown)] <= high)) > 0.97
    assert got["no_change"] is None


def test_nothing_after_the_clock_is_in_either_reply(tmp_path: Path) -> None:
    panel = city()
    later = panel.data.copy(deep=True)
    later["flow"][KNOWN:] = 9_999.0
    other = dataclasses.replace(panel, data=later)
    for path in ("/mm4st/map/town", "/mm4st/map/town/change"):
        replies = []
        for which, version in enumerate((panel, other)):
            client, _ = served(version, home=tmp_path / f"{path.count('/')}-{which}")
            replies.append(client.get(path, params={"as_of": CLOCK}))
        assert replies[0].status_code == 200, replies[0].text
        assert replies[0].json() == replies[1].json(), path


def test_the_change_is_the_forecast_mean_less_the_latest_reading(tmp_path: Path) -> None:
    panel = city()
    panel.data["flow"][KNOWN - 12 : KNOWN, 5] = np.nan
    client, runtime = served(panel, home=tmp_path)

    got = client.get("/mm4st/map/town/change", params={"as_of": CLOCK}).json()

    known = runtime.registry.open("town").until(CLOCK)
    observed, change = known.observed("flow"), decoded(got["values"])
    latest = np.append(observed[-1], [])
    latest[[1, 2]] = observed[-2, [1, 2]]  # the last one is missing there
    found = runtime.forecaster(known, known.channel()).predict(known, known.node_ids[:5], "flow", 12)
    expected = [forecast.quantiles[:, 2].mean() for forecast in found] - latest[:5]
    np.testing.assert_allclose(change[:5], expected, rtol=1e-4, atol=1e-3)
    assert np.isnan(change[5]), "nobody measured there in the last hour"
    np.testing.assert_array_equal(decoded(got["latest"])[:5], latest[:5].astype(np.float32))
    assert got["scale"]["low"] == -got["scale"]["high"]
    assert got["label"] == "2 Mar 12:00–13:00"
    assert "simple baselines" in " ".join(got["notes"])


def test_the_demo_city_changes_by_its_trained_model(tmp_path: Path) -> None:
    client, runtime = served(home=tmp_path)

    day = client.get("/mm4st/map/demo").json()
    change = client.get("/mm4st/map/demo/change", params={"channel": "requests"}).json()

    panel = runtime.registry.open("demo")
    known = panel.until(panel.now).of("flow")
    assert day["places"] == "road stations"
    assert [each["name"] for each in day["channels"]] == [c.name for c in panel.card.channels]
    np.testing.assert_array_equal(decoded(day["values"])[-len(day["ids"]) :], known.observed("flow")[-1])
    assert np.isfinite(decoded(change["values"])).all()
    assert not any("baselines" in note for note in change["notes"])


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        (city(MOST_LAID_OUT + 1, steps=40), "Without a trained model a forecast of all 401 places takes too long"),
        (city(step="10s"), "The forecast reaches 2 minutes ahead"),
    ],
)
def test_where_a_change_is_not_worth_its_time_a_sentence_says_so(tmp_path: Path, panel: Panel, said: str) -> None:
    client, _ = served(panel, home=tmp_path)

    day, change = client.get("/mm4st/map/town").json(), client.get("/mm4st/map/town/change")

    assert day["no_change"].startswith(said)
    assert change.status_code == 400
    assert change.json() == {"error": day["no_change"]}


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("/nowhere", {}, "There is no data set 'nowhere'."),
        ("/town", {"as_of": "2031-01-01T00:00"}, "as_of 2031-01-01T00:00 is outside the data of 'town'."),
        ("/town", {"as_of": "noon-ish"}, "'noon-ish' is not a point in time."),
        ("/town", {"channel": "smell"}, "'town' has no channel 'smell'. Known: flow."),
        ("/town/change", {"as_of": "2024-03-01T00:15"}, "a forecast needs 36"),
        ("/noaa-rain", {}, "The files of 'noaa-rain' are not here"),
    ],
)
def test_a_refusal_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, params: dict[str, str], said: str
) -> None:
    monkeypatch.delenv("MM4ST_DATA_DIR", raising=False)
    client, _ = served(city(), home=tmp_path)

    reply = client.get(f"/mm4st/map{path}", params=params)

    assert reply.status_code == 400
    assert said in reply.json()["error"]


def test_a_change_is_worked_out_once_for_all_who_ask_and_a_failure_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = served(city(), home=tmp_path)
    real, calls, hold, begun = BaselineForecaster.predict, [], threading.Event(), threading.Event()

    def counted(self: BaselineForecaster, *args: Any) -> list[Forecast]:
        calls.append(args)
        begun.set()
        assert hold.wait(30)
        return real(self, *args)

    monkeypatch.setattr(BaselineForecaster, "predict", counted)

    def ask(clock: str) -> Any:
        return client.get("/mm4st/map/town/change", params={"as_of": clock})

    with client, ThreadPoolExecutor(3) as people:
        asked = [people.submit(ask, CLOCK) for _ in range(2)]
        assert begun.wait(30)
        day = people.submit(client.get, "/mm4st/map/town").result(30)  # the server is not blocked meanwhile
        assert day.status_code == 200
        hold.set()
        assert asked[0].result(30).content == asked[1].result(30).content
        assert len(calls) == 1
        assert ask(CLOCK).status_code == 200
        assert len(calls) == 1
        for _ in range(2):
            assert ask("2024-03-01T01:00").status_code == 400
        assert len(calls) == 3


def test_each_person_sees_their_own_data_sets(tmp_path: Path) -> None:
    theirs = {name: Runtime(load_settings(home=tmp_path / name)) for name in ("ada", "bob")}
    theirs["ada"].registry.add(city())
    server = FastAPI()

    @server.middleware("http")
    async def sign_in(request: Request, call_next: Any) -> Any:
        request.state.user = request.headers["x-name"]
        return await call_next(request)

    server.include_router(maps.router(lambda user: theirs[str(user)]))
    client = TestClient(server)

    for path in ("/mm4st/map/town", "/mm4st/map/town/change"):
        assert client.get(path, headers={"x-name": "ada"}).status_code == 200
        assert client.get(path, headers={"x-name": "bob"}).status_code == 400


def test_eight_thousand_nodes_travel_light_and_end_at_the_clock(tmp_path: Path) -> None:
    panel = city(8000, steps=300)
    client, _ = served(panel, home=tmp_path)

    reply = client.get("/mm4st/map/town")

    got, count = reply.json(), 8000
    assert int(reply.headers["content-length"]) < 4_000_000
    assert reply.headers["content-encoding"] == "gzip"
    assert got["every"] == "15 minutes"
    shown = decoded(got["values"]).reshape(-1, count)
    np.testing.assert_array_equal(shown, panel.observed("flow")[299 - 3 * 95 :: 3])
    assert len(client.get("/mm4st/map/town", headers={"accept-encoding": "identity"}).json()["x"]) == count


def test_daily_data_show_as_many_days_as_other_data_show_steps(tmp_path: Path) -> None:
    client, _ = served(city(step="1D", steps=60), home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    assert len(got["times"]) == 24
    assert got["labels"][-1] == "29 Apr 2024"


NOWHERE = {"lat": np.full(6, np.nan), "lon": np.full(6, np.nan)}


def test_roads_are_lines_with_their_stations_by_the_mile(tmp_path: Path) -> None:
    columns = {**NOWHERE, "freeway": ["I5-N"] * 3 + ["I5-S"] * 3, "postmile": [10.0, 30.0, 20.0, 10.0, 15.0, np.nan]}
    client, _ = served(city(columns=columns), home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    assert got["x"] == [0, 10_000, 5_000, 0, 2_500, None]
    assert got["y"] == [0, 0, 0, 3750, 3750, None]
    assert got["rows"] == [["I5-N", 0], ["I5-S", 3750]]
    assert got["links"] == [0, 2, 2, 1, 3, 4]
    assert "not a map" in got["note"]


def test_linked_nodes_without_places_stand_near_each_other(tmp_path: Path) -> None:
    client, _ = served(city(columns=NOWHERE), home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    spots = np.column_stack([got["x"], got["y"]]).astype(float)
    near = [np.linalg.norm(spots[at] - spots[at + 1]) for at in range(5)]
    assert max(near) < 0.5 * np.linalg.norm(spots[0] - spots[5])
    assert got["metres"] is False
    assert "positions are schematic" in got["note"]


def test_without_places_and_links_nodes_stand_in_rows(tmp_path: Path) -> None:
    client, _ = served(city(columns=NOWHERE, links=False), home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    assert len(set(zip(got["x"], got["y"], strict=True))) == 6
    assert "means nothing" in got["note"]


def test_many_linked_nodes_without_places_stand_in_rows_close_to_each_other(tmp_path: Path) -> None:
    count = MOST_LAID_OUT + 1
    panel = city(count, steps=40, columns={"lat": np.full(count, np.nan), "lon": np.full(count, np.nan)})
    ids = np.random.default_rng(1).permutation(panel.node_ids)
    panel = dataclasses.replace(panel, edges=pd.DataFrame({"source": ids[:-1], "target": ids[1:], "weight": 1.0}))
    client, _ = served(panel, home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    spots = dict(zip(got["ids"], np.column_stack([got["x"], got["y"]]).astype(float), strict=True))
    steps = [np.linalg.norm(spots[one] - spots[other]) for one, other in itertools.pairwise(ids)]
    assert max(steps) < 600, "each is beside or below the one before: a place is 435 wide"
    assert got["links"] == []
    assert "in rows" in got["note"]


def test_a_node_without_coordinates_among_others_is_not_drawn(tmp_path: Path) -> None:
    lat = np.linspace(48.0, 48.1, 6)
    lat[3] = np.nan
    client, _ = served(city(columns={"lat": lat, "lon": np.full(6, 11.0)}), home=tmp_path)

    got = client.get("/mm4st/map/town").json()

    assert got["x"][3] is None
    assert got["links"] == [0, 1, 1, 2, 4, 5]
    assert got["note"] == "1 station is not drawn, for want of coordinates."
