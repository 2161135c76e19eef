"""Folders of Hugging Face checkpoints of vision-language models, and where their layouts differ."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.stvlm.tokenizer import HubTokenizer
from mm4st_agent.forecaster.stvlm.tokens import Modality, Tokens

_HINT = "Give the folder of a downloaded vision-language model: config.json, *.safetensors and tokenizer.json."


class Pretrained(nn.Module):
    """A module whose frozen weights are not part of its state: they are in the checkpoint that it was made from."""

    frozen: frozenset[str]

    def __init__(self) -> None:
        super().__init__()
        self.frozen = frozenset()
        self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back)  # type: ignore[no-untyped-call]

    def freeze(self, weights: set[nn.Parameter]) -> None:
        """Name the weights that are not part of the state; they no longer learn."""
        for weight in weights:
            weight.requires_grad_(False)
        self.frozen = frozenset(name for name, weight in self.named_parameters() if weight in weights)


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    assert isinstance(module, Pretrained)
    for name in module.frozen:
        del state[prefix + name]


def _put_back(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    assert isinstance(module, Pretrained)
    for name in module.frozen:
        state[prefix + name] = module.get_parameter(name).detach()


def load_vlm(path: str | os.PathLike[str]) -> Any:
    """Open a vision-language model in float32, from disk alone.

    Args:
        path: Folder with `config.json` and the weights as safetensors, in one file or several.

    Returns:
        The model that `AutoModelForImageTextToText` makes of it, in evaluation mode.

    Raises:
        DataError: the folder or a file is missing or broken, the model is of an unknown or another kind, or the
            weights lack a part of it.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"There is no checkpoint in {folder}: it is not a folder.", _HINT)
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise DataError(f"{folder / 'config.json'} is missing or broken: {_said(err)}.", _HINT) from err
    if not any(folder.glob("*.safetensors")):
        raise DataError(f"There are no weights in {folder}: it has no *.safetensors file.", _HINT)
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as err:
        raise DataError(f"The checkpoint in {folder}, of type {kind!r}, cannot be read: {_said(err)}.", _HINT) from err
    model, found = loaded
    lacking = sorted({*found["missing_keys"], *(str(name) for name, *_ in found["mismatched_keys"])})
    if lacking:
        raise DataError(
            f"The weights in {folder} lack {len(lacking)} tensors of a {kind!r}, such as {lacking[0]}.",
            "Download the checkpoint again, whole.",
        )
    return model.eval()


def weights_sha256(path: str | os.PathLike[str]) -> str:
    """Hash of all `*.safetensors` of a checkpoint's folder, in the order of their names.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    folder = Path(path)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise DataError(f"There are no weights in {folder}: it has no *.safetensors file.", _HINT)
    digest = hashlib.sha256()
    try:
        for file in files:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    except OSError as err:
        raise DataError(f"The weights in {folder} cannot be read: {_said(err)}.", _HINT) from err
    return digest.hexdigest()


def load_tokenizer(path: str | os.PathLike[str]) -> HubTokenizer:
    """The checkpoint's own tokenizer, from disk alone.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        return HubTokenizer(AutoTokenizer.from_pretrained(Path(path), local_files_only=True))
    except Exception as err:  # the `tokenizers` library raises nothing narrower
        raise DataError(f"The tokenizer in {path} cannot be read: {_said(err)}.", _HINT) from err


def language_of(vlm: Any, layers: int | None) -> Any:
    """The language model of a vision-language model, without a head.

    Args:
        vlm: See `load_vlm`.
        layers: Only the first so many of its layers; None is all.

    Raises:
        DataError: it has no language model of stacked layers with attention, or fewer than `layers` of them.
    """
    language = vlm.get_decoder()
    stack = getattr(language, "layers", None)
    if not isinstance(stack, nn.ModuleList) or not all(hasattr(layer, "self_attn") for layer in stack):
        raise DataError(
            f"The language model of a {vlm.config.model_type!r} is a {type(language).__name__}, not a stack of layers "
            "with self-attention.",
            "Idefics3, SmolVLM and Qwen2.5-VL work, and others built like them.",
        )
    if layers is not None:
        if not 1 <= layers <= len(stack):
            raise DataError(f"{layers} layers were asked for, and the checkpoint has {len(stack)}.", "Ask for fewer.")
        language.layers = stack[:layers]
        language.config.num_hidden_layers = layers
    return language


def is_multimodal_rotary(language: Any) -> bool:
    """Whether positions are of time, height and width, as in the Qwen-VL family."""
    return "mrope_section" in (getattr(language.config, "rope_parameters", None) or {})


def positions(tokens: Tokens, multimodal: bool) -> torch.Tensor:
    """Where each token stands for the rotary embedding; absent tokens take no place.

    Args:
        tokens: The sequence.
        multimodal: Positions are of time, height and width. The vision tokens are then a picture of one column: they
            share time and width, and go down in height. The text before and the series after count on in all three.

    Returns:
        `(B, L)` int64 from 0, or `(3, B, L)` if multimodal.

    Source:
        Wang et al. (2024), arXiv:2409.12191 (Qwen2-VL), section 2.1, multimodal rotary position embedding.
    """
    place = (tokens.present.cumsum(-1) - 1).clamp(min=0)
    if not multimodal:
        return place
    start = (tokens.present & (tokens.modality == Modality.TEXT)).sum(-1, keepdim=True)
    still = torch.where(tokens.modality == Modality.VISION, start, place)
    return torch.stack([still, place, still])


def _said(err: BaseException) -> str:
    """The first line of an error, without its full stop."""
    if isinstance(err, KeyError):
        return f"it has no {err}"
    lines = str(err).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(err).__name__
