"""The interactive chart of a forecast as plotly JSON, and the same numbers as a table.

Colours are not in here: each trace says in `meta` what it shows, and the page's styles say how that looks by day and by
night. Times are written as the clock of the forecast shows them, as plotly knows no time zones.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.forecast import duration
from mm4st_agent.web.forecasts import Forecast, Readings, Series, forecast_of, forecasts
from mm4st_agent.web.served import PREFIX, RuntimeFor
from mm4st_agent.web.words import number
from tools.forecast import HISTORY_SPANS

Json = dict[str, Any]
_BLANK = "–"
_DAY_MS = 86_400_000
_TICKS = [
    {"dtickrange": [None, 59_999], "value": "%H:%M:%S\n%a %-d %b"},
    {"dtickrange": [60_000, _DAY_MS - 1], "value": "%H:%M\n%a %-d %b"},
    {"dtickrange": [_DAY_MS, "M1"], "value": "%a %-d %b\n%Y"},
    {"dtickrange": ["M1", None], "value": "%b\n%Y"},
]
"""How times are written below the axis, by the distance of two of them."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Key(_Part):
    """One line of the legend: what the traces whose `meta` is `shows` are, in plain words."""

    shows: str
    label: str


class Table(_Part):
    """The forecast's steps in numbers, as text."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


class Chart(_Part):
    """What the page draws: `data` and `layout` as plotly takes them.

    Attributes:
        narrow: What a narrow screen shows of the horizontal axis.
        alt: The chart in words.
        legend: In the order in which it is read.
        notes: Sentences that belong below it.
    """

    data: list[Json]
    layout: Json
    narrow: list[str]
    alt: str
    legend: list[Key]
    notes: list[str]
    table: Table


def chart(forecast: Forecast) -> Chart:
    """Lay a forecast out: history, bands, median, baseline, what came later, and the clock."""
    entry = forecast.entry
    traces = list(_traces(forecast))
    shown = {trace["meta"] for trace in traces}
    labels = {
        "measured": "measured",
        "filled": "filled in, not measured",
        "median": "forecast: median",
        "half": "50 % band",
        "most": "80 % band",
        "baseline": f"baseline: {forecast.word('baseline_name')}",
        "later": "measured later, unseen by the forecast",
    }
    return Chart(
        data=traces,
        layout=_layout(forecast, traces),
        narrow=_span(forecast, 2),
        alt=entry.images[0].alt if entry.images else "",
        legend=[Key(shows=shows, label=label) for shows, label in labels.items() if shows in shown],
        notes=list(_notes(forecast, shown)),
        table=_table(forecast),
    )


def router(runtime_for: RuntimeFor) -> APIRouter:
    """`GET /mm4st/charts/{thread}/{turn}/{k}`: the k-th forecast, from 0, behind the answer to a question, from 1."""
    routes = APIRouter(prefix=f"/{PREFIX}")

    @routes.get("/charts/{thread}/{turn:int}/{k:int}", response_model=Chart)
    def one(thread: str, turn: int, k: int, request: Request) -> Chart | PlainTextResponse:
        runtime = runtime_for(request.state.user)
        try:
            answer = runtime.conversations.turn(thread, turn).answer
        except UsageError as err:
            return PlainTextResponse(str(err), status_code=404)
        found = [] if answer is None else forecasts(answer)
        if k >= len(found):
            return PlainTextResponse(_none_of(len(found), k), status_code=404)
        return chart(forecast_of(found[k], runtime))

    return routes


def _none_of(count: int, k: int) -> str:
    has = {0: "no forecast", 1: "one forecast"}.get(count, f"{count} forecasts")
    return f"The answer to this question has {has}, so there is none at position {k}, counted from 0."


# -- what is drawn ------------------------------------------------------------------------------


def _traces(forecast: Forecast) -> Iterator[Json]:
    """From the back to the front."""
    ledger, times, unit = forecast.ledger, forecast.times, forecast.unit
    yield from _band(forecast, "most", ledger["low"], ledger["high"])
    if forecast.half is not None:
        yield from _band(forecast, "half", forecast.half[:, 0], forecast.half[:, 1])
    dots = {"mode": "lines+markers"}
    for shows, readings, said, look in (
        ("measured", forecast.measured, "measured", {**dots, "line": {"width": 1.5}, "marker": {"size": 4}}),
        (
            "filled",
            forecast.filled,
            "filled in, not measured",
            {**dots, "line": {"width": 1.5, "dash": "dot"}, "marker": {"size": 5, "symbol": "circle-open"}},
        ),
    ):
        if np.isfinite(readings.values).any():
            yield _line(forecast, shows, readings, _said(said, readings.values, unit), look)
    baseline = _said("baseline", ledger["baseline"], unit)
    dashed = {**dots, "line": {"width": 2, "dash": "dash"}, "marker": {"size": 5, "symbol": "square-open"}}
    yield _line(forecast, "baseline", Readings(times, ledger["baseline"]), baseline, dashed)
    bold = {**dots, "line": {"width": 3}, "marker": {"size": 5 if len(times) > 1 else 10}}
    yield _line(forecast, "median", Readings(times, ledger["median"]), _medians(forecast), bold)
    if np.isfinite(forecast.later.values).any():
        late = {**dots, "line": {"width": 2, "dash": "dashdot"}, "marker": {"size": 7, "symbol": "diamond-open"}}
        later = forecast.later
        yield _line(forecast, "later", later, _said("measured later", later.values, unit), late)


def _line(forecast: Forecast, shows: str, readings: Readings, hover: list[str], look: Json) -> Json:
    return {
        "type": "scatter",
        "meta": shows,
        "x": _x(forecast, readings.times),
        "y": [float(f"{value:.6g}") if np.isfinite(value) else None for value in readings.values],
        "hovertext": hover,
        "hovertemplate": "%{hovertext}<extra></extra>",
        **look,
    }


def _band(forecast: Forecast, shows: str, low: Series, high: Series) -> Iterator[Json]:
    """An area around the steps whose ends are known; a single step gets half a step's width."""
    known = np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return
    times, low, high = forecast.times[known], low[known], high[known]
    if len(times) == 1:
        half = pd.Timedelta(minutes=float(forecast.entry.values["step_minutes"].value)) / 4
        times, low, high = pd.DatetimeIndex([times[0] - half, times[0] + half]), low.repeat(2), high.repeat(2)
    yield {
        "type": "scatter",
        "meta": shows,
        "x": _x(forecast, pd.DatetimeIndex(times.append(times[::-1]))),
        "y": np.concatenate([low, high[::-1]]).tolist(),
        "mode": "lines",
        "line": {"width": 1 if shows == "most" else 0, "dash": "dot"},
        "fill": "toself",
        "hoverinfo": "skip",
    }


