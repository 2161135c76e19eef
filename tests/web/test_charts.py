"""The chart of a forecast: the ledger's numbers, what was measured before and later, and nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from mm4st_agent.agent import ledger
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import charts
from mm4st_agent.web.charts import Chart, chart
from mm4st_agent.web.forecasts import chart_of, forecast_of, forecasts

AS_OF = "2025-10-22T07:40"
QUESTION = "How much traffic will station S096 carry over the next hour?"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("charts") / "home"))


@pytest.fixture(scope="module")
def answer(runtime: Runtime) -> Answer:
    return asyncio.run(runtime.ask(QUESTION))


def entry_of(runtime: Runtime, as_of: str = AS_OF, *, trained: bool = False, **args: Any) -> Evidence:
    """The ledger entry of a real call; a baseline forecasts, which is quicker at ever new moments."""
    given = {"dataset": "demo", "node": "S096", **args}
    context = runtime.tool_context(as_of, None if trained else lambda panel, channel: BaselineForecaster())
    return ledger.from_reply("E2", "forecast", given, as_of, runtime.tools["forecast"].run(given, context), 0.1)


@pytest.fixture(scope="module")
def entry(runtime: Runtime) -> Evidence:
    return entry_of(runtime, trained=True)


@pytest.fixture(scope="module")
def drawn(runtime: Runtime, entry: Evidence) -> Chart:
    return chart(forecast_of(entry, runtime))


def trace(drawn: Chart, shows: str) -> dict[str, Any]:
    (found,) = [trace for trace in drawn.data if trace["meta"] == shows]
    return found


def said(entry: Evidence, name: str) -> list[Any]:
    steps = sum(path.endswith("].time") for path in entry.values)
    return [entry.values[f"steps[{n}].{name}"].value for n in range(steps)]


def clock_times(moments: pd.DatetimeIndex) -> list[str]:
    return list(moments.strftime("%Y-%m-%d %H:%M:%S"))


# -- the forecast -------------------------------------------------------------------------------


def test_median_band_and_baseline_are_the_ledgers(entry: Evidence, drawn: Chart) -> None:
    most = trace(drawn, "most")

    assert trace(drawn, "median")["y"] == said(entry, "median")
    assert trace(drawn, "baseline")["y"] == said(entry, "baseline")
    assert most["y"] == [*said(entry, "low"), *reversed(said(entry, "high"))]
    assert most["x"][:12] == trace(drawn, "median")["x"] == [f"2025-10-22 {t[11:16]}:00" for t in said(entry, "time")]


def test_the_inner_band_is_what_the_forecaster_predicted(runtime: Runtime, drawn: Chart) -> None:
    known = runtime.registry.open("demo").until(AS_OF)
    (found,) = runtime.forecaster(known, known.channel("flow")).predict(known, ["S096"], "flow", 12)

    half = np.array(trace(drawn, "half")["y"]).reshape(2, 12)

    np.testing.assert_allclose(half[0], found.quantiles[:, 1], rtol=1e-4)
    np.testing.assert_allclose(half[1][::-1], found.quantiles[:, 3], rtol=1e-4)


def test_plotly_takes_it(drawn: Chart) -> None:
    figure = go.Figure(data=drawn.data, layout=drawn.layout)

    assert [found.meta for found in figure.data] == ["most", "half", "measured", "baseline", "median", "later"]
    assert len(drawn.model_dump_json()) < 20_000


def test_lines_differ_without_colour(drawn: Chart) -> None:
    looks = [(t["line"].get("dash"), t["line"]["width"], t.get("marker", {}).get("symbol")) for t in drawn.data]

    assert len(set(looks)) == len(looks)


def test_a_hover_tells_every_number_with_its_unit(entry: Evidence, drawn: Chart) -> None:
    first = trace(drawn, "median")["hovertext"][0]

    assert first.startswith(f"forecast median: {said(entry, 'median')[0]} vehicles/5 min<br>50 % band: ")
    assert first.endswith(f"80 % band: {said(entry, 'low')[0]} to {said(entry, 'high')[0]}")
    assert trace(drawn, "later")["hovertext"][0].startswith("measured later: ")


def test_the_table_has_the_same_numbers(entry: Evidence, drawn: Chart) -> None:
    table = drawn.table

    assert table.columns == ["Time", "Median", "80 % band", "50 % band", "Baseline", "Measured later"]
    assert [row[1] for row in table.rows] == [f"{value:g}" for value in said(entry, "median")]
    assert table.rows[0][0] == "Wed 22 Oct 07:40"
    assert table.rows[0][2] == f"{said(entry, 'low')[0]} to {said(entry, 'high')[0]}"
    assert "vehicles/5 min" in table.caption
    assert "2025-10-22 at 07:40" in table.caption


def test_a_single_step_has_a_width(runtime: Runtime) -> None:
    drawn = chart(forecast_of(entry_of(runtime, minutes=5), runtime))

    left, right = pd.to_datetime(trace(drawn, "most")["x"][:2])
    assert right - left == pd.Timedelta(minutes=2.5)
    assert len(trace(drawn, "most")["y"]) == 4


# -- what was measured --------------------------------------------------------------------------


def test_the_history_ends_at_the_clock_and_what_came_later_begins_there(runtime: Runtime, drawn: Chart) -> None:
    panel = runtime.registry.open("demo").only(["S096"])
    flow = pd.Series(panel.observed("flow")[:, 0], index=panel.times)
    before, later = trace(drawn, "measured"), trace(drawn, "later")

    past = flow[:"2025-10-22T07:35"][-48:]  # type: ignore[misc]
    ahead = flow["2025-10-22T07:40":"2025-10-22T08:35"]  # type: ignore[misc]
    assert before["x"] == clock_times(pd.DatetimeIndex(past.index))
    assert before["y"] == [None if np.isnan(v) else v for v in past.tolist()]
    assert None in before["y"]
    assert later["x"] == clock_times(pd.DatetimeIndex(ahead.index))
    assert later["y"] == ahead.tolist()
    assert drawn.layout["shapes"][0]["x0"] == "2025-10-22 07:40:00"


def test_what_came_later_is_named_as_such(drawn: Chart) -> None:
    labels = {key.shows: key.label for key in drawn.legend}

    assert labels["later"] == "measured later, unseen by the forecast"
    assert list(labels) == ["measured", "median", "half", "most", "baseline", "later"]


def test_what_was_filled_in_is_no_reading(runtime: Runtime) -> None:
    panel = runtime.registry.open("demo")
    times, nodes = np.nonzero(panel.imputed("flow"))
    at = int(times[times > 288 * 8][0])
    node = panel.node_ids[int(nodes[times == at][0])]
    as_of = (panel.times[at] + 3 * panel.step).isoformat()

    drawn = chart(forecast_of(entry_of(runtime, as_of, node=node, channel="flow"), runtime))

    x = clock_times(panel.times[[at]])[0]
    filled, measured = trace(drawn, "filled"), trace(drawn, "measured")
    assert dict(zip(filled["x"], filled["y"], strict=True))[x] is not None
    assert dict(zip(measured["x"], measured["y"], strict=True))[x] is None
    assert "filled in, not measured" in [key.label for key in drawn.legend]


def test_at_the_end_of_the_data_nothing_came_later(runtime: Runtime) -> None:
    drawn = chart(forecast_of(entry_of(runtime, "2025-10-30T23:00"), runtime))

    assert "later" not in [key.shows for key in drawn.legend]
    assert any("nothing that was measured after" in note for note in drawn.notes)
    assert {row[5] for row in drawn.table.rows} == {"–"}


def test_a_clock_change_makes_no_knot(runtime: Runtime) -> None:
    drawn = chart(forecast_of(entry_of(runtime, "2025-10-26T02:00:00+00:00"), runtime))

    x = trace(drawn, "measured")["x"] + trace(drawn, "median")["x"]
    assert (np.diff(pd.to_datetime(x).to_numpy()) == np.timedelta64(5, "m")).all()
    assert any("clocks are changed" in note for note in drawn.notes)


def test_a_later_span_has_what_came_before_it_too(runtime: Runtime) -> None:
    drawn = chart(forecast_of(entry_of(runtime, minutes=20, start_in_minutes=30), runtime))

    assert trace(drawn, "median")["x"][0] == "2025-10-22 08:10:00"
    assert trace(drawn, "later")["x"][0] == "2025-10-22 07:40:00"


# -- what is not as it was ----------------------------------------------------------------------


def test_without_its_data_the_forecast_is_still_shown(runtime: Runtime, entry: Evidence) -> None:
    gone = entry.model_copy(update={"args": {**entry.args, "dataset": "gone"}})

    drawn = chart(forecast_of(gone, runtime))

    assert [found["meta"] for found in drawn.data] == ["most", "half", "baseline", "median"]
    assert trace(drawn, "median")["y"] == said(entry, "median")
    assert any("What was measured is not shown. There is no data set 'gone'" in note for note in drawn.notes)
    go.Figure(data=drawn.data, layout=drawn.layout)


def test_other_data_of_the_same_name_are_not_mixed_in(tmp_path: Path, runtime: Runtime, entry: Evidence) -> None:
    demo = demo_panel()
    hourly: Panel = dataclasses.replace(demo, data=demo.data.isel(time=slice(None, None, 12)))
    other = Runtime(load_settings(home=tmp_path / "other"))
    other.registry = Registry(None, tmp_path, {"demo": lambda: hourly})
    other.images = ImageStore(runtime.images.folder)

    drawn = chart(forecast_of(entry, other))

    assert not {"measured", "later"} & {found["meta"] for found in drawn.data}
    assert any("another one than when the forecast was made" in note for note in drawn.notes)


@pytest.mark.parametrize("picture", ["gone", "of another forecast", "without numbers"])
def test_no_inner_band_but_that_of_this_very_forecast(
    runtime: Runtime, entry: Evidence, drawn: Chart, picture: str
) -> None:
    from mm4st_agent.imaging.lines import draw_line

    if picture == "gone":
        image_id = "0" * 64
    elif picture == "of another forecast":
        image_id = entry_of(runtime, node="S039").images[0].image_id
    else:
        times = pd.date_range("2025-10-22", periods=3, freq="5min", tz="Europe/Lisbon")
        plain = draw_line(
            times=times, values=np.arange(3.0), imputed=np.zeros(3, bool), usual=None, title="t", unit="u",
            time_zone="Europe/Lisbon", synthetic=True,
        )  # fmt: skip
        image_id = runtime.images.put(plain.png)
    handle = entry.images[0].model_copy(update={"image_id": image_id})

    without = chart(forecast_of(entry.model_copy(update={"images": [handle]}), runtime))

    assert [t for t in drawn.data if t["meta"] not in ("half", "median")] == [
        t for t in without.data if t["meta"] != "median"
    ]
    assert "half" not in [found["meta"] for found in without.data]
    assert any("The 50 % band is not shown" in note for note in without.notes)
    assert {row[3] for row in without.table.rows} == {"–"}


def test_names_of_the_data_are_no_markup(runtime: Runtime, entry: Evidence) -> None:
    evil = "<a href='https://x.invalid'>flow</a> %{x}"
    words = {**entry.words, "unit": evil, "channel_title": evil, "baseline_name": evil}

    drawn = chart(forecast_of(entry.model_copy(update={"words": words}), runtime))

    texts = [text for trace in drawn.data for text in trace.get("hovertext", [])]
    assert not any("<a" in text for text in [*texts, *(a["text"] for a in drawn.layout["annotations"])])
    assert all(trace.get("hovertemplate") in (None, "%{hovertext}<extra></extra>") for trace in drawn.data)


# -- the route ----------------------------------------------------------------------------------


@pytest.fixture
def client(runtime: Runtime, tmp_path: Path) -> Callable[[str | None], TestClient]:
    stranger = Runtime(load_settings(home=tmp_path / "stranger"))

    def sign_in(user: str | None) -> TestClient:
        app = FastAPI()

        @app.middleware("http")
        async def known(request: Request, go_on: Callable[[Request], Any]) -> Response:
            request.state.user = user
            return await go_on(request)

        app.include_router(charts.router(lambda name: stranger if name == "stranger" else runtime))
        return TestClient(app)

    return sign_in


def test_the_chart_of_an_answer(client: Callable[[str | None], TestClient], answer: Answer) -> None:
    (entry,) = forecasts(answer)
    assert chart_of(answer, entry.id) == 0
    assert chart_of(answer, "E1") is None

    reply = client(None).get(f"/mm4st/charts/{answer.thread}/1/0")

    drawn = Chart.model_validate(reply.json())
    assert reply.status_code == 200
    assert trace(drawn, "median")["y"] == said(entry, "median")
    assert {"half", "later"} <= {key.shows for key in drawn.legend}
    assert drawn.alt == entry.images[0].alt


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("{thread}/1/1", "has one forecast, so there is none at position 1"),
        ("{thread}/2/0", "has no question 2"),
        ("nobody/1/0", "'nobody'"),
    ],
)
def test_what_is_not_there_gets_a_sentence(
    client: Callable[[str | None], TestClient], answer: Answer, path: str, sentence: str
) -> None:
    reply = client(None).get(f"/mm4st/charts/{path.format(thread=answer.thread)}")

    assert reply.status_code == 404
    assert sentence in reply.text


def test_nobody_sees_the_chart_of_another(client: Callable[[str | None], TestClient], answer: Answer) -> None:
    assert client("stranger").get(f"/mm4st/charts/{answer.thread}/1/0").status_code == 404
