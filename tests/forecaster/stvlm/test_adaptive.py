from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mm4st_agent.errors import UsageError
from mm4st_agent.forecaster.stvlm.adaptive import (
    MAX_RANK,
    AdaLora,
    adaptive_ranks,
    parameters,
    probe,
    random_ranks,
    uniform_ranks,
)
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.hub_layouts import load_vlm
from mm4st_agent.forecaster.stvlm.tokens import EVERYWHERE, Modality, Tokens

SEGMENTS, WIDTH = 4, 32
AFFINITY = 0.3 + 0.7 * torch.eye(SEGMENTS)
# The projections of SmolVLM-256M's first six layers.
SLOTS = {
    f"layers.{layer}.{name}": size
    for layer in range(6)
    for name, size in {
        "self_attn.q_proj": 1152,
        "self_attn.k_proj": 768,
        "self_attn.v_proj": 768,
        "self_attn.o_proj": 1152,
        "mlp.gate_proj": 2112,
        "mlp.up_proj": 2112,
        "mlp.down_proj": 2112,
    }.items()
}
Folder = Callable[[str], Path]


def tokens_of(seed: int, windows: int = 3) -> Tokens:
    modality = torch.tensor([0] * 3 + [1] * SEGMENTS + [2] * SEGMENTS)
    segment = torch.tensor([EVERYWHERE] * 3 + [*range(SEGMENTS)] * 2).expand(windows, -1)
    values = torch.randn(windows, len(modality), WIDTH, generator=torch.Generator().manual_seed(seed))
    return Tokens(values, modality, torch.ones(windows, len(modality), dtype=torch.bool), segment)


def backbone_of(folder: Path, fusion: str = "attention") -> HubBackbone:
    torch.manual_seed(3)
    return HubBackbone.load(folder, fusion, AFFINITY)  # type: ignore[arg-type]


def series_loss(backbone: HubBackbone, tokens: Tokens) -> torch.Tensor:
    """Mean squared distance of the read series from the mean of text and vision that went in."""
    series = tokens.modality == Modality.SERIES
    wanted = tokens.values[:, ~series].mean(1, keepdim=True)
    return (backbone(tokens).values[:, series] - wanted).square().mean()


@pytest.mark.parametrize("layout", ["idefics3", "qwen2_5_vl"])
def test_the_probe_is_the_first_order_effect_of_the_weights(checkpoints: Folder, layout: str) -> None:
    backbone = backbone_of(checkpoints(layout))
    batches = [tokens_of(1), tokens_of(2)]
    flags = {name: weight.requires_grad for name, weight in backbone.named_parameters()}

    found = probe(backbone, batches, lambda tokens: series_loss(backbone, tokens))

    assert list(found) == list(backbone.slots)
    assert all(value > 0 for value in found.values())
    assert {name: weight.requires_grad for name, weight in backbone.named_parameters()} == flags
    assert all(weight.grad is None for weight in backbone.parameters())
    with backbone.watching() as shares, torch.no_grad():
        for tokens in batches:
            backbone(tokens)
    slot = "layers.1.mlp.up_proj"
    weight = backbone.slot_weight(slot).requires_grad_(True)
    effects = []
    for tokens in batches:
        weight.grad = None
        series_loss(backbone, tokens).backward()
        effects.append((weight.detach() * weight.grad).abs().mean())
    fused = torch.stack(shares).mean(0)[1, :2].sum()
    assert 0.1 < fused < 0.95
    assert found[slot] == pytest.approx(float(fused * torch.stack(effects).mean()), rel=1e-4)


def test_the_probe_sees_which_slots_matter(checkpoints: Folder) -> None:
    backbone = backbone_of(checkpoints("idefics3"))
    with torch.no_grad():
        backbone.slot_weight("layers.0.mlp.down_proj").zero_()

    found = probe(backbone, [tokens_of(1)], lambda tokens: series_loss(backbone, tokens))

    dead = {"layers.0.mlp.down_proj", "layers.0.mlp.up_proj", "layers.0.mlp.gate_proj"}
    assert {slot for slot, value in found.items() if value == 0} == dead
    ranks = adaptive_ranks(found, 10_000, budget=40)
    assert {slot for slot, rank in ranks.items() if rank == 0} >= dead


