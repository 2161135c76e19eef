"""A small vision-language checkpoint with a language model that has learnt the prompts of one data set.

`mm4st bench forecast --models ranks --backbone FOLDER` compares ways to adapt pretrained weights. Where no pretrained
checkpoint is at hand, this makes one in minutes: an Idefics3 of 0.6 M parameters whose language model continues the
prompts of the training part; its vision tower stays as it was drawn. What it shows says little of large models.

    python -m eval.bench.small_vlm DATASET FOLDER [MINUTES]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel

_SPECIAL = ("<unk>", "<pad>", "<eos>", "<image>")
_VOCABULARY = 1024
_LONGEST = 128
"""Tokens of a prompt that are learned."""
_BATCH = 16
_EVERY = 3
"""Each third prompt of the training part; neighbours differ little."""


def prompts_of(panel: Panel, channel: str) -> list[str]:
    """What ST-VLM is told before the forecasts of the training part, as the bench splits it."""
    from eval.bench.harness import Task
    from mm4st_agent.forecaster.config import NumericConfig
    from mm4st_agent.forecaster.networks import inputs_of, prepare
    from mm4st_agent.forecaster.stvlm.config import StVlmConfig
    from mm4st_agent.forecaster.stvlm.preparation import StInputs

    task = Task.of(panel, channel)
    course = task.course
    network = StVlmConfig(numeric=NumericConfig(history=task.history, horizon=task.horizon))
    part, slots = course.panel, course.history.slots
    preparation = prepare(part, course.observed, slots, course.split.train, network)
    inputs = inputs_of(preparation, network, part, course.channel, course.observed, slots)
    assert isinstance(inputs, StInputs), "ST-VLM reads prompts"
    return ["\n".join(line.text for line in inputs.facts.prompt(int(o))) for o in task.train[::_EVERY]]


def make(texts: list[str], folder: Path, minutes: float, seed: int = 0) -> float:
    """Train tokenizer and language model on `texts` and save the checkpoint; returns the last mean loss in nats."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    torch.manual_seed(seed)
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=_VOCABULARY, special_tokens=list(_SPECIAL)))
    unknown, padding, end, image = range(len(_SPECIAL))  # they come first in the vocabulary
    folder.mkdir(parents=True, exist_ok=True)
    fast = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>"
    )
    fast.save_pretrained(folder)
    language = {
        "model_type": "llama", "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": _VOCABULARY, "pad_token_id": padding,
        "bos_token_id": unknown, "eos_token_id": end,
    }  # fmt: skip
    vision = {
        "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = transformers.Idefics3Config(
        text_config=language, vision_config=vision, scale_factor=2, image_token_id=image, pad_token_id=padding
    )
    network = transformers.Idefics3ForConditionalGeneration(config)  # type: ignore[no-untyped-call]
    tokens = [tokenizer.encode(text).ids[:_LONGEST] for text in texts]
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    random, started, losses = np.random.default_rng(seed), time.monotonic(), [float("nan")]
    while time.monotonic() - started < 60 * minutes:
        chosen = [tokens[n] for n in random.integers(0, len(tokens), _BATCH)]
        longest = max(map(len, chosen))
        read: torch.Tensor = torch.tensor([one + [padding] * (longest - len(one)) for one in chosen])
        known = read.ne(padding)
        loss = network(input_ids=read, attention_mask=known.long(), labels=read.masked_fill(~known, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    network.save_pretrained(folder)
    return float(np.mean(losses[-50:]))


def main(dataset: str, folder: str, minutes: str = "3") -> None:
    """Make the checkpoint for the main channel of a registered data set."""
    from mm4st_agent.runtime import Runtime

    panel = Runtime().registry.open(dataset)
    loss = make(prompts_of(panel, panel.channel().name), Path(folder), float(minutes))
    sys.stderr.write(f"{folder}: {loss:.3f} nats a token of the prompts.\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
