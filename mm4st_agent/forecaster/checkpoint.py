"""Checkpoints: a folder with `weights.safetensors` and `card.json`; loading is strict, nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.baselines import BASELINES
from mm4st_agent.forecaster.calibration import Residuals
from mm4st_agent.forecaster.card import FORMAT, CheckpointCard, PretrainedBase
from mm4st_agent.forecaster.measured import observed_in
from mm4st_agent.forecaster.recent import AS_CALIBRATED, DAYS, Intervals, Pieces, Widths, in_turn
from mm4st_agent.forecaster.slots import Slots, extended, slots_a_day, slots_of

if TYPE_CHECKING:
    import torch

    from mm4st_agent.forecaster.earlier import Earlier
    from mm4st_agent.forecaster.networks import AnyInputs, Network, Prepared

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
_NETWORK = "network."


@dataclass(frozen=True)
class Checkpoint:
    """A trained forecaster of one channel of one data set.

    Attributes:
        residuals: By baseline name.
    """

    card: CheckpointCard
    network: Network
    preparation: Prepared
    residuals: Mapping[str, Residuals]

    def inputs(
        self,
        panel: Panel,
        observed: NDArray[np.float32],
        slots: Slots,
        *,
        level: NDArray[np.float32] | None = None,
    ) -> AnyInputs:
        """What the network reads of a series; see `networks.inputs_of`."""
        from mm4st_agent.forecaster.networks import inputs_of

        channel = panel.channel(self.card.channel)
        return inputs_of(self.preparation, self.card.network, panel, channel, observed, slots, level=level)

    def fan(self, panel: Panel, widths: Widths = AS_CALIBRATED) -> NDArray[np.float32]:
        """`(H, N, 5)` quantiles of the steps after the panel's end, of which only the recent ones are read.

        Args:
            panel: With the nodes of the checkpoint and no others.
            widths: What `widths` gave at the panel's end; without, intervals are as wide as on the validation part.
        """
        intervals = self._lately(panel, 0)
        fan = intervals.calibrated(np.array([len(intervals.observed)]))
        return np.asarray(intervals.widened(fan, np.array([widths], dtype=np.float32))[0])

    def widths(self, panel: Panel, earlier: Earlier | None = None) -> Widths:
        """What the intervals of a forecast from the panel's end are to be multiplied by; see `recent`."""
        reach = (DAYS + 1) * slots_a_day(panel.step_s) + 2 * self.card.network.horizon
        intervals = self._lately(panel, reach)
        if earlier is not None:
            intervals = earlier.remembered(intervals, panel.times[-len(intervals.observed) :])
        origins = np.array([len(intervals.observed)])
        one, two, three, four = intervals.recent(origins).at(origins)[0].tolist()
        return one, two, three, four

    def intervals(self, inputs: AnyInputs, observed: NDArray[np.float32], slots: Slots) -> Intervals:
        """From origins in a series `observed` `(T, N)` to the quantiles of forecasts."""
        horizon, nodes = self.card.network.horizon, observed.shape[1]
        return self._intervals(
            in_turn(lambda origins: self.quantiles(inputs, origins), horizon, nodes), observed, slots
        )

    def _intervals(self, pieces: Pieces, observed: NDArray[np.float32], slots: Slots) -> Intervals:
        shape = self.card.network
        return Intervals(pieces, self.card.calibration, observed, slots, shape.history, shape.horizon)

    def quantiles(self, inputs: AnyInputs, origins: NDArray[np.integer]) -> NDArray[np.float32]:
        """Uncalibrated quantiles `(W, H, N, 5)`; see `networks.quantiles_at`."""
        from mm4st_agent.forecaster.networks import quantiles_at

        return quantiles_at(self.network, self.preparation, inputs, origins)

    def _lately(self, panel: Panel, reach: int) -> Intervals:
        """Of forecasts from the last `reach` steps of `panel` on, or from its end; no more is read than they need."""
        from mm4st_agent.forecaster.windowing import in_pieces

        shape = self.card.network
        first = max(0, len(panel.times) - max(2, shape.history + reach))  # a panel has two steps or more
        cut = dataclasses.replace(panel, data=panel.data.isel(time=slice(first, None)))
        slots = slots_of(extended(cut.times, shape.horizon), panel.step_s, panel.card.holidays)
        readings = observed_in(panel, self.card.channel, slice(first, None))
        return self._intervals(lambda origins: in_pieces(self, panel, origins + first), readings, slots)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the folder; an old one of this name is replaced at once, never mixed with the new one."""
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        save_file(_tensors(checkpoint), fresh / WEIGHTS_FILE)
        (fresh / WEIGHTS_FILE).chmod(0o644)  # it is made readable to its owner only
        card = json.dumps(checkpoint.card.model_dump(mode="json"), indent=1, allow_nan=False)
        (fresh / CARD_FILE).write_text(card + "\n", encoding="utf-8")
        fresh.chmod(0o755)
        _put_in_place(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def read_card(folder: Path) -> CheckpointCard:
    """The card alone, without the weights.

    Raises:
        DataError: there is no checkpoint here, its card is invalid or of a newer format.
    """
    path = folder / CARD_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise DataError(f"There is no checkpoint in {folder}: {CARD_FILE} cannot be read.", _retrain()) from err
    except ValueError as err:
        raise DataError(f"{path} is not JSON: {err}.", _retrain()) from err
    found = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise DataError(f"{path} has format {found}, this version reads {FORMAT}.", "Update mm4st, or train it again.")
    try:
        return CheckpointCard.model_validate(raw)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise DataError(f"{path} is invalid at {where}: {first['msg']}.", _retrain(raw)) from err


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint; every tensor must be there, of the right shape, and none more.

    Raises:
        DataError: a file is missing or broken, a tensor is missing, unknown or of another shape, the format is
            newer than this version, or the pretrained weights beneath are missing or not those of the training.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mm4st_agent.forecaster.networks import build, prepared

    card = read_card(folder)
    base = card.pretrained
    if base is not None:
        _check_base(folder, card, base)
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as err:
        raise DataError(f"{path} cannot be read: {err}.", _retrain_card(card)) from err
    weights = {k: v for k, v in tensors.items() if k.startswith(_NETWORK)}
    kept = {k: v for k, v in tensors.items() if not k.startswith(_NETWORK)}
    _check_shapes(path, kept, _arrays_of(card), card)
    arrays = {k: v.numpy() for k, v in kept.items()}
    with torch.random.fork_rng():
        network = build(
            card.network, prepared(card.network, arrays, len(card.node_ids)), None if base is None else base.adapters
        )
    _check_shapes(path, weights, {_NETWORK + k: tuple(v.shape) for k, v in network.state_dict().items()}, card)
    network.load_state_dict({k.removeprefix(_NETWORK): v for k, v in weights.items()})
    network.eval()
    preparation = prepared(card.network, arrays, len(card.node_ids), network)
    residuals = {
        name: Residuals(arrays[f"residuals.{name}.steps"], arrays[f"residuals.{name}.totals"]) for name in BASELINES
    }
    return Checkpoint(card, network, preparation, residuals)


def _check_base(folder: Path, card: CheckpointCard, base: PretrainedBase) -> None:
    """Refuse pretrained weights other than those that the checkpoint was trained on."""
    from mm4st_agent.forecaster.networks import base_sha256

    try:
        found = base_sha256(card.network)
    except DataError as err:
        raise DataError(
            f"The checkpoint {folder.name!r} rests on the pretrained weights in {base.path}, and they cannot be read: "
            f"{err.message}",
            f"Put them back, or train it again: mm4st train --dataset {card.dataset} --channel {card.channel}.",
        ) from err
    if found != base.sha256:
        raise DataError(
            f"The checkpoint {folder.name!r} rests on pretrained weights with the SHA-256 {base.sha256[:12]}..., and "
            f"those in {base.path} have {str(found)[:12]}....",
            f"Put the first ones back, or train it again: mm4st train --dataset {card.dataset} "
            f"--channel {card.channel} --backbone {base.path}.",
        )


def _tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    import torch

    arrays: dict[str, NDArray[Any]] = checkpoint.preparation.to_arrays()
    for name, residuals in checkpoint.residuals.items():
        arrays[f"residuals.{name}.steps"] = residuals.steps
        arrays[f"residuals.{name}.totals"] = residuals.totals
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    state = checkpoint.network.state_dict()
    # Copies, because a buffer may lie in the array that it was made from, and no file holds the same memory twice.
    return {**tensors, **{_NETWORK + k: v.clone(memory_format=torch.contiguous_format) for k, v in state.items()}}


def _arrays_of(card: CheckpointCard) -> dict[str, tuple[int | None, ...]]:
    """Every array's shape; None is a length that only the file knows."""
    from mm4st_agent.forecaster.networks import shapes_of

    nodes, horizon = len(card.node_ids), card.network.horizon
    shapes = shapes_of(card.network, nodes)
    for name in BASELINES:
        shapes[f"residuals.{name}.steps"] = (horizon, nodes, len(card.quantiles))
        shapes[f"residuals.{name}.totals"] = (horizon, nodes, 2)
    return shapes


def _check_shapes(
    path: Path,
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, tuple[int | None, ...]],
    card: CheckpointCard,
) -> None:
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra:
        said = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(extra)}"] * bool(extra)
        raise DataError(f"{path} {' and '.join(said)}.", _retrain_card(card))
    for name, shape in expected.items():
        real = tuple(found[name].shape)
        if len(real) != len(shape) or any(want not in (None, got) for want, got in zip(shape, real, strict=True)):
            raise DataError(f"{path}: {name} has the shape {real}, not {shape}.", _retrain_card(card))


def _put_in_place(fresh: Path, folder: Path) -> None:
    old = fresh.with_name(fresh.name + ".old")
    if folder.exists():
        folder.replace(old)
    fresh.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _retrain_card(card: CheckpointCard) -> str:
    return f"Train it again: mm4st train --dataset {card.dataset} --channel {card.channel}."


def _retrain(raw: object = None) -> str:
    name = raw.get("dataset", "NAME") if isinstance(raw, dict) else "NAME"
    return f"Train it again: mm4st train --dataset {name}."
