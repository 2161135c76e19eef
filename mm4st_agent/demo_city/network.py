"""The roads of Port Alder: a ring freeway around an old port on a river mouth, with radial roads and three crossings.

The sea is in the west. The River Alder comes from the east and parts the city: Old Town, offices and the airport lie
north of it; the port, the stadium and the university south of it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal, NamedTuple

import networkx as nx
import pandas as pd

LandUse = Literal[
    "residential",
    "centre",
    "business",
    "retail",
    "industrial",
    "port",
    "university",
    "leisure",
    "airport",
    "outside",
    "",
]
"""'' is a junction without a zone: nobody starts or ends a trip there."""

ORIGIN = (41.5, -12.0)
"""Latitude and longitude of Old Town, in the open Atlantic."""
KM_PER_DEGREE = 111.2
_WINDING = 1.08
"""Length of a road over the straight line between its ends."""
_OFFSET_KM = 0.04
"""A sensor lies this far to the right of the straight line between its link's ends."""


class RoadClass(NamedTuple):
    """What links of one class have in common."""

    free_speed_kmh: float
    lane_capacity_vph: float


_CLASSES = {
    "motorway": RoadClass(110.0, 2050.0),
    "ring": RoadClass(90.0, 1950.0),
    "arterial": RoadClass(60.0, 1150.0),
    "street": RoadClass(50.0, 900.0),
    "crossing": RoadClass(60.0, 1350.0),
}
"""Capacities of arterials and streets include the red time at their signals."""


class _Junction(NamedTuple):
    name: str
    east_km: float
    north_km: float
    land_use: LandUse = ""
    size: float = 0.0


_JUNCTIONS = {
    # the centre
    "J01": _Junction("Old Town", 0.0, 0.0, "centre", 1.0),
    "J02": _Junction("Central Station", 1.1, 0.2, "business", 1.1),
    "J03": _Junction("City Hall", 0.2, 1.0, "business", 1.0),
    "J04": _Junction("Fish Market", -1.4, -0.1, "centre", 0.6),
    "J05": _Junction("Castle Hill", -1.6, 1.3, "residential", 0.7),
    # north of the river
    "J06": _Junction("Long Beach", -2.6, 2.7, "leisure", 0.8),
    "J07": _Junction("Park Gate", 0.4, 2.4, "residential", 1.2),
    "J08": _Junction("St Anne's", 1.9, 1.8, "business", 0.6),
    "J09": _Junction("Hillside", -1.0, 3.7, "residential", 1.3),
    "J10": _Junction("Eastgate", 2.4, 0.3, "retail", 1.0),
    "J11": _Junction("Millfield", 4.3, 1.0, "industrial", 1.2),
    "J12": _Junction("Northfield", 2.2, 3.4, "residential", 1.4),
    "J13": _Junction("Reservoir", 0.5, 3.9, "residential", 0.9),
    "J14": _Junction("Airport", 5.0, 6.4, "airport", 1.0),
    # south of the river
    "J15": _Junction("South Quay", -0.2, -1.8, "business", 0.8),
    "J16": _Junction("Port", -2.6, -2.2, "port", 1.0),
    "J17": _Junction("Stadium", 1.6, -2.4, "leisure", 0.6),
    "J18": _Junction("University", 3.2, -1.9, "university", 1.0),
    "J19": _Junction("Southside", 0.2, -3.4, "residential", 1.4),
    "J20": _Junction("Saltmarsh", -1.8, -3.8, "residential", 1.0),
    "J21": _Junction("Orchard Hill", 2.6, -4.0, "residential", 1.3),
    "J22": _Junction("Brickworks", 0.4, -4.7, "industrial", 0.7),
    # interchanges of the ring, clockwise
    "R01": _Junction("Lighthouse Interchange", -2.3, 4.9),
    "R02": _Junction("Northgate Interchange", 0.4, 5.5),
    "R03": _Junction("Pinewood", 1.9, 5.3),
    "R04": _Junction("Airport Interchange", 3.3, 4.6),
    "R05": _Junction("Millfield Interchange", 5.3, 2.2),
    "R06": _Junction("Weir", 5.8, 0.2),
    "R07": _Junction("Campus Interchange", 5.6, -2.0),
    "R08": _Junction("Vineyard", 5.0, -3.6),
    "R09": _Junction("Orchard Interchange", 4.0, -5.0),
    "R10": _Junction("Cedar Wood", 2.4, -5.7),
    "R11": _Junction("Southgate Interchange", 0.5, -6.0),
    "R12": _Junction("Heron Pools", -1.0, -5.8),
    "R13": _Junction("Saltmarsh Interchange", -2.3, -5.2),
    # where the roads leave the city, and the junctions on the way there
    "M01": _Junction("Fernleigh", 0.6, 7.2, "residential", 0.5),
    "M02": _Junction("Marlow Park", 7.2, 2.6, "industrial", 0.6),
    "M03": _Junction("Chapel Green", 0.7, -7.6, "residential", 0.5),
    "B01": _Junction("North Motorway", 0.8, 9.2, "outside", 1.9),
    "B02": _Junction("East Motorway", 9.2, 3.0, "outside", 2.2),
    "B03": _Junction("South Motorway", 0.9, -9.6, "outside", 1.8),
    "B04": _Junction("North Coast", -2.7, 7.3, "outside", 0.5),
    "B05": _Junction("Alder Valley", 6.0, -6.8, "outside", 0.55),
}


