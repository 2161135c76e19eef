"""What is usual, estimated from the training part: so much does a node, the network, the weather vary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.seasonal import leave_own_out
from mm4st_agent.forecaster.slots import Slots, slots_of

Spread = tuple[float, float]
"""Mean and standard deviation."""


@dataclass(frozen=True)
class FactStatistics:
    """Estimated from the training part; stored in the checkpoint.

    Attributes:
        node: `(N,)` standard deviation of a node's readings about the profile, in the channel's unit, positive.
        network: The same of the mean over the nodes.
        covariates: Spread of each covariate, in its unit, by name.
        kinds: Kinds of event that were published, sorted.
    """

    node: NDArray[np.float32]
    network: float
    covariates: Mapping[str, Spread]
    kinds: tuple[str, ...]

    @classmethod
    def fit(cls, panel: Panel, train: NDArray[np.float32], slots: Slots) -> Self:
        """Fit to `train` `(T, N)`, the measured readings of the training part, whose slots are `slots`.

        The profile at a step is the one that the other weeks give it; about a profile that has seen the reading,
        the readings would vary too little.

        Args:
            panel: Holds the training part; only the nodes that measure the channel.
            train: NaN is missing or imputed.
            slots: Of the T steps.
        """
        deviation = train - leave_own_out(train, slots, panel.step_s)
        seen = np.isfinite(deviation)
        kept = np.where(seen, deviation, 0).astype(np.float64)
        overall = float(np.sqrt((kept**2).sum() / max(1, seen.sum()))) or 1.0
        counts = seen.sum(axis=0)
        node = np.sqrt((kept**2).sum(axis=0) / np.maximum(counts, 1))
        some = seen.any(axis=1)
        together = kept[some].sum(axis=1) / seen[some].sum(axis=1)
        network = float(np.sqrt((together**2).mean())) if len(together) else overall
        times = _times(panel, slots)
        utc = times.tz_convert("UTC").tz_localize(None)
        return cls(
            np.where(node > 0, node, overall).astype(np.float32),
            network or overall,
            {
                str(name): _spread(variable.sel(time=slice(utc[0], utc[-1])).to_numpy())
                for name, variable in sorted(panel.covariates.data_vars.items(), key=lambda item: str(item[0]))
                if "time" in variable.dims
            },
            tuple(sorted({e.kind for e in panel.events if e.published_at <= times[-1]})),
        )

    @staticmethod
    def shapes(nodes: int) -> dict[str, tuple[int | None, ...]]:
        """Of what `to_arrays` gives; None is a length that only the arrays know."""
        return {"node": (nodes,), "network": (1,), "covariates": (None, 2), "names": (None,)}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """For a checkpoint, which holds nothing but arrays; names are the bytes of a JSON object."""
        names = json.dumps({"covariates": list(self.covariates), "kinds": self.kinds}, ensure_ascii=False)
        return {
            "node": self.node,
            "network": np.array([self.network], dtype=np.float64),
            "covariates": np.array(list(self.covariates.values()), dtype=np.float64).reshape(-1, 2),
            "names": np.frombuffer(names.encode(), dtype=np.uint8).copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `to_arrays` gave."""
        names = json.loads(arrays["names"].tobytes())
        spreads = [(float(mean), float(std)) for mean, std in arrays["covariates"]]
        return cls(
            np.asarray(arrays["node"], dtype=np.float32),
            float(arrays["network"][0]),
            dict(zip(names["covariates"], spreads, strict=True)),
            tuple(names["kinds"]),
        )


def _times(panel: Panel, slots: Slots) -> pd.DatetimeIndex:
    """The time stamps of the steps of `slots`, a stretch of the panel's."""
    every = slots_of(panel.times, panel.step_s)
    first = np.flatnonzero((every.day == slots.day[0]) & (every.of_day == slots.of_day[0]))[0]
    return panel.times[first : first + len(slots.day)]


def _spread(values: NDArray[np.floating]) -> Spread:
    """0 and 1 where nothing is known; 1 in place of a standard deviation of 0."""
    known = values[np.isfinite(values)].astype(np.float64)
    return (float(known.mean()), float(known.std()) or 1.0) if len(known) else (0.0, 1.0)