def test_the_probe_of_a_fold_and_of_nothing(checkpoints: Folder) -> None:
    folded = backbone_of(checkpoints("idefics3"), "addition")

    assert all(v > 0 for v in probe(folded, [tokens_of(1)], lambda tokens: series_loss(folded, tokens)).values())
    with pytest.raises(UsageError, match="got no batch"):
        probe(folded, [], lambda tokens: series_loss(folded, tokens))


def test_the_probe_may_be_repeated_with_adapters(checkpoints: Folder) -> None:
    backbone = backbone_of(checkpoints("idefics3"))
    before = probe(backbone, [tokens_of(1)], lambda tokens: series_loss(backbone, tokens))

    backbone.adapt(dict.fromkeys(backbone.slots, 2))
    after = probe(backbone, [tokens_of(1)], lambda tokens: series_loss(backbone, tokens))

    assert after == pytest.approx(before, rel=1e-3)


def test_adaptive_ranks_follow_the_formula() -> None:
    sensitivity = {"a": 1.0, "b": 4.0, "c": 0.0, "d": 9.0}

    assert adaptive_ranks(sensitivity, 10_000, budget=12) == {"a": 2, "b": 4, "c": 0, "d": 6}
    assert adaptive_ranks(sensitivity, 40_000, budget=12) == {"a": 4, "b": 8, "c": 0, "d": 12}
    assert adaptive_ranks(sensitivity, 2_500, budget=12) == {"a": 1, "b": 2, "c": 0, "d": 3}
    assert adaptive_ranks(sensitivity, 10_000, budget=60) == {"a": 10, "b": 16, "c": 0, "d": 16}
    assert adaptive_ranks({s: v * 1e-9 for s, v in sensitivity.items()}, 10_000, budget=12)["d"] == 6


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, -0.1], [1.0, float("nan")], []])
def test_sensitivities_that_say_nothing(values: list[float]) -> None:
    with pytest.raises(UsageError, match="must be finite, at least 0, and not all 0"):
        adaptive_ranks(dict(enumerate(values)), 1_000, budget=8)  # type: ignore[arg-type]


