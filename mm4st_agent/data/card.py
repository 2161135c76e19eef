"""Data cards: where a data set comes from, what it measures, under which licence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mm4st_agent.errors import DataError


class Channel(BaseModel):
    """One measured quantity of a panel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str
    title: str = ""
    """In plain words, such as 'traffic flow'."""
    aggregation: Literal["sum", "mean"] = "mean"
    """How values add up over time: counts sum (vehicles), levels average (speed)."""
    total_unit: str | None = None
    """Unit of a sum over time when `aggregation` is 'sum', such as 'vehicles'."""
    kinds: tuple[str, ...] = ()
    """The kinds of node that measure it, such as ('air station',); () is every node."""

    @property
    def label(self) -> str:
        return self.title or self.name


class DataCard(BaseModel):
    """What must be known about a data set before one trusts a number from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    licence: str
    domain: str = "general"
    place_word: str = "sensor"
    """What a node is called by its users: station, sensor, district."""
    time_zone: str = "UTC"
    time_label: Literal["start", "instant"] = "instant"
    """'start': a reading stamped t covers [t, t + step) and is known only at its end.
    'instant': it is known at t."""
    channels: tuple[Channel, ...] = Field(min_length=1)
    """The first is the one that a question means when it names none."""
    now: datetime | None = None
    """The clock of a question that names none, local time; None is the data's end."""
    holidays: Literal["US"] | None = None
    synthetic: bool = False
    """Made by a simulation; said wherever the data appear."""
    files: Mapping[str, str] = Field(default_factory=dict)
    """Original files, relative to the data directory, and their sha256."""
    urls: Mapping[str, str] = Field(default_factory=dict)
    """Where a file can be downloaded as it is, by its name in `files`; a file that was derived has none."""
    recipe: Mapping[str, Any] = Field(default_factory=dict)
    """How the files are imported: `path` and the fields of `ImportOptions`; paths relative to the data directory."""
    where: str = ""
    """How a user gets the original files."""
    notes: tuple[str, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as err:
            raise ValueError(f"no time zone {name!r}; use an IANA name such as 'US/Pacific'") from err
        return name

    @property
    def sha256(self) -> str:
        """One hash for the whole set: over its files' hashes, or over what the card says when it has none."""
        parts = [f"{path}={digest}" for path, digest in sorted(self.files.items())]
        said = self.model_dump_json(exclude={"now", "urls", "recipe"})
        return hashlib.sha256("\n".join(parts or [said]).encode()).hexdigest()


def read_card(path: Path) -> DataCard:
    """Load a `card.yaml`.

    Raises:
        DataError: the file is not YAML, or a field is unknown, missing or invalid.
    """
    try:
        return DataCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as err:
        raise DataError(f"The data card {path} is invalid: {err}.", "Compare it with a shipped card.") from err


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
