"""Adaptive fine-tuning: how much rank the low-rank adapter of each slot gets, and the ways to give it for comparison.

A slot is one linear projection of the frozen language model. The steps are: train the new modules alone; `probe`;
`adaptive_ranks`; add the adapters (`HubBackbone.adapt`); train all. The controls, at as many parameters, are
`uniform_ranks`, `random_ranks`, `AdaLora`, and no adapters at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.forecaster.stvlm.hub import HubBackbone

T = TypeVar("T")

MAX_RANK = 16
REFERENCE_WINDOWS = 10_000
"""Training windows at which `adaptive_ranks` gives out its whole budget."""
_SCALE = 2
"""What an adapter adds is multiplied by this, whatever its rank."""
_IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""By weight, what PEFT keeps of its importance."""
_ORTHOGONALITY = 2.0
"""Weight of AdaLoRA's penalty in the loss of the fusion, of which the model takes 0.05: 0.1 of the whole loss."""


def probe(backbone: HubBackbone, batches: Iterable[T], loss: Callable[[T], torch.Tensor]) -> dict[str, float]:
    """How much the loss depends on each slot.

    The sensitivity of a slot is the mean of |W * dL/dW| over the entries of its frozen matrix W and over the batches:
    the change of the loss, to first order, if an entry were 0. It is taken of W and not of a small adapter, because a
    fresh adapter is 0, so that its own product is 0, and one drawn at random would make the ranks depend on the draw.
    It is multiplied by the share of text and vision in what the series tokens read in the slot's layer, so that rank
    goes to layers that fuse; a fusion that folds text and vision before layer 0 has no such share, and all count 1.

    Args:
        backbone: As it is, in whatever mode; nothing in it changes, gradients included.
        batches: Some training batches.
        loss: Of a batch, by the model that holds the backbone.

    Returns:
        By slot, dimensionless up to the unit of the loss, at least 0.

    Raises:
        UsageError: there is no batch.

    Source:
        The product is the importance of Molchanov et al. (2019), arXiv:1906.10771; the share is ours.
    """
    weights = {slot: backbone.slot_weight(slot) for slot in backbone.slots}
    learned = {slot: weight.requires_grad for slot, weight in weights.items()}
    total = dict.fromkeys(weights, 0.0)
    count = 0
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        with torch.enable_grad(), backbone.watching() as shares:
            for batch in batches:
                gradients = torch.autograd.grad(loss(batch), list(weights.values()))
                for (slot, weight), gradient in zip(weights.items(), gradients, strict=True):
                    total[slot] += float((weight.detach() * gradient).abs().mean())
                count += 1
    finally:
        for slot, weight in weights.items():
            weight.requires_grad_(learned[slot])
    if not count:
        raise UsageError("The probe got no batch.", "Give it a few training batches.")
    if backbone.fold is not None:
        return {slot: value / count for slot, value in total.items()}
    fused = torch.stack(shares).mean(0)[:, :2].sum(-1).tolist()
    return {slot: value / count * fused[_layer(slot)] for slot, value in total.items()}


def adaptive_ranks(sensitivity: Mapping[str, float], windows: int, *, budget: float) -> dict[str, int]:
    """Ranks in proportion to the square root of the sensitivity.

    r = clip(round(R sqrt(s) / sum of sqrt(s)), 0, 16), with R = budget * sqrt(windows / 10,000): few windows cannot
    fill many parameters. What clipping takes from a slot is not given to the other ones.

    Args:
        sensitivity: By slot, see `probe`.
        windows: Of the training part.
        budget: Sum of all ranks at 10,000 training windows.

    Raises:
        UsageError: no slot has any sensitivity, or one is negative or not finite.
    """
    values = np.array(list(sensitivity.values()))
    if not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise UsageError(
            "The sensitivities must be finite, at least 0, and not all 0; they go from "
            f"{values.min(initial=math.inf)} to {values.max(initial=-math.inf)}.",
            "Probe with batches that have readings, text and pictures.",
        )
    share = np.sqrt(values) / np.sqrt(values).sum()
    rank = np.clip(np.rint(budget * math.sqrt(windows / REFERENCE_WINDOWS) * share), 0, MAX_RANK)
    return dict(zip(sensitivity, rank.astype(int).tolist(), strict=True))


def parameters(ranks: Mapping[str, int], slots: Mapping[str, int]) -> int:
    """Of the adapters.

    Args:
        ranks: By slot; a missing one is 0.
        slots: Parameters of a unit of rank, see `HubBackbone.slots`.
    """
    return sum(rank * slots[slot] for slot, rank in ranks.items())


def uniform_ranks(slots: Mapping[str, int], count: int) -> dict[str, int]:
    """The same rank for all slots, or two neighbouring ones in turns, with about `count` parameters together.

    Raises:
        UsageError: more than rank 16 would be needed.
    """
    return _spread(np.ones(len(slots)), slots, count)


def random_ranks(slots: Mapping[str, int], count: int, *, seed: int) -> dict[str, int]:
    """Ranks in proportion to draws from an exponential distribution, with about `count` parameters together.

    Raises:
        UsageError: more than rank 16 would be needed.
    """
    return _spread(np.random.default_rng(seed).exponential(size=len(slots)), slots, count)


@dataclass(frozen=True)
class AdaLora:
    """Adapters that start above their budget, and are pruned while they train.

    The first tenth of the steps prunes nothing, and the last three tenths train what is left. How many parameters
    are left depends on which slots keep their rank; they are `parameters` if slots of all sizes keep theirs alike.

    Args:
        parameters: That are left in the end.
        steps: Optimiser steps of the whole training.

    Source:
        Zhang et al. (2023), arXiv:2303.10512 (AdaLoRA); the implementation is that of PEFT.
    """

    parameters: int
    steps: int


