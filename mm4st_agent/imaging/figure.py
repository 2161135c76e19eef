"""The shared look of every picture: size, letters, colours, header, axes.

Only matplotlib's object interface is used: nothing global changes, so threads may draw at once.
"""

from __future__ import annotations

import struct
import textwrap
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

WIDTH_PX = 1280
HEIGHT_PX = 768
DPI = 160
"""Every picture is 1280 pixels wide, and never higher than wide. Where a vision-language model shrinks
it to 512 pixels, the smallest text is still set at 9.8 pixels, its capitals 7 pixels high."""
TEXT_PT = 11.0
TITLE_PT = 13.0
FAMILY = "DejaVu Sans"
FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "IPAGothic",
    "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Arial Unicode MS",
)  # fmt: skip
"""Fonts for letters that `FAMILY` lacks; the first that is installed is used."""

# Okabe and Ito (2008), "Color universal design": told apart by people of every colour vision.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
GREY = "#7F7F7F"
LIGHT_GREY = "#E4E4E4"
INK = "#222222"
COLOUR_MAP = "viridis"
DIVERGING = "RdBu_r"
"""Around 0: blue below, red above; told apart by people of every colour vision."""

Legend = Mapping[str, Artist | tuple[Artist, ...]]
"""Label to artist; the artists of a tuple are drawn one upon the other."""

_MARGIN_PX = 20
_GAP_PX = 10
_HANDLE_PX = 80
"""What a legend entry takes beside its words."""


@dataclass(frozen=True)
class Picture:
    """A drawn picture and what it shows in words.

    Attributes:
        png: The file's bytes.
        title: The heading inside the picture.
        alt: One or two sentences with the picture's main numbers, for those who cannot see it.
    """

    png: bytes
    title: str
    alt: str


