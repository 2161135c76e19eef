"""`find_analogs`: past windows that the trained model sees as most like now, and what followed them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.calibration import aggregate
from mm4st_agent.forecaster.config import HIGH, LOW, MEDIAN
from mm4st_agent.forecaster.forecast import check_readings, duration, total_unit
from mm4st_agent.forecaster.measured import channel_at, measuring, place_of
from mm4st_agent.forecaster.slots import slots_a_day
from mm4st_agent.toolspec import ImageHandle, Measured, Passage, ToolIn, ToolOut, ToolSpec, Unit, UnitOf
from tools.about import AboutNode, about
from tools.forecast import MAX_MINUTES
from tools.log_entries import entries_near, passage_of
from tools.readings import given, mean_of

if TYPE_CHECKING:
    from mm4st_agent.data.events import Event
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.analogs import Grid
    from mm4st_agent.forecaster.checkpoint import Checkpoint
    from mm4st_agent.forecaster.forecast import Forecast
    from tools.context import ToolContext

MOST_ENTRIES = 3
"""Of the log, with each analog."""
UNLIKE = 0.3
"""A cosine below this is no likeness."""


class FindAnalogsIn(ToolIn):
    """Find the past moments at one node that were most like now, and what the next hour brought then."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the station or sensor.")
    channel: str | None = Field(None, description="Which quantity; leave out for the first that the node measures.")
    k: int = Field(5, ge=1, le=12, description="How many.")
    minutes: int = Field(60, ge=1, le=MAX_MINUTES, description="How long a span after each moment is told.")


class Analog(ToolOut):
    """One past moment; the span that followed is as long as `minutes`."""

    time: datetime = Field(description="The moment that was like now.")
    similarity: Annotated[float | None, Unit("1")] = Field(
        description="Cosine of its embedding and that of now, standardised over all moments searched; at most 1."
    )
    unit: str
    just_before: Measured = Field(description="Mean of the measured readings that the model read before it.")
    mean: Measured = Field(description="Mean of the span that followed.")
    total_unit: str
    total: Annotated[float | None, UnitOf("total_unit")] = Field(description="Sum or mean of the span that followed.")
    logged: int = Field(description="Entries of the log on something near that ran then.")
    entries: list[Passage] = Field(description="The nearest of them in time, in the log's words.")


class Outcomes(ToolOut):
    """What followed the analogs beside what is forecast now, summed or averaged over the span."""

    aggregation: Literal["sum", "mean"]
    unit: str
    lowest: Measured
    middle: Measured = Field(description="Median of the analogs.")
    highest: Measured
    forecast_low: Measured
    forecast: Measured = Field(description="Median, as forecast gives it; low and high are its 80 % interval.")
    forecast_high: Measured
    inside: int = Field(description="How many of the analogs ended within the forecast's 80 % interval.")


class FindAnalogsOut(AboutNode):
    """Past moments like now, the most alike first; None is undefined."""

    model: str = Field(description="Whose embeddings are compared.")
    forecast_by: str = Field(description="What the forecast comes from: the model, or a baseline that did better.")
    minutes: Annotated[float, Unit("min")]
    just_before: Measured = Field(description="Mean of the measured readings that the model reads before now.")
    searched: int = Field(description="Moments that were compared; what followed each of them was known by as_of.")
    stride_minutes: Annotated[float, Unit("min")] = Field(description="They lie so far apart.")
    around_minutes: Annotated[float | None, Unit("min")] = Field(
        description="Only those so near to the same time of the day; None: any."
    )
    searched_from: datetime
    searched_until: datetime
    analogs: list[Analog]
    outcomes: Outcomes
    warnings: list[str] = Field(description="What must be said along with these numbers.")
    figure: ImageHandle


