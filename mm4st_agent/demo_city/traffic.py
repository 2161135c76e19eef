"""The traffic of the city while given causes act: what demand, weather and blocked lanes do to the roads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mm4st_agent.demo_city.ctm import Boundary, Roads, Run, State
from mm4st_agent.demo_city.demand import Demand
from mm4st_agent.demo_city.network import Network
from mm4st_agent.demo_city.records import Array, Cause
from mm4st_agent.demo_city.weather import RAIN_CLASSES, SPEED_CLASSES, loss

ENTRY_VPH = 3000.0
"""So many vehicles an hour can enter at a zone, from all its side streets together."""
ENTRY_OUTSIDE_VPH = 4500.0
"""The same where a road comes in from outside."""
AVOID_BELOW = 0.25
"""Drivers avoid a road that takes in less than this share of its capacity."""

REACH = pd.Timedelta(days=1)
"""A cause puts nothing on the roads longer before its start or after its end than this."""


def roads_of(network: Network) -> Roads:
    """The network cut into cells, with a zone at each junction that has a land use."""
    links = network.links
    uses = zip(network.junctions.index, network.junctions["land_use"], strict=True)
    return Roads(
        source=links["source"].tolist(),
        target=links["target"].tolist(),
        length_km=links["length_km"].tolist(),
        free_speed_kmh=links["free_speed_kmh"].tolist(),
        capacity_vph=links["capacity_vph"].tolist(),
        lanes=links["lanes"].tolist(),
        zones={name: ENTRY_OUTSIDE_VPH if use == "outside" else ENTRY_VPH for name, use in uses if use},
        avoid_below=AVOID_BELOW,
    )


class TrafficModel:
    """Runs the roads of a city over any span with any causes; the rest of what is drawn stays the same."""

    def __init__(self, network: Network, seed: int, demand: Demand | None = None) -> None:
        self._link_at = {link: number for number, link in enumerate(network.links.index)}
        self.roads = roads_of(network)
        self._demand = demand or Demand(network, self.roads, seed)

    def run(self, state: State, time: pd.DatetimeIndex, causes: Iterable[Cause], rain: Array) -> Run:
        """Advance from `state`.

        Args:
            state: Traffic at the start of the first step.
            time: `(S,)` starts of the steps, in the zone of the city.
            causes: All that act; those farther than `REACH` from the span change nothing in it.
            rain: `(S,)` mm/h.
        """
        first, last = time[0] - REACH, time[-1] + REACH
        causes = tuple(cause for cause in causes if cause.start <= last and cause.end >= first)
        demand, turns = self._demand.boundary(time, causes)
        boundary = Boundary(
            demand=demand,
            turns=turns,
            speed_share=1 - loss(rain, SPEED_CLASSES),
            capacity_share=1 - loss(rain, RAIN_CLASSES),
            link_share=self._link_share(time, causes),
        )
        return self.roads.run(state, boundary)

    def _link_share(self, time: pd.DatetimeIndex, causes: tuple[Cause, ...]) -> Array:
        """`(S, L)`; two at one place multiply."""
        share = np.ones((len(time), self.roads.links))
        for cause in causes:
            if cause.kind in ("incident", "works") and cause.link is not None:
                share[(time >= cause.start) & (time < cause.end), self._link_at[cause.link]] *= cause.capacity_share
        return share
