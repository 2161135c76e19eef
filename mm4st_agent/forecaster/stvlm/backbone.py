"""The transformer that reads the tokens; its first layer fuses the modalities."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.config import BackboneConfig, FusionName
from mm4st_agent.forecaster.stvlm.fusion import ModalityGate
from mm4st_agent.forecaster.stvlm.fusions import FOLDS
from mm4st_agent.forecaster.stvlm.tokens import Fused, Modality, Tokens


class TokenReader(Protocol):
    """What ST-VLM asks of a backbone, from scratch or pretrained.

    Attributes:
        width: d of the tokens that it reads and gives.
    """

    width: int

    def __call__(self, tokens: Tokens) -> Fused:
        """The tokens after the last layer, zeros where one is absent; shares and loss are those of the fusion."""
        ...


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Softmax attention `(B, heads, L, d)`; float32 on a processor, three times as fast in training."""
    if q.device.type != "cpu":
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        read = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)
    return read.to(q.dtype)


class Layer(nn.Module):
    """A pre-norm transformer layer: attention and an MLP, each added to its input.

    Args:
        width: d.
        heads: Of the attention; they divide the width.
        dropout: On what is added; the attention weights have none, so that the fast kernels serve in training too.
        gate: With it, the attention is `modality_attention`.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762; pre-norm of Xiong et al. (2020), arXiv:2002.04745.
    """

    def __init__(self, width: int, heads: int, dropout: float, gate: ModalityGate | None = None) -> None:
        super().__init__()
        self.heads, self.gate = heads, gate
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tokens, affinity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The values `(B, L, d)` after the layer; with a gate also the shares `(B, L, 3)`, mean over the heads."""
        windows, length, width = tokens.values.shape
        joint = self.qkv(self.norm(tokens.values)).reshape(windows, length, 3, self.heads, width // self.heads)
        q, k, v = joint.permute(2, 0, 3, 1, 4)
        shares = None
        if self.gate is None:
            # A row without any key would be NaN in some kernels; what it reads is dropped in the end.
            keys = tokens.present | ~tokens.present.any(-1, keepdim=True)
            read = attention(q, k, v, keys[:, None, None])
        else:
            read, g = self.gate(q, k, v, tokens, affinity)
            shares = g.mean(1)
        x = tokens.values + self.dropout(self.out(read.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(x)), shares


class Backbone(nn.Module):
    """A transformer from scratch, in which every token sees every other one.

    Its tokens bring their place and time along; it adds which modality they are of.

    Args:
        config: Its shape.
        fusion: 'attention' fuses in the attention of the first layer, 'plain' leaves that as it is; the other ones
            fold text and vision into the series tokens before it, and the layers then see only those.
        affinity: `(M, M)` of the segments, see `Regions`.

    Raises:
        UsageError: the heads do not divide the width.
    """

    affinity: torch.Tensor

    def __init__(self, config: BackboneConfig, fusion: FusionName, affinity: torch.Tensor) -> None:
        super().__init__()
        c = config
        if c.width % c.heads:
            raise UsageError(
                f"{c.heads} heads do not divide a width of {c.width}.",
                f"Use a width of {c.width - c.width % c.heads + c.heads}.",
            )
        self.width = c.width
        self.register_buffer("affinity", affinity)
        self.modality = nn.Embedding(len(Modality), c.width)
        nn.init.normal_(self.modality.weight, std=0.02)
        self.fold = FOLDS[fusion](c.width, c.heads) if fusion in FOLDS else None
        gate = ModalityGate(c.heads, c.width // c.heads) if fusion == "attention" else None
        self.layers = nn.ModuleList(
            Layer(c.width, c.heads, c.dropout, None if depth else gate) for depth in range(c.layers)
        )
        self.norm = nn.LayerNorm(c.width)

    def forward(self, tokens: Tokens) -> Fused:
        """Read the tokens; what an absent one holds does not matter, and it is zeros in the result."""
        values = tokens.values + self.modality(tokens.modality)
        values = values.masked_fill(~tokens.present[..., None], 0)
        fused = Fused(values, None, values.new_zeros(()))
        tokens = tokens._replace(values=values)
        if self.fold is not None:
            fused = self.fold(tokens, self.affinity)
            of = tokens.modality == Modality.SERIES
            tokens = Tokens(fused.values[:, of], tokens.modality[of], tokens.present[:, of], tokens.segment[:, of])
        shares = fused.shares
        for layer in self.layers:
            values, own = layer(tokens, self.affinity)
            tokens = tokens._replace(values=values)
            shares = own if own is not None else shares
        values = self.norm(tokens.values).masked_fill(~tokens.present[..., None], 0)
        folded = fused.values.shape[1] - values.shape[1]
        return Fused(functional.pad(values, (0, 0, folded, 0)), shares, fused.loss)
