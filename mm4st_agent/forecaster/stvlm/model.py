"""ST-VLM: the numeric branch, and what the fused tokens of three modalities add to it.

The paper (Zhao et al., AAAI 2026, doi:10.1609/aaai.v40i19.38683; only its abstract is public) says that features
become vision, text and time series, that attention fuses them in the first layer of a vision-language model, that
the model is fine-tuned adaptively, and that the fused embeddings give the forecast. The layouts, the equations of the
fusion, the segments and the head are ours.
"""

from __future__ import annotations

import torch
from torch import nn

from mm4st_agent.forecaster.config import MEDIAN
from mm4st_agent.forecaster.numeric import NumericBranch, masked_loss
from mm4st_agent.forecaster.stvlm.backbone import Backbone, TokenReader
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.controls import FactTokens, NodePixels
from mm4st_agent.forecaster.stvlm.head import NodeHead
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.regions import Regions
from mm4st_agent.forecaster.stvlm.series import SeriesTokens
from mm4st_agent.forecaster.stvlm.text import NodeText, TextEncoder
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, Output, StBatch, TextBatch, Tokens
from mm4st_agent.forecaster.stvlm.vision import VisionEncoder
from mm4st_agent.imaging.tensors.raster import Grid

BASE_WEIGHT = 0.3
"""Of the numeric branch's own error: it stays a forecaster, and the fused part corrects it."""
FUSION_WEIGHT = 0.05
"""Of the fusion's own loss."""


class StVlm(nn.Module):
    """Quantiles of every node from the fused tokens of its network.

    Args:
        config: The shape.
        regions: Of the network's nodes.
        eigenvectors: `(N, K)` of the graph's Laplacian.
        node_words: What is known of each node, in words; see `NodeText`.
        grid: Of the picture, where the layout is 'raster'.
        backbone: What reads the tokens; None makes the one from scratch that `config` names.
        tower: The vision tower of a pretrained backbone, for the vision 'tower'.
    """

    def __init__(
        self,
        config: StVlmConfig,
        regions: Regions,
        eigenvectors: torch.Tensor,
        node_words: torch.Tensor,
        grid: Grid | None = None,
        backbone: TokenReader | None = None,
        tower: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.config, self.regions = config, regions
        numeric = config.numeric
        self.numeric = NumericBranch(numeric, eigenvectors)
        if backbone is None:
            assert config.shape is not None
            backbone = Backbone(config.shape, config.fusion, torch.from_numpy(regions.affinity))
        self.backbone = backbone
        width = backbone.width
        self.words = NodeText(node_words, numeric.hidden)
        self.series = SeriesTokens(regions, numeric.hidden, width)
        self.vision = tower
        if config.vision == "nodes":
            self.vision = NodePixels(regions, width, history=numeric.history)
        elif config.vision == "patches":
            self.vision = VisionEncoder(
                regions, width, history=numeric.history, horizon=numeric.horizon, layout=config.layout, grid=grid
            )
        # A pretrained backbone embeds the ids of its own tokenizer.
        own_words = isinstance(backbone, HubBackbone)
        reads = config.text_tokens > 0 and config.told != "numbers"
        self.text = TextEncoder(width, limit=config.text_tokens) if reads and not own_words else None
        self.facts = FactTokens(regions, width) if config.told == "numbers" else None
        self.about = nn.Linear(numeric.hidden, width) if reads else None
        self.head = NodeHead(regions, numeric.hidden, width, numeric.horizon)
        self.segment_of: torch.Tensor
        self.register_buffer("segment_of", torch.from_numpy(regions.of_node), persistent=False)

    def forward(self, batch: StBatch) -> torch.Tensor:
        """Scaled quantiles `(B, horizon, N, 5)`, increasing along the last axis."""
        return self.read(batch).quantiles

    def read(self, batch: StBatch) -> Output:
        """The quantiles, and what they rest on."""
        plain = self.numeric.states(batch.numeric)
        states = plain + self.words()
        tokens = self.sequence(batch, states)
        fused = self.backbone(tokens)
        added, reading = self.head(states, fused.values, tokens)
        base = self.numeric.steps(plain)
        series = tokens.modality == Modality.SERIES
        return Output(
            quantiles=self.numeric.fan(batch.numeric, base + added),
            base=self.numeric.fan(batch.numeric, base),
            shares=None if fused.shares is None else fused.shares[:, series],
            reading=reading,
            fused=fused.values,
            tokens=tokens,
            loss=fused.loss,
        )

    def loss(self, batch: StBatch, truth: torch.Tensor) -> torch.Tensor:
        """Of the forecast, of the numeric branch alone, and of the fusion; `truth` as in `masked_loss`.

        Args:
            batch: The windows.
            truth: `(B, horizon, N)` scaled.
        """
        out = self.read(batch)
        seen = torch.isfinite(truth)
        base = (out.base[..., MEDIAN][seen] - truth[seen]).abs().sum() / seen.sum().clamp(min=1)
        return masked_loss(out.quantiles, truth) + BASE_WEIGHT * base + FUSION_WEIGHT * out.loss

    def sequence(self, batch: StBatch, states: torch.Tensor) -> Tokens:
        """`[U; V; S]`; in training, some windows go without text and some without a picture."""
        windows = len(states)
        everywhere = torch.arange(self.regions.segments, device=states.device).expand(windows, -1)
        parts: list[tuple[Modality, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        if self.facts is not None:
            assert batch.facts is not None
            given = self.facts(batch.facts)
            parts.append((Modality.TEXT, given, self._kept(states).expand(-1, given.shape[1]), everywhere))
        elif self.config.text_tokens:
            words = self.backbone.embed_text if isinstance(self.backbone, HubBackbone) else self.text
            assert words is not None
            given = words(batch.text) + self._about(batch.text, states)
            parts.append((Modality.TEXT, given, batch.text.present & self._kept(states), self._places(batch.text)))
        if self.vision is not None:
            shown = batch.numeric if batch.shown is None else batch.numeric._replace(history=batch.shown)
            seen = self.vision(batch._replace(numeric=shown))
            parts.append((Modality.VISION, seen, self._kept(states).expand(-1, seen.shape[1]), everywhere))
        series = self.series(states)
        parts.append((Modality.SERIES, series, torch.ones_like(everywhere, dtype=torch.bool), everywhere))
        counts = torch.tensor([part[1].shape[1] for part in parts], device=states.device)
        return Tokens(
            values=torch.cat([part[1] for part in parts], dim=1),
            modality=torch.tensor([int(part[0]) for part in parts], device=states.device).repeat_interleave(counts),
            present=torch.cat([part[2] for part in parts], dim=1),
            segment=torch.cat([part[3] for part in parts], dim=1),
        )

    def _about(self, text: TextBatch, states: torch.Tensor) -> torch.Tensor:
        """`(B, L, width)` the state of the node that a line is about, so that the head finds it."""
        node = text.node.clamp(min=0)
        assert self.about is not None
        told: torch.Tensor = self.about(states.gather(1, node[..., None].expand(-1, -1, states.shape[-1])))
        return told * (text.node != EVERYWHERE)[..., None]

    def _places(self, text: TextBatch) -> torch.Tensor:
        return torch.where(text.node == EVERYWHERE, EVERYWHERE, self.segment_of[text.node.clamp(min=0)])

    def _kept(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, 1)` False where a training window goes without the modality."""
        if not self.training or not self.config.modality_dropout:
            return torch.ones(len(states), 1, dtype=torch.bool, device=states.device)
        return torch.rand(len(states), 1, device=states.device) >= self.config.modality_dropout
