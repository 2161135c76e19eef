"""The small vision-language checkpoint that the rank rules are compared on."""

from pathlib import Path

import torch

from eval.bench.small_vlm import make
from mm4st_agent.forecaster.stvlm.hub_layouts import load_tokenizer, load_vlm

TEXTS = [f"Monday {hour:02d}:00, flow {level} at station A{n}" for hour in range(24) for n, level in ((1, 20), (2, 40))]


def test_it_learns_the_prompts_and_loads_as_any_checkpoint(tmp_path: Path) -> None:
    loss = make(TEXTS, tmp_path / "vlm", minutes=0.15)

    network = load_vlm(tmp_path / "vlm")
    tokenizer = load_tokenizer(tmp_path / "vlm")
    assert loss < 0.5 * torch.log(torch.tensor(1024.0))  # half of what guessing costs
    assert network.get_input_embeddings().num_embeddings == 1024
    assert tokenizer is not None
