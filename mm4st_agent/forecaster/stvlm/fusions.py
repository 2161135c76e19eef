"""The other ways to fuse, for comparison with ST-VLM's: each folds text and vision into the series tokens.

After a fold only the series tokens go on, so that the fold is the one way by which text and vision reach the forecast.
The positions of text and vision stay in the sequence, as zeros: whatever reads it needs no cases.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.forecaster.stvlm.config import FusionName
from mm4st_agent.forecaster.stvlm.fusion import HIDDEN, modality_counts
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Fused, Modality, Tokens

_MAX_LOGIT_SCALE = math.log(100)


def modality_means(tokens: Tokens, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean over the tokens of each modality.

    Args:
        tokens: The sequence.
        weight: `(B, M, L)` of each token for each of the M series tokens, at least 0; absent tokens count as 0.

    Returns:
        `(B, M, 3, d)`; zeros where all weights are 0.
    """
    weight = (weight * tokens.present[:, None]).to(tokens.values.dtype)
    sizes = modality_counts(tokens.modality)
    return torch.stack(
        [
            (part / part.sum(-1, keepdim=True).clamp(min=1e-6)) @ values
            for part, values in zip(torch.split(weight, sizes, -1), torch.split(tokens.values, sizes, 1), strict=True)
        ],
        dim=2,
    )


class Fold(nn.Module, ABC):
    """A way to fuse text and vision into the series tokens.

    A subclass implements `fold`; `own` and `seen` give it what belongs together. An absent modality is zeros there,
    and the result is as if it were not in the sequence.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads

    def forward(self, tokens: Tokens, affinity: torch.Tensor) -> Fused:
        """Fuse; the positions before the series are zeros, and their shares are the mean of the series tokens'.

        Args:
            tokens: The sequence, zeros where a token is absent.
            affinity: `(M, M)` of the segments, in 0 .. 1.
        """
        series, shares, loss = self.fold(tokens, affinity)
        before = tokens.values.shape[1] - series.shape[1]
        if shares is not None:
            shares = torch.cat([shares.mean(1, keepdim=True).expand(-1, before, -1), shares], dim=1)
        values = functional.pad(series, (0, 0, before, 0))
        return Fused(values, shares, values.new_zeros(()) if loss is None else loss)

    @abstractmethod
    def fold(
        self, tokens: Tokens, affinity: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """The series tokens `(B, M, d)`, their shares `(B, M, 3)` or None, and the loss of the fusion or None."""

    @staticmethod
    def own(tokens: Tokens) -> torch.Tensor:
        """`(B, M, 3, d)`: the mean over the tokens about the segment of each series token, or about everywhere."""
        here = tokens.segment[:, tokens.modality == Modality.SERIES, None]
        other = tokens.segment[:, None]
        return modality_means(tokens, (other == here) | (other == EVERYWHERE))

    @staticmethod
    def seen(tokens: Tokens) -> torch.Tensor:
        """`(B, 1, 3)` True where a modality has a token."""
        parts = torch.split(tokens.present, modality_counts(tokens.modality), -1)
        return torch.stack([part.any(-1) for part in parts], -1)[:, None]


class Addition(Fold):
    """S + V + U: the vision token of the segment and the mean of its text tokens are added to each series token.

    It has no parameter of its own; the last layers of the encoders learn to share one space.

    Source:
        Zou et al. (2024), arXiv:2402.19348, feature-based fusion.
    """

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return self.own(tokens).sum(2), None, None


class Multiplication(Fold):
    """S * (1 + A V) * (1 + B U), elementwise: vision and text scale the features of the series.

    This is a rank-one factor of the outer product of the modalities, each with a one appended; for an absent modality
    only the one is left.

    Source:
        Liu et al. (2018), arXiv:1806.00064 (low-rank multimodal fusion).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.text = nn.Linear(width, width, bias=False)
        self.vision = nn.Linear(width, width, bias=False)

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        text, vision, series = self.own(tokens).unbind(2)
        return series * (1 + self.vision(vision)) * (1 + self.text(text)), None, None