class Sheet:
    """One picture in the making: a header (title, mark, legend) above a grid of axes.

    Attributes:
        panels: The axes, row by row.
        axes: The first of them; of most pictures the only one.
    """

    def __init__(
        self, title: str, *, synthetic: bool, height_px: int = HEIGHT_PX, heights: Sequence[float] = (1.0,),
        columns: int = 1, share_x: bool = False,
    ) -> None:  # fmt: skip
        self.title = title
        self.synthetic = synthetic
        self.figure = Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)
        self._layout = ConstrainedLayoutEngine(w_pad=_GAP_PX / DPI, h_pad=_GAP_PX / DPI)
        self.figure.set_layout_engine(self._layout)
        grid = self.figure.subplots(len(heights), columns, squeeze=False, sharex=share_x, height_ratios=heights)
        self.panels: list[list[Axes]] = grid.tolist()
        for axes in grid.flat:
            plain(axes)
        self.axes = self.panels[0][0]

    def say(self, text: str, axes: Axes | None = None) -> None:
        """Write into the middle of `axes` (the sheet's first), such as why nothing is drawn."""
        box = {"facecolor": "white", "edgecolor": GREY, "boxstyle": "round,pad=0.5"}
        shown = self.axes if axes is None else axes
        place = shown.transAxes
        shown.text(0.5, 0.5, drawable(text), transform=place, ha="center", va="center", zorder=10, **words(bbox=box))

    def picture(self, alt: str, legend: Legend, note: str = "", finish: Callable[[], None] | None = None) -> Picture:
        """Add the header (title, mark, a note in full width, legend), lay everything out and give the PNG.

        Args:
            alt: The picture in words, with its main numbers.
            legend: Label to artist.
            note: How to read it.
            finish: Called when everything has its final place, to add what depends on it, such as words that
                must not touch others.
        """
        below = self._header(legend, note)
        rect = (0.005, 0.005, 0.985, 0.995 - below / self.figure.bbox.height)
        if self.figure.axes == [self.axes] and self.axes.get_aspect() == "auto":
            self._fill(*rect)
        else:
            self._layout.set(rect=rect)
        if finish is not None:
            self.figure.draw_without_rendering()
            finish()
        self._canvas.draw()  # type: ignore[no-untyped-call]
        png = _png(np.asarray(self._canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
        return Picture(png=png, title=self.title, alt=("Synthetic data. " if self.synthetic else "") + alt)

    def _fill(self, left: float, bottom: float, width: float, height: float) -> None:
        """Give the only axes all the room that its labels leave; constrained layout measures them twice."""
        self.figure.set_layout_engine("none")
        self.axes.set_position((left + 0.06 * width, bottom + 0.12 * height, 0.93 * width, 0.8 * height))
        renderer = self._canvas.get_renderer()  # type: ignore[no-untyped-call]
        whole, inner = self.axes.get_tightbbox(renderer), self.axes.bbox
        assert whole is not None
        across, up = self.figure.bbox.width, self.figure.bbox.height
        x0 = left + (inner.x0 - whole.x0 + _GAP_PX) / across
        y0 = bottom + (inner.y0 - whole.y0 + _GAP_PX) / up
        x1 = left + width - (whole.x1 - inner.x1 + _GAP_PX) / across
        y1 = bottom + height - (whole.y1 - inner.y1 + _GAP_PX) / up
        self.axes.set_position((x0, y0, x1 - x0, y1 - y0))

    def _header(self, legend: Legend, note: str) -> float:
        """Draw from the top down; the pixels that it takes."""
        width, height = self.figure.bbox.width, self.figure.bbox.height
        room = width - 2 * _MARGIN_PX
        left, top = _MARGIN_PX / width, 1 - _MARGIN_PX / height
        mark_px = 0.0
        if self.synthetic:
            box = {"facecolor": "white", "edgecolor": VERMILLION, "boxstyle": "round,pad=0.3", "linewidth": 1.5}
            style = words(color=VERMILLION, weight="bold", bbox=box)
            mark = self.figure.text(1 - 2 * left, top, "synthetic data", ha="right", va="top", **style)
            mark_px = mark.get_window_extent().width + 3 * _MARGIN_PX
        style = words(size=TITLE_PT, weight="bold", linespacing=1.15)
        title = self.figure.text(left, top, drawable(self.title), ha="left", va="top", **style)
        fit(title, room - mark_px, lines=2)
        used = _MARGIN_PX + title.get_window_extent().height + _GAP_PX
        if note:
            text = self.figure.text(left, 1 - used / height, drawable(note), ha="left", va="top", **words())
            fit(text, room, lines=2)
            used += text.get_window_extent().height + _GAP_PX
        return used + (self._legend(legend, left, 1 - used / height, room) if legend else 0.0)

    def _legend(self, legend: Legend, left: float, top: float, room_px: float) -> float:
        """Draw the legend in as many columns as fit; the pixels that it takes."""
        for columns in range(min(len(legend), 4), 0, -1):
            box = self.figure.legend(
                handles=list(legend.values()), labels=list(legend), ncols=columns, loc="upper left",
                bbox_to_anchor=(left, top), frameon=False, borderpad=0, borderaxespad=0, handlelength=2.2,
                columnspacing=1.6, labelspacing=0.35, labelcolor=INK,
                prop=FontProperties(family=families(), size=TEXT_PT),
            )  # fmt: skip
            box.set_in_layout(False)
            for text in box.get_texts():
                text.set_parse_math(False)
            if box.get_window_extent().width <= room_px:
                break
            if columns > 1:
                box.remove()
        for text in box.get_texts():
            fit(text, room_px - _HANDLE_PX)
        return box.get_window_extent().height + 1.5 * _GAP_PX


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """An opaque PNG of `(H, W, 4)` pixels, unfiltered and packed lightly.

    Image libraries try five filters on each row, which takes longer than the rest of the writing and shrinks flat
    colours by nothing.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # a row starts with its filter: none
    rows[:, 1:] = pixels[..., :3].reshape(height, -1)
    per_metre = round(DPI / 0.0254)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),  # 8 bits, RGB
        b"pHYs": struct.pack(">IIB", per_metre, per_metre, 1),
        b"IDAT": zlib.compress(rows.data, 1),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


def words(**changes: Any) -> dict[str, Any]:
    """The properties of every text: its fonts, legible size, and a `$` is a dollar, not mathematics."""
    return {"family": families(), "size": TEXT_PT, "color": INK, "parse_math": False} | changes


@cache
def families() -> list[str]:
    """The font of every text, and one for the letters that it lacks where the system has one."""
    installed = {font.name for font in fontManager.ttflist}
    return [FAMILY, *[name for name in FALLBACKS if name in installed][:1]]


@cache
def _known_letters() -> frozenset[int]:
    return frozenset().union(*(get_font(findfont(family)).get_charmap() for family in families()))


def drawable(text: str) -> str:
    """`text` on one line; each character that the fonts lack becomes an empty box."""
    known = _known_letters()
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(char if ord(char) in known else "\N{WHITE SQUARE}" for char in line)


def fit(text: Text, width_px: float, lines: int = 1) -> None:
    """Wrap a text of the figure, and cut it with an ellipsis where `lines` lines are not enough."""
    whole = text.get_text()
    whole_px = text.get_window_extent().width
    if whole_px <= width_px:
        return
    for characters in range(int(1.2 * len(whole) * width_px / whole_px), 3, -1):
        text.set_text("\n".join(textwrap.wrap(whole, characters, max_lines=lines, placeholder=" …")))
        if text.get_window_extent().width <= width_px:
            return


def unit_label(axes: Axes, unit: str) -> None:
    """Name the unit of the vertical axis above it, level: turned letters are hard to read."""
    axes.set_ylabel(drawable(unit_name(unit)), rotation=0, ha="left", va="bottom", **words())
    axes.yaxis.set_label_coords(0.0, 1.015)
    fit(axes.yaxis.label, 0.8 * WIDTH_PX)


def unit_name(unit: str) -> str:
    """The unit in words: `1` and nothing are dimensionless."""
    return "dimensionless" if unit.strip() in ("", "1") else unit


def number(value: float) -> str:
    """A value as people write it: `1,234.5`; at most six significant digits below a million."""
    rounded = f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"
    return "0" if rounded == "-0" else rounded


def value_axis(axes: Axes, ticks: int = 7) -> None:
    """Few, round, plainly written ticks on the vertical axis."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value == 0 else f"{value:,.10g}"))


def plain(axes: Axes) -> None:
    """Thin lines and legible numbers."""
    axes.set_axisbelow(True)
    axes.grid(visible=True, color="#D0D0D0", linewidth=0.8)
    axes.tick_params(labelsize=TEXT_PT, labelfontfamily=families(), color=GREY, labelcolor=INK, width=0.8, length=4)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=GREY, linewidth=0.8)
