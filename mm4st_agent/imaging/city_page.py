"""The demo city in pictures: a map at two rush hours, a week, one incident's queue, and the air.

`python -m mm4st_agent.imaging.city_page FOLDER` simulates the city and writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mm4st_agent.demo_city.city import City
from mm4st_agent.demo_city.records import Cause
from mm4st_agent.imaging.city_map import draw_ground, draw_places, draw_roads, kilometres, thin_roads
from mm4st_agent.imaging.figure import (
    BLUE,
    COLOUR_MAP,
    GREY,
    INK,
    ORANGE,
    TEXT_PT,
    TITLE_PT,
    VERMILLION,
    Picture,
    Sheet,
    drawable,
    families,
    plain,
    value_axis,
    words,
)
from mm4st_agent.imaging.timeaxis import days, time_axis

DAY = "2025-09-16"
"""The weekday of the map, a Tuesday in school time."""
WEEK = "2025-09-15"
"""The first day of the week."""
SENSORS = ("S039", "S006", "S066")
"""North Avenue into the centre, the ring, and the road past the stadium."""

Array = NDArray[np.float64]

_SPEEDS = (
    (0.85, BLUE, "85 % of free speed or more"), (0.5, ORANGE, "50 to 85 %"), (0.25, VERMILLION, "25 to 50 %"),
    (0.0, INK, "below 25 %"),
)  # fmt: skip
"""Shares of the free speed from which on a link has a colour."""


def draw_city_page(city: City, folder: Path) -> list[Path]:
    """Draw the pictures of the documentation.

    Args:
        city: A city of at least the days from 2025-09-15 to 2025-09-21.
        folder: Where the PNGs go; it is made where it is missing.

    Returns:
        The files: map, week, queue, air.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "map": draw_map(
            city, pd.Timestamp(f"{DAY} 08:00", tz=city.time.tz), pd.Timestamp(f"{DAY} 17:30", tz=city.time.tz)
        ),
        "week": draw_week(city, pd.Timestamp(WEEK, tz=city.time.tz), SENSORS),
        "queue": draw_queue(city, queue_to_show(city)),
        "air": draw_air(city, pd.Timestamp(WEEK, tz=city.time.tz)),
    }
    files = []
    for name, picture in pictures.items():
        files.append(folder / f"demo-city-{name}.png")
        files[-1].write_bytes(picture.png)
    return files


def draw_map(city: City, *moments: pd.Timestamp) -> Picture:
    """Speed and flow on every link at two times, the mean of the quarter-hour from there on."""
    sheet, panels = _sheet(f"Port Alder on {moments[0]:%A %d %B %Y}: speed and flow", 1, len(moments), 1060)
    free = city.network.links["free_speed_kmh"].to_numpy(dtype=np.float64)
    legend: dict[str, Artist] = {label: Line2D([], [], color=colour, linewidth=4) for _, colour, label in _SPEEDS}
    legend |= {
        f"{flow:,} vehicles/h": Line2D([], [], color=GREY, linewidth=float(_width_pt(flow))) for flow in (500, 3000)
    }
    legend["incident or road works"] = Line2D([], [], **_MARK)
    shares = []
    for axes, moment in zip(panels[0], moments, strict=True):
        steps = _steps(city, moment, pd.Timedelta(minutes=15))
        share = city.traffic.speed[steps].mean(axis=0) / free
        flow = city.traffic.flow[steps].mean(axis=0) * 12.0
        legend |= draw_ground(axes, city.network)
        draw_roads(axes, city.network, [_colour(value) for value in share], _width_pt(flow))
        draw_places(axes)
        _mark_causes(axes, city, moment)
        axes.set_title(f"{moment:%H:%M}", loc="left", **words(size=TITLE_PT, weight="bold"))
        shares.append(f"at {moment:%H:%M} {(share < 0.5).sum()} of {len(share)} links below half of their free speed")
    alt = f"Maps of the roads of Port Alder: {', '.join(shares)}."
    return sheet.picture(alt, legend, note="Links by speed (colour) and flow (width); traffic keeps to the right.")


