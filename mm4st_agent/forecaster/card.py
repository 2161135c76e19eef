"""The checkpoint card: the JSON beside the weights that says what they are and how good they were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from mm4st_agent.forecaster.calibration import Calibration
from mm4st_agent.forecaster.config import QUANTILES, NumericConfig
from mm4st_agent.forecaster.stvlm.config import StVlmConfig
from mm4st_agent.forecaster.train_config import TrainConfig

FORMAT = 1
"""Of the files that this version writes; it reads no newer one."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Period(_Record):
    """A part of the time axis, from its first stamp to the moment when its last reading was known."""

    start: AwareDatetime
    end: AwareDatetime
    steps: int


class Row(_Record):
    """Errors of one model at one horizon step, or over all steps, in the channel's unit; None is undefined."""

    model: str
    horizon: int | Literal["all"]
    mae: float | None
    rmse: float | None
    mape: float | None
    """%, over truths of at least `mape_floor`."""
    mase: float | None
    coverage80: float | None
    """%."""
    width80: float | None


class TotalRow(_Record):
    """Errors of the sum (or mean) over the first `steps` steps, in `unit`."""

    model: str
    steps: int
    unit: str
    mae: float | None
    coverage80: float | None
    width80: float | None


class StepErrors(_Record):
    """Of one model on the test part, step by step."""

    mae: tuple[float | None, ...]
    coverage80: tuple[float | None, ...]
    cells: tuple[int, ...]
    total_coverage80: tuple[float | None, ...]
    """Of the total or mean over the first 1, 2, ... steps."""

    def mae_over(self, steps: int, skip: int = 0) -> float | None:
        """Mean absolute error over `steps` steps after the first `skip`."""
        return self._over(self.mae, slice(skip, skip + steps))

    def coverage80_over(self, steps: int, skip: int = 0) -> float | None:
        """Coverage of the 80 % interval over `steps` steps after the first `skip`, in %."""
        return self._over(self.coverage80, slice(skip, skip + steps))

    def _over(self, values: tuple[float | None, ...], span: slice) -> float | None:
        known = [(v, n) for v, n in zip(values[span], self.cells[span], strict=True) if v is not None]
        return sum(v * n for v, n in known) / sum(n for _, n in known) if known else None


class TestErrors(_Record):
    """What the test part showed; every model on the same windows and cells.

    Attributes:
        rows: By model and horizon.
        total: By model and number of steps.
        by_step: Model name to its errors at each step.
        mape_floor: In the channel's unit; smaller truths are left out of MAPE.
        season_steps: Season of the naive forecast that MASE divides by.
        windows: How many; every `stride`-th of the part.
        cells: Measured cells that were forecast, all steps together.
        notes: Why a figure is undefined.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    rows: tuple[Row, ...]
    total: tuple[TotalRow, ...]
    by_step: dict[str, StepErrors]
    mape_floor: float
    season_steps: int
    windows: int
    stride: int
    cells: int
    notes: tuple[str, ...] = ()

    def best(self, models: Sequence[str], steps: int, skip: int = 0) -> str:
        """Which of `models` has the lowest MAE over `steps` steps after `skip`; an undefined one comes last."""

        def rank(model: str) -> float:
            mae = self.by_step[model].mae_over(steps, skip)
            return math.inf if mae is None else mae

        return min(models, key=rank)


class Adapters(_Record):
    """What was added to a pretrained language model.

    Attributes:
        ranks: Of each slot; those of AdaLoRA are found while it trains, and are not told here.
        adalora: Parameters and steps of AdaLoRA, see `adaptive.AdaLora`; None where the ranks are given.
    """

    ranks: dict[str, int] = {}
    adalora: tuple[int, int] | None = None


class PretrainedBase(_Record):
    """The pretrained weights that a checkpoint rests on and does not hold.

    Attributes:
        path: Folder where they were.
        sha256: See `hub_layouts.weights_sha256`.
        adapters: None is without.
    """

    path: str
    sha256: str
    adapters: Adapters | None


class CheckpointCard(_Record):
    """What a checkpoint is.

    Attributes:
        commit: Of the source tree that trained it; None outside a git checkout.
        best_validation_mae: In the channel's unit, of the epoch whose weights these are.
        versions: Of the libraries that made it.
        pretrained: None where every weight is in the checkpoint.
    """

    format: Literal[1] = 1
    model: str
    dataset: str
    channel: str
    unit: str
    step_s: int
    node_ids: tuple[str, ...]
    data_sha256: str
    synthetic: bool
    config: TrainConfig
    quantiles: tuple[float, ...] = QUANTILES
    train: Period
    validation: Period
    test: Period
    calibration: Calibration
    errors: TestErrors
    epochs: int
    best_validation_mae: float
    minutes: float
    parameters: int
    created: datetime
    commit: str | None
    versions: dict[str, str]
    pretrained: PretrainedBase | None = None

    @property
    def network(self) -> NumericConfig | StVlmConfig:
        return self.config.network
