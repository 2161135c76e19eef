"""Past windows that a trained network sees as most like the present one: their embeddings, and which are alike."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.slots import Slots, extended, slots_of

if TYPE_CHECKING:
    import torch

    from mm4st_agent.forecaster.checkpoint import Checkpoint
    from mm4st_agent.forecaster.inputs import Preparation
    from mm4st_agent.forecaster.numeric import NumericBranch
    from mm4st_agent.forecaster.stvlm.model import StVlm

Vectors = NDArray[np.float32]

MOST_WINDOWS = 10_000
"""The latest so many windows are looked at."""
APART_S = 3 * 3600
"""Analogs lie at least so far apart; two windows that share most of their hours are one."""
LEAST_MEASURED = 0.5
"""Of the history of a window at its node; about others the network knows little but the time of day."""
_BATCH = 128
_DIGESTS: weakref.WeakKeyDictionary[torch.nn.Module, str] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Grid:
    """Which windows are candidates: those that begin on an even grid of steps.

    Attributes:
        stride: Steps between two of them.
        around: Only those within so many steps of the same time of the day; None is all.
    """

    stride: int
    around: int | None

    @classmethod
    def of(cls, checkpoint: Checkpoint, step_s: int) -> Grid:
        """Every quarter of an hour, or every step where steps are longer; a network that reads all nodes, their
        picture and their log to embed one window is asked for those around the same time of the day only.
        """
        if isinstance(checkpoint.card.network, NumericConfig):
            return cls(max(1, 900 // step_s), None)
        return cls(max(1, 1800 // step_s), max(1, 3600 // step_s))

    def positions(self, slots: Slots, last: int) -> NDArray[np.intp]:
        """Origins up to `last`, oldest first; the last of `slots` is that of the present, after the panel's steps."""
        found = np.arange(0, last + 1, self.stride, dtype=np.intp)
        if self.around is not None and slots.per_day > 1:
            gap = np.abs(slots.of_day[found] - slots.of_day[-1])
            found = found[np.minimum(gap, slots.per_day - gap) <= self.around]
        return found[-MOST_WINDOWS:]


def candidates(grid: Grid, slots: Slots, observed: NDArray[np.float32], history: int, horizon: int) -> NDArray[np.intp]:
    """Origins of windows that can be compared with the present and whose outcome is known.

    The window and what followed it end before the history of the present begins. Every step of the outcome was
    measured, and half of the history.

    Args:
        grid: Where they may begin.
        slots: Of the T steps of `observed` and of the one that follows.
        observed: `(T,)` measured readings of the node; NaN is missing or imputed.
        history: Steps that a window holds.
        horizon: Steps that follow it.

    Returns:
        `(W,)` positions of the first step that followed, oldest first.
    """
    last = len(observed) - history - horizon
    found = grid.positions(slots, last)
    found = found[found >= history]
    seen = np.concatenate([[0], np.cumsum(np.isfinite(observed))])
    before, after = seen[found] - seen[found - history], seen[found + horizon] - seen[found]
    return np.asarray(found[(before >= LEAST_MEASURED * history) & (after == horizon)])


def embeddings(
    checkpoint: Checkpoint, panel: Panel, channel: Channel, node: str, origins: NDArray[np.integer]
) -> Vectors:
    """What the network makes of the windows before `origins`, from the view of one node.

    Of the numeric branch: the node's state before the head. Of ST-VLM: that state with the node's words, and the fused
    series token of the node's segment.

    Args:
        checkpoint: Fits the panel.
        panel: Only nodes that measure the channel; a window reads nothing after its origin.
        channel: Of the checkpoint.
        node: Id.
        origins: `(W,)` positions in the panel; `len(panel.times)` is the present.

    Returns:
        `(W, D)`, dimensionless, of no particular scale.
    """
    from mm4st_agent.forecaster.inputs import steps_read

    first = max(0, int(origins.min()) - steps_read(checkpoint.card.network.history, panel.step_s))
    first = min(first, len(panel.times) - 2)  # a panel has two steps or more
    panel, origins = replace(panel, data=panel.data.isel(time=slice(first, None))), origins - first
    if isinstance(checkpoint.card.network, NumericConfig):
        return _numeric(checkpoint, panel, channel, node, origins)
    from mm4st_agent.forecaster.stvlm.tokens import Modality

    network: StVlm = checkpoint.network  # type: ignore[assignment]
    at = panel.position(node)
    segment = int(network.segment_of[at])
    inputs = checkpoint.inputs(panel, panel.observed(channel.name), _slots(panel, network.config.horizon))
    words = network.words()[at]

    def embed(windows: torch.Tensor) -> torch.Tensor:
        import torch

        batch = inputs.windows(windows, network.config.history, network.config.horizon)
        state = network.numeric.states(batch.numeric)[:, at] + words  # type: ignore[union-attr]
        out = network.read(batch)  # type: ignore[arg-type]
        token = out.fused[:, out.tokens.modality == Modality.SERIES][:, segment]
        return torch.cat([state, token], dim=1)

    return _chunked(embed, origins)


