"""The peers are those of their papers, learn, and read nothing that they must not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from eval.bench.harness import Task
from eval.peers.dlinear import DLinear
from eval.peers.fitting import fit, predictor
from eval.peers.graph_wavenet import GraphWaveNet
from eval.peers.inputs import Batch, PeerInputs
from eval.peers.recipes import NETWORKS, RECIPES
from eval.peers.ridge import fit_ridge
from eval.peers.staeformer import StaeFormer
from eval.peers.stid import Stid
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.windows import Scaler
from mm4st_agent.forecaster.baselines import last_value, truth_at

PEMS08, DAY = 170, 288
CHAIN = sparse.csr_array(np.eye(PEMS08, k=1))
UNUSED_IN_RELEASED_GRAPH_WAVENET = 8 * (32 * 32 + 32)


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_are_those_published_for_pems08() -> None:
    assert weights(Stid(PEMS08, 12, 12, per_day=DAY)) == 116_684  # 0.12 M
    assert weights(StaeFormer(PEMS08, 12, 12, per_day=DAY)) == 1_223_460  # 1.22 M
    wavenet = weights(GraphWaveNet(CHAIN, 12, per_day=DAY))
    assert wavenet + UNUSED_IN_RELEASED_GRAPH_WAVENET == 308_660  # 0.31 M
    assert weights(DLinear(12, 12)) == 2 * (12 * 12 + 12)


def test_graph_wavenet_has_the_309400_weights_of_its_log_on_metr_la() -> None:
    network = GraphWaveNet(sparse.csr_array(np.eye(207, k=1)), 12, per_day=DAY)

    assert weights(network) + UNUSED_IN_RELEASED_GRAPH_WAVENET == 309_400


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize(("history", "edges"), [(12, True), (24, False)])
def test_forecasts_have_the_shape_of_the_truth(name: str, history: int, edges: bool) -> None:
    inputs = _inputs(np.random.default_rng(0).normal(size=(96, 5)), history=history, calendar=name == "stid-calendar")
    graph = sparse.csr_array(np.eye(5, k=1) if edges else np.zeros((5, 5)))

    forecast = NETWORKS[name](inputs, graph)(inputs.windows(torch.tensor([history, history + 3, 60])))

    assert forecast.shape == (3, 12, 5)
    assert forecast.isfinite().all()


@pytest.mark.parametrize(
    ("name", "epochs", "left"),
    # Graph WaveNet keeps its dropout of 0.3 in every layer.
    [("dlinear", 60, 0.05), ("stid", 60, 0.05), ("stid-calendar", 60, 0.05), ("graph-wavenet", 25, 0.1),
     ("staeformer", 12, 0.25)],
)  # fmt: skip
def test_a_peer_overfits_a_tiny_series(name: str, epochs: int, left: float) -> None:
    assert _overfitted(name, epochs) < left


def _overfitted(name: str, epochs: int) -> float:
    """Error on the windows it was trained on, as a share of that of the mean."""
    phase = np.linspace(0, 2, 5)
    series = np.sin(2 * np.pi * np.arange(72)[:, None] / 24 + phase)
    inputs = _inputs(series, calendar=name == "stid-calendar")
    windows = np.arange(12, 44)
    torch.manual_seed(0)
    network = NETWORKS[name](inputs, sparse.csr_array(np.eye(5, k=1)))
    recipe = RECIPES[name].model_copy(
        update={"max_epochs": epochs, "batch_windows": 8, "milestones": (epochs // 2,), "decay": 0.2}
    )
    best = fit(network, (inputs, inputs), windows, windows, recipe, seed=0).best_mae
    return best / float(np.abs(series).mean())


def test_missing_truths_neither_train_nor_count() -> None:
    series = np.sin(np.arange(96)[:, None] + np.arange(5.0))
    series[:, 3] = np.nan
    series[50:55, 1] = np.nan
    inputs = _inputs(series)
    network = Stid(5, 12, 12, per_day=24)

    done = fit(network, (inputs, inputs), np.arange(12, 60), np.arange(60, 84), _short("stid"), seed=0)

    assert np.isfinite(done.best_mae)
    assert all(p.isfinite().all() for p in network.parameters())
    assert np.isfinite(predictor(network, inputs)(np.array([52, 70]))).all()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_forecast_reads_only_what_lies_before_its_origin(name: str) -> None:
    series = np.random.default_rng(1).normal(size=(96, 5))
    changed = series.copy()
    changed[40:] += 10
    torch.manual_seed(0)
    network = NETWORKS[name](_inputs(series), sparse.csr_array(np.eye(5, k=1))).eval()
    before, after = (predictor(network, _inputs(each, fitted_to=series)) for each in (series, changed))

    np.testing.assert_array_equal(before(np.array([40])), after(np.array([40])))
    assert np.abs(before(np.array([41])) - after(np.array([41]))).max() > 0


def test_the_seed_decides_the_weights_and_the_budget_ends_a_training() -> None:
    inputs = _inputs(np.random.default_rng(1).normal(size=(96, 5)))

    def trained(seed: int, max_minutes: float | None = None) -> tuple[str, torch.Tensor]:
        torch.manual_seed(5)
        network = Stid(5, 12, 12, per_day=24)
        done = fit(
            network, (inputs, inputs), np.arange(12, 60), np.arange(60, 84), _short("stid"),
            seed=seed, max_minutes=max_minutes,
        )  # fmt: skip
        return done.stopped, network.head.weight.detach()

    torch.testing.assert_close(trained(1)[1], trained(1)[1], rtol=0, atol=0)
    assert not torch.equal(trained(1)[1], trained(2)[1])
    assert trained(1)[0] == "epochs"
    assert trained(1, max_minutes=1e-9)[0] == "budget"


def test_our_calendar_inputs_leave_the_week_of_a_training_step_out(road: Panel) -> None:
    task = Task.of(road, "flow")
    learnt, usual = PeerInputs.of(task.course, 12, 12, calendar=True)
    plain, same = PeerInputs.of(task.course, 12, 12)
    train = task.course.split.train

    assert plain is same
    assert plain.extras == 0
    assert usual.extras == 12 + 2
    assert learnt.profile is not None
    assert usual.profile is not None
    assert not torch.equal(learnt.profile[train], usual.profile[train])
    torch.testing.assert_close(learnt.profile[train.stop :], usual.profile[train.stop :], rtol=0, atol=0)


def test_ridge_is_far_better_than_the_last_value_where_the_day_tells(road_of: Callable[..., Panel]) -> None:
    task = Task.of(road_of(), "flow")
    found = fit_ridge(task.course, 12, 12, task.train, task.validation)
    origins = task.test[0]
    truth = truth_at(task.course.observed, origins, 12)

    ours, naive = found.predict(origins), last_value(task.course.history, origins, 12)

    assert np.isfinite(ours).all()
    assert np.nanmean(np.abs(ours - truth)) < 0.6 * np.nanmean(np.abs(naive - truth))
    assert found.parameters == 5 * 12 * (12 + 16 + 8 + 1)


def _short(name: str) -> object:
    return RECIPES[name].model_copy(update={"max_epochs": 3})


def _inputs(
    series: np.ndarray, *, history: int = 12, calendar: bool = False, fitted_to: np.ndarray | None = None
) -> PeerInputs:
    scaler = Scaler.fit(series if fitted_to is None else fitted_to)
    scaled = torch.from_numpy(scaler.transform(series))
    step = torch.arange(len(series))
    extra = (torch.nan_to_num(scaled), torch.zeros(len(series) + 1, series.shape[1], 2)) if calendar else (None, None)
    return PeerInputs(scaler, scaled, step % 24, step // 24 % 7, 24, 7, history, 12, *extra)


def test_a_batch_fills_gaps_with_the_training_mean() -> None:
    series = np.arange(48.0)[:, None].repeat(2, axis=1)
    series[20, 1] = np.nan

    batch = _inputs(series).windows(torch.tensor([24]))

    assert isinstance(batch, Batch)
    assert batch.value[0, 8].tolist()[1] == 0
    assert batch.slot[0].tolist() == list(range(12, 24))
    assert batch.calendar.shape == (1, 2, 0)
