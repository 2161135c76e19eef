"""The gallery: every picture for people and for models, on a measured week and on made-up ones, with its page.

`python -m mm4st_agent.imaging.gallery docs/gallery` draws it. The measured week is of station traffic in Orange County
where `MM4ST_DATA_DIR` has it, or else of the demo city.
"""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from mm4st_agent.imaging import gallery_people as people
from mm4st_agent.imaging.figure import COLOUR_MAP, DIVERGING, FAMILY, GREY, INK, Picture
from mm4st_agent.imaging.gallery_weeks import STEPS_PER_DAY, THURSDAY, Week, made_weeks, measured_week
from mm4st_agent.imaging.space_order import closeness, fiedler_order
from mm4st_agent.imaging.tensors.dayfold import dayfold
from mm4st_agent.imaging.tensors.fold import uvh
from mm4st_agent.imaging.tensors.method import Method
from mm4st_agent.imaging.tensors.methods import METHODS
from mm4st_agent.imaging.tensors.raster import grid_of, raster
from mm4st_agent.imaging.tensors.strip import strip
from mm4st_agent.settings import Settings

CELL_PX = 224
_GAP_PX, _GUTTER_PX, _HEADING_PX, _LETTERS_PX = 8, 116, 30, 17
_NOT_MASKED = ("raster",)
"""Grey, where no sensor is, is most of these pictures: a mask beside would say nothing more."""
_NEARLY_ALL = 0.9
"""A mask that is nowhere lower stands for so few missing readings that it would look empty."""
_ROOTS = ("stft", "cwt")
"""Coloured by the square root: a week's strongest period would leave all others in the dark."""

