"""Of a large panel on disk, a tool reads the node or the hours that it is asked about, never the whole record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from zarr.storage import LocalStore

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.store import open_panel, save_panel
from mm4st_agent.toolspec import ToolSpec
from tools.context import ToolContext
from tools.find_places import FIND_PLACES
from tools.forecast import FORECAST
from tools.query_series import QUERY_SERIES
from tools.rank_places import RANK_PLACES
from tools.render_series import RENDER_SERIES
from tools.retrieve_context import RETRIEVE_CONTEXT

NODES, STEPS = 1200, 8 * 7 * 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight weeks of 15-minute noise at 1,200 nodes; noise, as it is what cannot be compressed away."""
    rng = np.random.default_rng(0)
    data = rng.random((STEPS, NODES), dtype=np.float32) + 10
    panel = Panel(
        card=DataCard(
            name="mixed",
            title="Large",
            source="made by a test",
            licence="CC0-1.0",
            channels=(Channel(name="speed", unit="km/h"),),
            time_label="start",
        ),
        data=xr.Dataset(
            {"speed": (("time", "node"), data, {"units": "km/h"})},
            coords={
                "time": pd.date_range("2025-01-06", periods=STEPS, freq="15min").as_unit("ns"),
                "node": np.array([f"n{i:04d}" for i in range(NODES)], dtype=object),
                "name": ("node", np.array([f"Street {i}" for i in range(NODES)], dtype=object)),
                "kind": ("node", np.full(NODES, "sensor", dtype=object)),
                "lat": ("node", np.linspace(41, 42, NODES)),
                "lon": ("node", np.linspace(-12, -11, NODES)),
            },
        ),
    )
    path = tmp_path_factory.mktemp("large") / "mixed"
    save_panel(panel, path)
    return path


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of all pieces that are read from Zarr stores on disk, compressed as they are."""
    sizes: list[int] = []
    get = LocalStore.get

    async def counting(*args: Any, **options: Any) -> Any:
        found = await get(*args, **options)
        sizes.append(0 if found is None else len(found))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "get", counting)
        yield sizes


@pytest.fixture
def share_of(
    folder: Path, context_of: Callable[..., ToolContext], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., float]:
    """Which share of the arrays on disk a tool reads."""
    on_disk = sum(path.stat().st_size for path in (folder / "arrays.zarr" / "speed").rglob("*") if path.is_file())

    def measure(spec: ToolSpec[Any, Any, Any], **args: Any) -> float:
        context = context_of(open_panel(folder))
        with counted(monkeypatch) as sizes:
            spec.run({"dataset": "mixed", **args}, context)
        return sum(sizes) / on_disk

    return measure


def test_the_count_sees_a_whole_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = open_panel(folder)
    with counted(monkeypatch) as sizes:
        panel.values()

    assert sum(sizes) > 0.9 * STEPS * NODES * 3


@pytest.mark.parametrize(
    ("spec", "args", "most"),
    [
        (FIND_PLACES, {"query": "n0600"}, 0.01),
        (RETRIEVE_CONTEXT, {"query": "anything", "node": "n0600", "kind": "event"}, 0.01),
        (QUERY_SERIES, {"node": "n0600"}, 0.1),
        (RENDER_SERIES, {"node": "n0600"}, 0.1),
        (FORECAST, {"node": "n0600", "minutes": 60}, 0.1),
        (RENDER_SERIES, {"node": "n0600", "method": "heatmap", "hours": 6}, 0.05),
        (RANK_PLACES, {}, 0.3),
        (RANK_PLACES, {"by": "change"}, 0.3),
    ],
    ids=lambda value: value.name if isinstance(value, ToolSpec) else "",
)
def test_a_tool_reads_what_it_is_asked_about(
    share_of: Callable[..., float], spec: ToolSpec[Any, Any, Any], args: dict[str, Any], most: float
) -> None:
    assert share_of(spec, **args) < most
