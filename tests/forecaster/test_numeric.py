from __future__ import annotations

import numpy as np
import pytest
import torch

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.config import QUANTILES, NumericConfig
from mm4st_agent.forecaster.inputs import Preparation
from mm4st_agent.forecaster.networks import quantiles_at
from mm4st_agent.forecaster.numeric import NumericBranch, masked_loss
from mm4st_agent.forecaster.slots import extended, slots_of

SHAPE = NumericConfig(history=6, horizon=4, hidden=16, blocks=2, identity=3, eigenvectors=2)


def parts(panel: Panel, observed: np.ndarray) -> tuple[NumericBranch, Preparation, np.ndarray]:
    slots = slots_of(extended(panel.times, SHAPE.horizon), panel.step_s, "US")
    train = slots_of(panel.times[:1000], panel.step_s, "US")
    preparation = Preparation.fit(panel, panel.observed()[:1000], train, SHAPE.eigenvectors)
    torch.manual_seed(3)
    network = NumericBranch(SHAPE, torch.from_numpy(preparation.eigenvectors)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    origins = np.arange(1100, len(observed) + 1, 7)
    return network, preparation, quantiles_at(network, preparation, preparation.inputs(observed, slots), origins)


@pytest.mark.parametrize("edges", [True, False])
def test_quantiles_never_cross(panel_of: object, edges: bool) -> None:
    panel = panel_of(edges=edges)  # type: ignore[operator]

    _, _, found = parts(panel, panel.observed())

    assert found.shape[1:] == (SHAPE.horizon, 5, len(QUANTILES))
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()
    assert (np.diff(found, axis=-1) > 0).mean() > 0.99


def test_without_any_reading_the_profile_stands_in(panel: Panel) -> None:
    observed = panel.observed().copy()
    observed[-SHAPE.history :] = np.nan

    network, preparation, found = parts(panel, observed)

    assert np.isfinite(found).all()
    last = preparation.inputs(observed, slots_of(extended(panel.times, SHAPE.horizon), panel.step_s, "US")).windows(
        torch.tensor([len(observed)]), SHAPE.history, SHAPE.horizon
    )
    assert not last.history.any()
    assert last.level.any()  # what the week before says is still there
    with torch.no_grad():
        torch.testing.assert_close(network._base(last), last.profile)


def test_the_future_does_not_reach_a_forecast(panel: Panel) -> None:
    observed = panel.observed().copy()
    _, _, before = parts(panel, observed)
    origins = np.arange(1100, len(observed) + 1, 7)
    observed[origins[3] :] = 777

    _, _, after = parts(panel, observed)

    np.testing.assert_array_equal(before[:4], after[:4])
    assert (before[4] != after[4]).any()


def test_loss_by_hand_and_blind_to_missing_truth() -> None:
    quantiles = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0], [9.0, 9.0, 9.0, 9.0, 9.0]], requires_grad=True)
    truth = torch.tensor([4.0, float("nan")])

    loss = masked_loss(quantiles, truth)
    loss.backward()

    assert loss.item() == pytest.approx(1 + 0.1 * 3 + 0.25 * 2 + 0.5 * 1 + 0.75 * 0 + 0.1 * 1)
    assert quantiles.grad is not None
    assert quantiles.grad[0].any()
    assert not quantiles.grad[1].any()


def test_loss_without_any_truth_is_zero() -> None:
    quantiles = torch.zeros(2, 5, requires_grad=True)

    loss = masked_loss(quantiles, torch.full((2,), float("nan")))
    loss.backward()

    assert loss.item() == 0
    assert not quantiles.grad.any()  # type: ignore[union-attr]
