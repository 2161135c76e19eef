"""Forecasts as an Arrow table: one row a node and step, units and time zone in its metadata."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from mm4st_agent.batch.job import Job
from mm4st_agent.forecaster.config import QUANTILES

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

    from mm4st_agent.data.panel import Panel
    from mm4st_agent.forecaster.forecast import Forecast

KEY = b"mm4st"
"""Of the entry in the schema's metadata: `About` as JSON."""
LEVELS = ("q10", "q25", "median", "q75", "q90")
"""Columns of the quantiles .1 .25 .5 .75 .9."""


class About(BaseModel):
    """What a file's rows have in common, and how many nodes came to what.

    Attributes:
        unit: Of the quantiles and the baseline.
        time_zone: Local zone of the data; the column `time` is in UTC.
        time_label: 'start': a row is about the step that begins at its time; 'instant': about that moment.
        led_by: Nodes whose quantiles come from each model.
        in_sample: Nodes forecast for a time that training or validation has seen.
        left_out: Nodes without a forecast, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    channel: str
    unit: str
    time_zone: str
    time_label: str
    as_of: str
    synthetic: bool
    led_by: Mapping[str, int]
    in_sample: int
    left_out: Mapping[str, str]


def table_of(panel: Panel, job: Job, found: Sequence[Forecast], left_out: Mapping[str, str]) -> pa.Table:
    """Rows by node, then by step.

    Args:
        panel: Cut at the moment of the forecast.
        job: What was asked.
        found: Of some nodes, with equal times.
        left_out: The other nodes of the block, and why they have no forecast.
    """
    import pandas as pd
    import pyarrow as pa

    about = About(
        dataset=job.dataset,
        channel=job.channel,
        unit=panel.channel(job.channel).unit,
        time_zone=panel.card.time_zone,
        time_label=panel.card.time_label,
        as_of=job.as_of,
        synthetic=panel.card.synthetic,
        led_by=dict(sorted(Counter(forecast.model for forecast in found).items())),
        in_sample=sum(forecast.in_sample for forecast in found),
        left_out=dict(left_out),
    )
    schema = _schema(about)
    if not found:
        return schema.empty_table()
    stamp, steps, nodes = pa.timestamp("us", tz="UTC"), job.horizon, len(found)
    times = [time for forecast in found for time in forecast.times.tz_convert("UTC")]
    ahead = np.arange(1, steps + 1, dtype=np.float32) * np.float32(job.step_s / 60)
    fan = np.concatenate([forecast.quantiles for forecast in found])
    columns: dict[str, Any] = {
        "node": pa.array([forecast.node for forecast in found for _ in range(steps)]),
        "time": pa.array(times, stamp),
        "horizon_min": np.tile(ahead, nodes),
        **{name: _numbers(fan[:, level]) for level, name in enumerate(LEVELS)},
        "baseline": _numbers(np.concatenate([forecast.baseline for forecast in found])),
        "model": pa.array([forecast.model for forecast in found for _ in range(steps)]),
        "baseline_model": pa.array([forecast.baseline_name for forecast in found for _ in range(steps)]),
        "as_of": pa.array([pd.Timestamp(job.as_of).tz_convert("UTC")] * (nodes * steps), stamp),
    }
    return pa.table(columns, schema=schema)


def about_of(path: Path) -> tuple[About, int]:
    """What a file says of its rows, and how many it has; only its footer is read.

    Raises:
        OSError, ValueError: it is no whole file of ours.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    footer = pq.read_metadata(path)
    said = (footer.metadata or {}).get(KEY)
    if said is None:
        raise ValueError(f"{path} has no {KEY.decode()} metadata")
    return About.model_validate_json(said), footer.num_rows


def _schema(about: About) -> pa.Schema:
    import pyarrow as pa

    stamp, unit = pa.timestamp("us", tz="UTC"), {"unit": about.unit}
    levels = zip(LEVELS, QUANTILES, strict=True)
    fields = [
        pa.field("node", pa.string(), nullable=False),
        pa.field("time", stamp, nullable=False, metadata={"time_zone": about.time_zone}),
        pa.field("horizon_min", pa.float32(), nullable=False, metadata={"unit": "min"}),
        *(pa.field(name, pa.float32(), metadata={**unit, "quantile": f"{level:g}"}) for name, level in levels),
        pa.field("baseline", pa.float32(), metadata=unit),
        pa.field("model", pa.string(), nullable=False),
        pa.field("baseline_model", pa.string(), nullable=False),
        pa.field("as_of", stamp, nullable=False, metadata={"time_zone": about.time_zone}),
    ]
    return pa.schema(fields, metadata={KEY: json.dumps(about.model_dump(mode="json"), sort_keys=True)})


def _numbers(values: np.ndarray) -> pa.Array:
    """NaN becomes null: undefined is no number."""
    import pyarrow as pa

    return pa.array(values.astype(np.float32), from_pandas=True)
