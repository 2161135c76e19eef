"""`compare_series`: two windows of one node, or two nodes over one window, on one picture and in numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.measured import channel_at, latest, place_of
from mm4st_agent.toolspec import ImageHandle, Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.context import cut_at
from tools.readings import given, mean_of

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from mm4st_agent.imaging.readings import Trace
    from tools.context import ToolContext


class CompareSeriesIn(ToolIn):
    """Set two places side by side over the same hours, or one place against itself at another time."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    node: str = Field(description="Id of the first place.")
    other: str | None = Field(
        None, description="Id of the second place; leave out to compare two windows of the first."
    )
    channel: str | None = Field(None, description="Which quantity; leave out for the first that `node` measures.")
    hours: float = Field(24, gt=0, le=336, description="Length of the windows.")
    until: datetime | None = Field(
        None, description="Where the later window ends, local time of the data; leave out for now."
    )
    back_days: float = Field(
        7, gt=0, le=366, description="How much earlier the other window lies, where no second place is given."
    )


class CompareSeriesOut(ToolOut):
    """Means over measured readings only; `first` is the earlier window or the first place. None is undefined."""

    figure: ImageHandle
    channel: str
    unit: str
    first: str = Field(description="What the upper line shows.")
    second: str = Field(description="What the lower line shows.")
    hours: Annotated[float, Unit("h")]
    until: datetime = Field(description="Where the later window ends.")
    first_mean: Measured
    second_mean: Measured
    difference: Measured = Field(description="second_mean less first_mean.")
    percent: Annotated[float | None, Unit("%")] = Field(description="100 * second_mean / first_mean, where above 0.")
    both_measured: int = Field(description="Steps at which both were measured.")
    mean_gap: Measured = Field(description="Mean absolute difference at those steps.")
    correlation: Annotated[float | None, Unit("1")] = Field(description="Pearson's r at those steps, if 3 or more.")


def compare_series(args: CompareSeriesIn, ctx: ToolContext) -> CompareSeriesOut:
    """Compare what is known at the end of the later window, by default the context's clock."""
    panel = cut_at(ctx.panel(args.dataset), args.until)
    channel = channel_at(panel, args.node, args.channel)
    steps = max(2, round(args.hours * 3600 / panel.step_s))
    if args.other == args.node:
        raise UsageError(f"{args.node!r} is compared with itself.", "Name another place, or leave `other` out.")
    if args.other is not None:
        channel_at(panel, args.other, channel.name)
        first, second = (_trace(panel, node, channel.name, steps, place_of(panel, node)) for node in _both(args))
        where = f"{args.node} and {args.other}"
    else:
        earlier = cut_at(panel, (panel.end - timedelta(days=args.back_days)).to_pydatetime())
        first, second = (
            _trace(cut, args.node, channel.name, steps, f"until {cut.end:%H:%M on %A %d %B %Y}")
            for cut in (earlier, panel)
        )
        where = place_of(panel, args.node)
    from mm4st_agent.imaging.pair import draw_pair

    picture = draw_pair(
        first=first,
        second=second,
        title=f"{where[:1].upper()}{where[1:]}: {channel.label}",
        unit=channel.unit,
        time_zone=panel.card.time_zone,
        synthetic=panel.card.synthetic,
    )
    one, two = (np.where(t.imputed, np.nan, t.values) if t.imputed is not None else t.values for t in (first, second))
    shared = min(len(one), len(two))
    a, b = one[-shared:], two[-shared:]
    both = np.isfinite(a) & np.isfinite(b)
    varied = both.sum() >= 3 and a[both].std() > 0 and b[both].std() > 0
    means = mean_of(one), mean_of(two)
    known = means[0] is not None and means[1] is not None
    return CompareSeriesOut(
        figure=ImageHandle(image_id=ctx.images.put(picture.png), title=picture.title, alt=picture.alt),
        channel=channel.name,
        unit=channel.unit,
        first=first.label,
        second=second.label,
        hours=steps * panel.step_s / 3600,
        until=panel.end.to_pydatetime(),
        first_mean=means[0],
        second_mean=means[1],
        difference=given(means[1] - means[0]) if known else None,  # type: ignore[operator]
        percent=given(100 * means[1] / means[0]) if known and means[0] > 0 else None,  # type: ignore[operator]
        both_measured=int(both.sum()),
        mean_gap=mean_of(np.abs(a - b)[both]),
        correlation=given(float(np.corrcoef(a[both], b[both])[0, 1])) if varied else None,
    )


def _both(args: CompareSeriesIn) -> tuple[str, str]:
    assert args.other is not None
    return args.node, args.other


def _trace(panel: Panel, node: str, channel: str, steps: int, label: str) -> Trace:
    from mm4st_agent.imaging.readings import Trace

    values, imputed = latest(panel.only([node]), channel, steps)
    return Trace(label, panel.times[-len(values) :], values[:, 0].astype(np.float64), imputed[:, 0])


COMPARE_SERIES = ToolSpec(
    "compare_series", CompareSeriesIn, CompareSeriesOut, compare_series, title="Comparing two series"
)
