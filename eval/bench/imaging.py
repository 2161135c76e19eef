"""`mm4st bench imaging`: pictures for models per second and their memory, against the libraries people use."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.peers import PEERS, SQUARE, Draw, Series, Size
from eval.bench.report import BenchRow, compared, report_of

NODES, STEPS = 207, 288
NODE_COUNTS = (200, 800, 3200, 8000)
ROUNDS = 7
SHORTEST_S = 0.02
"""A run repeats its work until it took this long: below, the clock and the scheduler are what is measured."""
AHEAD = {"gasf": 3.0, "gadf": 3.0, "mtf": 3.0, "rp": 3.0, "cwt": 10.0, "stft": 1.0, "line": 30.0, "uvh": 30.0}
"""How many times its peer's rate a method should reach."""
OF_FILL = {"gasf": 0.4, "gadf": 0.4, "mtf": 0.4, "rp": 0.4}
"""The least share of the rate at which plain memory is filled."""
EXPONENT = 1.05
"""At most: cost grows as nodes ** exponent."""
_SIZES: dict[str, Size | None] = {"raster": None, "correlation": None}
"""Without a peer: what would only be repeated at 224 x 224 is drawn at its natural size."""
PAGE_MS = 60.0
"""At most, for one line plot for people, warm."""


class ImagingRow(BenchRow):
    """A comparison, and what else was measured of the method.

    Attributes:
        size: (H, W) of the pictures of both.
        reason: Why there is no peer's figure.
        fill_share: Bytes written per second over those of a plain fill of a tensor that holds all pictures, in the
            same run.
        chunk_fill_share: The same over a plain fill of the memory of one chunk, again and again, as ours is drawn:
            where a chunk fits into the processor's cache, the rate of the cache.
        peak_mb, peer_peak_mb: Memory that drawing takes at most, beyond the libraries and the series.
        exponent: Of the time in the number of nodes.
        missed: The goals that this run missed, in words.
    """

    size: list[int]
    reason: str | None
    fill_share: float | None
    chunk_fill_share: float | None
    peak_mb: float | None
    peer_peak_mb: float | None
    exponent: float | None
    missed: list[str]


def bench_imaging(
    names: Sequence[str] | None = None,
    *,
    nodes: int = NODES,
    rounds: int = ROUNDS,
    node_counts: Sequence[int] = NODE_COUNTS,
) -> dict[str, Any]:
    """Draw the same series with each method and its peer, in turn, on one thread.

    One thread, as the peers have one, by the processor's clock: that can be repeated on a machine that others use.
    Figures are medians over `rounds`. Ours are drawn into ready memory in chunks (`encode_chunked(..., reuse=True)`),
    mask included. Where a peer cannot resize, both draw the natural size.

    Args:
        names: Methods; None is all of them, and the line plot for people.
        nodes: How many series, each of 288 steps.
        rounds: How often each is measured.
        node_counts: For the exponent of cost in nodes; at least two.

    Returns:
        `{rows, commit, machine, threads, fill_images_s, ...}`; `rows` as `ImagingRow`.

    Raises:
        UsageError: there is no method of such a name.
    """
    from rich.console import Console
    from rich.progress import Progress

    from mm4st_agent.imaging.tensors.methods import METHODS, method

    chosen = [method(name).name for name in (METHODS if names is None else names)]
    rows: list[ImagingRow] = []
    fills: list[tuple[float, float]] = []
    with _one_thread(), Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(chosen) + (names is None))
        for name in chosen:
            bar.update(task, description=f"{name}: against {PEERS[name].name if name in PEERS else 'no peer'}")
            row, both = _measured(name, nodes, rounds, node_counts)
            rows.append(row)
            fills.append(both)
            bar.advance(task)
        if names is None:
            bar.update(task, description="line plot for people")
            rows.append(_page_row(rounds))
            bar.advance(task)
    height, width = SQUARE
    fill, chunk_fill = (statistics.median(rates) for rates in zip(*fills, strict=True))
    return report_of(
        rows, threads=1, nodes=nodes, steps=STEPS, rounds=rounds,
        fill_images_s=fill, fill_gb_s=fill * height * width * 4 / 1e9, chunk_fill_images_s=chunk_fill,
    )  # fmt: skip


def example_series(nodes: int, steps: int = STEPS) -> Series:
    """`(nodes, steps)`: a day's curve with noise, the same at every call; nothing is missing."""
    rng = np.random.default_rng(0)
    return 40 + 20 * np.sin(np.arange(steps) / 45) + rng.normal(0, 4, (nodes, steps))


def drawn_size(name: str) -> Size | None:
    """(H, W) that a method is drawn at here; None is its natural size."""
    return PEERS[name].size if name in PEERS else _SIZES.get(name, SQUARE)


def drawing(name: str, size: Size | None) -> Callable[[Series], int]:
    """What draws `(B, T)` into ready memory and gives the bytes that it wrote; a spatial method draws one picture."""
    import torch

    from mm4st_agent.imaging.tensors.method import encode_chunked
    from mm4st_agent.imaging.tensors.methods import method

    each = method(name)

    def draw(series: Series) -> int:
        # Float64, as the peers get it: each chunk is converted when its turn comes.
        given = torch.from_numpy(series)
        chunks = encode_chunked(each, given[None] if each.spatial else given, size, reuse=True)
        return sum(image.numel() * image.element_size() for image in chunks)

    return draw


