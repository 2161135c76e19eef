"""A pretrained vision-language model of Hugging Face as ST-VLM's backbone.

The pretrained weights stay as they are, apart from the norms of the language model; what is learned beside them are
the gate of layer 0, low-rank adapters and small projections. `state_dict` holds the learned part alone, and
`load_state_dict` is as strict about it as ever: the rest comes from the checkpoint's folder when the module is built.

Of SmolVLM-256M (width 576), with the first L of its 30 layers, and adapters of rank r in all slots::

    L    frozen       norms and gate   r = 1     r = 4       r = 8
    6    49,618,944    9,279            61,056     244,224     488,448
    8    56,696,832   11,583            81,408     325,632     651,264
    30   134,553,600  36,927           305,280   1,221,120   2,442,240
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster.stvlm.adaptive import AdaLora, Pruning, adalora, low_rank, orthogonality
from mm4st_agent.forecaster.stvlm.config import FusionName
from mm4st_agent.forecaster.stvlm.fusion import ModalityGate
from mm4st_agent.forecaster.stvlm.fusions import FOLDS
from mm4st_agent.forecaster.stvlm.hub_layouts import Pretrained, is_multimodal_rotary, language_of, load_vlm, positions
from mm4st_agent.forecaster.stvlm.tokens import Fused, Modality, TextBatch, Tokens

_ATTENTION = "st-vlm"
"""Name under which `_attend` is known to transformers."""


@dataclass
class _Reading:
    """What the attention of a layer is told beside queries, keys and values, and what it tells.

    Attributes:
        shares: `(B, L, 3)` of each layer that was fused or watched, mean over the heads.
    """

    tokens: Tokens
    affinity: torch.Tensor
    gate: ModalityGate | None
    shares: dict[int, torch.Tensor] = field(default_factory=dict)


class HubBackbone(Pretrained):
    """The language model of a vision-language model, which reads `[U; V; S]` in place of embedded words.

    Layer 0 attends by `modality_attention`, with the projections, the rotary embedding, the grouped queries and the
    norms of queries and keys that the checkpoint has. It starts out as the unmodified model. Attention is causal if
    the checkpoint's is; the series come last and see all.

    Args:
        language: See `language_of`; it is taken over, and changed.
        fusion: As of `Backbone`.
        affinity: `(M, M)` of the segments, see `Regions`.

    Attributes:
        width: Of the tokens; that of the language model's embeddings.
        slots: Where an adapter can be: the linear projections of the layers by name, and the adapter's parameters for
            each unit of rank.
    """

    affinity: torch.Tensor

    def __init__(self, language: Any, fusion: FusionName, affinity: torch.Tensor) -> None:
        super().__init__()
        _register()
        self.language = language
        config = language.config
        heads: int = config.num_attention_heads
        self.width: int = config.hidden_size
        self.register_buffer("affinity", affinity)
        self.multimodal = is_multimodal_rotary(language)
        self.fold = FOLDS[fusion](self.width, heads) if fusion in FOLDS else None
        attention = language.layers[0].self_attn
        head_width = getattr(attention, "head_dim", self.width // heads)
        self.gate = ModalityGate(heads, head_width) if fusion == "attention" else None
        self.slots = {
            f"layers.{name}": layer.in_features + layer.out_features
            for name, layer in language.layers.named_modules()
            if isinstance(layer, nn.Linear)
        }
        self.freeze(set(language.parameters()) - self._norms())
        self._watched: list[torch.Tensor] | None = None
        self._pruning: Pruning | None = None
        self._adapted = False
        if self.gate is not None:
            attention.config = _attending(config)
        self._try_out()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, which does not know the attention yet."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        _register()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        fusion: FusionName,
        affinity: torch.Tensor,
        *,
        layers: int | None = None,
        ranks: Mapping[str, int] | AdaLora | None = None,
    ) -> Self:
        """Make a backbone of a checkpoint's folder.

        Args:
            path: See `load_vlm`.
            fusion: As of `Backbone`.
            affinity: `(M, M)` of the segments.
            layers: Only the first so many layers of the language model; None is all.
            ranks: See `adapt`; None is without adapters.

        Raises:
            DataError: the folder is no such checkpoint, or has fewer layers.
            UsageError: there is no such slot.
        """
        backbone = cls(language_of(load_vlm(path), layers), fusion, affinity)
        if ranks is not None:
            backbone.adapt(ranks)
        return backbone

    def train(self, mode: bool = True) -> Self:
        """What is pretrained stays in evaluation mode, without dropout."""
        super().train(mode)
        self.language.eval()
        return self

    def adapt(self, ranks: Mapping[str, int] | AdaLora) -> None:
        """Add low-rank adapters, which start as 0.

        Args:
            ranks: Of each slot; one that is missing or at 0 stays as it is. Or the budget of AdaLoRA, which prunes
                while training, see `allocate`.

        Raises:
            UsageError: there is no such slot, a rank is negative, or there are adapters already.
        """
        if self._adapted:
            raise UsageError("The backbone has adapters already.", "Load it anew.")
        frozen = {weight for name, weight in self.named_parameters() if name in self.frozen}
        if isinstance(ranks, AdaLora):
            self._pruning = adalora(self.language, self.slots, ranks)
        else:
            low_rank(self.language, self.slots, ranks)
        self._adapted = True
        self.freeze(frozen)
        for norm in self._norms():
            norm.requires_grad_(True)

    def allocate(self, step: int) -> None:
        """Let AdaLoRA prune; call it after each optimiser step, before the gradients are cleared.

        Args:
            step: Optimiser steps so far.
        """
        if self._pruning is not None:
            self._pruning(step)

    def pruning(self) -> dict[str, Any] | None:
        """Of AdaLoRA: what a training that is interrupted needs beside the weights, see `resume_pruning`."""
        return None if self._pruning is None else self._pruning.state()

    def resume_pruning(self, state: Mapping[str, Any]) -> None:
        """Go on with AdaLoRA from the state that `pruning` gave."""
        assert self._pruning is not None
        self._pruning.resume(state, self.affinity.device)

    def slot_weight(self, slot: str) -> nn.Parameter:
        """The frozen matrix of a slot, `(out, in)`."""
        layer: Any = self.language.get_submodule(slot)
        weight: nn.Parameter = getattr(layer, "base_layer", layer).weight
        return weight

    def embed_text(self, text: TextBatch) -> torch.Tensor:
        """`(B, L, width)` the checkpoint's embeddings of the ids of its own tokenizer; zeros at padding."""
        embedded: torch.Tensor = self.language.get_input_embeddings()(text.ids)
        return embedded.masked_fill(~text.present[..., None], 0)

    @contextmanager
    def watching(self) -> Iterator[list[torch.Tensor]]:
        """Collect, for each forward pass, `(layers, 3)`: of which modality the series tokens read how much.

        The numbers are means over windows, present series tokens and heads. The passes are slower, and equal.
        """
        attentions = [layer.self_attn for layer in self.language.layers]
        configs = [attention.config for attention in attentions]
        self._watched = []
        try:
            for attention in attentions:
                attention.config = _attending(attention.config)
            yield self._watched
        finally:
            self._watched = None
            for attention, config in zip(attentions, configs, strict=True):
                attention.config = config

    def forward(self, tokens: Tokens) -> Fused:
        """Read the tokens; what an absent one holds does not matter, and it is zeros in the result."""
        values = tokens.values.masked_fill(~tokens.present[..., None], 0)
        fused = Fused(values, None, values.new_zeros(()))
        tokens = tokens._replace(values=values)
        if self.fold is not None:
            fused = self.fold(tokens, self.affinity)
            of = tokens.modality == Modality.SERIES
            tokens = Tokens(fused.values[:, of], tokens.modality[of], tokens.present[:, of], tokens.segment[:, of])
        reading = _Reading(tokens, self.affinity, self.gate)
        read = self.language(
            inputs_embeds=tokens.values,
            attention_mask=self._mask(tokens),
            position_ids=positions(tokens, self.multimodal),
            use_cache=False,
            reading=reading,
        ).last_hidden_state
        if self._watched is not None:
            self._watched.append(_read_by_series(tokens, [reading.shares[n] for n in sorted(reading.shares)]))
        values = read.masked_fill(~tokens.present[..., None], 0)
        folded = fused.values.shape[1] - values.shape[1]
        shares = fused.shares if self.gate is None else reading.shares[0]
        return Fused(functional.pad(values, (0, 0, folded, 0)), shares, fused.loss + self._penalty())

    def _norms(self) -> set[nn.Parameter]:
        """Weights of the norms of the language model, those of queries and keys included."""
        return {weight for name, weight in self.language.named_parameters() if "norm" in name and weight.ndim == 1}

    def _mask(self, tokens: Tokens) -> torch.Tensor:
        """`(B, 1, L, L)` True where a query may read a key; an absent token reads itself, so that no row is empty."""
        length = tokens.values.shape[1]
        itself = torch.eye(length, dtype=torch.bool, device=tokens.values.device)
        mask = tokens.present[:, None, None] | itself
        if getattr(self.language.layers[0].self_attn, "is_causal", True):
            mask = mask & torch.ones_like(itself).tril()
        return mask

    def _penalty(self) -> torch.Tensor | float:
        """What keeps AdaLoRA's factors orthogonal, in training."""
        return 0.0 if self._pruning is None or not self.training else orthogonality(self.language)

    def _try_out(self) -> None:
        """Read three tokens, to refuse a model that cannot, or whose attention cannot be replaced, from the start."""
        weight = self.language.get_input_embeddings().weight
        tokens = Tokens(
            weight.new_zeros(1, len(Modality), self.width),
            torch.arange(len(Modality), device=weight.device),
            torch.ones(1, len(Modality), dtype=torch.bool, device=weight.device),
            torch.zeros(1, len(Modality), dtype=torch.int64, device=weight.device),
        )
        try:
            with torch.no_grad():
                self(tokens)
        except (AttributeError, KeyError, TypeError, RuntimeError) as err:
            raise DataError(
                f"A {type(self.language).__name__} does not work as a backbone with its attention replaced: {err}.",
                "Idefics3, SmolVLM and Qwen2.5-VL work, and others built like them.",
            ) from err


