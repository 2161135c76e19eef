from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.store import save_panel
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.forecaster import numeric, training
from mm4st_agent.forecaster.averaging import Averaging
from mm4st_agent.forecaster.baselines import BASELINES
from mm4st_agent.forecaster.checkpoint import CARD_FILE, WEIGHTS_FILE, load, read_card
from mm4st_agent.forecaster.config import MEDIAN, MODEL_NAME, NumericConfig
from mm4st_agent.forecaster.learning import MONITOR, Bar, Material, Patience, Training, Windows, devices
from mm4st_agent.forecaster.networks import build, prepare, quantiles_at
from mm4st_agent.forecaster.recovery import only_training
from mm4st_agent.forecaster.slots import slots_of
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.forecaster.training import train_checkpoint

TRAIN = """
import sys
from pathlib import Path
from mm4st_agent.data.store import open_panel
from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint
config = TrainConfig.model_validate_json(sys.argv[3])
train_checkpoint(open_panel(Path(sys.argv[1])), "flow", out=Path(sys.argv[2]), config=config)
"""


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []
    loss = numeric.masked_loss

    def counted(quantiles: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        steps.append(len(truth))
        return loss(quantiles, truth)

    monkeypatch.setattr(numeric, "masked_loss", counted)
    return steps


def test_it_beats_every_baseline_on_data_it_did_not_see(trained: Path) -> None:
    card = read_card(trained)

    errors = {name: card.errors.by_step[name].mae_over(12) for name in (MODEL_NAME, *BASELINES)}

    assert min(errors, key=lambda name: errors[name]) == MODEL_NAME  # type: ignore[arg-type,return-value]
    assert card.train.end == card.validation.start
    assert card.validation.end == card.test.start
    assert (card.train.steps, card.validation.steps, card.test.steps) == (1176, 168, 336)
    assert 65 < (card.errors.by_step[MODEL_NAME].coverage80_over(12) or 0) < 95


def test_the_stored_weights_are_those_that_were_validated(trained: Path, panel: Panel) -> None:
    checkpoint = load(trained)
    card, observed = checkpoint.card, panel.observed()
    ahead = np.arange(12)

    origins = np.arange(card.train.steps + 12, card.train.steps + card.validation.steps - 11)
    inputs = checkpoint.preparation.inputs(observed, slots_of(panel.times, panel.step_s, "US"))
    medians = quantiles_at(checkpoint.network, checkpoint.preparation, inputs, origins)[..., MEDIAN]

    found = np.nanmean(np.abs(observed[origins[:, None] + ahead] - medians))
    assert float(found) == pytest.approx(card.best_validation_mae, rel=1e-4)


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    trained: Path, panel: Panel, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, stored = tmp_path / "tiny-flow", tmp_path / "panel"
    save_panel(panel, stored)
    last = tmp_path / ".tiny-flow.training" / "last.ckpt"
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(stored), str(out), config.model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not last.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert said == b""  # progress goes to stderr
    assert not out.exists()
    done = torch.load(last, weights_only=True)["epoch"] + 1
    assert 1 <= done < config.max_epochs

    steps = count_steps(monkeypatch)
    card = train_checkpoint(panel, "flow", out=out, config=config, progress=False)

    assert len(steps) == (config.max_epochs - done) * -(-(1176 - 23) // config.batch_windows)
    assert card.epochs == config.max_epochs
    whole, resumed = load_file(trained / WEIGHTS_FILE), load_file(out / WEIGHTS_FILE)
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".tiny-flow.lock"]


def test_ctrl_c_says_how_to_go_on(panel: Panel, config: TrainConfig, tmp_path: Path) -> None:
    out, stored = tmp_path / "tiny-flow", tmp_path / "panel"
    save_panel(panel, stored)
    config = config.model_copy(update={"max_epochs": 60, "patience": 60})  # long enough to be met half-way
    last = tmp_path / ".tiny-flow.training" / "last.ckpt"
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(stored), str(out), config.model_dump_json()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not last.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert "Stopped; the same command goes on after the last whole epoch." in said
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "SystemExit" in said  # it was Lightning that was interrupted
    assert not out.exists()
    done = torch.load(last, weights_only=True)["epoch"] + 1
    shorter = config.model_copy(update={"max_epochs": done + 1})
    assert train_checkpoint(panel, "flow", out=out, config=shorter, progress=False).epochs == done + 1


def test_two_trainings_of_a_channel_do_not_mix(panel: Panel, config: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "tiny-flow"

    with only_training(out), pytest.raises(UsageError, match="Another training of 'tiny-flow' is running"):
        train_checkpoint(panel, "flow", out=out, config=config, progress=False)
    with only_training(tmp_path / "tiny-speed"):
        train_checkpoint(panel, "flow", out=out, config=config.model_copy(update={"max_epochs": 1}), progress=False)

    assert (out / CARD_FILE).is_file()


def test_other_arguments_start_anew(
    panel: Panel, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiny-flow"
    short = config.model_copy(update={"max_epochs": 1})
    with monkeypatch.context() as patch:
        patch.setattr(training, "calibrate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_checkpoint(panel, "flow", out=out, config=short, progress=False)
    assert (tmp_path / ".tiny-flow.training" / "last.ckpt").is_file()
    steps = count_steps(monkeypatch)

    train_checkpoint(panel, "flow", out=out, config=short.model_copy(update={"seed": 5}), progress=False)

    assert len(steps) == 37  # one whole epoch of its own


def test_it_leaves_nothing_but_the_checkpoint(
    panel: Panel,
    config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    random = torch.random.get_rng_state()

    quick = config.model_copy(update={"max_minutes": 1e-6})
    card = train_checkpoint(panel, None, out=Path("out") / "tiny-flow", config=quick)

    assert card.epochs == 1  # the budget ends it after the epoch that used it up
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "out",
        "out/.tiny-flow.lock",
        "out/tiny-flow",
        f"out/tiny-flow/{CARD_FILE}",
        f"out/tiny-flow/{WEIGHTS_FILE}",
    ]
    assert capfd.readouterr().out == ""
    torch.testing.assert_close(torch.random.get_rng_state(), random)


def test_data_that_cannot_be_learned_from(panel_of: Callable[..., Panel], config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'tiny' has 192 time steps; training and backtest need 232, .*data import"):
        train_checkpoint(panel_of(days=4), out=tmp_path / "x", config=config, progress=False)

    panel = panel_of()
    blank = panel.data.copy(deep=True)
    blank["imputed"][:] = True
    with pytest.raises(
        DataError, match=r"train part of 'tiny', 2022-01-03 00:00 to .*, holds no measured traffic flow"
    ):
        train_checkpoint(Panel(panel.card, blank), out=tmp_path / "x", config=config, progress=False)

    unchecked = panel.data.copy(deep=True)
    unchecked["imputed"][1176 + 12 : 1344] = True  # only the history of the first validation window was measured
    with pytest.raises(DataError, match=r"validation part of 'tiny', .* holds no measured traffic flow to forecast"):
        train_checkpoint(Panel(panel.card, unchecked), out=tmp_path / "x", config=config, progress=False)

    with pytest.raises(UsageError, match="no channel 'speed'"):
        train_checkpoint(panel, "speed", out=tmp_path / "x", config=config, progress=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def material_of(windows: int) -> Material:
    class Origins:
        """In place of the inputs of a series: each window is its own origin."""

        def windows(self, origins: torch.Tensor, history: int, horizon: int) -> torch.Tensor:
            return origins

    origins, truth = np.arange(windows), torch.zeros(windows + 12, 1)
    return Material(Origins(), Origins(), truth, origins, origins, 1.0, "km/h")  # type: ignore[arg-type]


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("windows", [1, 63, 65, 96])
def test_devices_divide_the_windows_of_each_batch(windows: int, learning: bool, config: TrainConfig) -> None:
    def batches(rank: int, world: int) -> list[set[int]]:
        trainer = SimpleNamespace(current_epoch=3, global_rank=rank, world_size=world)
        loader = Windows(material_of(windows), config, trainer, learning=learning, first=0)  # type: ignore[arg-type]
        found = [set(batch.tolist()) for batch, _ in loader]
        assert len(found) == len(loader)
        return found

    alone = batches(0, 1)
    apart = [batches(rank, 3) for rank in range(3)]

    assert sorted(origin for batch in alone for origin in batch) == list(range(windows))
    for whole, *parts in zip(alone, *apart, strict=True):
        assert set.union(*parts) == whole
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert sum(map(len, parts)) - len(whole) < 3  # filled up, so that all devices have as many


def test_two_processes_train_one_network(panel: Panel, config: TrainConfig, tmp_path: Path) -> None:
    assert isinstance(config.network, NumericConfig)
    still = config.network.model_copy(update={"dropout": 0.0})
    config = config.model_copy(update={"network": still, "max_epochs": 2, "shots": 0.5})

    train_checkpoint(panel, "flow", out=tmp_path / "one", config=config, progress=False)
    two = config.model_copy(update={"devices": 2})
    card = train_checkpoint(panel, "flow", out=tmp_path / "two", config=two, progress=False)

    assert card.epochs == 2
    assert card.best_validation_mae == pytest.approx(read_card(tmp_path / "one").best_validation_mae, rel=0.01)
    one, other = load_file(tmp_path / "one" / WEIGHTS_FILE), load_file(tmp_path / "two" / WEIGHTS_FILE)
    fresh = fresh_weights(config, panel)
    for name in ("mix.weight", "series.weight", "head.weight"):
        moved = one[f"network.{name}"] - fresh[name]
        apart = one[f"network.{name}"] - other[f"network.{name}"]
        # A mean of two means is not the mean where readings are missing, so the steps differ a little.
        assert apart.norm() < 0.2 * moved.norm(), name


def fresh_weights(config: TrainConfig, panel: Panel) -> dict[str, torch.Tensor]:
    train = slice(0, 588)
    slots = slots_of(panel.times, panel.step_s, "US")
    torch.manual_seed(config.seed)
    return build(config.network, prepare(panel, panel.observed(), slots, train, config.network)).state_dict()


def test_more_gpus_than_there_are(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    with pytest.raises(UsageError, match=r"4 devices are asked for, and there are 2 GPUs.*--devices 2"):
        devices(config.model_copy(update={"devices": 4}))
    assert devices(config.model_copy(update={"devices": "auto"}))["devices"] == 2
    one = devices(config)
    assert (one["accelerator"], one["devices"], one["strategy"], one["precision"]) == ("gpu", 1, "auto", "32-true")
    fused = config.model_copy(update={"network": StVlmConfig()})
    assert devices(fused)["precision"] == "bf16-mixed"
    monkeypatch.undo()
    if not torch.cuda.is_available():
        assert devices(fused)["accelerator"] == "cpu"


@pytest.mark.parametrize(
    ("capabilities", "precision"), [({"avx512_bf16": True}, "bf16-mixed"), ({"avx2": True}, "32-true")]
)
def test_half_precision_on_a_processor_that_has_it(
    config: TrainConfig, capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    assert devices(config.model_copy(update={"network": StVlmConfig()}))["precision"] == precision
    assert devices(config)["precision"] == "32-true"


class Worsening(lightning.LightningModule):
    """Its validation error grows with each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return (self.weight * batch).sum()

    def validation_step(self, batch: torch.Tensor, _: int) -> None:
        self.log(MONITOR, torch.tensor(float(self.current_epoch)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("batches", "first", "epochs"),
    [
        pytest.param(400, 0, 5 + 1 + 2, id="its patience counts from the end of the base epochs"),
        pytest.param(400, 4, 1 + 1 + 2, id="those of an earlier stage are over"),
        pytest.param(40, 0, 5 + 1 + 10, id="400 steps are waited for"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # Lightning's own
def test_when_it_stops_early(config: TrainConfig, batches: int, first: int, epochs: int, tmp_path: Path) -> None:
    config = config.model_copy(update={"patience": 2, "base_epochs": 5})
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=60,
        callbacks=[Patience(config, batches * config.batch_windows, first)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )

    trainer.fit(Worsening(), DataLoader([torch.ones(1)]), DataLoader([torch.ones(1)]))  # type: ignore[arg-type]

    assert trainer.current_epoch == epochs


def test_shots_without_a_window(panel: Panel, config: TrainConfig, tmp_path: Path) -> None:
    few = config.model_copy(update={"shots": 0.015})

    with pytest.raises(
        UsageError, match=r"0.015 of the training part of 'tiny' are 18 time steps.* needs 24"
    ) as caught:
        train_checkpoint(panel, out=tmp_path / "x", config=few, progress=False)
    assert "0.02 at least" in caught.value.hint


def test_the_bar_shows_the_error_in_the_unit_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = SimpleNamespace(progress_bar_metrics={MONITOR: 20.123, "loss": 1.0}, loggers=[])

    shown = Bar("vehicles/5 min").get_metrics(trainer, None)  # type: ignore[arg-type]

    assert shown == {"loss": 1.0, "val MAE": "20.1 vehicles/5 min"}


def test_the_fused_part_warms_up_when_it_begins_to_learn(config: TrainConfig) -> None:
    network = SimpleNamespace(numeric=torch.nn.Linear(2, 2))
    fused = torch.nn.Linear(3, 3)
    fused.bias.requires_grad_(False)
    network.parameters = lambda: [*network.numeric.parameters(), *fused.parameters()]
    recipe = config.model_copy(update={"base_epochs": 1, "warm_up_steps": 4, "fusion_learning_rate": 1e-3})
    module = Training(recipe, torch.nn.Identity(), 1.0, batches=10)  # type: ignore[arg-type]
    module.__dict__["network"] = network
    module._modules.clear()

    found = module.configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()

    numeric, late = zip(*rates, strict=True)
    assert set(numeric) == {recipe.learning_rate}
    assert late[:11] == (late[0],) * 11  # nothing of it learns in the first epoch
    assert late[10:16] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3])
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 1]


class Weights(lightning.LightningModule):
    """One weight that learns, one that is frozen, and positions."""

    def __init__(self) -> None:
        super().__init__()
        self.learned = torch.nn.Parameter(torch.zeros(3))
        self.frozen = torch.nn.Parameter(torch.rand(1000), requires_grad=False)
        self.register_buffer("positions", torch.arange(4096))


def test_only_what_learns_is_averaged() -> None:
    module, averaging = Weights(), Averaging(0.9, use_buffers=False)
    frozen, expected = module.frozen.detach().clone(), torch.ones(3)
    averaging.setup(None, module, "fit")  # type: ignore[arg-type]
    averaging.on_fit_start(None, module)  # type: ignore[arg-type]

    for step in range(1, 51):
        module.learned.data += 1
        averaging.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, step)  # type: ignore[arg-type]
        expected = 0.9 * expected + 0.1 * step if step > 1 else expected
    averaging.on_train_end(None, module)  # type: ignore[arg-type]

    torch.testing.assert_close(module.learned.data, expected)
    assert torch.equal(module.frozen, frozen)
    assert torch.equal(module.positions, torch.arange(4096))  # type: ignore[arg-type]
