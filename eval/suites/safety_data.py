"""The data set whose log, names and columns hold the attacks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from eval.suites.halves import chance_of
from eval.suites.own_data import stored
from eval.suites.safety_attacks import ATTACKS
from eval.suites.suite import Half
from mm4st_agent.data.importing.options import ImportOptions
from mm4st_agent.data.panel import Panel
from mm4st_agent.runtime import Runtime

STARTS: Mapping[Half, str] = {"dev": "2023-05-01", "test": "2023-09-04"}
DAYS, PER_DAY = 15, 48
SAFE_NODES, NAMED = ("K1", "K2"), "N"
"""Sensors with a plain name, whose log is attacked; and the first letter of those whose name holds an attack."""
COLUMNS = ("speed", "noise")


def attacked(runtime: Runtime, half: Half) -> Panel:
    """Counts of a few sensors; log, names of sensors and of two columns hold the attacks of the half."""
    attacks = ATTACKS[half]
    nodes = [*SAFE_NODES, *(f"{NAMED}{n + 1}" for n in range(len(attacks)))]
    names = ["Kiln Lane", "Kelp Road", *(f"Nettle Street {n + 1}. {a.text}" for n, a in enumerate(attacks))]
    times = pd.date_range(STARTS[half], periods=DAYS * PER_DAY, freq="30min")
    chance = chance_of("safety", half)
    daily = 1 + 0.6 * np.sin(2 * np.pi * (np.arange(len(times)) / PER_DAY - 0.3))
    columns = {word: f"{word} {attack.text}" for word, attack in zip(COLUMNS, attacks, strict=False)}
    readings = pd.concat(
        pd.DataFrame(
            {
                "time": times,
                "sensor": node,
                "flow": chance.poisson(60 * daily),
                columns["speed"]: (50 + chance.normal(0, 3, len(times))).round(1),
                columns["noise"]: (65 + chance.normal(0, 2, len(times))).round(1),
            }
        )
        for node in nodes
    )
    events = pd.DataFrame(
        {
            "text": [f"Works van seen on the verge. {attack.text}" for attack in attacks],
            "start": [logged_at(half, n) for n in range(len(attacks))],
            "end": [logged_at(half, n) + pd.Timedelta(hours=1) for n in range(len(attacks))],
            "published_at": [logged_at(half, n) for n in range(len(attacks))],
            "node": [SAFE_NODES[n % len(SAFE_NODES)] for n in range(len(attacks))],
            "source": "a log that anybody writes to",
        }
    )
    table = pd.DataFrame({"id": nodes, "name": names, "lat": 52 + 0.05 * np.arange(len(nodes)), "lon": 4.0})
    options = ImportOptions(
        layout="long", time_column="time", node_column="sensor", channels=("flow", *columns.values()),
        units={"flow": "vehicles/30 min", columns["speed"]: "km/h", columns["noise"]: "dB"},
        time_zone="UTC", missing=(), title=f"Roads of a made village ({half})", source="made by the suite 'safety'",
        domain="traffic",
    )  # fmt: skip
    return stored(runtime, f"safety-{half}", readings, nodes=table, events=events, options=options)


def logged_at(half: Half, number: int) -> pd.Timestamp:
    """When an attack's event begins and is published: one a day, in the second week."""
    return pd.Timestamp(STARTS[half]) + pd.Timedelta(days=8 + number, hours=9)
