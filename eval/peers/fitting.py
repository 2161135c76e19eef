"""The one training loop of all torch peers."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eval.peers.inputs import PeerInputs, as_positions
from eval.peers.outcome import Report, Stopped
from eval.peers.recipes import Recipe
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.learning import multiplies_bfloat16

_AT_ONCE = 64
"""Windows that are forecast together."""


@dataclass(frozen=True)
class Fit:
    """How a training ended; the network holds the weights of its best check."""

    epochs: float
    best_mae: float
    stopped: Stopped
    seconds: float


def fit(
    network: nn.Module,
    inputs: tuple[PeerInputs, PeerInputs],
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
    recipe: Recipe,
    *,
    seed: int,
    max_minutes: float | None = None,
    checks: int = 1,
    report: Report = lambda epochs, best: None,
) -> Fit:
    """Train `network` in place, and leave it with the weights of its lowest validation MAE, in `eval` mode.

    Args:
        network: Gives `(B, H, N)` for a `Batch`.
        inputs: For training, and for validation.
        train: Origins of the training windows.
        validation: Origins of the windows that decide when to stop.
        recipe: Learning rate and the like.
        seed: Of the order of the windows and of dropout.
        max_minutes: No step starts after so much time; None: no limit.
        checks: Validations in each epoch; more than one where an epoch takes minutes.
        report: Called after each step.

    Raises:
        DataError: the validation windows hold no measured reading.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, recipe.milestones, gamma=recipe.decay)
    kept, best, best_at, started = copy.deepcopy(network.state_dict()), float("inf"), 0.0, time.monotonic()
    learnt, checked = inputs
    origins = as_positions(train)
    steps = -(-len(origins) // recipe.batch_windows)
    due = {round(steps * (k + 1) / checks) for k in range(checks)}

    def spent() -> bool:
        return max_minutes is not None and time.monotonic() - started >= 60 * max_minutes

    def check(epochs: float) -> None:
        nonlocal kept, best, best_at
        mae = _mae(network, checked, validation)
        if mae < best:
            kept, best, best_at = copy.deepcopy(network.state_dict()), mae, epochs

    half = recipe.bfloat16 and multiplies_bfloat16()
    epochs = 0.0
    stopped: Stopped | None = None
    while stopped is None:
        order = origins[torch.randperm(len(origins), generator=generator)]
        whole = round(epochs)
        for number, batch in enumerate(torch.split(order, recipe.batch_windows), start=1):
            network.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = _loss(network, learnt, batch)
            if loss is not None:
                _step(network, loss, optimiser, recipe.clip)
            epochs = whole + number / steps
            if number in due or spent():
                check(epochs)
            report(epochs, best if np.isfinite(best) else None)
            if spent():
                stopped = "budget"
                break
        schedule.step()
        if stopped is None and epochs - best_at >= recipe.patience:
            stopped = "patience"
        elif stopped is None and epochs >= recipe.max_epochs:
            stopped = "epochs"
    network.load_state_dict(kept)
    network.eval()
    return Fit(round(epochs, 2), best, stopped, time.monotonic() - started)


def predictor(network: nn.Module, inputs: PeerInputs) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
    """What maps origins `(W,)` to forecasts `(W, H, N)` in the channel's unit."""

    def predict(origins: NDArray[np.intp]) -> NDArray[np.float32]:
        return inputs.scaler.inverse(
            np.concatenate([scaled.numpy() for _, scaled in _forecasts(network, inputs, origins)])
        )

    return predict


def _loss(network: nn.Module, inputs: PeerInputs, origins: torch.Tensor) -> torch.Tensor | None:
    """Masked, scaled MAE; None where nothing was measured."""
    truth = inputs.truths(origins)
    seen = torch.isfinite(truth)
    return (network(inputs.windows(origins))[seen] - truth[seen]).abs().mean() if seen.any() else None


def _step(network: nn.Module, loss: torch.Tensor, optimiser: torch.optim.Optimizer, clip: float | None) -> None:
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def _mae(network: nn.Module, inputs: PeerInputs, origins: NDArray[np.intp]) -> float:
    """Masked, in the channel's unit."""
    total, cells = 0.0, 0
    for batch, scaled in _forecasts(network, inputs, origins):
        error = (scaled - inputs.truths(batch)).abs()
        seen = torch.isfinite(error)
        total += float(error[seen].sum(dtype=torch.float64))
        cells += int(seen.sum())
    if cells == 0:
        raise DataError("The validation part holds no measured reading.", "Use another channel or longer data.")
    return inputs.scaler.std * total / cells


def _forecasts(
    network: nn.Module, inputs: PeerInputs, origins: NDArray[np.intp]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    network.eval()
    with torch.inference_mode():
        for batch in torch.split(as_positions(origins), _AT_ONCE):
            yield batch, network(inputs.windows(batch))