def draw_week(city: City, first: pd.Timestamp, sensors: Sequence[str]) -> Picture:
    """Flow and speed of a week at some sensors, true values."""
    sheet, panels = _sheet(f"A week at {len(sensors)} sensors, from {first:%A %d %B %Y}", len(sensors), 2, 1100)
    steps = _steps(city, first, pd.Timedelta(days=7))
    when = city.time[steps]
    for row, sensor in zip(panels, sensors, strict=True):
        column = _position(city, sensor)
        entry = city.network.links.loc[sensor]
        for axes, values, colour in (
            (row[0], city.traffic.flow[steps, column], BLUE),
            (row[1], city.traffic.speed[steps, column], VERMILLION),
        ):
            axes.plot(days(when), values, color=colour, linewidth=1.2)
            axes.set_ylim(0, 1.08 * values.max())
            value_axis(axes)
            _days_only(axes, when)
        row[0].set_title(drawable(f"{sensor}, {entry['name']} ({entry['road']})"), loc="left", **words(weight="bold"))
    legend: dict[str, Artist] = {
        "flow, vehicles/5 min": Line2D([], [], color=BLUE, linewidth=2),
        "speed, km/h": Line2D([], [], color=VERMILLION, linewidth=2),
    }
    note = "True values, as the simulation has them; the data set adds the noise of measurement."
    return sheet.picture(f"Flow and speed at {', '.join(sensors)} over a week.", legend, note=note)


def queue_to_show(city: City) -> Cause:
    """The incident by day that slowed its road down most; long roads, on which a queue has room, count more."""
    free = city.network.links["free_speed_kmh"].to_numpy(dtype=np.float64)

    def slowed(cause: Cause) -> float:
        columns = _road(city, str(cause.link))
        if not "06:00" <= f"{cause.start:%H:%M}" <= "20:00":
            return 0.0
        upstream = columns[: columns.index(_position(city, cause.link)) + 1]
        during = _steps(city, cause.start, cause.end - cause.start)
        before = slice(max(during.start - 12, 0), during.start)
        lost = 1.0 - city.traffic.speed[:, upstream] / free[upstream]
        more = lost[during].sum() - lost[before].mean(axis=0).sum() * (during.stop - during.start)
        return float(more) * len(columns) ** 2

    return max((cause for cause in city.draws if cause.kind == "incident"), key=slowed)