class _Road(NamedTuple):
    name: str
    directions: tuple[str, str]
    road_class: str
    lanes: int
    course: tuple[str, ...]
    """Junctions and, between each two, the name of the place there: J, place, J, place, J."""


_EAST, _NORTH = ("eastbound", "westbound"), ("northbound", "southbound")
_SOUTH, _WEST = _NORTH[::-1], _EAST[::-1]

# fmt: off
_ROADS = (
    _Road("Alder Ring", ("clockwise", "anticlockwise"), "ring", 2, (
        "R01", "Lighthouse Cutting", "R02", "Reservoir Viaduct", "R03", "Pinewood Slope", "R04", "Quarry Bend", "R05",
        "Mill Lane Flyover", "R06", "Weir Bridge", "R07", "Campus East", "R08", "Vineyard Slope", "R09",
        "Cedar Wood", "R10", "Brickfield", "R11", "Heron Pools", "R12", "Saltmarsh Embankment", "R13")),
    _Road("North Motorway", _SOUTH, "motorway", 2, ("B01", "Fernleigh North", "M01", "Fernleigh Services", "R02")),
    _Road("East Motorway", _WEST, "motorway", 2, ("B02", "Marlow Toll Plaza", "M02", "Marlow Park", "R05")),
    _Road("South Motorway", _NORTH, "motorway", 2, ("B03", "Chapel Green South", "M03", "Chapel Green", "R11")),
    _Road("North Avenue", _SOUTH, "arterial", 2, (
        "R02", "Northgate", "J13", "Reservoir", "J07", "Central Park", "J03", "Guildhall", "J01")),
    _Road("Airport Road", _WEST, "arterial", 2, (
        "J14", "Airport", "R04", "Hangar Lane", "J12", "Northfield Common", "J08", "Station Square", "J02")),
    _Road("Mill Road", _WEST, "arterial", 2, (
        "R05", "Millfield East", "J11", "Gasworks", "J10", "Eastgate", "J02", "Silver Street", "J01")),
    _Road("Quay Road", _EAST, "street", 2, ("J04", "Fish Market", "J01")),
    _Road("University Avenue", _WEST, "arterial", 2, (
        "R07", "University Campus", "J18", "Science Park", "J17", "Stadium", "J15")),
    _Road("South Road", _NORTH, "arterial", 2, (
        "R11", "Southgate", "J22", "Brickworks", "J19", "Southside", "J15")),
    _Road("Harbour Bridge", _NORTH, "crossing", 2, ("J15", "Harbour Bridge", "J01")),
    _Road("Mill Bridge", _NORTH, "crossing", 2, ("J18", "Mill Bridge", "J10")),
    _Road("Harbour Tunnel", _NORTH, "crossing", 1, ("J16", "Harbour Tunnel", "J04")),
    _Road("Port Road", _NORTH, "arterial", 2, ("R13", "Saltmarsh", "J20", "Container Terminal", "J16")),
    _Road("Dock Street", _EAST, "street", 1, ("J16", "Dry Dock", "J15")),
    _Road("Orchard Road", _NORTH, "arterial", 1, ("R09", "Orchard Hill", "J21", "Tannery", "J17")),
    _Road("Valley Road", _WEST, "arterial", 1, ("B05", "Alder Valley", "R09")),
    _Road("Coast Road", _SOUTH, "arterial", 1, (
        "B04", "North Cliffs", "R01", "Lighthouse", "J06", "Long Beach", "J05", "Castle Hill", "J04")),
    _Road("Hillside Road", _SOUTH, "street", 1, ("R01", "Upper Hillside", "J09", "Hillside", "J07")),
    _Road("Castle Lane", _SOUTH, "street", 1, ("J09", "Castle Lane", "J05")),
    _Road("City Wall Road", _EAST, "street", 2, ("J05", "West Gate", "J03", "St Anne's Hospital", "J08")),
    _Road("Market Street", _SOUTH, "street", 1, ("J03", "Market Hall", "J02")),
    _Road("Abbey Road", _SOUTH, "street", 1, ("J08", "Abbey", "J10")),
    _Road("Water Lane", _EAST, "street", 1, ("J09", "Water Lane", "J13", "Waterworks", "J12")),
    _Road("Foundry Road", _SOUTH, "street", 1, ("J12", "Foundry", "J11")),
    _Road("Marsh Lane", _EAST, "street", 1, ("J20", "Marsh Lane", "J19", "Rope Walk", "J21")),
)
_LANES = {
    "Weir Bridge": 2, "Campus East": 2, "Quarry Bend": 3, "Mill Lane Flyover": 3, "Guildhall": 1, "Silver Street": 1,
    "Airport": 2, "Fernleigh Services": 3, "Marlow Park": 3, "Chapel Green": 3, "Lighthouse Cutting": 2,
}
"""Where a road is wider or narrower than elsewhere."""
_NARROW = {"Weir Bridge": 0.8}
"""Where a lane carries only a share of what it does elsewhere on that kind of road: no hard shoulder, a kink."""

