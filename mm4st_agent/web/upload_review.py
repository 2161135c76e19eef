"""What a person may correct of an upload, and what they are shown of it: plain values that travel as JSON."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mm4st_agent.data.importing.options import MAX_STEP_S, ImportOptions, Layout
from mm4st_agent.errors import UsageError

LABELS = {
    "name": "Name",
    "time_zone": "Time zone",
    "time_label": "A stamp marks",
    "time_format": "Dates are written",
    "time_column": "Time column",
    "node_column": "Place column",
    "layout": "A row of the file is",
    "measured": "What was measured",
    "place_word": "A place is called",
    "missing": "Numbers that mean 'no reading'",
    "step": "Time step",
    "start": "First stamp",
    "member": "Sheet, file or array",
    "left_out": "Rows to leave out",
    "units": "Unit",
    "roles": "Columns",
}
"""The fields of the form, as the person reads them."""

_FLAGS = {
    "time-column": "time_column", "node-column": "node_column", "layout": "layout", "start": "start", "step": "step",
    "channel": "measured", "channels": "roles", "covariates": "roles", "unit": "units", "missing": "missing",
    "member": "member", "time-zone": "time_zone",
}  # fmt: skip


class Corrections(BaseModel):
    """What a person states about their file. Empty is 'work it out'. No field names a file on the server."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, str_max_length=500)

    name: str = Field("", max_length=60)
    layout: Layout = "auto"
    time_column: str = ""
    node_column: str = ""
    time_format: str = ""
    time_zone: str = ""
    time_label: Literal["start", "instant"] = "instant"
    measured: str = ""
    place_word: str = Field("", max_length=40)
    units: dict[str, str] = Field(default_factory=dict)
    """By column or quantity."""
    unit: str = ""
    """Of a file with one quantity, which the file calls `unit_of`."""
    unit_of: str = ""
    roles: dict[str, Literal["measured", "beside"]] = Field(default_factory=dict)
    """By column; where one is given, all of the table are."""
    sorted_as: Literal["", "wide", "single", "long", "records"] = ""
    """The layout for which `roles` were given."""
    missing: str = ""
    step: str = ""
    start: str = ""
    member: str = ""
    left_out: str = ""
    """Row numbers of a text file, such as '2, 98'."""

    @field_validator("missing")
    @classmethod
    def _are_numbers(cls, text: str) -> str:
        if text and text.lower() != "none" and not all(_is_finite(part) for part in text.split(",")):
            raise ValueError("write numbers such as 0, -1; or 'none'")
        return text

    @field_validator("step")
    @classmethod
    def _is_a_step(cls, text: str) -> str:
        if text and not 0 < _seconds(text) <= MAX_STEP_S:
            raise ValueError("write it such as 5 min, 1 h or 1 day")
        return text

    @field_validator("start")
    @classmethod
    def _is_a_moment(cls, text: str) -> str:
        try:
            return text and datetime.fromisoformat(text).isoformat()
        except ValueError as err:
            raise ValueError("write it such as 2024-01-31T00:00") from err

    @field_validator("left_out")
    @classmethod
    def _are_rows(cls, text: str) -> str:
        if not re.fullmatch(r"[\d\s,]*", text):
            raise ValueError("write row numbers such as 2, 98; the first row of the file is 1")
        return text

    @classmethod
    def of(cls, values: object) -> Self:
        """Read what the form sent.

        Raises:
            UsageError: a field is not what it should be; the message names it as the form does.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as err:
            first = err.errors()[0]
            field = LABELS.get(str(first["loc"][0]) if first["loc"] else "", "The form")
            hint = first["msg"].removeprefix("Value error, ")
            raise UsageError(f"{field}: {first['input']!r} cannot be used.", f"{hint[:1].upper()}{hint[1:]}.") from err

    @property
    def rows(self) -> frozenset[int]:
        """The rows to leave out."""
        return frozenset(map(int, re.findall(r"\d+", self.left_out)))

    def options(self, label: str) -> ImportOptions:
        """The same for the importers.

        Args:
            label: What the person's file is called; the data set says that it is from there.
        """
        chosen = {role: tuple(c for c, r in self.roles.items() if r == role) for role in ("measured", "beside")}
        left_out = f", without row {', '.join(map(str, sorted(self.rows)))}" if self.rows else ""
        given: dict[str, Any] = {
            "time_column": self.time_column,
            "node_column": self.node_column,
            "time_format": self.time_format,
            "time_zone": self.time_zone,
            "channel": self.measured,
            "place_word": self.place_word,
            "units": {name: unit for name, unit in self.units.items() if unit},
            "channels": chosen["measured"] if self.sorted_as != "wide" else (),
            "step_s": _seconds(self.step) if self.step else None,
            "start": datetime.fromisoformat(self.start) if self.start else None,
            "member": self.member,
        }
        if self.unit and (only := self.measured or self.unit_of):
            given["units"] = {**given["units"], only: self.unit}
        stated = {name: value for name, value in given.items() if value}
        if self.roles and (chosen["beside"] or self.sorted_as == "wide"):
            stated["covariates"] = chosen["beside"]
        if self.missing:
            codes = () if self.missing.lower() == "none" else tuple(map(float, self.missing.split(",")))
            stated["missing"] = codes
        return ImportOptions(
            layout=self.layout, time_label=self.time_label, source=f"uploaded file {label}{left_out}", **stated
        )


class Found(BaseModel):
    """One thing that was inferred, assumed or mended; see `Finding`."""

    what: str
    value: str
    why: str
    status: Literal["stated", "inferred", "assumed", "mended"]


class Curve(BaseModel):
    """The readings of one place over the whole time, thinned; None where there is none."""

    place: str
    values: list[float | None]
    low: float | None
    high: float | None


class Quantity(BaseModel):
    """A channel or covariate as it would be stored."""

    name: str
    unit: str
    title: str


class Review(BaseModel):
    """What would be stored, and how it was understood."""

    facts: list[tuple[str, str]]
    found: list[Found]
    layout: str = ""
    """wide, single, long or records; '' for what is no table."""
    time: list[str] = []
    node: str = ""
    columns: list[str] = []
    """Of the table, in its order; [] for what is no table."""
    roles: dict[str, Literal["measured", "beside"]] = {}
    """By column that is neither time nor place."""
    channels: list[Quantity]
    covariates: list[Quantity]
    zone: str
    located: int
    """Places with coordinates."""
    places: int
    rows: list[list[str]] = []
    """The first of the file; the first is the header."""
    numbers: list[int] = []
    """Of the rows below the header, in the file."""
    curves: list[Curve]
    missing_share: float
    longest_gap: str = ""


class Choice(BaseModel):
    """A way to read the dates of a file, and what one of its stamps then means."""

    time_format: str
    stamp: str
    means: str


class Failure(BaseModel):
    """Why a file could not be read, and what would work."""

    message: str
    hint: str
    row: int | None = None
    """Of a text file, which may be left out."""
    choices: list[Choice] = []
    columns: list[str] = []
    """Of the table, as far as they could be read."""


def in_form_words(text: str) -> str:
    """What importers say to a person at a terminal, in terms of the form."""
    text = re.sub(r"with --unit (.+)=UNIT", rf"in “{LABELS['units']} of \1”", text)
    text = re.sub(r"with step_s, such as --step (\d+)", lambda m: f"in “{LABELS['step']}”, such as {m[1]} s", text)
    text = re.sub(r"with step_s\b", f"in “{LABELS['step']}”", text)
    text = re.sub(r"\(--(start|step) ([^)]*)\)", r"(--\1 \2)", text)
    text = re.sub(r"its step in seconds, such as", "its step, such as", text)
    text = re.sub(r"(?:pass |or )?time_format such as '[^']*'", f"or state “{LABELS['time_format']}”", text)
    text = text.replace("or or state", "or state")
    text = text.replace(" with --duplicates", "").replace("are resolved by --duplicates", "are one, the last counts")
    return re.sub(
        r"--([a-z-]+)(?: [A-Z]+\b)?",
        lambda m: f"“{LABELS[_FLAGS[m[1]]]}”" if m[1] in _FLAGS else m[0],
        text,
    )


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _seconds(text: str) -> float:
    """A time step in seconds; 0 where it is none."""
    try:
        return float(text) if re.fullmatch(r"[\d.]+", text) else pd.Timedelta(text).total_seconds()
    except ValueError:
        return 0.0