@dataclass(frozen=True)
class _Search:
    """What was compared.

    Attributes:
        panel: Only the nodes that measure the channel.
        observed: `(T,)` measured readings of the node.
        origins: `(W,)` positions of the first step that followed each window.
        taken: Rows of `origins` and their cosines, best first.
    """

    panel: Panel
    grid: Grid
    observed: NDArray[np.float32]
    history: int
    horizon: int
    origins: NDArray[np.intp]
    taken: list[tuple[int, float]]

    def moment(self, row: int) -> pd.Timestamp:
        """When the last reading before a window's outcome had come in."""
        times = self.panel.times
        return times[int(self.origins[row]) - 1] + (self.panel.start - times[0])

    def before(self, row: int) -> NDArray[np.float32]:
        at = int(self.origins[row])
        return self.observed[at - self.history : at]

    def after(self, row: int) -> NDArray[np.float32]:
        at = int(self.origins[row])
        return self.observed[at : at + self.horizon]


def find_analogs(args: FindAnalogsIn, ctx: ToolContext) -> FindAnalogsOut:
    """Compare embeddings of past windows with that of the present one."""
    panel = ctx.panel(args.dataset)
    channel = channel_at(panel, args.node, args.channel)
    horizon = math.ceil(args.minutes * 60 / panel.step_s)
    forecaster = ctx.trained_for(panel, channel)
    check_readings(ctx.registry.open(args.dataset), forecaster.needed_readings)
    found = forecaster.predict(panel, [args.node], channel.name, horizon)[0]
    search = _search(args, ctx, panel, found, forecaster.checkpoint)
    analogs = [_analog(search, panel, found, row, cosine) for row, cosine in search.taken]
    around = search.grid.around
    return FindAnalogsOut(
        **about(panel, args.node, channel),
        model=forecaster.name,
        forecast_by=found.model,
        minutes=horizon * panel.step_s / 60,
        just_before=mean_of(search.observed[-search.history :]),
        searched=len(search.origins),
        stride_minutes=search.grid.stride * panel.step_s / 60,
        around_minutes=None if around is None else around * panel.step_s / 60,
        searched_from=search.moment(0).to_pydatetime(),
        searched_until=search.moment(-1).to_pydatetime(),
        analogs=analogs,
        outcomes=_outcomes(analogs, found),
        warnings=list(_warnings(args, panel, found, search)),
        figure=_figure(ctx, panel, found, search),
    )


