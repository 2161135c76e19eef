"""What a tool may touch: panels as of a moment, pictures, texts, forecasters. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.prediction import Forecaster, TrainedForecaster
from mm4st_agent.imaging.store import ImageStore
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.windows import WindowIndex


@dataclass(frozen=True)
class ToolContext:
    """Given to every tool call; made by the runtime, never by a chat model.

    Attributes:
        as_of: The clock. Text without a zone is local time of the data; 'end' is the data's end, None the
            data's own `now`.
        windows: Keeps embeddings of past windows; None makes them anew at each call.
    """

    registry: Registry
    images: ImageStore
    knowledge: KnowledgeIndex
    forecaster_for: Callable[[Panel, Channel], Forecaster]
    as_of: str | None = None
    windows: WindowIndex | None = None

    def panel(self, dataset: str) -> Panel:
        """The data set as it was known at `as_of`.

        Raises:
            UsageError: no such data set, or `as_of` is outside it.
            DataError: its files are missing or broken.
        """
        whole = self.registry.open(dataset)
        return whole.until(self.as_of or whole.now)

    def trained_for(self, panel: Panel, channel: Channel) -> TrainedForecaster:
        """The trained forecaster of a channel.

        Raises:
            UsageError: none was trained.
            DataError: its checkpoint is broken.
        """
        found = self.forecaster_for(panel, channel)
        if not isinstance(found, TrainedForecaster):
            raise UsageError(
                f"No model was trained for {channel.label} of {panel.name!r}, and a baseline has nothing to compare.",
                f"Train one: mm4st train --dataset {panel.name} --channel {channel.name}. forecast works without.",
            )
        return found


def cut_at(panel: Panel, until: datetime | None) -> Panel:
    """The panel as it was known at the end of a window, which may lie before its clock; None is the clock.

    Raises:
        UsageError: `until` is later than the clock, before the data, or skipped or repeated by a clock change.
    """
    if until is None:
        return panel
    moment = panel.local(until)
    if not panel.start <= moment <= panel.end:
        raise UsageError(
            f"until {moment:%Y-%m-%dT%H:%M} is not between the first reading, {panel.start:%Y-%m-%dT%H:%M}, and the "
            f"clock, {panel.end:%Y-%m-%dT%H:%M}.",
            "Leave it out to look up to now; forecast looks ahead.",
        )
    return panel.until(moment.to_pydatetime())