def draw_queue(city: City, incident: Cause) -> Picture:
    """Speed along the incident's road over time, as it was and as it had been without it."""
    columns = _road(city, str(incident.link))
    links = city.network.links.iloc[columns]
    effect = city.without(incident.id).effect("speed")[links.index]
    felt = effect.index[(effect.abs() >= 1.0).any(axis=1)]
    first = incident.start.floor("h") - pd.Timedelta(hours=1)
    last = min(max([incident.end, *felt[-1:]]) + pd.Timedelta(minutes=45), first + pd.Timedelta(hours=9))
    steps = _steps(city, first, last - first)
    when = city.time[steps]
    speed = city.traffic.speed[steps][:, columns]
    change = effect.reindex(when, fill_value=0.0).to_numpy(dtype=np.float64)
    sheet, panels = _sheet(f"{incident.title[0].upper()}{incident.title[1:]}", 2, 1, 1000)
    edges_km = np.concatenate([[0.0], np.cumsum(links["length_km"].to_numpy(dtype=np.float64))])
    edges_day = np.append(days(when), days(when[-1:]) + 300 / 86_400)
    at = columns.index(_position(city, incident.link))
    scale = Normalize(0.0, float(links["free_speed_kmh"].max()))
    start, end = days(pd.DatetimeIndex([incident.start, incident.end]))
    for axes, values, title in zip(
        panels[:, 0], (speed, speed - change), ("as it was", "without it, same draws"), strict=True
    ):
        axes.grid(visible=False)
        mesh = axes.pcolormesh(edges_day, edges_km, values.T, cmap=COLOUR_MAP, norm=scale, rasterized=True)
        axes.set_title(title, loc="left", **words(weight="bold"))
        time_axis(axes, when)
        axes.set_ylabel("km along the road", **words())
        style = "-" if values is speed else ":"
        axes.add_patch(
            Rectangle(
                (start, edges_km[at]), end - start, edges_km[at + 1] - edges_km[at], fill=False, edgecolor=VERMILLION,
                linewidth=2.5, linestyle=style, zorder=5,
            )
        )  # fmt: skip
        axes.set_ylim(0, edges_km[-1])
        value_axis(axes)
    panels[0, 0].set_xlabel("")
    bar = sheet.figure.colorbar(mesh, ax=panels[:, 0].tolist(), pad=0.01)
    bar.ax.tick_params(labelsize=TEXT_PT, labelfontfamily=families(), labelcolor=INK)
    bar.set_label("km/h", **words())
    legend: dict[str, Artist] = {
        "where and when the incident acts": Rectangle((0, 0), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2.5)
    }
    lost = float(np.minimum(change, 0.0).min())
    alt = f"Speed along {links['road'].iloc[0]} with and without the incident; at most {-lost:.0f} km/h are lost."
    return sheet.picture(alt, legend, note="Speed; traffic moves upwards, each row is a link.")


def draw_air(city: City, first: pd.Timestamp) -> Picture:
    """PM2.5 at the stations with the wind, when the air of a week was worst and when it was best."""
    steps = _steps(city, first, pd.Timedelta(days=7))
    pm25 = city.air["pm25"][steps]
    awake = np.flatnonzero((city.time[steps].hour >= 7) & (city.time[steps].hour <= 21))
    mean = pm25.mean(axis=1)[awake]
    moments = sorted(int(awake[at]) for at in (mean.argmax(), mean.argmin()))
    sheet, panels = _sheet(f"PM2.5 at {pm25.shape[1]} air stations with the wind", 1, 2, 1080)
    east, north = kilometres(city.air_stations["lat"], city.air_stations["lon"])
    scale = Normalize(0.0, float(np.ceil(pm25[moments].max() / 5.0) * 5.0))
    legend: dict[str, Artist] = {}
    said = []
    for axes, at in zip(panels[0], moments, strict=True):
        step = steps.start + at
        legend |= draw_ground(axes, city.network)
        thin_roads(axes, city.network)
        dots = axes.scatter(
            east, north, c=pm25[at], cmap=COLOUR_MAP, norm=scale, s=150, edgecolors=INK, linewidths=0.8, zorder=5
        )
        wind, heading = float(city.weather.wind_speed[step]), float(city.weather.wind_from[step])
        _wind_arrow(axes, wind, heading)
        rain = float(city.weather.rain[step])
        sky = f"rain {rain:.1f} mm/h" if rain > 0 else "dry"
        axes.set_title(
            f"{city.time[step]:%a %d %b %H:%M}, {sky},\nmixing height {city.weather.mixing_height[step]:,.0f} m",
            loc="left", **words(weight="bold"),
        )  # fmt: skip
        said.append(
            f"on {city.time[step]:%d %B at %H:%M} {pm25[at].min():.0f} to {pm25[at].max():.0f} µg/m³ in a wind of "
            f"{wind:.1f} m/s from {heading:.0f} degrees"
        )
    bar = sheet.figure.colorbar(dots, ax=panels[0].tolist(), orientation="horizontal", shrink=0.6, pad=0.01, aspect=40)
    bar.ax.tick_params(labelsize=TEXT_PT, labelfontfamily=families(), labelcolor=INK)
    bar.set_label("µg/m³", **words())
    return sheet.picture(f"PM2.5 on maps of Port Alder: {'; '.join(said)}.", legend)


