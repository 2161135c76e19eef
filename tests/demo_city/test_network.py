"""The road network is one that a city could have."""

from __future__ import annotations

import networkx as nx
import numpy as np

from mm4st_agent.demo_city.network import build_network


def test_about_120_links_in_both_directions_and_every_place_can_be_reached() -> None:
    network = build_network()
    links = network.links

    assert 115 <= len(links) <= 130
    assert links["name"].is_unique
    assert links.index.is_unique
    assert nx.is_strongly_connected(network.graph)
    pairs = set(zip(links["source"], links["target"], strict=True))
    assert all((target, source) in pairs for source, target in pairs)
    assert network.graph.number_of_edges() == len(links)
    assert {network.graph.edges[a, b]["link"] for a, b in network.graph.edges} == set(links.index)


def test_capacities_speeds_and_lengths_are_those_of_city_roads() -> None:
    links = build_network().links

    assert (links["capacity_vph"] / links["lanes"]).between(800, 2200).all()
    assert links["free_speed_kmh"].between(40, 120).all()
    assert links["length_km"].between(0.5, 5).all()
    assert set(links["direction"]) <= {
        "northbound", "southbound", "eastbound", "westbound", "clockwise", "anticlockwise",
    }  # fmt: skip


def test_sensors_lie_between_the_ends_of_their_links_and_opposite_ones_apart() -> None:
    network = build_network()
    links, junctions = network.links, network.junctions
    middle = (
        junctions.loc[links["source"], ["lat", "lon"]].to_numpy()
        + junctions.loc[links["target"], ["lat", "lon"]].to_numpy()
    ) / 2

    off_km = np.abs(links[["lat", "lon"]].to_numpy() - middle) * (111.2, 83.3)
    assert (np.hypot(*off_km.T) < 0.05).all()
    assert not links.duplicated(["lat", "lon"]).any()
    assert links["lat"].between(41.3, 41.7).all()
    assert links["lon"].between(-12.2, -11.8).all()


def test_the_city_has_what_a_port_has() -> None:
    network = build_network()
    uses = set(network.junctions["land_use"])

    assert {"residential", "business", "industrial", "port", "university", "airport", "outside"} <= uses
    assert {"stadium", "concert hall", "school", "hospital", "shopping centre", "port"} <= set(network.venues["kind"])
    assert set(network.venues["junction"]) <= set(network.junctions.index)
    sold = network.venues[network.venues["seats"] > 0]
    assert (network.junctions.loc[sold["junction"], "land_use"] != "").all()