def _numeric(
    checkpoint: Checkpoint, panel: Panel, channel: Channel, node: str, origins: NDArray[np.integer]
) -> Vectors:
    """The branch reads a node and the mean of its neighbours, so nothing else is read or reckoned."""
    preparation: Preparation = checkpoint.preparation  # type: ignore[assignment]
    branch: NumericBranch = checkpoint.network  # type: ignore[assignment]
    shape, at = branch.config, panel.position(node)
    near = preparation.neighbours[[at]].indices
    kept = np.array([at, *near[near != at]])
    part = replace(
        preparation,
        profile=preparation.profile[:, kept],
        neighbours=preparation.neighbours[kept][:, kept],
        eigenvectors=preparation.eigenvectors[kept],
    )
    ids = panel.node_ids
    observed = panel.only([ids[position] for position in kept]).observed(channel.name)
    inputs = part.inputs(observed, _slots(panel, shape.horizon))
    own = replace(inputs, history=inputs.history[:, :1], profile=inputs.profile[:, :1], level=inputs.level[:, :1])
    alone = _at_node(branch, at)
    return _chunked(lambda windows: alone.states(own.windows(windows, shape.history, shape.horizon))[:, 0], origins)


def _at_node(branch: NumericBranch, at: int) -> NumericBranch:
    """The same network for one node."""
    import torch

    from mm4st_agent.forecaster.numeric import NumericBranch

    weights = dict(branch.state_dict())
    for name in ("identity.weight", "eigenvectors"):
        weights[name] = weights[name][at : at + 1]
    with torch.random.fork_rng():
        alone = NumericBranch(branch.config, weights["eigenvectors"].clone())
    alone.load_state_dict(weights)
    return alone.eval()


def _chunked(embed: Callable[[torch.Tensor], torch.Tensor], origins: NDArray[np.integer]) -> Vectors:
    import torch

    with torch.inference_mode():
        parts = [
            embed(torch.from_numpy(chunk.astype(np.int64))).numpy()
            for chunk in np.array_split(origins, max(1, len(origins) // _BATCH))
        ]
    return np.concatenate(parts).astype(np.float32)


def _slots(panel: Panel, horizon: int) -> Slots:
    return slots_of(extended(panel.times, horizon), panel.step_s, panel.card.holidays)


def digest(checkpoint: Checkpoint) -> str:
    """Changes when anything does that an embedding rests on: weights, shape, or what was estimated beside them."""
    network = checkpoint.network
    if network not in _DIGESTS:
        said = hashlib.sha256(checkpoint.card.network.model_dump_json().encode())
        for name, tensor in sorted(network.state_dict().items()):
            said.update(name.encode() + np.ascontiguousarray(tensor.numpy()).tobytes())
        for name, array in sorted(checkpoint.preparation.to_arrays().items()):
            said.update(name.encode() + np.ascontiguousarray(array).tobytes())
        _DIGESTS[network] = said.hexdigest()
    return _DIGESTS[network]


def most_alike(
    vectors: Vectors, present: Vectors, origins: NDArray[np.integer], apart: int, count: int
) -> list[tuple[int, float]]:
    """The windows nearest in meaning to the present one, best first.

    Each number of an embedding is standardised over the candidates, or else what all windows of a node share would
    make any two of them alike; then the cosine decides. Of windows that lie close together the best is taken.

    Args:
        vectors: `(W, D)` of the candidates.
        present: `(D,)`.
        origins: `(W,)` their positions in steps.
        apart: Fewest steps between two that are taken.
        count: At most so many.

    Returns:
        Rows of `vectors` with their cosine, in [-1, 1].
    """
    rows = vectors.astype(np.float64)
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread < 1e-9] = np.inf
    unit, now = (rows - mean) / spread, (present - mean) / spread
    lengths = np.linalg.norm(unit, axis=1) * np.linalg.norm(now)
    cosines = np.divide(unit @ now, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    taken: list[int] = []
    for row in np.argsort(-cosines, kind="stable").tolist():
        if all(abs(int(origins[row]) - int(origins[other])) >= apart for other in taken):
            taken.append(row)
        if len(taken) == count:
            break
    return [(row, float(cosines[row])) for row in taken]