def _said(name: str, values: Series, unit: str) -> list[str]:
    return [f"{name}: {_amount(value, unit)}" for value in values]


def _medians(forecast: Forecast) -> list[str]:
    ledger, said = forecast.ledger, _said("forecast median", forecast.ledger["median"], forecast.unit)
    inner = [] if forecast.half is None else [f"<br>50 % band: {_range(*ends)}" for ends in forecast.half]
    halves = inner or [""] * len(said)
    mosts = [f"<br>80 % band: {_range(*ends)}" for ends in zip(ledger["low"], ledger["high"], strict=True)]
    return ["".join(lines) for lines in zip(said, halves, mosts, strict=True)]


def _amount(value: float, unit: str) -> str:
    return html.escape(f"{number(float(value))} {unit}".strip()) if np.isfinite(value) else "unknown"


def _range(low: float, high: float) -> str:
    return f"{number(float(low))} to {number(float(high))}" if np.isfinite([low, high]).all() else "unknown"


def _x(forecast: Forecast, times: pd.DatetimeIndex) -> list[str]:
    """By the clock of the forecast, also where the clocks are changed in between."""
    clock = forecast.clock
    offset = clock.tz_localize(None) - clock.tz_convert("UTC").tz_localize(None)
    shown = times.tz_convert("UTC").tz_localize(None) + offset
    return [str(moment) for moment in shown.strftime("%Y-%m-%d %H:%M:%S")]


