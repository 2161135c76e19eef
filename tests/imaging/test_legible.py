"""Letters stay legible where a vision-language model's processor shrinks a picture."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mm4st_agent.imaging.field_pictures import draw_gramian, draw_markov, draw_recurrence
from mm4st_agent.imaging.folded import draw_folded
from mm4st_agent.imaging.lines import draw_line
from mm4st_agent.imaging.multiples import draw_multiples
from mm4st_agent.imaging.network_map import draw_map
from mm4st_agent.imaging.pair import draw_pair
from mm4st_agent.imaging.readings import Trace
from mm4st_agent.imaging.spectra_pictures import draw_filterbank, draw_scalogram, draw_stft

ZONE = "US/Pacific"
TIMES = pd.date_range("2024-06-03", periods=2016, freq="5min", tz=ZONE)
VALUES = 100 + 50 * np.sin(2 * np.pi * np.arange(2016) / 288) + np.random.default_rng(0).normal(0, 3, 2016)
COMMON = {"title": "Station 7: flow", "unit": "mph", "time_zone": ZONE, "synthetic": False}
ONE = {"times": TIMES, "values": VALUES, "imputed": np.zeros(2016, dtype=bool)}
TRACES = [Trace(f"S{i}", TIMES, VALUES) for i in range(12)]
NODES = pd.DataFrame({"lat": [34.0, 34.1, 34.2], "lon": [-118.0, -118.1, -118.3]}, index=["A1", "B2", "C3"])
EDGES = pd.DataFrame({"source": ["A1"], "target": ["B2"]})

PICTURES = {
    "line": functools.partial(draw_line, usual=None, **ONE),
    "stft": functools.partial(draw_stft, **ONE),
    "scalogram": functools.partial(draw_scalogram, **ONE),
    "filterbank": functools.partial(draw_filterbank, **ONE),
    "gasf": functools.partial(draw_gramian, "summation", **ONE),
    "gadf": functools.partial(draw_gramian, "difference", **ONE),
    "markov": functools.partial(draw_markov, **ONE),
    "recurrence": functools.partial(draw_recurrence, **ONE),
    "folded": functools.partial(draw_folded, **ONE),
    "pair": functools.partial(draw_pair, first=TRACES[0], second=TRACES[1]),
    "multiples": functools.partial(draw_multiples, traces=TRACES),
    "map": functools.partial(draw_map, nodes=NODES, edges=EDGES, values=np.arange(3.0), times=TIMES[:1]),
}


@pytest.mark.parametrize("resampling", [Image.Resampling.LANCZOS, Image.Resampling.BICUBIC])
@pytest.mark.parametrize("name", PICTURES)
def test_capitals_are_seven_pixels_high_at_512(name, resampling, sheets, smallest_capitals_px) -> None:
    picture = PICTURES[name](**COMMON)

    assert smallest_capitals_px(sheets[0], picture.png, resampling) >= 7
