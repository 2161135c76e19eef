"""What the parts of ST-VLM hand to each other.

    windows -> text ids   -> TextEncoder   -> U (B, L_u, d)
            -> history    -> VisionEncoder -> V (B, M, d)    -> [U; V; S] -> Fusion in layer 0 -> layers -> head
            -> numeric z  -> SeriesTokens  -> S (B, M, d)

M segments of neighbouring nodes carry one vision and one series token each (`Regions`), so that the sequence has at
most L_u + 2 M tokens however many nodes there are.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch

from mm4st_agent.forecaster.inputs import Batch


class Modality(IntEnum):
    """Order of the modalities in a sequence; series come last, so that a causal backbone lets them see all."""

    TEXT = 0
    VISION = 1
    SERIES = 2


EVERYWHERE = -1
"""In place of a segment: the token is about the whole network."""


class TextBatch(NamedTuple):
    """The prompts of B windows as token ids, padded to the longest.

    Attributes:
        ids: `(B, L)` int64; 0 is padding.
        line: `(B, L)` int64: which line of its prompt a token belongs to, from 0; -1 for padding.
        node: `(B, L)` int64: position of the node that the line is about, or `EVERYWHERE`.
    """

    ids: torch.Tensor
    line: torch.Tensor
    node: torch.Tensor

    @property
    def present(self) -> torch.Tensor:
        """`(B, L)` True where there is a token."""
        return self.ids != 0


class StBatch(NamedTuple):
    """Some windows, as all three modalities.

    Attributes:
        numeric: What the numeric branch reads; the picture is drawn from its history too.
        text: The prompts.
        days: `(B, days, history + horizon, N, 4)`, see `inputs.CHANNELS`: the same slots of earlier days, the latest
            day first; None where the layout does not read them.
        facts: `(B, N, F)` what the prompts say, as numbers; None where the network reads the prompts.
        shown: `(B, history, N, 4)` the history in the picture, where it is not that of `numeric`.
    """

    numeric: Batch
    text: TextBatch
    days: torch.Tensor | None = None
    facts: torch.Tensor | None = None
    shown: torch.Tensor | None = None


class Tokens(NamedTuple):
    """A sequence `[U; V; S]`.

    Attributes:
        values: `(B, L, d)`.
        modality: `(L,)` int64, see `Modality`; not decreasing.
        present: `(B, L)` False where a token is padding or its modality was dropped.
        segment: `(B, L)` int64: the segment of nodes that a token is about, or `EVERYWHERE`.
    """

    values: torch.Tensor
    modality: torch.Tensor
    present: torch.Tensor
    segment: torch.Tensor


class Fused(NamedTuple):
    """What layer 0 gives.

    Attributes:
        values: `(B, L, d)`.
        shares: `(B, L, 3)` how much of each token's reading came from each modality, mean over the heads, rows sum
            to 1; None where the fusion has no such share.
        loss: Of the fusion itself, such as a contrastive one; 0-dimensional, 0 where it has none.
    """

    values: torch.Tensor
    shares: torch.Tensor | None
    loss: torch.Tensor


class Output(NamedTuple):
    """What ST-VLM gives for B windows.

    Attributes:
        quantiles: `(B, horizon, N, 5)` scaled, increasing along the last axis.
        base: The same of the numeric branch alone.
        shares: `(B, M, 3)` of the series tokens in layer 0, or None.
        reading: `(B, N, L)` attention of the head's node queries over the tokens, mean over the heads.
        fused: `(B, L, d)` the last layer's tokens; the mean over the series tokens is the embedding of a window.
        tokens: The sequence that went in.
        loss: Of the fusion itself; 0-dimensional.
    """

    quantiles: torch.Tensor
    base: torch.Tensor
    shares: torch.Tensor | None
    reading: torch.Tensor
    fused: torch.Tensor
    tokens: Tokens
    loss: torch.Tensor