class Concatenation(Fold):
    """MLP([U; V; S]): the features of the three modalities side by side, mixed by one hidden layer.

    Source:
        Zou et al. (2024), arXiv:2402.19348, feature-based fusion.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.mix = nn.Sequential(nn.Linear(len(Modality) * width, width), nn.GELU(), nn.Linear(width, width))

    def fold(
        self, tokens: Tokens, affinity: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        return self.mix(self.own(tokens).flatten(2)), None, None


class Contrastive(Concatenation):
    """Concatenation, with a loss that draws the series and the vision token of a segment together.

    The loss is a symmetric InfoNCE among the segments of a window, with a learned temperature; windows without vision
    add nothing to it.

    Source:
        Radford et al. (2021), arXiv:2103.00020, figure 3; van den Oord et al. (2018), arXiv:1807.03748.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.vision = nn.Linear(width, width, bias=False)
        self.series = nn.Linear(width, width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor]:
        own = self.own(tokens)
        seen = self.seen(tokens)[:, 0]
        paired = seen[:, Modality.VISION] & seen[:, Modality.SERIES]
        vision = functional.normalize(self.vision(own[:, :, Modality.VISION]), dim=-1)
        series = functional.normalize(self.series(own[:, :, Modality.SERIES]), dim=-1)
        logits = (series @ vision.transpose(1, 2)).float() * self.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp()
        matching = torch.stack([side.log_softmax(-1).diagonal(dim1=1, dim2=2) for side in (logits, logits.mT)])
        loss = -(matching.mean((0, 2)) * paired).sum() / paired.sum().clamp(min=1)
        return self.mix(own.flatten(2)), None, loss


class CrossAttention(Fold):
    """S + attention of each series token over all text and vision tokens and itself.

    The token itself among the keys lets a head read nothing new, and gives the series a share; without text and vision
    it is all that is left.

    Source:
        Lu et al. (2019), arXiv:1908.02265 (ViLBERT), co-attention; the token itself as a key is ours.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        sizes = modality_counts(tokens.modality)
        normed = self.norm(tokens.values)
        start = sum(sizes[: Modality.SERIES])
        q = self._split(self.q(normed[:, start:]))
        k, v = (self._split(part) for part in self.kv(normed).chunk(2, -1))
        scores = (q @ k.mT).float() * q.shape[-1] ** -0.5
        others = (tokens.modality != Modality.SERIES)[None, :]
        itself = torch.eye(len(tokens.modality), dtype=torch.bool, device=scores.device)[start:]
        visible = (others | itself) & tokens.present[:, None, None]
        weight = scores.masked_fill(~visible, HIDDEN).softmax(-1).masked_fill(~visible, 0)
        read = (weight.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        shares = torch.stack([part.sum(-1) for part in torch.split(weight.mean(1), sizes, -1)], -1)
        return tokens.values[:, start:] + self.out(read), shares, None

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Gating(Fold):
    """sum over m of gate_m * tanh(A_m x_m): for each feature, a softmax over the modalities says how much of each.

    The gates are computed from all three modalities, and are the shares, as the mean over the features.

    Source:
        Arevalo et al. (2017), arXiv:1702.01992 (gated multimodal unit); softmax in place of sigmoid is ours.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.values = nn.ModuleList(nn.Linear(width, width) for _ in Modality)
        self.gates = nn.Linear(len(Modality) * width, len(Modality) * width)

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        own = self.own(tokens)
        absent = ~self.seen(tokens)[..., None]
        logits = self.gates(own.flatten(2)).reshape(own.shape).float()
        gate = logits.masked_fill(absent, HIDDEN).softmax(2).masked_fill(absent, 0)
        values = torch.stack([torch.tanh(layer(own[:, :, m])) for m, layer in enumerate(self.values)], 2)
        return (gate.to(values.dtype) * values).sum(2), gate.mean(-1), None


class GraphMessages(Fold):
    """S + gelu(sum over m of A_m x_m): one round of messages from the tokens of linked segments.

    x_m is the mean over the tokens of modality m, weighted by the affinity of their segment to that of the series
    token; a token about everywhere is linked to all segments.

    Source:
        Schlichtkrull et al. (2018), arXiv:1703.06103 (R-GCN), with the sender's modality as the relation.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.messages = nn.Linear(len(Modality) * width, width)

    def fold(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        series = tokens.modality == Modality.SERIES
        # EVERYWHERE is -1, which picks the row and the column of ones that the padding adds.
        linked = functional.pad(affinity, (0, 1, 0, 1), value=1)
        near = modality_means(tokens, linked[tokens.segment[:, series, None], tokens.segment[:, None]])
        return tokens.values[:, series] + functional.gelu(self.messages(near.flatten(2))), None, None


FOLDS: dict[FusionName, type[Fold]] = {
    "addition": Addition,
    "multiplication": Multiplication,
    "concatenation": Concatenation,
    "cross-attention": CrossAttention,
    "gating": Gating,
    "graph": GraphMessages,
    "contrastive": Contrastive,
}
