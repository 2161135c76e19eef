"""ST-VLM's fusion: attention in which each head of each token decides how much it reads of each modality."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.forecaster.stvlm.tokens import Modality, Tokens

HIDDEN = -1e9
"""Score of a key that must not be read: its weight is exactly 0, and unlike -inf it makes no NaN in a gradient."""
_FLOOR = 0.01
"""Affinity below which two segments count as unlinked; the bias of linked ones goes up to log(101) = 4.6."""


def modality_counts(modality: torch.Tensor) -> list[int]:
    """How many tokens of a sequence `(L,)` belong to each modality, in the order of `Modality`."""
    return [int((modality == m).sum()) for m in Modality]


def segment_overlap(modality: torch.Tensor, segment: torch.Tensor, affinity: torch.Tensor) -> torch.Tensor:
    """How closely the segments of two tokens are linked, between series tokens and the other modalities.

    Args:
        modality: `(L,)`.
        segment: `(B, L)`, or `EVERYWHERE`.
        affinity: `(M, M)` of the segments, in 0 .. 1.

    Returns:
        `(B, L, L)` in 0 .. 1; 0 where both tokens or neither are of the series, or where one is about everywhere.
    """
    # EVERYWHERE is -1, which picks the row and the column of zeros that the padding adds.
    between = functional.pad(affinity, (0, 1, 0, 1))[segment[:, :, None], segment[:, None, :]]
    series = modality == Modality.SERIES
    return between * (series[:, None] ^ series)


def modality_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    modality: torch.Tensor,
    present: torch.Tensor,
    segment: torch.Tensor,
    affinity: torch.Tensor,
    w: torch.Tensor,
    kappa: torch.Tensor,
    b: torch.Tensor,
    mu: torch.Tensor,
    mask: torch.Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend within each modality, then weigh the modalities.

    For a query i, a key j and a modality m, in each head::

        s_ij = q_i . k_j * scale + mu log((e + overlap_ij) / e)
        l_im = logsumexp of s_ij over the visible j of m
        h_im = entropy of the softmax of s_ij over them / log of how many they are; 0 for a single one
        g_im = softmax over m of (l_im + w_m . q_i - kappa_m h_im + b_m); 0 where m has no visible token
        o_i  = sum over m of g_im * sum over j of softmax(s_ij) v_j

    With w, kappa, b and mu at 0 this is ordinary softmax attention, so that a pretrained layer can take it up
    unharmed. `overlap` is that of `segment_overlap`.

    Args:
        q: `(B, heads, L, d)`.
        k: `(B, heads, L, d)`; with grouped queries already repeated.
        v: `(B, heads, L, d)`, likewise.
        modality: `(L,)`, not decreasing.
        present: `(B, L)` False where no query may read the token.
        segment: `(B, L)`, or `EVERYWHERE`.
        affinity: `(M, M)` of the segments, in 0 .. 1.
        w: `(heads, 3, d)`.
        kappa: `(heads, 3)`.
        b: `(heads, 3)`.
        mu: `(heads,)`.
        mask: `(B or 1, heads or 1, L, L)`, beside `present`: boolean, True where a query may read a key, or to be
            added to the scores, with the dtype's lowest value or -inf where it may not.
        causal: A query reads no later key.
        scale: Of the scores; None is 1 / sqrt(d).

    Returns:
        o `(B, heads, L, d)` in the dtype of `q`, and g `(B, heads, L, 3)` in float32 (float64 from float64). The
        rows of g sum to 1; for a query that may read nothing, g and o are 0.

    Source:
        The first-layer fusion is the idea of Zhao et al. (2026), doi:10.1609/aaai.v40i19.38683, of which the abstract
        is public; these equations are ours.
    """
    exact = torch.promote_types(q.dtype, torch.float32)
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale) @ k.transpose(-1, -2)).to(exact)
    linked = torch.log1p(segment_overlap(modality, segment, affinity).to(exact) / _FLOOR)
    scores = torch.addcmul(scores, mu.to(exact)[:, None, None], linked[:, None])
    visible = present[:, None, None]
    if mask is not None and mask.dtype == torch.bool:
        visible = visible & mask
    elif mask is not None:
        scores = scores + mask
        visible = visible & (mask > torch.finfo(mask.dtype).min / 2)
    if causal:
        visible = visible & torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()

    masses, spreads, readings, counts = [], [], [], []
    sizes = modality_counts(modality)
    parts = (torch.split(scores, sizes, -1), torch.split(v, sizes, -2), torch.split(visible, sizes, -1))
    for s, values, seen in zip(*parts, strict=True):
        s = s.masked_fill(~seen, HIDDEN)
        mass = s.logsumexp(-1, keepdim=True)
        log_weight = s - mass
        weight = log_weight.exp()
        count = seen.sum(-1)
        masses.append(mass.squeeze(-1))
        spreads.append(-(weight * log_weight).sum(-1) / count.clamp(min=2).log())
        readings.append(weight.to(values.dtype) @ values)
        counts.append(count.expand(masses[-1].shape))

    logit = torch.stack(masses, -1) + torch.einsum("bhld,hmd->bhlm", q.to(exact), w.to(exact)) + b[:, None]
    logit = logit - kappa[:, None] * torch.stack(spreads, -1)
    # A modality without visible tokens has a mass of HIDDEN; the fill is for a query that may read nothing at all.
    g = logit.softmax(-1).masked_fill(torch.stack(counts, -1) == 0, 0)
    o = (g[..., None] * torch.stack(readings, -2)).sum(-2)
    return o.to(q.dtype), g


class ModalityGate(nn.Module):
    """The parameters of `modality_attention`; they start at 0, where it is ordinary attention."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(heads, len(Modality), head_width))
        self.kappa = nn.Parameter(torch.zeros(heads, len(Modality)))
        self.b = nn.Parameter(torch.zeros(heads, len(Modality)))
        self.mu = nn.Parameter(torch.zeros(heads))

    def forward(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        tokens: Tokens,
        affinity: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        causal: bool = False,
        scale: float | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`modality_attention` among `tokens`, whose values it does not read."""
        return modality_attention(
            q,
            k,
            v,
            modality=tokens.modality,
            present=tokens.present,
            segment=tokens.segment,
            affinity=affinity,
            w=self.w,
            kappa=self.kappa,
            b=self.b,
            mu=self.mu,
            mask=mask,
            causal=causal,
            scale=scale,
        )
