"""Contact sheets of every picture for models, the mask beside it: on a real sensor-week and on made-up weeks.

`python -m mm4st_agent.imaging.gallery docs/gallery` draws them. The real week is of station traffic in Orange County
where `MM4ST_DATA_DIR` has it, or else of the demo city.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy import sparse

from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.imaging.figure import COLOUR_MAP, FAMILY, GREY, INK
from mm4st_agent.imaging.space_order import closeness, fiedler_order
from mm4st_agent.imaging.tensors.dayfold import dayfold
from mm4st_agent.imaging.tensors.fold import uvh
from mm4st_agent.imaging.tensors.method import Method
from mm4st_agent.imaging.tensors.methods import METHODS
from mm4st_agent.imaging.tensors.raster import grid_of, raster
from mm4st_agent.imaging.tensors.strip import strip
from mm4st_agent.settings import Settings

STEPS_PER_DAY = 288
WEEK = 7 * STEPS_PER_DAY
SIZE = (224, 224)
ROAD_NODES = 32
REAL = "pems-orange"
INCIDENT_AT, INCIDENT_STEPS = 3 * STEPS_PER_DAY + 100, 40
GAP_AT, GAP_STEPS = 4 * STEPS_PER_DAY, 350
SHEETS = {
    "heatmaps": ("line", "uvh"),
    "spectra": ("stft", "cwt", "filterbank"),
    "fields": ("gasf", "gadf", "mtf", "rp"),
    "networks": ("mvh", "strip", "raster", "dayfold", "correlation"),
}
"""File name of each sheet, and its methods."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Week:
    """What one column of the sheets is drawn from.

    Attributes:
        title: The heading.
        series: `(WEEK,)` of one node, NaN is missing.
        network: `(N, WEEK)` of all of them.
        links: `(N, N)` weights.
        mapped: `(M, WEEK)` of the nodes whose places are known: those of another data set where `network` has none.
        places: `(M, 2)` latitude and longitude.
        note: Under the raster.
    """

    title: str
    series: Array
    network: Array
    links: sparse.csr_array
    mapped: Array
    places: NDArray[np.float64]
    note: str = ""