def _wind_arrow(axes: Axes, wind: float, heading: float) -> None:
    """An arrow the way the wind blows, the longer the stronger."""
    x, y = 7.2, -6.7
    reach = 1.2 + 0.25 * wind
    dx, dy = -np.sin(np.radians(heading)) * reach / 2, -np.cos(np.radians(heading)) * reach / 2
    arrow = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 4, "mutation_scale": 22, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x + dx, y + dy), (x - dx, y - dy), arrowprops=arrow, zorder=7)
    axes.text(x, y - 2.0, f"wind {wind:.1f} m/s", ha="center", va="center", **words(color=BLUE, weight="bold"))


def _sheet(title: str, rows: int, columns: int, height_px: int) -> tuple[Sheet, NDArray[np.object_]]:
    """A sheet with a grid of axes instead of one."""
    sheet = Sheet(title, synthetic=True, height_px=height_px)
    sheet.axes.remove()
    panels = sheet.figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        plain(axes)
    return sheet, panels


def _steps(city: City, first: pd.Timestamp, span: pd.Timedelta) -> slice:
    start, end = (city.time < first).sum(), (city.time < first + span).sum()
    return slice(int(start), int(end))


def _position(city: City, link: str | None) -> int:
    """The column of a link."""
    return city.network.links.index.tolist().index(str(link))


_MARK: dict[str, Any] = {
    "marker": "X", "linestyle": "", "markersize": 13, "color": VERMILLION, "markeredgecolor": "white",
}  # fmt: skip


def _mark_causes(axes: Axes, city: City, moment: pd.Timestamp) -> None:
    """A cross where an incident or road works act."""
    acting = [cause.link for cause in city.draws if cause.link is not None and cause.start <= moment < cause.end]
    places = city.network.links.loc[acting]
    axes.plot(*kilometres(places["lat"], places["lon"]), **_MARK, zorder=7)


def _width_pt(flow: Array | float) -> Any:
    return 0.8 + 3.6 * flow / 4000.0


def _colour(share: float) -> str:
    return next(colour for least, colour, _ in _SPEEDS if share >= least)


def _days_only(axes: Axes, when: pd.DatetimeIndex) -> None:
    """Names of the days in the middle of each, lines at midnight."""
    midnights = when[(when.hour == 0) & (when.minute == 0)]
    axes.set_xlim(days(when)[0], days(when)[-1])
    axes.set_xticks(days(midnights), labels=[""] * len(midnights))
    axes.set_xticks(days(midnights) + 0.5, labels=[f"{day:%a}" for day in midnights], minor=True)
    axes.tick_params(axis="x", which="minor", length=0, labelsize=TEXT_PT, labelfontfamily=families(), labelcolor=INK)


def _road(city: City, link: str) -> list[int]:
    """Positions of the links of a road in one direction, in the order of travel."""
    links = city.network.links
    same = links[(links["road"] == links.at[link, "road"]) & (links["direction"] == links.at[link, "direction"])]
    by_start = dict(zip(same["source"], same.index, strict=True))
    at = next(iter(set(same["source"]) - set(same["target"])), same["source"].iloc[0])
    ordered: list[int] = []
    while at in by_start:
        ordered.append(_position(city, by_start.pop(at)))
        at = links["target"].iloc[ordered[-1]]
    return ordered


def main(arguments: Sequence[str]) -> int:
    """Simulate the shipped city, with a progress bar, and write its pictures."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if len(arguments) != 1:
        console.print("Usage: python -m mm4st_agent.imaging.city_page FOLDER")
        return 2
    city = City()
    with Progress(console=console) as bar:
        task = bar.add_task("Simulating Port Alder", total=len(city.time))
        city.simulate(lambda done, _: bar.update(task, completed=done))
    for file in draw_city_page(city, Path(arguments[0])):
        console.print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
