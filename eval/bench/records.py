"""Records of the side-by-side runs: one JSON file a run, from which every figure can be redone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from eval.peers.outcome import Stopped
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.card import Period

ALL = "all"
"""Name of the subset that holds every measured cell."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Shots(_Part):
    """Few-shot: one piece of the training part is seen, and at most as many steps of the validation part."""

    share: float = Field(gt=0, lt=1)
    which: Literal["first", "last"] = "first"

    @property
    def name(self) -> str:
        return f"shots{self.share:g}{self.which}"


class Figures(_Part):
    """Errors over a set of cells, in the channel's unit; None is undefined."""

    cells: int
    mae: float | None
    rmse: float | None
    mape: float | None
    """%, over truths of at least `Record.mape_floor`."""
    coverage80: float | None
    """% of the truths in the 80 % interval; None for a model without one."""


class Subset(_Part):
    """The figures of all test cells, or of one kind of event window.

    Attributes:
        steps: Horizon step by step.
        days: Local date of the forecast's origin to the sum of absolute errors and the number of cells.
    """

    description: str
    total: Figures
    steps: tuple[Figures, ...]
    days: dict[str, tuple[float, int]]


class Record(_Part):
    """One model, trained and tested once.

    Attributes:
        config: Of the model and its training; with the fields before it, it says which run this is.
        parameters: Numbers that were fitted to the training part by optimisation; None for a baseline.
        epochs: Passes over the training windows.
        budget_minutes: Of training; None is no limit.
        validation_mae: The lowest one in training, in the channel's unit.
        train_s: Of the clock on the wall; on a machine that others use, `train_cpu_s` says more.
        train_cpu_s: Processor time, all threads together.
        latency_ms: Median time of one forecast of all nodes; None for a baseline, which takes no time worth it.
        commit: Of this source; `dirty` says that tracked files differed from it.
        mape_floor: In the channel's unit.
        subsets: `all`, and one for each kind of event window.
    """

    format: Literal[1] = 1
    dataset: str
    channel: str
    unit: str
    step_s: int
    model: str
    seed: int
    shots: Shots | None
    data_sha256: str
    history: int
    horizon: int
    config: dict[str, Any]
    train: Period
    validation: Period
    test: Period
    windows: int
    stride: int
    mape_floor: float
    parameters: int | None
    epochs: float | None
    stopped: Stopped | None
    budget_minutes: float | None
    validation_mae: float | None
    train_s: float
    train_cpu_s: float
    latency_ms: float | None
    subsets: dict[str, Subset]
    commit: str | None
    dirty: bool | None
    created: AwareDatetime
    machine: str
    versions: dict[str, str]

    @property
    def file(self) -> str:
        return record_file(self.dataset, self.channel, self.model, self.seed, self.shots)

    def answers(self, other: dict[str, Any], minutes: float | None) -> bool:
        """Whether this is the run that `other` describes, and a larger budget would not have changed it."""
        mine = {"data_sha256": self.data_sha256, "config": self.config}
        enough = self.stopped != "budget" or (
            self.budget_minutes is not None and minutes is not None and self.budget_minutes >= minutes
        )
        return mine == other and enough


def record_file(dataset: str, channel: str, model: str, seed: int, shots: Shots | None) -> str:
    """The name of a run's file; the commit is not part of it."""
    parts = [dataset, channel, model, *([shots.name] if shots else []), f"s{seed}"]
    return "-".join(parts) + ".json"


def write_record(record: Record, folder: Path) -> Path:
    """Write it whole or not at all; an older record of the same run is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / record.file
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(record.model_dump_json(indent=1) + "\n")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def read_record(path: Path) -> Record:
    """Read one.

    Raises:
        DataError: it is not a record; the message names the field.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"{path} is no record of a run: {where}: {first['msg']}.", "Delete it, or run again with --fresh."
        ) from err


def read_records(
    folder: Path, dataset: str, channel: str, shots: Shots | None, models: Iterable[str] | None = None
) -> list[Record]:
    """The records of one data set, channel and amount of data, by model and seed; `models` picks some of them."""
    found = [read_record(path) for path in sorted(folder.glob(f"{dataset}-{channel}-*.json"))]
    wanted = None if models is None else set(models)
    return [
        record
        for record in found
        if (record.dataset, record.channel, record.shots) == (dataset, channel, shots)
        and (wanted is None or record.model in wanted)
    ]