def _measured(name: str, nodes: int, rounds: int, node_counts: Sequence[int]) -> tuple[ImagingRow, tuple[float, float]]:
    """The method's row, and the fill rates of its rounds (all, a chunk) in pictures of one channel per second."""
    import torch

    from mm4st_agent.imaging.tensors.method import CHUNK
    from mm4st_agent.imaging.tensors.methods import method

    peer = PEERS.get(name)
    size = drawn_size(name)
    series = example_series(nodes)
    ours, pictures = drawing(name, size), 1 if method(name).spatial else nodes
    reason = "no library draws this picture" if peer is None else peer.missing
    theirs = peer.load() if peer and reason is None else None
    plain, chunk = torch.empty(NODES, *SQUARE), torch.empty(CHUNK, 2, *SQUARE)
    written = ours(series)
    runs = [lambda: ours(series), lambda: plain.fill_(1.0), lambda: chunk.fill_(1.0)]
    times = _interleaved([*runs, lambda: theirs(series)] if theirs else runs, rounds)
    fills = plain.nbytes / times[1], chunk.nbytes / times[2]
    fill_share, chunk_fill_share = (written / times[0] / rate for rate in fills)
    exponent = _exponent(ours, node_counts, max(1, rounds // 2))
    row = compared(
        name, pictures / times[0], pictures / times[3] if theirs else None,
        peer.name if peer else "none", "images/s", "higher",
    )  # fmt: skip
    missed = []
    if row["ratio"] is not None and row["ratio"] < AHEAD.get(name, 0):
        missed.append(f"{row['ratio']:.1f} times the peer, not {AHEAD[name]:g}")
    if fill_share < OF_FILL.get(name, 0):
        missed.append(f"{fill_share:.2f} of the fill rate, not {OF_FILL[name]}")
    if exponent > EXPONENT:
        missed.append(f"cost grows as nodes ** {exponent:.2f}, not {EXPONENT}")
    full = ImagingRow(
        **row,
        size=list(_shape(name, size, series)),
        reason=reason,
        fill_share=fill_share,
        chunk_fill_share=chunk_fill_share,
        peak_mb=_peak_mb("ours", name, nodes),
        peer_peak_mb=_peak_mb("peer", name, nodes) if theirs else None,
        exponent=exponent,
        missed=missed,
    )
    whole, part = (rate / (math.prod(SQUARE) * 4) for rate in fills)
    return full, (whole, part)


def _shape(name: str, size: Size | None, series: Series) -> Size:
    import torch

    from mm4st_agent.imaging.tensors.methods import method

    given = torch.from_numpy(series)
    image = method(name).encode(given[None] if method(name).spatial else given[:1], size)
    return int(image.shape[2]), int(image.shape[3])


def _interleaved(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each; all take turns, so that what else the machine does meets all alike."""
    repeats = []
    for run in runs:
        run()
        repeats.append(max(1, math.ceil(SHORTEST_S / _seconds(run, 1))))
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, repeat, seconds in zip(runs, repeats, taken, strict=True):
            seconds.append(_seconds(run, repeat))
    return [statistics.median(seconds) for seconds in taken]


def _seconds(run: Callable[[], object], repeats: int) -> float:
    # Of the processor: on one thread it is the time that passes, less what other programs take of it.
    began = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - began) / repeats


def _exponent(draw: Draw, node_counts: Sequence[int], rounds: int) -> float:
    """Slope of log time over log nodes."""
    sets = [example_series(nodes) for nodes in node_counts]
    times = _interleaved([lambda series=series: draw(series) for series in sets], rounds)  # type: ignore[misc]
    return float(np.polyfit(np.log(node_counts), np.log(times), 1)[0])


def _page_row(rounds: int) -> ImagingRow:
    """One line plot for people: the finished PNG, warm."""
    import pandas as pd

    from mm4st_agent.imaging.lines import draw_line

    values: NDArray[np.float64] = example_series(1)[0]
    times = pd.date_range("2026-01-05", periods=STEPS, freq="5min", tz="UTC")

    def draw() -> object:
        return draw_line(
            times=times, values=values, imputed=np.zeros(STEPS, dtype=bool), usual=None, title="Station 1",
            unit="vehicles per 5 min", time_zone="Europe/Berlin", synthetic=True,
        )  # fmt: skip

    (seconds,) = _interleaved([draw], rounds)
    ms = seconds * 1000
    return ImagingRow(
        **compared("line, PNG for people", ms, None, "none", "ms"),
        size=[], reason=f"the goal is {PAGE_MS:g} ms", fill_share=None, chunk_fill_share=None,
        peak_mb=None, peer_peak_mb=None, exponent=None,
        missed=[f"{ms:.0f} ms, not {PAGE_MS:g}"] if ms > PAGE_MS else [],
    )  # fmt: skip


def _peak_mb(side: str, name: str, nodes: int) -> float | None:
    """Memory of drawing in a process of its own, beyond what the libraries and one picture take."""
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench.peak", side, name, str(nodes)], capture_output=True, text=True, timeout=300
    )
    return float(json.loads(done.stdout)["peak_mb"]) if done.returncode == 0 else None


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
