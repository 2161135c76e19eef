"""The guard of `make check`: a small fixed sample of each suite must not score below its recorded floor.

It runs on the development half and on the demo city only, so that it is the same on every machine, and it stays away
from the half that scores are reported on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.harness.options import Options
from eval.harness.record import RunRecord
from eval.harness.run import Progress, run_suites
from mm4st_agent.agent.manifest import write_whole
from mm4st_agent.errors import DataError
from mm4st_agent.settings import Settings

FLOORS = Path(__file__).parents[1] / "floors.json"
MARGIN = 0.02
"""Floors lie this far below the score that was measured: room for rounding on other machines, not for an item lost."""
NOTE = (
    "Made by `mm4st eval guard --write`. Each floor is the score of the embedded chat model on `limit` items of the "
    f"development half, demo city only, less {MARGIN}. A commit that lowers one says why."
)


class Floor(BaseModel):
    """Of one suite.

    Attributes:
        limit: Items of the sample.
        scored: Of them, when the floor was made; a suite that scores fewer fails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(ge=1)
    scored: int = Field(ge=0)
    score: float
    floor: float


class Floors(BaseModel):
    """The floor file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: str
    made: str
    commit: str | None
    floors: dict[str, Floor]


@dataclass(frozen=True)
class Found:
    """What a run of the guard came to.

    Attributes:
        below: Why it fails, a sentence for each suite; empty where it passes.
    """

    record: RunRecord
    floors: Floors
    below: list[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        floors = {name: floor.model_dump() for name, floor in self.floors.floors.items()}
        return {**self.record.to_json(), "floors": floors, "below": self.below}


def read_floors(path: Path = FLOORS) -> Floors:
    """Read the floor file.

    Raises:
        DataError: it is missing or broken.
    """
    try:
        return Floors.model_validate_json(path.read_bytes())
    except OSError as err:
        raise DataError(f"The floors {path} cannot be read: {err.strerror or err}.") from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{path.name} is no floor file: {where}: {first['msg']}.") from err


def run_guard(
    person: Settings, *, floors: Floors | None = None, progress: Progress = lambda done, total: None
) -> Found:
    """Run the sample, and hold each score against its floor.

    Args:
        person: The person's settings; data sets other than the demo city are left out.
        floors: Other floors than those of the file.
        progress: Called with how many samples are done, and how many there are.

    Raises:
        DataError: the floor file is missing or broken.
    """
    floors = floors or read_floors()
    limits = {name: floor.limit for name, floor in floors.floors.items()}
    record = run_suites(person.model_copy(update={"data_dir": None}), Options("all"), limits=limits, progress=progress)
    return Found(record, floors, below_floors(record, floors.floors))


def below_floors(record: RunRecord, floors: Mapping[str, Floor]) -> list[str]:
    """What fails, a sentence for each suite: a score below its floor, or items that are scored no more."""
    suites = {suite.name: suite for suite in record.suites}
    found = []
    for name, floor in floors.items():
        suite = suites.get(name)
        if suite is None or suite.score is None:
            found.append(f"{name} scored nothing.")
        elif suite.score < floor.floor:
            found.append(f"{name} scores {suite.score:.3f}, below its floor of {floor.floor:.3f}.")
        elif suite.scored < floor.scored:
            found.append(f"{name} scored {suite.scored} items, not {floor.scored}; {suite.failed} failed.")
    return found


def write_floors(found: Found, path: Path = FLOORS) -> Path:
    """Record the scores that were found as the new floors."""
    suites = {suite.name: suite for suite in found.record.suites}
    floors = {
        name: Floor(
            limit=floor.limit,
            scored=suites[name].scored,
            score=round(suites[name].score or 0.0, 4),
            floor=round(max(0.0, (suites[name].score or 0.0) - MARGIN), 4),
        )
        for name, floor in found.floors.floors.items()
        if name in suites
    }
    made = Floors(how=NOTE, made=f"{datetime.now(UTC):%Y-%m-%d}", commit=found.record.commit, floors=floors)
    write_whole(path, json.dumps(made.model_dump(), indent=1).encode() + b"\n", mode=0o644)
    return path
