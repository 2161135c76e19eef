"""Tiny checkpoints of vision-language models, with random weights and a tokenizer of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

WORDS = ("speed", "low", "on", "road", "5", "heavy", "rain", "crash", "closed", "!", "Monday", "morning", "\n")
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "initializer_range": 0.25,
    "pad_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ROTARY = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}


def make_vlm(kind: str) -> Any:
    """A model of a layout, from a config alone."""
    import transformers

    torch.manual_seed(7)
    if kind == "idefics3":
        sight = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = transformers.Idefics3Config(
            text_config={**TEXT, "model_type": "llama"},
            vision_config={**sight, "image_size": 32, "patch_size": 8, "initializer_range": 0.2},
            scale_factor=2,
            image_token_id=5,
            pad_token_id=1,
        )
        model = transformers.Idefics3ForConditionalGeneration(config)
    elif kind == "qwen2_5_vl":
        sight = {"depth": 2, "hidden_size": 24, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
        config = transformers.Qwen2_5_VLConfig(
            text_config={**TEXT, "rope_parameters": ROTARY},
            vision_config={**sight, "patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1]},
            image_token_id=5,
            vision_start_token_id=6,
        )
        model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    else:
        # Norms of queries and keys, and a head width that is not hidden size over heads.
        sight = {"depth": 1, "hidden_size": 24, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
        config = transformers.Qwen3VLConfig(
            text_config={**TEXT, "head_dim": 16, "rope_parameters": {**ROTARY, "mrope_section": [4, 2, 2]}},
            vision_config={**sight, "patch_size": 4, "deepstack_visual_indexes": [], "num_position_embeddings": 16},
        )
        model = transformers.Qwen3VLForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:  # norms and biases begin at 1 and 0, where a mistake would not show
                weight += 0.2 * torch.randn(weight.shape)
            assert torch.isfinite(weight).all(), name
    return model


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"!": 0, "<pad>": 1, "<unk>": 2}
    for word in WORDS:
        vocabulary.setdefault(word, len(vocabulary) + 10)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" |(?=\n)"), "removed")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the tiny checkpoint of a layout. Tests copy it before they change it."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("hub") / kind
            make_vlm(kind).save_pretrained(made[kind])
            save_tokenizer(made[kind])
        return made[kind]

    return of


@pytest.fixture
def copied(checkpoints: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the folder, to be changed."""
    return lambda kind: Path(shutil.copytree(checkpoints(kind), tmp_path / kind))