_TABLE = "| method | range | orientation | what is lost | inverse | source |"

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        name: Of its files.
        title: The heading.
        reads: How to read the picture for people; of one for models alone, how to read that.
        draw: The picture for people, where there is one.
        methods: The pictures for models.
    """

    name: str
    title: str
    reads: str
    draw: Callable[[Week], Picture] | None
    methods: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "line", "Line plot",
        "Level over time. Missing time is hatched, and no line crosses it. The orange line of the first week is the "
        "mean of the same times in the other weeks, where those were measured.",
        people.line, ("line",),
    ),
    Section(
        "forecast", "Forecast fan",
        "What is expected after the dotted upright line: the median, and the bands that should hold 50 % and 80 % of "
        "what comes. On this page the fan is no trained model's: it is the last reading and how far the same hours "
        "moved it on the earlier days of the week.",
        people.forecast,
    ),
    Section(
        "pair", "Before and after",
        "Two days of one sensor on the same scale, the first one again behind the second; the difference of the means "
        "stands above.",
        people.pair,
    ),
    Section(
        "multiples", "Small multiples",
        "A sensor and its nearest neighbours on the same scale, in the order of the road: the incident is at km 16, "
        "reaches the sensors before it later, and those behind it not at all.",
        people.multiples,
    ),
    Section(
        "folded", "Univariate heatmap (day-fold)",
        "A row is a day of one sensor: what repeats daily stands in columns, and what does not breaks them.",
        people.folded, ("uvh", "dayfold"),
    ),
    Section(
        "heatmap", "Multivariate heatmap",
        "A row is a sensor, in the order of the road: what travels is a slope. Missing readings are crossed, imputed "
        "ones hatched.",
        people.heatmap, ("mvh", "strip"),
    ),
    Section(
        "map", "Map",
        "Where an hour of Thursday was above (red) or below (blue) the same hour of Wednesday; white is no change. "
        "Sensors without coordinates stand at their postmiles in a diagram of the roads instead. A raster is for "
        "models what a map is for people; it shows the level on Thursday at noon.",
        people.network_map, ("raster",),
    ),
    Section(
        "stft", "STFT spectrogram",
        "How strong each period is around each moment, within a window of a day. The window lights the neighbours of a "
        "period as well: the sine has a period of a day alone, and none of 12 hours.",
        people.stft, ("stft",),
    ),
    Section(
        "cwt", "Wavelet scalogram",
        "How strong each period is at each moment. The window grows with the period: short events are sharp in time, "
        "and long periods are told apart.",
        people.cwt, ("cwt",),
    ),
    Section(
        "filterbank", "Filterbank (mel) spectrogram",
        "The power of each band in decibels below the strongest cell: noise, too faint for the other two, fills the "
        "short periods. In the picture for models the lowest bands are narrower than a step of frequency; those that "
        "hold none stay dark.",
        people.filterbank, ("filterbank",),
    ),
    Section(
        "gasf", "Gramian angular summation field",
        "Any two moments: red where both are near the same extreme, blue where they are near opposite ones or both in "
        "the middle.",
        people.gasf, ("gasf",),
    ),
    Section(
        "gadf", "Gramian angular difference field",
        "Any two moments: red where the reading at the row's time is the lower one, blue where it is the higher one.",
        people.gadf, ("gadf",),
    ),
    Section(
        "mtf", "Markov transition field",
        "Any two moments: how often the level of the row's time was followed, a step later, by the level of the "
        "column's time.",
        people.mtf, ("mtf",),
    ),
    Section(
        "rp", "Recurrence plot", "Any two moments: how far apart their readings are; dark is alike.", people.rp, ("rp",)
    ),
    Section(
        "correlation", "Dynamic correlation",
        "Any two sensors (or groups of neighbours, where there are more than 32), in the order of the road: how their "
        "readings correlate on Thursday. Red pairs rise and fall together; where one of a blue pair rises, the other "
        "falls; white pairs have nothing in common.",
        None, ("correlation",),
    ),
)  # fmt: skip


def model_sheet(methods: Sequence[str], weeks: Sequence[Week]) -> bytes:
    """The tensors as a PNG: a row a method, a column a week, and its mask where much is missing."""
    drawn = [[_encoded(METHODS[name], week) for week in weeks] for name in methods]
    columns: list[tuple[str, list[Image.Image]]] = []
    for at, week in enumerate(weeks):
        pictures = [_coloured(METHODS[name], *row[at]) for name, row in zip(methods, drawn, strict=True)]
        columns.append((week.mapped_title if "raster" in methods else week.title, pictures))
        masks = [row[at][1] for row in drawn]
        if any(
            (mask < _NEARLY_ALL).any() for name, mask in zip(methods, masks, strict=True) if name not in _NOT_MASKED
        ):
            columns.append(("its mask", [Image.fromarray((255 * mask).astype(np.uint8)) for mask in masks]))
    apart = CELL_PX + _GAP_PX
    sheet = Image.new("RGB", (_GUTTER_PX + apart * len(columns), _HEADING_PX + apart * len(methods)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(findfont(FAMILY), _LETTERS_PX)
    for row, name in enumerate(methods):
        middle = _HEADING_PX + apart * row + CELL_PX // 2
        pen.text((_GUTTER_PX - _GAP_PX, middle), name, fill=INK, font=font, anchor="rm")
    for column, (heading, pictures) in enumerate(columns):
        left = _GUTTER_PX + apart * column
        pen.text((left + CELL_PX // 2, _HEADING_PX - _GAP_PX), heading, fill=INK, font=font, anchor="ms")
        for row, picture in enumerate(pictures):
            top = _HEADING_PX + apart * row
            sheet.paste(picture.resize((CELL_PX, CELL_PX), Image.Resampling.NEAREST), (left, top))
            pen.rectangle((left - 1, top - 1, left + CELL_PX, top + CELL_PX), outline=GREY)
    return people.packed(sheet)


def _coloured(each: Method, values: Array, mask: Array) -> Image.Image:
    seen = values[mask > 0]
    signed = each.low == -1
    low, high = (-1.0, 1.0) if signed else (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    if each.name in _ROOTS:
        share = np.sqrt(share)
    pixels = colormaps[DIVERGING if signed else COLOUR_MAP](share, bytes=True)[..., :3]
    pixels[mask == 0] = [int(GREY[at : at + 2], 16) for at in (1, 3, 5)]
    return Image.fromarray(pixels)


def _encoded(each: Method, week: Week) -> tuple[Array, Array]:
    """`(H, W)` values and mask of the picture; of a raster Thursday noon, of correlations Thursday."""
    panel = week.mapped if each.name == "raster" else week.panel
    order = fiedler_order(panel.adjacency())
    places = panel.nodes[["lat", "lon"]].to_numpy(dtype=np.float64)
    noon = THURSDAY + STEPS_PER_DAY // 2
    ways: Mapping[str, Callable[[torch.Tensor, tuple[int, int] | None], torch.Tensor]] = {
        "uvh": partial(uvh, period=STEPS_PER_DAY),
        "strip": partial(strip, order=order),
        "dayfold": lambda series, size: dayfold(series[:, order.copy()], size, steps_per_day=STEPS_PER_DAY),
        "raster": lambda series, _: raster(series[..., :noon], grid=grid_of(places), steps=1),
        "correlation": lambda series, _: each.encode(series[:, order.copy(), THURSDAY : THURSDAY + STEPS_PER_DAY]),
    }
    values = np.ascontiguousarray(panel.observed().T) if each.spatial else week.series
    image = ways.get(each.name, each.encode)(torch.from_numpy(values)[None], (CELL_PX, CELL_PX))[0].numpy()
    return image[0], image[-1]


def readme(weeks: Sequence[Week], alts: Mapping[str, str]) -> str:
    """The page that shows the pictures; `alts` is section name to the alternative text of its first week."""
    first, road = weeks[0].panel, weeks[1].panel.adjacency()
    kind = "simulated" if first.card.synthetic else "measured"
    shuffled, ordered = closeness(road, np.arange(road.shape[0])), closeness(road, fiedler_order(road))
    intro = (
        f"Each picture for people shows five weeks. On top is a {kind} one: {first.place(weeks[0].node)} of "
        f"{first.card.title}, from {first.times[0]:%d %B %Y}. Below it are a sine of one day, a trend, an "
        "incident of 200 minutes on Thursday, and a gap of 29 hours from Thursday on; these four are made up, on a "
        "road of 32 sensors that are numbered at random, and say so. The agent is given such pictures together with "
        "their alternative text, which has the numbers.",
        f"Each picture for models is the tensor itself, of the same five weeks, {CELL_PX} x {CELL_PX} or enlarged "
        "from its natural size. Pixels without a reading are grey; where there are many, the mask stands beside, white "
        "where all was read and black where nothing was. Colours run from the lowest value of the picture (dark) to "
        "its highest (bright), by the square root for `stft` and `cwt`; from -1 to 1 they are blue to red. Imputed "
        "readings count as missing.",
        f"`strip`, `dayfold` and `correlation` have the sensors in Fiedler order: {ordered:.0%} of the links of the "
        f"made-up road lie within 8 rows, instead of {shuffled:.0%} in the order of the sensors' numbers, which "
        "`mvh` keeps.",
        "All of it is made by",
    )
    parts = ["# Gallery: every picture, for people and for models", *(_wrapped(text) for text in intro)]
    parts.append(
        "<!-- not run: it needs the files of pems-orange; tests/imaging draws the same pictures -->\n"
        "```sh\npython -m mm4st_agent.imaging.gallery docs/gallery\n```"
    )
    for section in SECTIONS:
        parts += [f"## {section.title}", _wrapped(section.reads)]
        if section.draw is not None:
            parts.append(f"![{section.title} for people, five weeks]({section.name}.png)")
            parts.append(_wrapped(f"Alternative text of the first: {alts[section.name]}", indent="> "))
        if section.methods:
            parts.append(f"![{section.title} for models, five weeks]({section.name}-model.png)")
            rows = [_table_row(METHODS[each]) for each in section.methods]
            parts.append("\n".join([_TABLE, "|---" * 6 + "|", *rows]))
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _table_row(each: Method) -> str:
    low, high = (f"{bound:g}" if math.isfinite(bound) else None for bound in (each.low, each.high))
    bounds = f"{low} to {high}" if low and high else f"at least {low}, unit of the series" if low else "as the series"
    inverse = "exact" if each.decode else "none"
    return f"| `{each.name}`: {each.title} | {bounds} | {each.orientation} | {each.loses} | {inverse} | {each.source} |"


def main(folder: Path) -> None:
    """Write the pictures and their page."""
    settings = Settings()
    registry = Registry(settings.data_dir, settings.home / "data", {"demo": demo_panel})
    weeks = [measured_week(registry), *made_weeks()]
    folder.mkdir(parents=True, exist_ok=True)
    alts: dict[str, str] = {}
    for section in track(SECTIONS, "Drawing", console=Console(stderr=True)):
        if section.draw is not None:
            pictures = [section.draw(week) for week in weeks]
            alts[section.name] = pictures[0].alt
            (folder / f"{section.name}.png").write_bytes(people.page(pictures))
        if section.methods:
            (folder / f"{section.name}-model.png").write_bytes(model_sheet(section.methods, weeks))
    (folder / "README.md").write_text(readme(weeks, alts), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the gallery of pictures and its page.")
    parser.add_argument("folder", type=Path, help="Where to write it; files of the same names are overwritten.")
    main(parser.parse_args().folder)
