"""`ImportOptions`: what a person states about their data. What is left out is inferred, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Layout = Literal["auto", "wide", "long", "records"]
"""wide: a time column and a column a node. long: a row a time and node, a column a channel (and covariates).
records: a row an occurrence (a request, a trip), counted and summed by step."""
MAX_STEP_S = 1e9
"""About 30 years."""
Duplicates = Literal["last", "first", "mean", "refuse"]


class ImportOptions(BaseModel):
    """Every field has the meaning 'infer it' when it is None or 'auto'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout = "auto"
    time_column: str | None = None
    node_column: str | None = None
    time_format: str | None = None
    """strftime pattern; None reads ISO 8601 (and epoch numbers), since 03/04/2022 could be either."""
    time_zone: str | None = None
    """Of stamps without an offset; None is UTC, reported as assumed."""
    time_label: Literal["start", "instant"] = "instant"
    start: datetime | None = None
    """First stamp of a file that has none; local time of `time_zone`."""
    step_s: float | None = Field(None, gt=0, le=MAX_STEP_S)
    """Time step in seconds; None takes the most frequent one."""
    channel: str | None = None
    """What the readings of a single-channel file are called."""
    channels: tuple[str, ...] | None = None
    """Which columns or arrays are channels, in this order; the first is the main one. Others are covariates."""
    covariates: tuple[str, ...] | None = None
    """Which columns are covariates rather than channels."""
    units: Mapping[str, str] = Field(default_factory=dict)
    """By channel or covariate."""
    missing: tuple[float, ...] | None = None
    """Numbers that mean 'no reading'; () is none; None is inferred."""
    duplicates: Duplicates = "last"
    """Which of several rows with the same stamp (and node) counts; equal rows are one in any case."""
    member: str | None = None
    """Which array of an archive, key of an HDF5 file, or sheet of a workbook."""

    nodes: Path | None = None
    """Sensor table (CSV, TSV, xlsx) or GeoJSON."""
    edges: Path | None = None
    """Edge list, or an adjacency matrix (CSV, npy, npz)."""
    events: Path | None = None
    """CSV or JSONL."""
    events_time_format: str | None = None
    """strftime pattern of the events' times; None reads ISO 8601, or the one usual order that fits every row."""
    trajectories: Path | None = None
    """Object, time, lat, lon."""
    static: Mapping[str, Path] = Field(default_factory=dict)
    """Layers that do not change (POI, land use, roads), by name: CSV or GeoJSON."""
    event_distance: float = Field(1.0, gt=0)
    """How far from a node an event still belongs to it: miles along a freeway, kilometres elsewhere."""

    title: str | None = None
    source: str | None = None
    licence: str = "not stated"
    domain: str = "general"
    place_word: str = "sensor"
    holidays: Literal["US"] | None = None
