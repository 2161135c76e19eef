"""The map's data: where nodes are drawn, their readings of the last day, and how the forecast changes them."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from mm4st_agent.errors import DataError, MM4STError, UsageError
from mm4st_agent.forecaster.forecast import duration
from mm4st_agent.forecaster.measured import measuring, observed_in, words_of
from mm4st_agent.forecaster.rolling import BaselineForecaster
from mm4st_agent.web.map_places import place_nodes
from mm4st_agent.web.map_scales import change_scale, colours, end_words, level_scale
from mm4st_agent.web.served import PREFIX, RuntimeFor

if TYPE_CHECKING:
    from mm4st_agent.data.card import Channel
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecaster
    from mm4st_agent.runtime import Runtime

Values = NDArray[np.float32]

SPAN = pd.Timedelta(days=1)
FEWEST_STEPS = 24
"""A slider over fewer says little: of daily data, so many days are shown."""
MOST_STEPS = 288
MOST_READINGS = 800_000
"""That travel to the browser, 3 MB; of larger data only every k-th step is shown."""
CHANGE_S = 3600
"""How far the forecast of the change reaches; data with longer steps look one step ahead."""
MOST_UNTRAINED = 400
"""Without a trained model places are forecast one by one, in about 30 ms each on one core."""
KEPT = 64
"""Forecast changes that are kept, and may be asked for again."""

_ZIPPED_FROM = 4096


def map_data(panel: Panel, channel: Channel, forecaster: Forecaster) -> dict[str, Any]:
    """Everything the map shows of one channel but the forecast change, ready for JSON.

    Args:
        panel: Cut at the clock; nothing later is in the reply.
        channel: What the colours count.
        forecaster: The channel's, which tells whether there is a forecast change to ask for.

    Raises:
        DataError: no node measures the channel.
    """
    measured = measuring(panel, channel)
    steps, every = _steps(measured)
    values = observed_in(measured, channel.name, steps)
    times = measured.times[steps]
    ids, placed = measured.node_ids, place_nodes(measured)
    names, words = [measured.place_name(node) for node in ids], words_of(measured)
    return {
        "dataset": panel.name,
        "title": panel.card.title,
        "zone": panel.card.time_zone,
        "channels": [{"name": c.name, "label": c.label} for c in panel.card.channels],
        "channel": channel.name,
        "label": channel.label,
        "unit": "" if channel.unit.strip() == "1" else channel.unit,
        "ids": ids,
        "names": [None if name == node else name for node, name in zip(ids, names, strict=True)],
        "words": words,
        "places": f"{words[0]}s" if len(set(words)) == 1 else "places",
        **placed.to_json(),
        "times": [time.isoformat(timespec="seconds") for time in times],
        "labels": [_covered(time, measured) for time in times],
        "every": duration(every * panel.step_s),
        "values": _packed(values),
        "scale": level_scale(values) | {"words": end_words(channel, change=False)},
        "colours": colours(),
        "no_change": _no_change(measured, channel, forecaster),
    }


def change_data(panel: Panel, channel: Channel, forecaster: Forecaster) -> dict[str, Any]:
    """How much the forecast mean of the next hour differs from each node's latest reading, ready for JSON.

    A reading older than the forecast is long says too little of the present: such a node has no change.

    Args:
        panel: Cut at the clock.
        channel: What changes.
        forecaster: The channel's.

    Raises:
        UsageError: the forecast does not reach so far, would take too long, or the clock is too early for it.
        DataError: nobody measured the channel lately, or the data are too short.
    """
    from mm4st_agent.forecaster.config import MEDIAN

    measured = measuring(panel, channel)
    if (refused := _no_change(measured, channel, forecaster)) is not None:
        raise UsageError(refused)
    steps, end = _ahead(measured), len(measured.times)
    latest = _latest(observed_in(measured, channel.name, slice(max(0, end - steps), end)))
    known = np.isfinite(latest)
    span = _span(steps * panel.step_s)
    if not known.any():
        raise DataError(
            f"Nobody measured {channel.label} in the {span} before the clock, so there is nothing to compare a "
            "forecast with.",
            "Move the clock.",
        )
    asked = [node for node, seen in zip(measured.node_ids, known, strict=True) if seen]
    found = forecaster.predict(measured, asked, channel.name, steps)
    change = np.full(len(latest), np.nan, dtype=np.float32)
    change[known] = [forecast.quantiles[:, MEDIAN].mean() for forecast in found] - latest[known]
    notes = [f"Mean of the forecast for the next {span}, less the latest measured reading."]
    if isinstance(forecaster, BaselineForecaster):
        notes.append(f"No model is trained for {channel.label} here: the forecast is the best of simple baselines.")
    if found[0].in_sample:
        notes.append("The clock lies in the time that the model was trained on, so it knows more than it would have.")
    return {
        "values": _packed(change),
        "latest": _packed(latest),
        "scale": change_scale(change) | {"words": end_words(channel, change=True)},
        "label": _covered(found[0].times[0], measured, steps),
        "notes": notes,
    }


def router(runtime_for: RuntimeFor) -> APIRouter:
    """`GET map/{dataset}` and `GET map/{dataset}/change`, both with `as_of` and `channel`; refusals are `{error}`."""
    routes = APIRouter(prefix=f"/{PREFIX}/map")
    changes: OrderedDict[tuple[str | None, ...], asyncio.Task[bytes]] = OrderedDict()
    one_at_a_time = asyncio.Lock()  # a forecast of all nodes uses every core

    async def change_of(user: str | None, panel: Panel, channel: Channel, runtime: Runtime) -> bytes:
        """Shared by everyone who asks for the same; a failure is not kept."""
        key = (user, panel.name, panel.card.sha256, channel.name, panel.end.isoformat())

        async def work() -> bytes:
            async with one_at_a_time:
                forecaster = await asyncio.to_thread(runtime.forecaster, panel, channel)
                return await asyncio.to_thread(lambda: _body(change_data(panel, channel, forecaster)))

        def forget_failure(task: asyncio.Task[bytes]) -> None:
            if (task.cancelled() or task.exception() is not None) and changes.get(key) is task:
                del changes[key]

        if key not in changes:
            changes[key] = asyncio.create_task(work())
            changes[key].add_done_callback(forget_failure)
            while len(changes) > KEPT:
                changes.popitem(last=False)
        changes.move_to_end(key)
        return await asyncio.shield(changes[key])  # who leaves stops nobody else

    @routes.get("/{dataset}")
    async def last_day(request: Request, dataset: str, as_of: str = "", channel: str = "") -> Response:
        runtime = runtime_for(_user(request))

        def work() -> bytes:
            panel, chosen = _opened(runtime, dataset, as_of, channel)
            return _body(map_data(panel, chosen, runtime.forecaster(panel, chosen)))

        try:
            return _reply(request, await asyncio.to_thread(work))
        except MM4STError as err:
            return _refusal(err)

    @routes.get("/{dataset}/change")
    async def change(request: Request, dataset: str, as_of: str = "", channel: str = "") -> Response:
        user = _user(request)
        runtime = runtime_for(user)
        try:
            panel, chosen = await asyncio.to_thread(_opened, runtime, dataset, as_of, channel)
            return _reply(request, await change_of(user, panel, chosen, runtime))
        except MM4STError as err:
            return _refusal(err)

    return routes


def _user(request: Request) -> str | None:
    user: str | None = getattr(request.state, "user", None)
    return user


def _opened(runtime: Runtime, dataset: str, as_of: str, channel: str) -> tuple[Panel, Channel]:
    """The panel at the clock, and the channel of it."""
    whole = runtime.registry.open(dataset)
    return whole.until(as_of or whole.now), whole.channel(channel or None)


def _body(data: dict[str, Any]) -> bytes:
    return json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _reply(request: Request, body: bytes) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(body) >= _ZIPPED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
    return Response(body, media_type="application/json", headers=headers)


def _refusal(err: MM4STError) -> Response:
    return Response(_body({"error": str(err)}), 400, media_type="application/json")


def _steps(panel: Panel) -> tuple[slice, int]:
    """The steps to show, the last one among them, and how many steps each stands for."""
    total = len(panel.times)
    count = min(total, max(FEWEST_STEPS, int(SPAN / panel.step)))
    most = max(2, min(MOST_STEPS, MOST_READINGS // len(panel.node_ids)))
    every = -(-count // most)
    return slice(total - 1 - (count - 1) // every * every, total, every), every


def _ahead(panel: Panel) -> int:
    return max(1, CHANGE_S // panel.step_s)


def _latest(readings: Values) -> Values:
    """`(N,)` the last reading of each column of `(S, N)`; NaN where it has none."""
    back = np.argmax(np.isfinite(readings[::-1]), axis=0)
    latest: Values = readings[::-1][back, np.arange(readings.shape[1])]
    return latest


def _no_change(panel: Panel, channel: Channel, forecaster: Forecaster) -> str | None:
    """Why there is no forecast change of this channel, as a sentence; None where there is one."""
    reach, wanted = forecaster.max_horizon, _ahead(panel)
    if wanted > reach:
        return (
            f"The forecast reaches {duration(reach * panel.step_s)} ahead, so there is no change over the next "
            f"{_span(wanted * panel.step_s)} to show."
        )
    count = len(panel.node_ids)
    if isinstance(forecaster, BaselineForecaster) and count > MOST_UNTRAINED:
        return (
            f"Without a trained model a forecast of all {count:,} places takes too long for a map. "
            f"To train one: mm4st train --dataset {panel.name} --channel {channel.name}."
        )
    return None


def _packed(values: Values) -> str:
    """Little-endian 32-bit floats in base64, row by row; NaN is missing."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _covered(first: pd.Timestamp, panel: Panel, steps: int = 1) -> str:
    """The time of readings as people write it, such as '22 Oct 07:35–07:40'."""
    last = first + (steps if panel.card.time_label == "start" else steps - 1) * panel.step
    if panel.step >= SPAN:
        return f"{first:%-d %b %Y}"
    clock = "%H:%M:%S" if panel.step_s % 60 else "%H:%M"
    until = f"–{last:{clock}}" if last > first else ""
    return f"{first:%-d %b} {first:{clock}}{until}"


def _span(seconds: float) -> str:
    """As `duration`, for use after 'the next': 'hour', '2 hours'."""
    return duration(seconds).removeprefix("1 ")