def _search(args: FindAnalogsIn, ctx: ToolContext, whole: Panel, found: Forecast, checkpoint: Checkpoint) -> _Search:
    from mm4st_agent.forecaster.analogs import APART_S, Grid, candidates, digest, embeddings, most_alike
    from mm4st_agent.forecaster.slots import extended, slots_of
    from mm4st_agent.knowledge.windows import WindowKey

    channel, history, horizon = found.channel, checkpoint.card.network.history, len(found.times)
    panel = measuring(whole, channel)
    observed = panel.only([args.node]).observed(channel.name)[:, 0]
    grid = Grid.of(checkpoint, panel.step_s)
    slots = slots_of(extended(panel.times, 1), panel.step_s)
    origins = candidates(grid, slots, observed, history, horizon)
    if not len(origins):
        raise _too_little(panel, grid, args.node, history, horizon)
    times = panel.times.as_unit("s").asi8

    def embed(moments: Sequence[int]) -> NDArray[np.float32]:
        return embeddings(checkpoint, panel, channel, args.node, np.searchsorted(times, np.asarray(moments)))

    asked = times[origins].tolist()
    key = WindowKey(panel.card.sha256, channel.name, digest(checkpoint), args.node)
    vectors = embed(asked) if ctx.windows is None else ctx.windows.vectors(key, asked, embed)
    present = embeddings(checkpoint, panel, channel, args.node, np.array([len(observed)]))[0]
    apart = max(APART_S // panel.step_s, history + horizon)
    taken = most_alike(vectors, present, origins, apart, args.k)
    return _Search(panel, grid, observed, history, horizon, origins, taken)


def _too_little(panel: Panel, grid: Grid, node: str, history: int, horizon: int) -> UsageError:
    needed = 2 * history + horizon
    a_day = slots_a_day(panel.step_s)
    if grid.around is not None and grid.around < horizon + history and a_day > 1:  # the first is of the day before
        needed = max(needed, history + a_day - grid.around + grid.stride - 1)
    an_hour = 3600 // math.gcd(3600, panel.step_s)
    span = duration(-(-needed // an_hour) * an_hour * panel.step_s)  # in whole hours
    if len(panel.times) < needed:
        first = panel.start + (needed - 1) * panel.step
        hint = f"Choose a time from {first:%Y-%m-%dT%H:%M} on."
    else:
        hint = "Choose a later time, or another node: too little was measured before."
    return UsageError(
        f"At {panel.end:%Y-%m-%dT%H:%M} {panel.name!r} has no earlier window of {node} that was measured and whose "
        f"outcome is known; it takes {span} of readings.",
        hint,
    )


def _analog(search: _Search, panel: Panel, found: Forecast, row: int, cosine: float) -> Analog:
    after = search.after(row)
    logged = _logged(search, panel, found.node, row)
    return Analog(
        time=search.moment(row).to_pydatetime(),
        similarity=given(cosine, digits=3),
        unit=found.channel.unit,
        just_before=mean_of(search.before(row)),
        mean=mean_of(after),
        total_unit=found.total.unit,
        total=given(float(aggregate(after, found.channel.aggregation, axis=0)), digits=5),
        logged=len(logged),
        entries=[passage_of(panel, entry) for entry in logged[:MOST_ENTRIES]],
    )


def _logged(search: _Search, panel: Panel, node: str, row: int) -> list[Event]:
    """Entries on what ran near the node between the window's begin and its outcome's end; the nearest in time first."""
    moment = search.moment(row)
    first, last = moment - search.history * panel.step, moment + search.horizon * panel.step
    return sorted(entries_near(panel, node, first, last), key=lambda entry: abs(entry.start - moment))


def _outcomes(analogs: list[Analog], found: Forecast) -> Outcomes:
    totals = np.array([analog.total for analog in analogs], dtype=np.float64)
    low, high = found.total.low, found.total.high
    return Outcomes(
        aggregation=found.channel.aggregation,
        unit=total_unit(found.channel),
        lowest=given(totals.min(), digits=5),
        middle=given(float(np.median(totals)), digits=5),
        highest=given(totals.max(), digits=5),
        forecast_low=given(low, digits=5),
        forecast=given(found.total.median, digits=5),
        forecast_high=given(high, digits=5),
        inside=int(((totals >= low) & (totals <= high)).sum()),
    )


def _warnings(args: FindAnalogsIn, panel: Panel, found: Forecast, search: _Search) -> Iterator[str]:
    if len(search.taken) < args.k:
        yield f"Only {len(search.taken)} moments that lie apart could be found, not {args.k}."
    best = search.taken[0][1]
    if best < UNLIKE:
        yield f"No earlier moment is much like now: the best similarity is {best:.2f}."
    yield from found.warnings
    if panel.card.synthetic:
        yield f"The data are synthetic: {panel.card.title}."
    span = search.horizon * panel.step_s / 60
    if span != args.minutes:
        yield (
            f"The data have steps of {panel.step_s / 60:g} minutes, so each span is {span:g} minutes instead of "
            f"{args.minutes}."
        )


def _figure(ctx: ToolContext, panel: Panel, found: Forecast, search: _Search) -> ImageHandle:
    from mm4st_agent.imaging.overlays import draw_analogs
    from mm4st_agent.imaging.readings import Trace

    place, steps = place_of(panel, found.node), max(search.history, search.horizon)
    shown = search.observed[-steps:]

    def around(row: int) -> NDArray[np.float32]:
        at = int(search.origins[row])
        before = search.observed[max(0, at - len(shown)) : at]
        gap = np.full(len(shown) - len(before), np.nan, dtype=np.float32)
        return np.concatenate([gap, before, search.after(row)])

    picture = draw_analogs(
        present=Trace(place, search.panel.times[-len(shown) :], shown),
        analogs=[(f"{search.moment(row):%a %d %b %H:%M}", around(row)) for row, _ in search.taken],
        times=found.times,
        forecast=found.quantiles[:, [LOW, MEDIAN, HIGH]],
        title=f"{place[0].upper()}{place[1:]}: {found.channel.label}, now and when it was most like now",
        unit=found.channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )
    return ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt)


FIND_ANALOGS = ToolSpec(
    "find_analogs", FindAnalogsIn, FindAnalogsOut, find_analogs, title="Looking for similar moments"
)