def low_rank(language: Any, slots: Mapping[str, int], ranks: Mapping[str, int]) -> None:
    """Wrap slots of `language` in adapters; those at rank 0 stay as they are.

    Raises:
        UsageError: there is no such slot, or a rank is negative.

    Source:
        Hu et al. (2022), arXiv:2106.09685 (LoRA).
    """
    from peft import LoraConfig, inject_adapter_in_model

    for slot, rank in ranks.items():
        if slot not in slots or rank < 0:
            raise UsageError(f"Rank {rank} of the slot {slot!r} cannot be.", f"Slots are {', '.join(slots)}; from 0.")
    used = {slot: rank for slot, rank in ranks.items() if rank}
    if not used:
        return
    # PEFT matches names from their end, as patterns.
    pattern = {slot.replace(".", r"\."): rank for slot, rank in used.items()}
    config = LoraConfig(
        target_modules=list(used),
        rank_pattern=pattern,
        alpha_pattern={slot: _SCALE * rank for slot, rank in pattern.items()},
    )
    inject_adapter_in_model(config, language)


class Pruning:
    """AdaLoRA's pruning of a language model, which can go on where another one stopped."""

    def __init__(self, tuner: Any) -> None:
        self._tuner = tuner

    def __call__(self, step: int) -> None:
        """To be called after each optimiser step, with its number from 1, before the gradients are cleared."""
        self._tuner.update_and_allocate(step)

    def state(self) -> dict[str, Any]:
        """What decides over the next pruning, beside the weights and their gradients."""
        allocator = self._tuner.rankallocator
        return {
            **{name: dict(getattr(allocator, name)) for name in _IMPORTANCE},
            "kept": self._settings.rank_pattern,
        }

    def resume(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up the `state` of another one."""
        for name in _IMPORTANCE:
            values = {weight: value.to(device) for weight, value in state[name].items()}
            setattr(self._tuner.rankallocator, name, values)
        self._settings.rank_pattern = state["kept"]

    @property
    def _settings(self) -> Any:
        return self._tuner.peft_config[self._tuner.trainable_adapter_name]


def adalora(language: Any, slots: Mapping[str, int], config: AdaLora) -> Pruning:
    """Wrap all slots of `language`.

    Raises:
        UsageError: the steps are too few to prune in, or the budget is below a rank for every second slot.
    """
    from peft import AdaLoraConfig
    from peft.tuners.adalora import AdaLoraModel

    # Beside A and B, each unit of rank has a singular value.
    target = round(config.parameters / (1 + sum(slots.values()) / len(slots)))
    if config.steps < 10 or 2 * target < len(slots):
        raise UsageError(
            f"AdaLoRA cannot prune to {config.parameters} parameters of {len(slots)} slots in {config.steps} steps.",
            "Give it 10 steps or more, and parameters for a rank of 1 in every second slot.",
        )
    start = math.ceil(1.5 * target / len(slots))
    tuner = AdaLoraModel(  # type: ignore[no-untyped-call]
        language,
        AdaLoraConfig(
            target_modules=list(slots),
            init_r=start,
            target_r=max(1, target // len(slots)),
            lora_alpha=_SCALE * start,
            tinit=config.steps // 10,
            tfinal=3 * config.steps // 10,
            deltaT=max(1, config.steps // 100),
            total_step=config.steps,
        ),
        "default",
    )
    # PEFT takes whole ranks a slot only; the sum over the slots may be any number.
    tuner.rankallocator.target_bgt = target
    return Pruning(tuner)


def orthogonality(language: Any) -> torch.Tensor:
    """AdaLoRA's penalty on factors A and B that are not orthogonal; 0-dimensional."""
    parts = []
    for name, weight in language.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            product = weight @ weight.T if ".lora_A." in name else weight.T @ weight
            parts.append(torch.linalg.matrix_norm(product - torch.eye(len(product)).to(product)))
    return _ORTHOGONALITY * torch.stack(parts).mean()


def _spread(weight: NDArray[np.float64], slots: Mapping[str, int], count: int) -> dict[str, int]:
    """Whole ranks in proportion to `weight`, at most 16, with about `count` parameters in sum."""
    cost = np.array(list(slots.values()), dtype=np.float64)
    if not 0 <= count <= MAX_RANK * cost.sum():
        raise UsageError(
            f"{count} parameters do not fit into {len(slots)} adapters.", f"At most {MAX_RANK * int(cost.sum())} do."
        )
    low, high = 0.0, MAX_RANK / float(weight.min())
    for _ in range(100):
        middle = (low + high) / 2
        fits = float(np.minimum(middle * weight, MAX_RANK) @ cost) <= count
        low, high = (middle, high) if fits else (low, middle)
    real = np.minimum(low * weight, MAX_RANK)
    rank = np.floor(real)
    up = np.zeros(len(cost), dtype=bool)
    left = 0.0  # parameters that rounding has kept back so far; evenly over the slots, not in the first ones
    for slot in range(len(cost)):
        left += (real[slot] - rank[slot]) * cost[slot]
        up[slot] = rank[slot] < MAX_RANK and 2 * left >= cost[slot]
        left -= up[slot] * cost[slot]
    while True:
        after = np.where(rank < MAX_RANK, np.abs(left - np.where(up, -cost, cost)), np.inf)
        best = int(after.argmin())
        if after[best] >= abs(left):
            return dict(zip(slots, (rank + up).astype(int).tolist(), strict=True))
        left += cost[best] if up[best] else -cost[best]
        up[best] = not up[best]


def _layer(slot: str) -> int:
    return int(slot.split(".")[1])
