"""Each peer with the hyperparameters of its paper, and how it is built for a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict
from scipy import sparse
from torch import nn

from eval.peers.dlinear import DLinear
from eval.peers.graph_wavenet import GraphWaveNet
from eval.peers.inputs import PeerInputs
from eval.peers.staeformer import StaeFormer
from eval.peers.stid import Stid


class Recipe(BaseModel):
    """How a peer is trained: Adam on the masked MAE; the epoch with the best validation MAE is kept.

    Attributes:
        milestones: After so many epochs the learning rate is multiplied by `decay`.
        clip: Largest norm of the gradient; None does not clip.
        patience: Epochs without a better validation MAE before it stops.
        calendar: Also give it our long-history inputs.
        bfloat16: Learn in it, as our networks do, where the processor multiplies it; for those that take hours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float
    weight_decay: float = 0.0
    milestones: tuple[int, ...] = ()
    decay: float = 0.5
    batch_windows: int = 32
    clip: float | None = None
    max_epochs: int = 100
    patience: int = 15
    calendar: bool = False
    bfloat16: bool = False


_STID = Recipe(learning_rate=0.002, weight_decay=1e-4, milestones=(1, 50, 80))

RECIPES: Mapping[str, Recipe] = {
    "dlinear": Recipe(learning_rate=0.005),
    "stid": _STID,
    "stid-calendar": _STID.model_copy(update={"calendar": True}),
    "graph-wavenet": Recipe(learning_rate=0.001, weight_decay=1e-4, batch_windows=64, clip=5.0, bfloat16=True),
    "staeformer": Recipe(
        learning_rate=0.001, weight_decay=0.0015, milestones=(25, 45, 65), decay=0.1, batch_windows=16, bfloat16=True
    ),
}

Build = Callable[[PeerInputs, sparse.csr_array], nn.Module]


def _stid(inputs: PeerInputs, graph: sparse.csr_array) -> nn.Module:
    return Stid(
        graph.shape[0],
        inputs.history,
        inputs.horizon,
        per_day=inputs.per_day,
        days=inputs.days,
        extras=inputs.extras,
    )


NETWORKS: Mapping[str, Build] = {
    "dlinear": lambda inputs, graph: DLinear(inputs.history, inputs.horizon),
    "stid": _stid,
    "stid-calendar": _stid,
    "graph-wavenet": lambda inputs, graph: GraphWaveNet(graph, inputs.horizon, per_day=inputs.per_day),
    "staeformer": lambda inputs, graph: StaeFormer(
        graph.shape[0], inputs.history, inputs.horizon, per_day=inputs.per_day
    ),
}
"""Each builds the network for inputs and a graph `(N, N)`; its first weights come from torch's seed."""
