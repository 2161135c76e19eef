"""The head: each node reads the fused tokens and adds to the forecast of the numeric branch."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mm4st_agent.forecaster.config import QUANTILES
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.tokens import Tokens

_UNLINKED = 0.01
"""Added to the affinity of two segments, so that unlinked ones are less likely to be read and not impossible."""
_AFFINITY_WEIGHT = 0.1
"""At the start: tokens of linked segments are read a little more."""
_GATE = -2.0
"""At the start: sigmoid of it, about an eighth, scales what the head gives."""
_ABSENT = -3e4
"""Score of a token that is not there; half precision holds it."""
_HELD = 2**25
"""Attention weights held at a time, 128 MiB; nodes are read in parts where there are more."""
_CACHED = 2**19
"""The same on a processor, whose cache these fit into: 11 ms in place of 26 ms for 3,532 nodes and 192 tokens."""


class NodeHead(nn.Module):
    """r_n = cross-attention of node n over all tokens; steps = sigmoid(a_h) * W MLP(z_n + r_n).

    A score gains nu * log(eps + affinity of the node's segment and the token's), with nu learned per head; a token
    about the whole network has affinity 1 to every node. Its width is that of the node states, so that the
    cost per node does not grow with the backbone. W starts at 0: an untrained head adds nothing.
    """

    def __init__(
        self, regions: Regions, hidden: int, width: int, horizon: int, heads: int = 4, *, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.horizon, self.heads = horizon, heads
        # Half the width of the states: what each node reads of each token is most of the cost per node.
        inner = heads * -(-hidden // (2 * heads))
        self.of_node: torch.Tensor
        self.closeness: torch.Tensor
        self.register_buffer("of_node", torch.from_numpy(regions.of_node), persistent=False)
        everywhere = torch.ones(regions.segments, 1)  # the last column, which `EVERYWHERE` picks
        overlap = torch.cat([torch.from_numpy(regions.affinity), everywhere], dim=1)
        self.register_buffer("closeness", torch.log(_UNLINKED + overlap), persistent=False)
        self.before = nn.LayerNorm(hidden)
        self.query = nn.Linear(hidden, inner)
        self.tokens = nn.LayerNorm(width)
        self.key_value = nn.Linear(width, 2 * inner)
        self.affinity_weight = nn.Parameter(torch.full((heads,), _AFFINITY_WEIGHT))
        self.read = nn.Linear(inner, hidden)
        self.mlp = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
        )
        self.head = nn.Linear(hidden, horizon * len(QUANTILES))
        self.gate = nn.Parameter(torch.full((horizon,), _GATE))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, states: torch.Tensor, fused: torch.Tensor, tokens: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
        """What the tokens add to the forecast of each node.

        Args:
            states: `(B, N, hidden)` of the nodes, in the panel's node order.
            fused: `(B, L, width)` the last layer's tokens.
            tokens: The sequence that went in; says which tokens are present and what they are about.

        Returns:
            steps: `(B, horizon, N, 5)`, for `NumericBranch.fan`; 0 for a window without any token.
            reading: `(B, N, L)` attention of the nodes over the tokens, mean over the heads; rows sum to 1, or are
                0 for a window without any token.
        """
        key, value = self.key_value(self.tokens(fused)).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        closeness = self.closeness[:, tokens.segment].transpose(0, 1)[:, None]
        bias = torch.where(tokens.present[:, None, None], self.affinity_weight[:, None, None] * closeness, _ABSENT)
        some = tokens.present.any(dim=1)
        windows, nodes = states.shape[:2]
        of_a_node = windows * self.heads * fused.shape[1]
        few = max(1, (_CACHED if states.device.type == "cpu" else _HELD) // of_a_node)
        # Where training would have to hold too many, each part is computed again on the way back.
        again = torch.is_grad_enabled() and nodes * of_a_node > _HELD
        parts = []
        for part, of_node in zip(torch.split(states, few, 1), torch.split(self.of_node, few), strict=True):
            given = (part, of_node, key, value, bias)
            parts.append(checkpoint(self._part, *given, use_reentrant=False) if again else self._part(*given))
        steps, reading = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
        scale = torch.sigmoid(self.gate)[:, None, None] * some[:, None, None, None]
        return steps.reshape(windows, nodes, self.horizon, -1).transpose(1, 2) * scale, reading * some[:, None, None]

    def _part(
        self,
        states: torch.Tensor,
        of_node: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B, n, horizon * 5)` and `(B, n, L)` of n nodes.

        Keys and values are `(B, heads, L, d)`, the bias of a segment's nodes is `(B, heads, M, L)`.
        """
        query = self.query(self.before(states)) / math.sqrt(key.shape[-1])
        query = query.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        weights = torch.softmax(bias[:, :, of_node] + query @ key.mT, dim=-1)
        node = states + self.read((weights @ value).transpose(1, 2).flatten(2))
        return self.head(node + self.mlp(node)), weights.mean(dim=1)
