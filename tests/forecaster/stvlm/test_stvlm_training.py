"""ST-VLM from a panel to a checkpoint and to a forecast, from scratch and on pretrained weights."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import KNOWN_FUTURE, Panel
from mm4st_agent.data.store import save_panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster import training
from mm4st_agent.forecaster.checkpoint import WEIGHTS_FILE, load, read_card
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.learning import multiplies_bfloat16
from mm4st_agent.forecaster.networks import build
from mm4st_agent.forecaster.prediction import TrainedForecaster
from mm4st_agent.forecaster.slots import extended, slots_of
from mm4st_agent.forecaster.stvlm.adaptive import parameters
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.stvlm.hub import HubBackbone
from mm4st_agent.forecaster.stvlm.model import StVlm
from mm4st_agent.forecaster.stvlm.preparation import StInputs
from mm4st_agent.forecaster.train_config import TrainConfig
from mm4st_agent.forecaster.training import train_checkpoint

Folder = Callable[[str], Path]
NUMERIC = NumericConfig(hidden=24, blocks=1, identity=4, eigenvectors=3, dropout=0.1)
AS_OF = "2022-02-04T07:00"
TRAIN = """
import sys
from pathlib import Path
from mm4st_agent.data.store import open_panel
from mm4st_agent.forecaster.training import TrainConfig, train_checkpoint
config = TrainConfig.model_validate_json(sys.argv[3])
train_checkpoint(open_panel(Path(sys.argv[1])), "flow", out=Path(sys.argv[2]), config=config)
"""


@pytest.fixture(scope="module")
def told(panel: Panel) -> Panel:
    """The small road with rain, a forecast of it, and a log."""
    rng = np.random.default_rng(5)
    rain = np.where(rng.random(len(panel.times)) < 0.1, rng.gamma(2, 2, len(panel.times)), 0).astype(np.float32)
    covariates = xr.Dataset(
        {
            "rain": ("time", rain, {"units": "mm"}),
            "rain_forecast": ("time", rain, {"units": "mm", KNOWN_FUTURE: True}),
        },
        coords={"time": panel.data["time"]},
    )
    events = [
        Event(
            id=f"e{step}",
            text=f"Lane {step % 3} is closed after a crash",
            start=panel.times[step],
            end=panel.times[step + 3],
            published_at=panel.times[step] + pd.Timedelta(minutes=5),
            source="a log",
            node="ABCD"[step % 4],
            kind="incident",
        )
        for step in range(20, len(panel.times) - 4, 37)
    ]
    return dataclasses.replace(panel, covariates=covariates, events=tuple(events))


def config_of(**network: Any) -> TrainConfig:
    """Small enough to train in some seconds."""
    shape = StVlmConfig(numeric=NUMERIC, patch=2, **{"text_tokens": 24, **network})
    return TrainConfig(
        network=shape,
        shots=0.5,
        max_epochs=4,
        base_epochs=1,
        frozen_epochs=1,
        averaging=0.9,
        learning_rate=5e-3,
        fusion_learning_rate=1e-3,
        warm_up_steps=5,
    )


@pytest.fixture(scope="module")
def trained_st(tmp_path_factory: pytest.TempPathFactory, told: Panel) -> Path:
    out = tmp_path_factory.mktemp("st") / "tiny-flow"
    train_checkpoint(told, "flow", out=out, config=config_of(), progress=False)
    return out


@pytest.fixture(scope="module")
def trained_hub(tmp_path_factory: pytest.TempPathFactory, told: Panel, checkpoints: Folder) -> Path:
    out = tmp_path_factory.mktemp("hub-trained") / "tiny-flow"
    train_checkpoint(told, "flow", out=out, config=hub_config(checkpoints("idefics3")), progress=False)
    return out


def hub_config(base: Path, **network: Any) -> TrainConfig:
    return config_of(backbone=str(base), vision="tower", rank_budget=300, **network)


def killed(panel: Panel, config: TrainConfig, out: Path, after: str) -> int:
    """Train in another process, kill it once it has written `after`; how many epochs of that are done."""
    stored = out.with_name("panel")
    save_panel(panel, stored)
    state = out.with_name(f".{out.name}.training") / after
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(stored), str(out), config.model_dump_json()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 200
    while not state.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert not out.exists()
    return int(torch.load(state, weights_only=True)["epoch"]) + 1


def assert_same_weights(one: Path, other: Path) -> None:
    expected, found = load_file(one / WEIGHTS_FILE), load_file(other / WEIGHTS_FILE)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True, msg=name)


# -- from scratch ---------------------------------------------------------------------------


def test_the_fused_part_learns(trained_st: Path, told: Panel) -> None:
    checkpoint = load(trained_st)
    network, card = checkpoint.network, checkpoint.card

    assert isinstance(network, StVlm)
    assert card.model == "st-vlm"
    assert card.pretrained is None
    assert card.parameters == sum(weight.numel() for weight in network.parameters())
    assert network.head.head.weight.abs().max() > 1e-3  # it starts at 0
    # Positions and words are looked up with integers, which averaging the weights must leave as they are.
    fresh = build(card.network, checkpoint.preparation)
    for (name, buffer), (_, expected) in zip(network.named_buffers(), fresh.named_buffers(), strict=True):
        assert torch.equal(buffer, expected), name


def test_a_killed_training_ends_with_the_same_weights(trained_st: Path, told: Panel, tmp_path: Path) -> None:
    done = killed(told, config_of(), tmp_path / "tiny-flow", "last.ckpt")
    assert done < 4

    train_checkpoint(told, "flow", out=tmp_path / "tiny-flow", config=config_of(), progress=False)

    assert_same_weights(trained_st, tmp_path / "tiny-flow")
    assert read_card(tmp_path / "tiny-flow").best_validation_mae == read_card(trained_st).best_validation_mae


def test_the_numeric_branch_learns_alone_at_first(told: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of().model_copy(update={"max_epochs": 1, "base_epochs": 1})
    monkeypatch.setattr(StVlm, "read", lambda *_: pytest.fail("the tokens were read"))
    written: list[torch.Tensor] = []
    text = StInputs.text

    def noted(self: StInputs, origins: torch.Tensor) -> Any:
        written.append(origins)
        return text(self, origins)

    monkeypatch.setattr(StInputs, "text", noted)
    monkeypatch.setattr(training, "calibrate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        train_checkpoint(told, "flow", out=tmp_path / "tiny-flow", config=config, progress=False)

    state = torch.load(tmp_path / ".tiny-flow.training" / "last.ckpt", weights_only=True)["state_dict"]
    assert not written
    assert not state["network.head.head.weight"].any()
    assert state["network.numeric.head.weight"].any()


def test_a_stored_checkpoint_forecasts_the_same(trained_st: Path, told: Panel) -> None:
    card = read_card(trained_st)
    checkpoint = load(trained_st)
    first = int(told.times.searchsorted(pd.Timestamp(card.validation.start)))
    origins = np.arange(first + 12, first + card.validation.steps - 11)
    inputs = checkpoint.inputs(told, told.observed(), slots_of(told.times, told.step_s, "US"))

    medians = checkpoint.quantiles(inputs, origins)[..., 2]

    error = np.abs(told.observed()[origins[:, None] + np.arange(12)] - medians)
    batches = [np.nanmean(part) for part in np.split(error, range(32, len(error), 32))]
    cells = [np.isfinite(part).sum() for part in np.split(error, range(32, len(error), 32))]
    rounding = 1e-3 if multiplies_bfloat16() else 1e-4  # training validates in the precision that it learns in
    assert np.average(batches, weights=cells) == pytest.approx(card.best_validation_mae, rel=rounding)


@pytest.mark.parametrize("kind", ["trained_st", "trained_hub"])
def test_it_is_the_forecast_of_the_whole_series(kind: str, told: Panel, request: pytest.FixtureRequest) -> None:
    forecaster = TrainedForecaster(request.getfixturevalue(kind))
    checkpoint, origins = forecaster.checkpoint, np.array([400, 912, 1400, 1555, 1668])
    times = extended(told.times, 12)
    slots = slots_of(times, told.step_s, "US")

    whole = checkpoint.intervals(checkpoint.inputs(told, told.observed(), slots), told.observed(), slots)(origins)

    for expected, origin in zip(whole, origins, strict=True):
        cut = told.until(told.times[origin])
        assert len(cut.times) == origin
        found = checkpoint.fan(cut, checkpoint.widths(cut))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_no_forecast_sees_beyond_as_of(trained_st: Path, told: Panel) -> None:
    forecaster = TrainedForecaster(trained_st)
    known = len(told.until(AS_OF).times)
    data, covariates = told.data.copy(deep=True), told.covariates.copy(deep=True)
    data["flow"][known:] = 9999.0
    data["imputed"][known:] = False
    covariates["rain"][known:] = 80.0
    moment = told.moment(AS_OF)
    events = tuple(event for event in told.events if event.published_at <= moment)
    assert len(events) < len(told.events)
    secret = dataclasses.replace(told.events[-1], id="x", text="A bridge is down", published_at=moment + told.step)
    secret = dataclasses.replace(secret, start=moment - told.step, end=None)
    other = dataclasses.replace(told, data=data, covariates=covariates, events=(*events, secret))
    told_more = dataclasses.replace(told, events=(*told.events, dataclasses.replace(secret, published_at=moment)))

    before, after, more = (forecaster.checkpoint.fan(given.until(AS_OF)) for given in (told, other, told_more))

    np.testing.assert_array_equal(before, after)
    assert np.abs(before - more).max() > 1e-6  # what was published in time does reach it
    wetter = told.covariates.copy(deep=True)
    wetter["rain"][known - 3 : known] = 80.0
    rained = forecaster.checkpoint.fan(dataclasses.replace(told, covariates=wetter).until(AS_OF))
    assert np.abs(before - rained).max() > 1e-6


# -- on pretrained weights ------------------------------------------------------------------


def test_what_is_pretrained_is_not_in_the_checkpoint(trained_hub: Path, checkpoints: Folder) -> None:
    card = read_card(trained_hub)
    stored = load_file(trained_hub / WEIGHTS_FILE)

    assert card.pretrained is not None
    assert card.pretrained.path == str(checkpoints("idefics3"))
    adapters = card.pretrained.adapters
    assert adapters is not None
    used = {slot for slot, rank in adapters.ranks.items() if rank}
    assert len(set(adapters.ranks.values())) > 1
    assert {n.split(".lora_")[0].removeprefix("network.backbone.language.") for n in stored if ".lora_" in n} == used
    assert all(stored[n].abs().max() > 0 for n in stored if ".lora_B." in n)
    assert not [name for name in stored if "embed_tokens" in name or ".base_layer." in name or ".tower." in name]
    load(trained_hub)


@pytest.mark.parametrize("after", ["first-stage/last.ckpt", "last.ckpt"])
@pytest.mark.parametrize("ranks", [pytest.param("adaptive", marks=pytest.mark.slow), "adalora"])
def test_both_stages_survive_a_kill(
    after: str, ranks: str, told: Panel, checkpoints: Folder, tmp_path: Path, trained_hub: Path
) -> None:
    config = hub_config(checkpoints("idefics3"), ranks=ranks)
    whole = trained_hub
    if ranks == "adalora":
        whole = tmp_path / "whole"
        train_checkpoint(told, "flow", out=whole, config=config, progress=False)
    killed(told, config, tmp_path / "tiny-flow", after)
    record = tmp_path / ".tiny-flow.training" / "first-stage.json"
    assert after.startswith("first") or record.is_file()

    train_checkpoint(told, "flow", out=tmp_path / "tiny-flow", config=config, progress=False)

    assert_same_weights(whole, tmp_path / "tiny-flow")
    assert read_card(tmp_path / "tiny-flow").pretrained == read_card(whole).pretrained


def test_the_controls_have_as_many_parameters(
    told: Panel, checkpoints: Folder, trained_hub: Path, tmp_path: Path
) -> None:
    network = load(trained_hub).network
    assert isinstance(network, StVlm)
    assert isinstance(network.backbone, HubBackbone)
    slots = network.backbone.slots

    def count(folder: Path) -> int:
        pretrained = read_card(folder).pretrained
        assert pretrained is not None
        assert pretrained.adapters is not None
        return parameters(pretrained.adapters.ranks, slots)

    for ranks in ("uniform", "random"):
        config = hub_config(checkpoints("idefics3"), ranks=ranks).model_copy(update={"max_epochs": 3})
        train_checkpoint(told, "flow", out=tmp_path / ranks, config=config, progress=False)
        assert count(tmp_path / ranks) == pytest.approx(count(trained_hub), rel=0.05)
    config = hub_config(checkpoints("idefics3"), ranks="none").model_copy(update={"max_epochs": 1})
    train_checkpoint(told, "flow", out=tmp_path / "none", config=config, progress=False)
    without = read_card(tmp_path / "none").pretrained
    assert without is not None
    assert without.adapters is None
    assert not [name for name in load_file(tmp_path / "none" / WEIGHTS_FILE) if "lora" in name]


def test_other_pretrained_weights_are_refused(trained_hub: Path, checkpoints: Folder, tmp_path: Path) -> None:
    base = Path(shutil.copytree(checkpoints("idefics3"), tmp_path / "base"))
    out = Path(shutil.copytree(trained_hub, tmp_path / "tiny-flow"))
    card = json.loads((out / "card.json").read_text())
    card["config"]["network"]["backbone"] = card["pretrained"]["path"] = str(base)
    (out / "card.json").write_text(json.dumps(card))
    load(out)
    file = next(base.glob("*.safetensors"))
    tensors = load_file(file)
    next(iter(tensors.values())).view(-1)[0] += 1
    save_file(tensors, file, metadata={"format": "pt"})

    with pytest.raises(DataError, match=r"'tiny-flow' rests on pretrained weights with the SHA-256 .*mm4st train"):
        load(out)
    shutil.rmtree(base)
    with pytest.raises(DataError, match=r"rests on the pretrained weights in .*base, and they cannot be read"):
        load(out)