_VENUES = (
    # name, kind, junction, seats, east and north of the junction in km
    ("Alder Park", "stadium", "J17", 24_000, 0.25, -0.20),
    ("Quayside Hall", "concert hall", "J15", 4_500, -0.15, 0.20),
    ("Castle Amphitheatre", "open-air stage", "J05", 8_000, -0.20, 0.15),
    ("Royal Theatre", "theatre", "J01", 1_100, 0.10, 0.12),
    ("Millfield Fair", "trade fair", "J11", 6_000, 0.30, 0.15),
    ("Hillside School", "school", "J09", 0, 0.20, -0.15),
    ("Northfield School", "school", "J12", 0, -0.20, 0.10),
    ("Southside School", "school", "J19", 0, 0.15, 0.20),
    ("Orchard Hill School", "school", "J21", 0, 0.10, -0.20),
    ("St Anne's Hospital", "hospital", "J08", 0, 0.15, 0.10),
    ("Eastgate Centre", "shopping centre", "J10", 0, 0.15, -0.12),
    ("Northfield Market", "shopping centre", "J12", 0, 0.22, -0.15),
    ("Container Terminal", "port", "J16", 0, -0.35, -0.10),
    ("Ferry Terminal", "port", "J04", 0, -0.30, -0.15),
    ("Port Alder Airport", "airport", "J14", 0, 0.45, 0.30),
    ("University of Port Alder", "university", "J18", 0, 0.20, -0.20),
    ("Central Station", "railway station", "J02", 0, 0.05, -0.10),
    ("Maritime Museum", "museum", "J04", 0, 0.10, 0.08),
    ("Long Beach Promenade", "beach", "J06", 0, -0.30, 0.00),
)
# fmt: on


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Directed links between junctions; each link has one sensor, at its middle.

    Attributes:
        links: One row a link, indexed by `S001`, ..., the id of its sensor: `source`, `target` (junction ids), `road`,
            `name`, `direction`, `lanes`, `length_km`, `free_speed_kmh`, `capacity_vph` (all lanes together), `lat`,
            `lon` (of the sensor), `land_use` (of the end with the larger zone), `sensor` (bool).
        junctions: Indexed by id: `name`, `lat`, `lon`, `land_use` ('' without a zone), `size` (of the zone, relative).
        venues: Indexed by name: `kind`, `junction`, `lat`, `lon`, `seats` (0 where nobody sells tickets).
        graph: Junctions as nodes, links as edges with their columns and `link`, the id.
    """

    links: pd.DataFrame
    junctions: pd.DataFrame
    venues: pd.DataFrame
    graph: nx.DiGraph[str]


@functools.cache
def build_network() -> Network:
    """The network of Port Alder; it has no chance in it.

    >>> network = build_network()
    >>> len(network.links), network.graph.number_of_nodes(), nx.is_strongly_connected(network.graph)
    (124, 43, True)
    """
    junctions = pd.DataFrame(
        [(j.name, *_lat_lon(j.east_km, j.north_km), j.land_use, j.size) for j in _JUNCTIONS.values()],
        index=pd.Index(list(_JUNCTIONS), name="junction"),
        columns=["name", "lat", "lon", "land_use", "size"],
    )
    rows = [row for road in _ROADS for row in _links_of(road)]
    ids = [f"S{number:03d}" for number in range(1, len(rows) + 1)]
    links = pd.DataFrame(rows, index=pd.Index(ids, name="link"))
    graph: nx.DiGraph[str] = nx.DiGraph()
    for junction, columns in zip(junctions.index, junctions.to_dict("records"), strict=True):
        graph.add_node(junction, **{str(k): v for k, v in columns.items()})
    for link, row in zip(ids, rows, strict=True):
        graph.add_edge(row["source"], row["target"], link=link, **row)
    venues = pd.DataFrame(
        [
            (
                kind,
                junction,
                *_lat_lon(_JUNCTIONS[junction].east_km + east, _JUNCTIONS[junction].north_km + north),
                seats,
            )
            for _, kind, junction, seats, east, north in _VENUES
        ],
        index=pd.Index([venue[0] for venue in _VENUES], name="venue"),
        columns=["kind", "junction", "lat", "lon", "seats"],
    )
    return Network(links, junctions, venues, graph)


def _links_of(road: _Road) -> list[dict[str, Any]]:
    """Both directions of each part of a road: first all of the one, then all of the other."""
    stops, places = road.course[::2], road.course[1::2]
    forth = list(zip(stops, places, stops[1:], strict=False))
    back = [(b, place, a) for a, place, b in reversed(forth)]
    return [
        _link(road, direction, *part)
        for direction, parts in zip(road.directions, (forth, back), strict=True)
        for part in parts
    ]


def _link(road: _Road, direction: str, source: str, place: str, target: str) -> dict[str, Any]:
    start, end = _JUNCTIONS[source], _JUNCTIONS[target]
    east, north = end.east_km - start.east_km, end.north_km - start.north_km
    straight = math.sqrt(east * east + north * north)
    lat, lon = _lat_lon(
        (start.east_km + end.east_km) / 2 + _OFFSET_KM * north / straight,
        (start.north_km + end.north_km) / 2 - _OFFSET_KM * east / straight,
    )
    free_speed, lane_capacity = _CLASSES[road.road_class]
    lanes = _LANES.get(place, road.lanes)
    return {
        "source": source,
        "target": target,
        "road": road.name,
        "name": f"{place} {direction}",
        "direction": direction,
        "lanes": lanes,
        "length_km": round(_WINDING * straight, 2),
        "free_speed_kmh": free_speed,
        "capacity_vph": round(lanes * lane_capacity * _NARROW.get(place, 1.0), 1),
        "lat": lat,
        "lon": lon,
        "land_use": max(start, end, key=lambda junction: junction.size).land_use,
        "sensor": True,
    }


def _lat_lon(east_km: float, north_km: float) -> tuple[float, float]:
    """Coordinates, rounded to a metre."""
    narrowing = 0.748956  # cosine of 41.5 degrees
    return (
        round(ORIGIN[0] + north_km / KM_PER_DEGREE, 5),
        round(ORIGIN[1] + east_km / KM_PER_DEGREE / narrowing, 5),
    )