@pytest.mark.parametrize("windows", [600, 2_500, 10_000, 40_000])
def test_the_controls_have_as_many_parameters(windows: int) -> None:
    draws = np.random.default_rng(1).lognormal(sigma=2, size=len(SLOTS))
    adaptive = adaptive_ranks(dict(zip(SLOTS, draws.tolist(), strict=True)), windows, budget=150)
    count = parameters(adaptive, SLOTS)
    uniform = uniform_ranks(SLOTS, count)
    drawn = [random_ranks(SLOTS, count, seed=seed) for seed in range(5)]

    assert count > 20_000
    assert len(set(adaptive.values())) > 2
    for control in (uniform, *drawn):
        assert list(control) == list(SLOTS)
        assert parameters(control, SLOTS) == pytest.approx(count, rel=0.02)
        assert all(isinstance(rank, int) and 0 <= rank <= MAX_RANK for rank in control.values())
    assert max(uniform.values()) - min(uniform.values()) <= 1
    assert all(len(set(ranks.values())) > 2 for ranks in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[0] == random_ranks(SLOTS, count, seed=0)


def test_controls_at_the_ends() -> None:
    most = MAX_RANK * sum(SLOTS.values())

    assert set(uniform_ranks(SLOTS, 0).values()) == {0}
    assert set(uniform_ranks(SLOTS, most).values()) == {MAX_RANK}
    assert set(random_ranks(SLOTS, most, seed=1).values()) == {MAX_RANK}
    assert set(uniform_ranks(SLOTS, 3 * sum(SLOTS.values())).values()) == {3}
    with pytest.raises(UsageError, match=f"{most + 1} parameters do not fit into 42 adapters"):
        uniform_ranks(SLOTS, most + 1)


def adapters(backbone: HubBackbone) -> int:
    return sum(weight.numel() for name, weight in backbone.named_parameters() if ".lora_" in name)


def ranks_of(backbone: HubBackbone) -> dict[str, int]:
    return {
        name.split(".lora_A")[0].removeprefix("language."): len(weight)
        for name, weight in backbone.named_parameters()
        if ".lora_A." in name
    }


@pytest.mark.parametrize("layout", ["idefics3", "qwen2_5_vl"])
def test_peft_makes_adapters_of_these_ranks(checkpoints: Folder, layout: str) -> None:
    backbone = backbone_of(checkpoints(layout))
    ranks = random_ranks(backbone.slots, 3000, seed=2)
    assert 0 in ranks.values()

    backbone.adapt(ranks)

    assert ranks_of(backbone) == {slot: rank for slot, rank in ranks.items() if rank}
    assert adapters(backbone) == parameters(ranks, backbone.slots) == pytest.approx(3000, rel=0.02)
    scales = {m.scaling["default"] for m in backbone.modules() if hasattr(m, "scaling") and isinstance(m.scaling, dict)}
    assert scales == {2.0}


def test_slots_are_told_apart_in_a_deep_model(checkpoints: Folder) -> None:
    """PEFT shortens long lists of names, and matches them from their end: 'layers.1.' must not mean 'layers.11.'."""
    language = load_vlm(checkpoints("idefics3")).get_decoder()
    language.layers.extend(copy.deepcopy(language.layers[1]) for _ in range(10))
    backbone = HubBackbone(language, "plain", AFFINITY)
    ranks = random_ranks(backbone.slots, 12_000, seed=4)
    ranks["layers.1.mlp.up_proj"], ranks["layers.11.mlp.up_proj"] = 3, 0

    backbone.adapt(ranks)

    assert len(ranks) == 84
    assert ranks_of(backbone) == {slot: rank for slot, rank in ranks.items() if rank}


def test_without_ranks_nothing_is_adapted(checkpoints: Folder) -> None:
    backbone = backbone_of(checkpoints("idefics3"))
    backbone.adapt(dict.fromkeys(backbone.slots, 0))

    assert adapters(backbone) == 0
    assert {n for n, p in backbone.named_parameters() if p.requires_grad and "norm" not in n} == {
        "gate.w", "gate.kappa", "gate.b", "gate.mu",
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["idefics3", "qwen2_5_vl"])
def test_adalora_prunes_to_its_budget(checkpoints: Folder, layout: str) -> None:
    backbone, plain = backbone_of(checkpoints(layout)), backbone_of(checkpoints(layout))
    tokens, count, steps = tokens_of(1), 4000, 40
    backbone.adapt(AdaLora(count, steps))
    torch.testing.assert_close(backbone.eval()(tokens).values, plain(tokens).values)
    optimizer = torch.optim.AdamW([p for p in backbone.parameters() if p.requires_grad], lr=1e-2, weight_decay=0)
    backbone.train()
    penalty = float(backbone(tokens).loss.detach())

    losses = []
    for step in range(steps):
        loss = series_loss(backbone, tokens) + 0.05 * backbone(tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        backbone.allocate(step + 1)
        losses.append(float(loss.detach()))

    left = {
        name.split(".lora_E")[0].removeprefix("language."): int((weight != 0).sum())
        for name, weight in backbone.named_parameters()
        if ".lora_E." in name
    }
    assert set(left) == set(backbone.slots)
    mean_size = 1 + sum(backbone.slots.values()) / len(backbone.slots)
    assert sum(left.values()) * mean_size == pytest.approx(count, rel=0.02)
    assert len(set(left.values())) > 1, "the slots keep different ranks"
    assert adapters(backbone) > 1.3 * count, "it began above its budget"
    assert losses[-1] < 0.8 * losses[0]
    assert penalty > float(backbone(tokens).loss.detach()) > 0
    assert float(backbone.eval()(tokens).loss) == 0
    for name, weight in backbone.named_parameters():
        assert weight.requires_grad == (name not in backbone.frozen and ".ranknum." not in name), name


def test_a_trained_adalora_is_loaded_again(checkpoints: Folder) -> None:
    tokens = tokens_of(1)
    trained, other = backbone_of(checkpoints("idefics3")), backbone_of(checkpoints("idefics3"))
    for backbone in (trained, other):
        backbone.adapt(AdaLora(4000, 40))
    torch.manual_seed(9)
    for name, weight in trained.named_parameters():
        if ".lora_" in name:
            weight.data += 0.1 * torch.randn(weight.shape)

    other.load_state_dict(trained.state_dict())

    assert torch.equal(other.eval()(tokens).values, trained.eval()(tokens).values)


def test_adalora_budgets_that_cannot_be(checkpoints: Folder) -> None:
    for config in (AdaLora(4000, 5), AdaLora(100, 100)):
        with pytest.raises(UsageError, match="cannot prune to"):
            backbone_of(checkpoints("idefics3")).adapt(config)
