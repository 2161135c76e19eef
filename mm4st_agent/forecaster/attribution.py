"""The window behind one forecast, and what the forecast is without some of its inputs.

Nothing is estimated: an input is taken away from what the network reads, and the network runs again. Copies of the
window that differ in what they lack run together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.calibration import aggregate
from mm4st_agent.forecaster.checkpoint import Checkpoint
from mm4st_agent.forecaster.config import MEDIAN
from mm4st_agent.forecaster.inputs import Batch, Preparation, steps_read
from mm4st_agent.forecaster.measured import latest
from mm4st_agent.forecaster.numeric import NumericBranch
from mm4st_agent.forecaster.slots import extended, slots_of
from mm4st_agent.forecaster.stvlm.lines import Prompt
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.stvlm.preparation import StInputs
from mm4st_agent.forecaster.stvlm.tokenizer import TextTable, Tokenizer
from mm4st_agent.forecaster.stvlm.tokens import Modality, StBatch

_AT_ONCE = 8192
"""So many nodes, those of all copies together, run at a time."""

PartKind = Literal["sensor", "lag", "usual", "level", "line", "picture"]


class Part(NamedTuple):
    """One input of a forecast, and what its removal means.

    Attributes:
        kind: 'sensor': another node, none of whose readings is taken as measured, neither in the history nor over the
            days before. 'lag': one history step of the node itself, taken as not measured. 'level': the node's mean
            deviation over the last day and week, taken as usual. 'usual': the usual course of the week; the node's
            mean stands in at each step, and no time of day is told. 'line': one line of the prompt, left out; the
            others stay as they were written. 'picture': absent.
        at: Position of the node, the history step or the line; 0 where there is one only.
    """

    kind: PartKind
    at: int = 0


@dataclass(frozen=True)
class Window:
    """The inputs of the forecast of one node.

    Attributes:
        checkpoint: Whose network reads them.
        batch: The one window.
        prompt: The lines that the network reads; none in the numeric branch.
        events: The entry of the log behind each line; None for other lines.
        node: Position of the node among those of the checkpoint.
        steps: Of the horizon, that are explained.
        aggregation: How they add up.
        tokenizer: Of the prompt; None in the numeric branch.
    """

    checkpoint: Checkpoint
    batch: Batch | StBatch
    prompt: Prompt
    events: tuple[Event | None, ...]
    node: int
    steps: slice
    aggregation: Literal["sum", "mean"]
    tokenizer: Tokenizer | None

    @classmethod
    def of(cls, checkpoint: Checkpoint, panel: Panel, channel: Channel, node: str, steps: slice) -> Self:
        """The window that follows the last reading of `panel`, which holds the checkpoint's nodes and no others."""
        shape = checkpoint.card.network
        values, imputed = latest(panel, channel.name, steps_read(shape.history, panel.step_s))
        recent = np.where(imputed, np.float32(np.nan), values)
        cut = dataclasses.replace(panel, data=panel.data.isel(time=slice(-len(recent), None)))
        times = extended(panel.times[-len(recent) :], shape.horizon)
        inputs = checkpoint.inputs(cut, recent, slots_of(times, panel.step_s, panel.card.holidays))
        batch = inputs.windows(torch.tensor([len(recent)]), shape.history, shape.horizon)
        told: list[tuple[int, Event | None]] = []
        prompt: Prompt = ()
        tokenizer = None
        if isinstance(inputs, StInputs):
            assert isinstance(batch, StBatch)
            prompt, tokenizer = inputs.facts.prompt(len(recent)), inputs.tokenizer
            # The prompt has the entries of the log in their own order, those of the latest about each happening first.
            entries = iter(inputs.facts.log.events[n] for part in inputs.facts.log.ranked(len(recent)) for n in part)
            told = [(n, next(entries) if line.kind == "event" else None) for n, line in enumerate(prompt)]
            read = set(batch.text.line[batch.text.present].tolist())
            told = [(n, event) for n, event in told if n in read]
            prompt = tuple(prompt[n] for n, _ in told)
        return cls(
            checkpoint,
            batch,
            prompt,
            tuple(event for _, event in told),
            panel.position(node),
            steps,
            channel.aggregation,
            tokenizer,
        )

    @property
    def reads_text(self) -> bool:
        """Whether the network is given texts at all."""
        network = self.checkpoint.network
        return isinstance(network, StVlm) and network.config.text_tokens > 0

    @property
    def numeric(self) -> Batch:
        """What the numeric branch reads."""
        return self.batch.numeric if isinstance(self.batch, StBatch) else self.batch

    def parts(self) -> list[Part]:
        """Everything that can be taken away, the usual course first; what was not measured is not there."""
        measured, level = self.numeric.history[0, :, :, 1] > 0, self.numeric.level[0]
        here = measured.any(dim=0) | (level != 0).any(dim=-1)
        sensors = [Part("sensor", n) for n in torch.nonzero(here).flatten().tolist() if n != self.node]
        lags = [Part("lag", step) for step in torch.nonzero(measured[:, self.node]).flatten().tolist()]
        levels = [Part("level")] if bool((level[self.node] != 0).any()) else []
        lines = [Part("line", n) for n in range(len(self.prompt))]
        network = self.checkpoint.network
        pictures = [Part("picture")] if isinstance(network, StVlm) and network.vision is not None else []
        return [Part("usual"), *levels, *lags, *sensors, *lines, *pictures]

    def totals(self, removals: Sequence[Collection[Part]]) -> NDArray[np.float64]:
        """`(R,)` the median of the steps, added up or averaged, without each collection of parts.

        In the unit of the total; a part that is not there changes nothing.
        """
        distinct = list(dict.fromkeys(frozenset(removal) for removal in removals))
        size = max(1, _AT_ONCE // self.numeric.history.shape[2])
        card = self.checkpoint.card
        found: dict[frozenset[Part], float] = {}
        with torch.inference_mode():
            for start in range(0, len(distinct), size):
                some = distinct[start : start + size]
                scaled = self._quantiles(self._without(some), [Part("picture") in removal for removal in some])
                fan = self.checkpoint.preparation.scaler.inverse(scaled.numpy())
                median = card.calibration.bounded(fan[:, self.steps, self.node, MEDIAN])
                found |= dict(zip(some, aggregate(median, self.aggregation, axis=1).tolist(), strict=True))
        return np.array([found[frozenset(removal)] for removal in removals], dtype=np.float64)

    def sensitivity(self) -> NDArray[np.float64]:
        """`(N,)` gradient times input of each node's readings, its share of the neighbours' means included.

        It finds the sensors whose removal is worth a run of its own where there are too many for each to have one.

        Source:
            Shrikumar et al. (2016), arXiv:1605.01713.
        """
        numeric = self.numeric
        history, level = (part.clone().requires_grad_() for part in (numeric.history, numeric.level))
        changed = numeric._replace(history=history, level=level)
        batch = self.batch._replace(numeric=changed) if isinstance(self.batch, StBatch) else changed
        with torch.enable_grad():
            total = self._quantiles(batch, [False])[0, self.steps, self.node, MEDIAN].sum()
            by_history, by_level = torch.autograd.grad(total, (history, level))
        products = (by_history * history).detach()[0].abs().sum(dim=0).double()
        own = products[:, :3].sum(dim=-1) + (by_level * level).detach()[0].abs().sum(dim=-1).double()
        return np.asarray(own.numpy() + self._preparation.neighbours.T @ products[:, 3].numpy(), dtype=np.float64)

    def shares(self) -> dict[Modality, float] | None:
        """How much the series token of the node's segment read of each modality in layer 0; None: it cannot be told."""
        network = self.checkpoint.network
        if not isinstance(network, StVlm):
            return None
        assert isinstance(self.batch, StBatch)
        with torch.inference_mode():
            shares = network.read(self.batch).shares
        if shares is None:
            return None
        row = shares[0, int(network.segment_of[self.node])].tolist()
        return {modality: row[modality] for modality in Modality}

    @property
    def _preparation(self) -> Preparation:
        prepared = self.checkpoint.preparation
        return prepared if isinstance(prepared, Preparation) else prepared.numeric

    def _without(self, removals: Sequence[Collection[Part]]) -> Batch | StBatch:
        """A copy of the window for each removal; the picture is left out later, as a token."""
        numeric, copies = self.numeric, len(removals)
        steps, nodes = numeric.history.shape[1:3]
        hidden = torch.zeros(copies, steps, nodes, dtype=torch.bool)
        silent = torch.zeros(copies, nodes, dtype=torch.bool)
        profile, level, clock = (
            part.repeat(copies, *[1] * (part.ndim - 1))
            for part in (numeric.profile, numeric.level, numeric.time_of_day)
        )
        usual = float(self._preparation.scaler.transform(self._preparation.profile[:, self.node]).mean())
        for copy, removal in enumerate(removals):
            for part in removal:
                if part.kind == "sensor":
                    silent[copy, part.at] = True
                elif part.kind == "lag":
                    hidden[copy, part.at, self.node] = True
                elif part.kind == "level":
                    level[copy, self.node] = 0
                elif part.kind == "usual":
                    profile[copy, :, self.node], clock[copy] = usual, 0
        changed = Batch(
            self._unmeasured(numeric.history, hidden | silent[:, None]),
            profile,
            clock,
            numeric.day_type.repeat(copies),
            level * ~silent[..., None],
        )
        if not isinstance(self.batch, StBatch):
            return changed
        days = None if self.batch.days is None else self._unmeasured(self.batch.days, silent[:, None, None])
        prompts = [
            tuple(line for n, line in enumerate(self.prompt) if Part("line", n) not in removal) for removal in removals
        ]
        assert self.tokenizer is not None
        limit = max(1, self.batch.text.ids.shape[1])
        text = TextTable.of(prompts, self.tokenizer, limit).at(torch.arange(copies))
        return StBatch(changed, text, days)

    def _unmeasured(self, history: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """`history` `(1, ..., N, 4)`, see `inputs.CHANNELS`, as though `hidden` `(B, ..., N)` had not been measured."""
        own = torch.where(hidden[..., None], 0, history[..., :3])
        flat = own.reshape(-1, own.shape[-2], 3).numpy()
        neighbours = self._preparation.neighbours
        seen, sums = ((neighbours @ flat[..., channel].T).T for channel in (1, 2))
        near = np.where(seen > 0, sums / np.where(seen > 0, seen, 1), 0).astype(np.float32)
        return torch.cat([own, torch.from_numpy(near).reshape(*own.shape[:-1], 1)], dim=-1)

    def _quantiles(self, batch: Batch | StBatch, blind: Sequence[bool]) -> torch.Tensor:
        """`(B, horizon, N, 5)` scaled; the copies that are `blind` go without the picture."""
        network = self.checkpoint.network
        if isinstance(network, NumericBranch):
            assert isinstance(batch, Batch)
            return network(batch)  # type: ignore[no-any-return]
        assert isinstance(batch, StBatch)
        plain = network.numeric.states(batch.numeric)
        states = plain + network.words()
        tokens = network.sequence(batch, states)
        dropped = torch.tensor(blind)[:, None] & (tokens.modality == Modality.VISION)
        tokens = tokens._replace(present=tokens.present & ~dropped)
        added, _ = network.head(states, network.backbone(tokens).values, tokens)
        return network.numeric.fan(batch.numeric, network.numeric.steps(plain) + added)
