"""What one batch forecast is: fixed before the first block, and the same for every worker."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from mm4st_agent.agent.manifest import UsedForecaster, commit, used_forecaster
from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.forecast import check_horizon, check_readings
from mm4st_agent.forecaster.measured import channel_at, measuring
from mm4st_agent.runtime import Runtime

BLOCK = 64
"""Nodes in one block: as many as one chunk of a stored panel holds."""


class Job(BaseModel):
    """One forecast of many nodes from one moment. Two runs with equal jobs write the same rows.

    Attributes:
        as_of: ISO 8601 with an offset; nothing later is read.
        horizon: Steps.
        nodes: Ids, in the order of the blocks.
        block: Nodes in one block; the last may have fewer.
        commit: Of this source; None outside a checkout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    channel: str
    as_of: str
    horizon: int
    step_s: int
    nodes: tuple[str, ...]
    block: int
    data_sha256: str
    forecaster: UsedForecaster
    commit: str | None

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.nodes) // self.block)

    def nodes_of(self, block: int) -> tuple[str, ...]:
        """The nodes of block 0 .. `blocks` - 1."""
        return self.nodes[block * self.block : (block + 1) * self.block]


def job_of(
    runtime: Runtime,
    dataset: str,
    *,
    channel: str | None = None,
    as_of: str | None = None,
    horizon_min: float | None = None,
    nodes: Sequence[str] | None = None,
    block: int = BLOCK,
) -> Job:
    """Check what is asked for, and fix it.

    Args:
        runtime: Finds the data set and the forecaster.
        dataset: Its registered name.
        channel: None is the main one.
        as_of: The clock; without a zone it is local time of the data. None is the data's `now`.
        horizon_min: Minutes, rounded up to whole steps; None is as far as the forecaster reaches.
        nodes: Ids; None is every node that measures the channel.
        block: Nodes in one block.

    Raises:
        UsageError: unknown data set, channel or node, a node that does not measure the channel, a clock outside the
            data, or a horizon out of range.
        DataError: the data are missing, broken, too short, or not those of the forecaster.
    """
    whole = runtime.registry.open(dataset)
    panel = whole.until(whole.moment(as_of or whole.now))
    chosen = panel.channel(channel)
    forecaster = runtime.forecaster(whole, chosen)
    asked = panel.nodes_of(chosen.name) if nodes is None else list(dict.fromkeys(nodes))
    if not asked:
        raise UsageError("No node is named.", "Name some with --nodes A,B, or take --all-nodes.")
    if block < 1:
        raise UsageError(f"A block of {block} nodes holds none.", f"Use 1 or more, such as {BLOCK}.")
    for node in asked:
        channel_at(panel, node, chosen.name)
    horizon = forecaster.max_horizon if horizon_min is None else math.ceil(horizon_min * 60 / panel.step_s)
    check_horizon(panel, horizon, 0, forecaster.max_horizon)
    check_readings(measuring(panel, chosen), forecaster.needed_readings)
    return Job(
        dataset=whole.name,
        channel=chosen.name,
        as_of=panel.end.isoformat(),
        horizon=horizon,
        step_s=panel.step_s,
        nodes=tuple(asked),
        block=block,
        data_sha256=whole.card.sha256,
        forecaster=used_forecaster(whole.name, chosen.name, forecaster),
        commit=commit(),
    )