def made_weeks() -> list[Week]:
    """A sine, a trend, an incident and a gap: one sensor each, and a road of 32 sensors in shuffled order."""
    rng = np.random.default_rng(0)
    step = np.arange(WEEK)
    # The sensors of the road are numbered at random, as they are in most data sets.
    where = rng.permutation(ROAD_NODES)
    noise = rng.normal(0, 1, (ROAD_NODES, WEEK))
    waves = 50 + 20 * np.sin(2 * np.pi * (step - 6 * where[:, None]) / STEPS_PER_DAY)
    upwards = 20 + (10 + 2 * where[:, None]) * step / WEEK + noise
    jam = waves + 5 * noise
    for node in range(ROAD_NODES):
        # It begins at the middle of the road and moves against the traffic.
        if (upstream := ROAD_NODES // 2 - where[node]) >= 0:
            begins = INCIDENT_AT + 3 * upstream
            jam[node, begins : begins + INCIDENT_STEPS] *= 0.15 + 0.05 * upstream
    gap = waves + noise
    gap[where < ROAD_NODES // 2, GAP_AT : GAP_AT + GAP_STEPS] = np.nan
    along = np.argsort(where)
    links = sparse.csr_array((np.ones(ROAD_NODES - 1), (along[:-1], along[1:])), shape=(ROAD_NODES, ROAD_NODES))
    places = np.stack([47 + 0.05 * np.sin(where / 5), 11 + 0.01 * where], axis=1)
    shown = int(along[ROAD_NODES // 2])
    weeks = []
    for title, values in (("sine", waves), ("trend", upwards), ("incident", jam), ("gap", gap)):
        network = values.astype(np.float32)
        node = int(along[2]) if title == "gap" else shown
        weeks.append(Week(title, network[node], network, links, network, places))
    return weeks


def measured_week(registry: Registry) -> Week:
    """The first Monday to Sunday of the real data set, or of the demo city where its files are not here."""
    name = REAL if registry.available(REAL) else "demo"
    panel, city = registry.open(name), registry.open("demo")
    network, mapped = _monday_to_sunday(panel.of()), _monday_to_sunday(city.of())
    complete = int(np.argmax(np.isfinite(network).sum(axis=1) + (network.std(axis=1) > 0)))
    places = city.of().nodes[["lat", "lon"]].to_numpy(dtype=np.float64)
    titles = {REAL: "Orange, one week", "demo": "demo city, one week"}
    note = "of the demo city" if name == REAL else ""
    return Week(titles[name], network[complete], network, panel.of().adjacency(), mapped, places, note)


def draw_gallery(weeks: list[Week]) -> Iterator[tuple[str, bytes]]:
    """File names and PNGs of the contact sheets: a row a method, a column a week."""
    for name, methods in SHEETS.items():
        yield f"{name}.png", _sheet([METHODS[each] for each in methods], weeks)


def readme(weeks: list[Week]) -> str:
    """The page that shows the sheets and says what each method keeps."""
    near = [closeness(week.links, order) for week in weeks[:1] for order in _orders(week)]
    lines = [
        "# Gallery: every picture for models",
        "",
        "Each cell is the tensor that a model sees, reduced to 224 x 224 (natural size for the small ones), and beside",
        "it its mask: white is read, black is missing. Colours run from each picture's lowest value (dark) to its",
        "highest (bright); grey is where nothing was read. Made by",
        "",
        "```",
        "python -m mm4st_agent.imaging.gallery docs/gallery",
        "```",
        "",
        f"The first column is {weeks[0].title} (5-minute steps, 2,016 of them); the others are made up: a sine of one",
        "day, a trend, an incident of 200 minutes on the fourth day, and a gap of 29 hours. The networks sheet has all",
        "sensors of that week, or a road of 32 sensors in shuffled order. Strips are in Fiedler order: of the edge",
        f"weight of the first network, {near[0]:.0%} lies within 8 rows, {near[1]:.0%} in the node order.",
    ]
    for name, methods in SHEETS.items():
        lines += ["", f"## {name.capitalize()}", "", f"![{name}]({name}.png)", ""]
        lines += ["| method | range | orientation | what is lost | inverse | source |", "|---|---|---|---|---|---|"]
        lines += [_table_row(METHODS[each]) for each in methods]
    return "\n".join(lines) + "\n"


def _table_row(each: Method) -> str:
    low, high = (f"{bound:g}" if math.isfinite(bound) else None for bound in (each.low, each.high))
    bounds = f"{low} to {high}" if low and high else f"at least {low}, unit of the series" if low else "as the series"
    inverse = "exact" if each.decode else "none"
    return f"| `{each.name}`: {each.title} | {bounds} | {each.orientation} | {each.loses} | {inverse} | {each.source} |"


def _orders(week: Week) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return fiedler_order(week.links), np.arange(len(week.network))


def _monday_to_sunday(panel: Panel) -> Array:
    """`(N, WEEK)` measured readings of the main channel."""
    first = int(np.flatnonzero((panel.times.dayofweek == 0) & (panel.times.hour == 0) & (panel.times.minute == 0))[0])
    return np.ascontiguousarray(panel.observed()[first : first + WEEK].T)


def _sheet(methods: list[Method], weeks: list[Week]) -> bytes:
    figure = Figure(figsize=(15, 0.5 + 1.95 * len(methods)), dpi=100)
    canvas = FigureCanvasAgg(figure)
    grid: Any = figure.add_gridspec(
        len(methods), 2 * len(weeks), width_ratios=[2, 1] * len(weeks), left=0.06, right=0.995, wspace=0.06,
        top=1 - 0.4 / figure.get_figheight(), bottom=0.1 / figure.get_figheight(), hspace=0.08,
    )  # fmt: skip
    for row, each in enumerate(methods):
        for column, week in enumerate(weeks):
            values, mask = _drawn(each, week)
            axes = figure.add_subplot(grid[row, 2 * column])
            axes.imshow(np.where(mask > 0, values, np.nan), cmap=COLOUR_MAP, aspect="auto", interpolation="nearest")
            axes.set_facecolor(GREY)
            beside = figure.add_subplot(grid[row, 2 * column + 1])
            beside.imshow(mask, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            for part in (axes, beside):
                part.set_xticks([])
                part.set_yticks([])
                part.spines[:].set_color(GREY)
            words = {"family": FAMILY, "color": INK}
            if row == 0:
                axes.set_title(week.title, fontsize=13, **words)
                beside.set_title("mask", fontsize=11, **words)
            if column == 0:
                axes.set_ylabel(each.name, fontsize=13, **words)
            if each.name == "raster" and week.note:
                axes.text(0.5, 0.02, week.note, transform=axes.transAxes, fontsize=10, ha="center", family=FAMILY)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    packed = io.BytesIO()
    # A palette: the pixels of noise would not fit into a page that people load.
    picture.quantize(192, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _drawn(each: Method, week: Week) -> tuple[Array, Array]:
    """`(H, W)` values and mask of the picture; of several channels the one in the middle, of a raster the noon."""
    order = fiedler_order(week.links)
    noon = 3 * STEPS_PER_DAY + STEPS_PER_DAY // 2
    ways: Mapping[str, Callable[[torch.Tensor, tuple[int, int] | None], torch.Tensor]] = {
        "uvh": partial(uvh, period=STEPS_PER_DAY),
        "strip": partial(strip, order=order),
        "dayfold": partial(dayfold, steps_per_day=STEPS_PER_DAY),
        "raster": lambda series, _: raster(series[..., :noon], grid=grid_of(week.places), steps=1),
    }
    values = week.mapped if each.name == "raster" else week.network if each.spatial else week.series
    if each.name == "correlation":
        values = values[order]
    series = torch.from_numpy(values)[None]
    size = None if each.name in ("uvh", "correlation") else SIZE
    image = ways.get(each.name, each.encode)(series, size)[0].numpy()
    return image[(len(image) - 1) // 2], image[-1]


def main(folder: Path) -> None:
    """Write the sheets and their page."""
    settings = Settings()
    registry = Registry(settings.data_dir, settings.home / "data", {"demo": demo_panel})
    weeks = [measured_week(registry), *made_weeks()]
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    for name, png in track(draw_gallery(weeks), "Drawing", total=len(SHEETS), console=console):
        (folder / name).write_bytes(png)
    (folder / "README.md").write_text(readme(weeks), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
