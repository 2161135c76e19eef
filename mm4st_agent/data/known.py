"""Readers of the known data sets: their cards ship, their files come from the user's data directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mm4st_agent.data.card import DataCard, file_sha256, read_card
from mm4st_agent.data.events import Event
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.errors import DataError, UsageError

MAX_EVENT_DISTANCE = 1.0
"""Miles along the freeway within which an incident belongs to a station."""

_CARDS = Path(__file__).parent / "cards"


def known_card(name: str) -> DataCard:
    """The shipped card of the known data set `name`.

    Raises:
        UsageError: no such data set is known.
    """
    if name not in KNOWN:
        raise UsageError(f"No data set {name!r} is known.", f"Known: {', '.join(KNOWN)}.")
    return read_card(_CARDS / f"{name}.yaml")


def missing_files(data_dir: Path, card: DataCard) -> list[str]:
    """Which of the card's files are not under `data_dir`."""
    return [name for name in card.files if not (data_dir / name).is_file()]


def check_files(data_dir: Path, card: DataCard) -> None:
    """Make sure that the card's files are there and are the ones that it describes.

    Raises:
        DataError: a file is missing, or its sha256 differs; the message names it.
    """
    missing = missing_files(data_dir, card)
    if missing:
        raise DataError(
            f"{card.name!r} lacks {', '.join(missing)} under {data_dir}.",
            f"{card.where} Put the files there, or set MM4ST_DATA_DIR to the folder that has them.",
        )
    for name, expected in card.files.items():
        found = file_sha256(data_dir / name)
        if found != expected:
            raise DataError(
                f"{data_dir / name} is not the file that the card of {card.name!r} describes: "
                f"its sha256 is {found[:12]}..., not {expected[:12]}....",
                card.where,
            )


def read_pems_orange(data_dir: Path, card: DataCard) -> Panel:
    """Read flow, occupancy and speed of 81 stations, their road graph, and 372 CHP incidents.

    Args:
        data_dir: Holds the card's files; `(8064, 81)` int16 vehicles/5 min, float32 1, float32 mph.
        card: The shipped card.

    Returns:
        Panel with channels `flow` (vehicles/5 min), `occupancy` (0..1), `speed` (mph); cells that no
        detector observed are True in the mask `imputed`. Edges have `distance` in miles.

    Raises:
        DataError: a file is missing or differs from the card's sha256.
    """
    check_files(data_dir, card)
    folder = data_dir / "pems_orange"
    stations = pd.read_csv(folder / "orange_stations.csv", encoding="utf-8-sig", dtype={"ID": str})
    with np.load(folder / "orange_traffic.npz", allow_pickle=False) as arrays:
        imputed = arrays["pct_observed"] == 0
        channels = {"flow": arrays["flow"], "occupancy": arrays["occupancy"], "speed": arrays["speed_mph"]}
        data = _dataset(card, arrays["timestamps"], arrays["station_id"].astype(str), channels, imputed)
    data = data.assign_coords(
        name=("node", stations["Name"].to_numpy(dtype=object)),
        kind=("node", stations["Type"].to_numpy(dtype=object)),
        lat=("node", np.full(len(stations), np.nan)),
        lon=("node", np.full(len(stations), np.nan)),
        freeway=("node", stations["Fwy"].to_numpy(dtype=object)),
        postmile=("node", stations["Abs PM"].to_numpy(dtype=np.float64)),
        city=("node", stations["City"].to_numpy(dtype=object)),
        lanes=("node", stations["Lanes"].to_numpy(dtype=np.int64)),
    )
    return Panel(
        card=card,
        data=data,
        edges=_distance_edges(folder / "orange_edges.csv", stations["ID"].to_numpy(dtype=object)),
        events=_incidents(folder / "orange_incidents.csv", card, stations, imputed.mean(axis=0)),
    )


def read_los_loop(data_dir: Path, card: DataCard) -> Panel:
    """Read speeds of 207 loop detectors, their places, and the adjacency that the source gives.

    Args:
        data_dir: Holds the card's files; `(2016, 207)` mph, 5-minute steps without time stamps.
        card: The shipped card.

    Returns:
        Panel with the channel `speed` (mph), dated by the paper; no mask, no events.

    Raises:
        DataError: a file is missing or differs from the card's sha256.
    """
    check_files(data_dir, card)
    folder = data_dir / "los_loop"
    speed = pd.read_csv(folder / "los_speed.csv")
    ids = np.array([str(column) for column in speed.columns], dtype=object)
    places = (
        pd.read_csv(folder / "graph_sensor_locations.csv", dtype={"sensor_id": str}).set_index("sensor_id").loc[ids]
    )
    stamps = np.datetime64("2012-03-01T00:00", "m") + np.arange(len(speed)) * np.timedelta64(5, "m")
    data = _dataset(card, stamps, ids, {"speed": speed.to_numpy()}, imputed=None).assign_coords(
        name=("node", ids),
        kind=("node", np.full(len(ids), "loop detector", dtype=object)),
        lat=("node", places["latitude"].to_numpy(dtype=np.float64)),
        lon=("node", places["longitude"].to_numpy(dtype=np.float64)),
    )
    adjacency = pd.read_csv(folder / "los_adj.csv", header=None).to_numpy(dtype=np.float64)
    np.fill_diagonal(adjacency, 0.0)
    source, target = np.nonzero(adjacency)
    edges = pd.DataFrame({"source": ids[source], "target": ids[target], "weight": adjacency[source, target]})
    return Panel(card=card, data=data, edges=edges)