def _register() -> None:
    """Make `_attend` known to transformers."""
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attend)


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    reading: _Reading,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """`modality_attention` where transformers wants an attention: `(B, L, heads, d)` from `(B, heads, L, d)`.

    Without a gate it is ordinary attention, and the shares are found on the way.
    """
    unread = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if unread:
        raise TypeError(f"it has {', '.join(unread)}")
    layer = module.layer_idx
    assert isinstance(layer, int)
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    gate = reading.gate if layer == 0 else None
    if gate is None:
        gate = ModalityGate(query.shape[1], query.shape[3]).to(query.device)
    read, g = gate(query, key, value, reading.tokens, reading.affinity, mask=attention_mask, scale=scaling)
    reading.shares[layer] = g.mean(1)
    return read.transpose(1, 2).contiguous(), None


def _attending(config: Any) -> Any:
    """A copy of an attention's configuration that makes it call `_attend`."""
    changed = copy.copy(config)
    changed._attn_implementation = _ATTENTION
    return changed


def _read_by_series(tokens: Tokens, shares: list[torch.Tensor]) -> torch.Tensor:
    """`(layers, 3)` mean over the present series tokens, from `(B, L, 3)` of each layer."""
    of = tokens.present & (tokens.modality == Modality.SERIES)
    return torch.stack([layer.detach()[of].mean(0) for layer in shares])
