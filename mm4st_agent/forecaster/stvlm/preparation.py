"""What ST-VLM estimates from the training part, and the windows it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import Scaler
from mm4st_agent.forecaster.inputs import Inputs, Preparation
from mm4st_agent.forecaster.slots import Slots
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.controls import elsewhere
from mm4st_agent.forecaster.stvlm.facts import Facts, FactStatistics
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.text import node_lines
from mm4st_agent.forecaster.stvlm.tokenizer import HashedTokenizer, TextTable, Tokenizer
from mm4st_agent.forecaster.stvlm.tokens import StBatch, TextBatch
from mm4st_agent.forecaster.stvlm.vision import EARLIER_DAYS


@dataclass(frozen=True)
class StInputs:
    """A whole series with its texts, ready to be cut into windows.

    Attributes:
        numeric: Readings, profile and calendar.
        facts: What the prompts are made of.
        tokenizer: Of the backbone.
        config: Of the network.
        per_day: Steps in one day.
    """

    numeric: Inputs
    facts: Facts
    tokenizer: Tokenizer
    config: StVlmConfig
    per_day: int
    _texts: dict[int, TextBatch] = field(default_factory=dict)

    def windows(self, origins: torch.Tensor, history: int, horizon: int) -> StBatch:
        """As `Inputs.windows`; a prompt is written when its window is first asked for."""
        days = self._days(origins, history, horizon) if self.config.layout == "dayfold" else None
        numeric = self.numeric.windows(origins, history, horizon)
        facts, shown = None, None
        if self.config.told == "numbers":
            facts = torch.from_numpy(np.stack([self.facts.numeric_facts(origin) for origin in origins.tolist()]))
        if self.config.shown == "other":
            shown = self.numeric.windows(elsewhere(origins, history), history, horizon).history
        elif self.config.shown == "blank":
            shown = torch.zeros_like(numeric.history)
        return StBatch(numeric, self.text(origins), days, facts, shown)

    def text(self, origins: torch.Tensor) -> TextBatch:
        """The prompts of windows whose first forecast step is at `origins` `(B,)`, or what is told in their place."""
        if self.config.told in ("constant", "numbers"):
            origins = torch.full_like(origins, self.config.history)
        elif self.config.told == "other":
            origins = elsewhere(origins, self.config.history)
        asked = origins.tolist()
        new = list(dict.fromkeys(origin for origin in asked if origin not in self._texts))
        if new:
            limit = self.config.text_tokens
            table = TextTable.of([self.facts.prompt(origin) for origin in new], self.tokenizer, limit)
            for row, origin in enumerate(new):
                self._texts[origin] = table.at(torch.tensor([row]))
        return _stacked([self._texts[origin] for origin in asked])

    def _days(self, origins: torch.Tensor, history: int, horizon: int) -> torch.Tensor:
        back = torch.arange(1, EARLIER_DAYS + 1)[:, None] * self.per_day
        steps = origins[:, None, None] - back + torch.arange(-history, horizon)
        known = (steps >= 0) & (steps < origins[:, None, None])
        cut: torch.Tensor = self.numeric.history[steps.clamp(min=0, max=len(self.numeric.history) - 1)]
        return cut * known[..., None, None]


@dataclass(frozen=True)
class StPreparation:
    """Estimated from the training part and the graph; stored in the checkpoint.

    Attributes:
        numeric: Of the numeric branch.
        regions: Order and segments of the nodes.
        statistics: Of the texts.
        places: `(N, 2)` latitude and longitude; NaN is unknown.
        node_words: `(N, L)` token ids of what is known of each node; 0 is padding.
    """

    numeric: Preparation
    regions: Regions
    statistics: FactStatistics
    places: NDArray[np.float64]
    node_words: NDArray[np.int64]

    @classmethod
    def fit(cls, panel: Panel, observed: NDArray[np.float32], slots: Slots, train: slice, config: StVlmConfig) -> Self:
        """Fit to the steps `train` of the measured readings `observed` `(T, N)`; `slots` are of T' >= T steps."""
        part = slots.only(train)
        numeric = Preparation.fit(panel, observed[train], part, config.numeric.eigenvectors)
        table = panel.nodes
        places = np.full((len(table), 2), np.nan)
        if {"lat", "lon"} <= set(table.columns):
            places = table[["lat", "lon"]].to_numpy(dtype=np.float64)
        return cls(
            numeric,
            Regions.of(panel, config),
            FactStatistics.fit(panel, observed[train], part),
            places,
            _padded(HashedTokenizer().encode(node_lines(panel))),
        )

    @property
    def scaler(self) -> Scaler:
        return self.numeric.scaler

    @property
    def eigenvectors(self) -> NDArray[np.float32]:
        return self.numeric.eigenvectors

    @classmethod
    def shapes(cls, nodes: int) -> dict[str, tuple[int | None, ...]]:
        """Of what `to_arrays` gives; None is a length that only the arrays know."""
        return {
            **Preparation.shapes(nodes),
            "places": (nodes, 2),
            "regions.order": (nodes,),
            "regions.of_patch": (None,),
            "regions.affinity": (None, None),
            "words": (nodes, None),
            **{f"facts.{name}": shape for name, shape in FactStatistics.shapes(nodes).items()},
        }

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint stores; the eigenvectors are kept with the weights."""
        return {
            **self.numeric.to_arrays(),
            "places": self.places,
            "regions.order": self.regions.order.astype(np.int32),
            "regions.of_patch": self.regions.of_patch.astype(np.int32),
            "regions.affinity": self.regions.affinity,
            "words": self.node_words.astype(np.int32),
            **{f"facts.{name}": array for name, array in self.statistics.to_arrays().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], numeric: Preparation, config: StVlmConfig) -> Self:
        """Back from `to_arrays`."""
        regions = Regions(
            arrays["regions.order"].astype(np.intp),
            config.patch,
            arrays["regions.of_patch"].astype(np.intp),
            arrays["regions.affinity"],
        )
        facts = {name.removeprefix("facts."): array for name, array in arrays.items() if name.startswith("facts.")}
        words = arrays["words"].astype(np.int64)
        return cls(numeric, regions, FactStatistics.from_arrays(facts), arrays["places"], words)


def _padded(lines: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """`(N, L)` with 0 behind the shorter ones."""
    out = np.zeros((len(lines), max(1, *map(len, lines))), dtype=np.int64)
    for row, ids in zip(out, lines, strict=True):
        row[: len(ids)] = ids
    return out


def _stacked(parts: list[TextBatch]) -> TextBatch:
    """One batch, padded to the longest."""
    longest = max(part.ids.shape[1] for part in parts)

    def joined(name: str, padding: int) -> torch.Tensor:
        out = torch.full((len(parts), longest), padding, dtype=torch.int64)
        for row, part in enumerate(parts):
            given = getattr(part, name)[0]
            out[row, : len(given)] = given
        return out

    return TextBatch(joined("ids", 0), joined("line", -1), joined("node", -1))