KNOWN: Mapping[str, Callable[[Path, DataCard], Panel]] = MappingProxyType(
    {"pems-orange": read_pems_orange, "los-loop": read_los_loop}
)
"""The reader of each known data set: `reader(data_dir, card)`."""


def _dataset(
    card: DataCard,
    stamps: NDArray[np.datetime64],
    ids: NDArray[np.object_] | NDArray[np.str_],
    channels: Mapping[str, NDArray[np.generic]],
    imputed: NDArray[np.bool_] | None,
) -> xr.Dataset:
    """Channels of shape (T, N) under `stamps`, which are local time of the card's zone."""
    time = pd.DatetimeIndex(stamps).tz_localize(card.time_zone).tz_convert("UTC").tz_localize(None).as_unit("ns")
    mask = {} if imputed is None else {MASK: "imputed"}
    data = xr.Dataset(
        {
            c.name: (("time", "node"), channels[c.name].astype(np.float32), {"units": c.unit, **mask})
            for c in card.channels
        },
        coords={"time": time, "node": ids.astype(object)},
    )
    return data if imputed is None else data.assign(imputed=(("time", "node"), imputed))


def _distance_edges(path: Path, ids: NDArray[np.object_]) -> pd.DataFrame:
    """Edges with `distance` in miles and the weight exp(-(distance / sigma)^2).

    Sigma is the standard deviation of the distances. Every edge stays: these are road links, not
    all pairs, so there is nothing to sparsify with a threshold.

    Source:
        Li et al. (2018), arXiv:1707.01926, the Gaussian kernel of section 4 (DCRNN), without its threshold.
    """
    table = pd.read_csv(path, encoding="utf-8-sig")
    distance = table["cost"].to_numpy(dtype=np.float64)
    return pd.DataFrame(
        {
            "source": ids[table["from"].to_numpy()],
            "target": ids[table["to"].to_numpy()],
            "weight": np.exp(-((distance / distance.std()) ** 2)),
            "distance": distance,
        }
    )


def _incidents(
    path: Path, card: DataCard, stations: pd.DataFrame, imputed_share: NDArray[np.float64]
) -> tuple[Event, ...]:
    """The CHP log in its own words; a negative duration means that the end is unknown."""
    table = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    start = pd.to_datetime(table["Start Time"], format="%m-%d-%y %H:%M").dt.tz_localize(card.time_zone)
    events = []
    for row, begun in zip(table.to_dict("records"), start, strict=True):
        minutes = int(row["Duration (mins)"])
        node, distance = _nearest(row["Freeway"], row["Abs PM"], stations, imputed_share)
        events.append(
            Event(
                id=f"chp-{row['Incident Id']}",
                text=": ".join(part for part in (row["LOCATION"], row["DESCRIPTION"]) if part),
                start=begun,
                end=begun + pd.Timedelta(minutes=minutes) if minutes >= 0 else None,
                published_at=begun,
                source=f"CHP incident {row['Incident Id']} (Caltrans PeMS)",
                node=node,
                place=f"{row['Freeway']} abs PM {row['Abs PM']}" if row["Freeway"] and row["Abs PM"] else "",
                distance=distance,
                end_known=minutes >= 0,
            )
        )
    return tuple(sorted(events, key=lambda event: (event.start, event.id)))


def _nearest(
    freeway: str, postmile: str, stations: pd.DataFrame, imputed_share: NDArray[np.float64]
) -> tuple[str | None, float | None]:
    """The nearest station of the same freeway and direction, in miles; the better observed one of a tie."""
    along = np.flatnonzero(stations["Fwy"].to_numpy() == freeway)
    if not postmile or len(along) == 0:
        return None, None
    miles = np.abs(stations["Abs PM"].to_numpy()[along] - float(postmile))
    best = np.lexsort((imputed_share[along], miles))[0]
    if miles[best] > MAX_EVENT_DISTANCE:
        return None, None
    return str(stations["ID"].iloc[along[best]]), round(float(miles[best]), 3)
