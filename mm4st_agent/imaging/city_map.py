"""Maps of the simulated city: its roads coloured by what happens on them, with land, water and places around."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon
from numpy.typing import NDArray

from mm4st_agent.demo_city.network import KM_PER_DEGREE, ORIGIN, Network
from mm4st_agent.imaging.figure import GREY, INK, words

Array = NDArray[np.float64]

WATER = "#D6E8F5"
LAND_USES = {
    "homes": (("residential",), "#EDE6D6"),
    "offices, shops, university": (("centre", "business", "retail", "university", "leisure"), "#E3D7EA"),
    "industry, port, airport": (("industrial", "port", "airport"), "#DADADA"),
}
"""Words of the legend, land uses, and their colour."""
PLACES = (
    ("Centre", 0.25, -0.75, "left"), ("Long Beach", -3.3, 2.7, "right"), ("Port", -3.5, -2.2, "right"),
    ("Stadium", 1.7, -3.1, "left"), ("Airport", 4.5, 6.7, "right"), ("River Alder", 9.7, -1.9, "right"),
    ("South Motorway", 1.4, -8.7, "left"), ("North Motorway", 1.3, 8.6, "left"),
)  # fmt: skip
"""Names, km east and north of Old Town, and the side of the name that stands there."""

_NARROWING = 0.748956
_KEEP_RIGHT_KM = 0.13
_WEST, _EAST, _SOUTH, _NORTH = -6.4, 9.8, -10.0, 10.0
"""Edges of the map, km from Old Town."""
_COAST = ((-3.3, 11), (-3.2, 7), (-3.3, 5), (-3.0, 4), (-3.4, 2.5), (-2.9, 1), (-2.4, -0.3), (-3.1, -1.6),
          (-3.3, -3), (-2.9, -5), (-3.4, -7), (-3.1, -11))  # fmt: skip
_RIVER = ((-3.2, -1.15), (-1.6, -0.95), (0.0, -0.85), (1.6, -1.1), (3.2, -0.8), (4.6, -1.1), (6.0, -0.8), (10.0, -1.2))
_RIVER_KM = 0.42


def kilometres(lat: Iterable[float], lon: Iterable[float]) -> tuple[Array, Array]:
    """Kilometres east and north of Old Town."""
    east = (np.asarray(list(lon), dtype=np.float64) - ORIGIN[1]) * KM_PER_DEGREE * _NARROWING
    north = (np.asarray(list(lat), dtype=np.float64) - ORIGIN[0]) * KM_PER_DEGREE
    return east, north


def draw_ground(axes: Axes, network: Network) -> dict[str, Artist]:
    """Water, quarters, a scale bar and an arrow to the north; gives the entries of the legend.

    Coast and river are sketched: the simulation knows only where bridges and tunnels are.
    """
    axes.grid(visible=False)
    axes.set(xlim=(_WEST, _EAST), ylim=(_SOUTH, _NORTH), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    sea = axes.add_patch(Polygon([(-20, 11), *_COAST, (-20, -11)], facecolor=WATER, linewidth=0, zorder=0))
    x, y = np.array(_RIVER).T
    along = np.linspace(x[0], x[-1], 200)
    course = np.interp(along, x, y)
    bank = np.convolve(np.pad(course, 10, mode="edge"), np.ones(21) / 21, mode="valid")
    axes.fill_between(along, bank - _RIVER_KM / 2, bank + _RIVER_KM / 2, color=WATER, linewidth=0, zorder=0)
    legend: dict[str, Artist] = {}
    east, north = kilometres(network.junctions["lat"], network.junctions["lon"])
    size = network.junctions["size"].to_numpy(dtype=np.float64)
    for label, (uses, colour) in LAND_USES.items():
        for at in np.flatnonzero(network.junctions["land_use"].isin(uses)):
            radius = 0.85 * np.sqrt(size[at])
            axes.add_patch(Circle((east[at], north[at]), radius, facecolor=colour, linewidth=0, zorder=0.5))
        legend[label] = Line2D([], [], marker="o", linestyle="", markersize=11, color=colour)
    legend["water"] = sea
    _scale_bar(axes)
    return legend


def draw_places(axes: Axes) -> None:
    """Names of a few places, beside the roads."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "boxstyle": "round,pad=0.05"}
    for name, x, y, side in PLACES:
        axes.text(x, y, name, ha=side, va="center", zorder=6, **words(bbox=None if x < -3 else box))


def draw_roads(axes: Axes, network: Network, colours: list[str], widths_pt: Array | float, zorder: float = 3.0) -> None:
    """Every link from junction to junction, on the right-hand side of the road's middle."""
    lines = link_lines(network)
    order = np.argsort([colours.count(colour) for colour in colours], kind="stable")[::-1]  # rare ones on top
    wide = np.broadcast_to(widths_pt, len(lines))
    axes.add_collection(
        LineCollection(
            [lines[i] for i in order], colors=[colours[i] for i in order], linewidths=[float(wide[i]) for i in order],
            capstyle="round", zorder=zorder,
        )
    )  # fmt: skip


def link_lines(network: Network) -> list[Array]:
    """`(2, 2)` start and end of each link in km east and north."""
    place = pd.DataFrame(dict(zip("xy", kilometres(network.junctions["lat"], network.junctions["lon"]), strict=True)))
    place.index = network.junctions.index
    start = place.loc[network.links["source"]].to_numpy()
    end = place.loc[network.links["target"]].to_numpy()
    along = end - start
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    right = _KEEP_RIGHT_KM * np.column_stack([along[:, 1], -along[:, 0]])
    return list(np.stack([start + right, end + right], axis=1))


def _scale_bar(axes: Axes) -> None:
    x, y = _WEST + 0.3, _SOUTH + 0.5
    axes.plot([x, x + 3], [y, y], color=INK, linewidth=2.5, solid_capstyle="butt")
    axes.text(x + 1.5, y + 0.25, "3 km", ha="center", va="bottom", **words())
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x + 1.5, y + 3.0), (x + 1.5, y + 1.5), arrowprops=arrow)
    axes.text(x + 1.5, y + 3.1, "N", ha="center", va="bottom", **words(weight="bold"))


def thin_roads(axes: Axes, network: Network) -> None:
    """The roads as a hint of where things are."""
    draw_roads(axes, network, [GREY] * len(network.links), 0.8, zorder=1.5)
