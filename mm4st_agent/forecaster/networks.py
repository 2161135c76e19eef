"""The one place where the numeric branch and the whole of ST-VLM are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster import config as numeric_config
from mm4st_agent.forecaster.config import NumericConfig
from mm4st_agent.forecaster.inputs import Inputs, Preparation
from mm4st_agent.forecaster.numeric import NumericBranch
from mm4st_agent.forecaster.slots import Slots
from mm4st_agent.forecaster.stvlm import config as stvlm_config
from mm4st_agent.forecaster.stvlm.config import StVlmConfig

if TYPE_CHECKING:
    from mm4st_agent.forecaster.card import Adapters
    from mm4st_agent.forecaster.stvlm.hub import HubBackbone
    from mm4st_agent.forecaster.stvlm.model import StVlm
    from mm4st_agent.forecaster.stvlm.preparation import StInputs, StPreparation

Shape: TypeAlias = NumericConfig | StVlmConfig
Network: TypeAlias = "NumericBranch | StVlm"
Prepared: TypeAlias = "Preparation | StPreparation"
AnyInputs: TypeAlias = "Inputs | StInputs"

_PREDICTED_WINDOWS = 128
_PREDICTED_STATES = 2**13
"""A forward pass takes at most so many windows, and so many states of nodes: what it holds is a multiple of them."""


def name_of(shape: Shape) -> str:
    """What forecasts of such a network are called."""
    return numeric_config.MODEL_NAME if isinstance(shape, NumericConfig) else stvlm_config.MODEL_NAME


def prepare(panel: Panel, observed: NDArray[np.float32], slots: Slots, train: slice, shape: Shape) -> Prepared:
    """Estimate what the network needs from the steps `train` of the measured readings `observed` `(T, N)`.

    `slots` are of T' >= T steps, the first T of which are those of `observed`.
    """
    if isinstance(shape, NumericConfig):
        return Preparation.fit(panel, observed[train], slots.only(train), shape.eigenvectors)
    from mm4st_agent.forecaster.stvlm.preparation import StPreparation

    return StPreparation.fit(panel, observed, slots, train, shape)


def shapes_of(shape: Shape, nodes: int) -> dict[str, tuple[int | None, ...]]:
    """Of the arrays of what was prepared for a network; None is a length that only the arrays know."""
    if isinstance(shape, NumericConfig):
        return Preparation.shapes(nodes)
    from mm4st_agent.forecaster.stvlm.preparation import StPreparation

    return StPreparation.shapes(nodes)


def prepared(shape: Shape, arrays: Mapping[str, NDArray[Any]], nodes: int, network: Network | None = None) -> Prepared:
    """Back from `to_arrays`; the eigenvectors are those of `network`, or 0 where there is none yet."""
    branch = network if network is None or isinstance(network, NumericBranch) else network.numeric
    numeric_shape = shape if isinstance(shape, NumericConfig) else shape.numeric
    eigenvectors = (
        np.zeros((nodes, numeric_shape.eigenvectors), dtype=np.float32)
        if branch is None
        else branch.eigenvectors.numpy()
    )
    numeric = Preparation.from_arrays(arrays, eigenvectors)
    if isinstance(shape, NumericConfig):
        return numeric
    from mm4st_agent.forecaster.stvlm.preparation import StPreparation

    return StPreparation.from_arrays(arrays, numeric, shape)


def build(shape: Shape, prepared: Prepared, adapters: Adapters | None = None) -> Network:
    """A network with fresh weights, drawn from torch's generator; what is pretrained comes from its folder.

    Raises:
        DataError: the pretrained checkpoint is missing or broken, or of an unknown kind.
        UsageError: the adapters do not fit it, or the layout needs coordinates that the data lack.
    """
    eigenvectors = torch.from_numpy(prepared.eigenvectors)
    if isinstance(shape, NumericConfig):
        return NumericBranch(shape, eigenvectors)
    assert not isinstance(prepared, Preparation)
    from mm4st_agent.forecaster.stvlm.model import StVlm
    from mm4st_agent.imaging.tensors.raster import grid_of

    grid = grid_of(prepared.places) if shape.layout == "raster" else None
    words = torch.from_numpy(prepared.node_words)
    if shape.shape is not None:
        return StVlm(shape, prepared.regions, eigenvectors, words, grid)
    from mm4st_agent.forecaster.stvlm.hub import HubBackbone
    from mm4st_agent.forecaster.stvlm.hub_layouts import language_of, load_vlm
    from mm4st_agent.forecaster.stvlm.hub_vision import TowerVision

    vlm = load_vlm(shape.backbone)
    affinity = torch.from_numpy(prepared.regions.affinity)
    backbone = HubBackbone(language_of(vlm, shape.layers), shape.fusion, affinity)
    if adapters is not None:
        adapt(backbone, adapters)
    tower = TowerVision(vlm, prepared.regions, backbone.width, shape.layout) if shape.vision == "tower" else None
    return StVlm(shape, prepared.regions, eigenvectors, words, grid, backbone, tower)


def adapt(backbone: HubBackbone, adapters: Adapters) -> None:
    """Add the adapters, with fresh weights."""
    from mm4st_agent.forecaster.stvlm.adaptive import AdaLora

    backbone.adapt(adapters.ranks if adapters.adalora is None else AdaLora(*adapters.adalora))


def base_sha256(shape: Shape) -> str | None:
    """Hash of the pretrained weights; None where every weight is from scratch.

    Raises:
        DataError: they are missing.
    """
    if isinstance(shape, NumericConfig) or shape.shape is not None:
        return None
    from mm4st_agent.forecaster.stvlm.hub_layouts import weights_sha256

    return weights_sha256(shape.backbone)


def inputs_of(
    prepared: Prepared,
    shape: Shape,
    panel: Panel,
    channel: Channel,
    observed: NDArray[np.float32],
    slots: Slots,
    *,
    profile: NDArray[np.float32] | None = None,
    level: NDArray[np.float32] | None = None,
) -> AnyInputs:
    """What the network reads of a series.

    Args:
        prepared: Fitted to the training part.
        shape: Of the network.
        panel: Whose first steps are those of `observed`; events and covariates come from it.
        channel: The quantity.
        observed: `(T, N)` measured readings in the channel's unit; NaN is missing or imputed.
        slots: Of T' >= T steps, the first T of which are those of `observed`.
        profile: `(T', N)` to use in place of the stored profile, in the channel's unit.
        level: See `Preparation.inputs`.
    """
    if isinstance(prepared, Preparation):
        return prepared.inputs(observed, slots, profile=profile, level=level)
    assert isinstance(shape, StVlmConfig)
    from mm4st_agent.forecaster.stvlm.facts import Facts
    from mm4st_agent.forecaster.stvlm.hub_layouts import load_tokenizer
    from mm4st_agent.forecaster.stvlm.preparation import StInputs
    from mm4st_agent.forecaster.stvlm.tokenizer import HashedTokenizer

    tokenizer = HashedTokenizer() if shape.shape is not None else load_tokenizer(shape.backbone)
    facts = Facts.of(
        panel, channel, prepared.numeric, prepared.regions, prepared.statistics, observed, slots,
        history=shape.history, horizon=shape.horizon, profile=profile,
    )  # fmt: skip
    numeric = prepared.numeric.inputs(observed, slots, profile=profile, level=level)
    return StInputs(numeric, facts, tokenizer, shape, slots.per_day)


def levels_of(prepared: Prepared, observed: NDArray[np.float32], slots: Slots, nodes: slice) -> NDArray[np.float32]:
    """See `Preparation.levels`."""
    numeric = prepared if isinstance(prepared, Preparation) else prepared.numeric
    return numeric.levels(observed, slots, nodes)


def quantiles_at(
    network: Network, prepared: Prepared, inputs: AnyInputs, origins: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Uncalibrated quantiles `(W, H, N, 5)` in the channel's unit for windows that start at `origins` `(W,)`."""
    shape, device = network.config, next(network.parameters()).device
    at_once = max(1, min(_PREDICTED_WINDOWS, _PREDICTED_STATES // len(prepared.eigenvectors)))
    parts = []
    with torch.inference_mode():
        for chunk in np.array_split(origins, max(1, len(origins) // at_once)):
            batch = inputs.windows(torch.from_numpy(chunk.astype(np.int64)), shape.history, shape.horizon)
            parts.append(network(moved(batch, device)).cpu().numpy())
    return prepared.scaler.inverse(np.concatenate(parts))


def moved(batch: Any, device: torch.device) -> Any:
    """The same on another device: a tensor, None, or a named tuple of such."""
    if isinstance(batch, tuple):
        return type(batch)(*(moved(part, device) for part in batch))
    return None if batch is None else batch.to(device)