def _layout(forecast: Forecast, traces: list[Json]) -> Json:
    (clock,) = _x(forecast, pd.DatetimeIndex([forecast.clock]))
    values = np.array([value for trace in traces for value in trace["y"] if value is not None])
    near_zero = len(values) > 0 and 0 <= values.min() <= 0.5 * values.max()
    title = forecast.word("channel_title")
    what = title[:1].upper() + title[1:] + (f", {forecast.unit}" if forecast.unit else "")
    made = f"forecast made {forecast.clock.day} {forecast.clock:%b %H:%M} ▸"
    above = {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False}
    return {
        "hovermode": "x unified",
        "showlegend": False,
        "margin": {"l": 8, "r": 12, "t": 44, "b": 8},
        "xaxis": {
            "type": "date",
            "automargin": True,
            "range": _span(forecast, HISTORY_SPANS),
            "hoverformat": "%a %-d %b %Y %H:%M",
            "tickformatstops": _TICKS,
            "title": {"text": f"local time ({html.escape(forecast.zone)})", "standoff": 8, "font": {"size": 12}},
        },
        "yaxis": {"automargin": True, "rangemode": "tozero" if near_zero else "normal", "nticks": 7},
        "shapes": [
            {
                "type": "line", "x0": clock, "x1": clock, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
                "line": {"width": 1.5, "dash": "dot"},
            }
        ],
        "annotations": [
            {**above, "x": 0, "xanchor": "left", "yshift": 20, "text": html.escape(what)},
            {**above, "xref": "x", "x": clock, "xanchor": "right", "text": made},
        ],
    }  # fmt: skip


def _span(forecast: Forecast, history: int) -> list[str]:
    """From so many times before the clock as the forecast reaches ahead, to its end, half a step around."""
    step = pd.Timedelta(minutes=float(forecast.entry.values["step_minutes"].value))
    first = forecast.clock - history * (forecast.times[-1] + step - forecast.clock)
    if len(forecast.measured.times) == 0:
        first = min(forecast.clock, forecast.times[0])
    return _x(forecast, pd.DatetimeIndex([first - step / 2, forecast.times[-1] + step / 2]))


def _moment(when: pd.Timestamp) -> str:
    return f"{when:%a} {when.day} {when:%b %H:%M}"


# -- what is said -------------------------------------------------------------------------------


def _notes(forecast: Forecast, shown: set[str]) -> Iterator[str]:
    if "later" not in shown and not forecast.missing:
        yield "The data hold nothing that was measured after the forecast was made."
    inner = ", five of ten in the 50 % band" if "half" in shown else ""
    yield f"Eight of ten later readings should lie in the 80 % band{inner}."
    if forecast.lasts_s:
        yield f"Each point is for the {duration(forecast.lasts_s)} from its time on."
    if len({moment.utcoffset() for moment in (*forecast.measured.times, *forecast.times)}) > 1:
        offset = forecast.clock.isoformat()[-6:]
        yield f"The clocks are changed within these hours; the axis keeps the time of the forecast (UTC{offset})."
    yield from forecast.missing
    if forecast.entry.words.get("synthetic") is True:
        yield "Synthetic data: a simulation made them."


def _table(forecast: Forecast) -> Table:
    entry, ledger = forecast.entry, forecast.ledger
    later = pd.Series(forecast.later.values, index=forecast.later.times).reindex(forecast.times).to_numpy()
    half = np.full((len(forecast.times), 2), np.nan) if forecast.half is None else forecast.half
    rows = zip(
        forecast.times, ledger["median"], ledger["low"], ledger["high"], half, ledger["baseline"], later, strict=True
    )
    title = entry.images[0].title if entry.images else forecast.word("channel_title")
    return Table(
        caption=f"{title}{f', in {forecast.unit}' if forecast.unit else ''}. Forecast made on "
        f"{forecast.clock:%Y-%m-%d} at {forecast.clock:%H:%M}; times are local ({forecast.zone}).",
        columns=["Time", "Median", "80 % band", "50 % band", "Baseline", "Measured later"],
        rows=[
            [
                _moment(time), _cell(median), _cell(low, high), _cell(*ends), _cell(baseline), _cell(measured),
            ]
            for time, median, low, high, ends, baseline, measured in rows
        ],
    )  # fmt: skip


def _cell(*values: float) -> str:
    return " to ".join(number(float(value)) for value in values) if np.isfinite(values).all() else _BLANK
