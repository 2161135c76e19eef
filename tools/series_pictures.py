"""The pictures that `render_series` draws: one node by a method, a node beside its neighbours, many nodes as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.measured import distances_km, latest, place_of, words_of
from tools.readings import usual_level

if TYPE_CHECKING:
    from mm4st_agent.imaging.figure import Picture

OneNode = Literal["line", "uvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp"]

MAX_ROWS = 60
ROWS_AROUND = 24
BESIDE = 9
"""Nodes of small multiples: the one asked for and its eight nearest."""


def draw_one(method: OneNode, panel: Panel, node: str, channel: Channel, steps: int) -> Picture:
    """Draw the last `steps` readings of one node.

    Raises:
        UsageError: the method cannot draw so few or so many steps.
    """
    values, imputed = latest(panel.only([node]), channel.name, steps)
    shared: dict[str, Any] = {
        "times": panel.times[-steps:],
        "values": values[:, 0],
        "imputed": imputed[:, 0],
        "title": heading(place_of(panel, node), channel.label),
        **_frame(panel, channel),
    }
    if method == "line":
        from mm4st_agent.imaging.lines import draw_line

        usual = usual_level(panel, node, channel.name, steps).means
        return draw_line(usual=None if np.isnan(usual).all() else usual, **shared)
    if method == "uvh":
        from mm4st_agent.imaging.folded import draw_folded

        return draw_folded(**shared)
    if method in ("stft", "cwt", "filterbank"):
        from mm4st_agent.imaging.spectra_pictures import draw_filterbank, draw_scalogram, draw_stft

        spectrum = {"stft": draw_stft, "cwt": draw_scalogram, "filterbank": draw_filterbank}[method]
        return spectrum(**shared)
    from mm4st_agent.imaging.field_pictures import draw_gramian, draw_markov, draw_recurrence

    if method == "mtf":
        return draw_markov(**shared)
    if method == "rp":
        return draw_recurrence(**shared)
    return draw_gramian("summation" if method == "gasf" else "difference", **shared)


def draw_beside(panel: Panel, drawn: Panel, node: str, channel: Channel, steps: int) -> Picture:
    """Draw the nodes of `drawn`, `node` first, each in axes of its own.

    Raises:
        UsageError: there is only one node.
    """
    from mm4st_agent.imaging.multiples import draw_multiples
    from mm4st_agent.imaging.readings import Trace

    values, imputed = latest(drawn, channel.name, steps)
    times, others = panel.times[-steps:], len(drawn.node_ids) - 1
    where = f"{place_of(panel, node)} and {'its nearest' if others == 1 else f'its {others} nearest'}"
    return draw_multiples(
        traces=[
            Trace(label, times, values[:, at].astype(np.float64), imputed[:, at])
            for at, label in enumerate(_labels(panel, drawn.node_ids))
        ],
        title=heading(where, channel.label),
        **_frame(panel, channel),
    )


def draw_rows(panel: Panel, drawn: Panel, node: str | None, channel: Channel, steps: int) -> Picture:
    """Draw the nodes of `drawn`, a part of `panel`, all of whose nodes measure the channel, as rows of a heatmap."""
    from mm4st_agent.imaging.heatmap import draw_heatmap

    values, imputed = latest(drawn, channel.name, steps)
    ids = drawn.node_ids
    words = set(words_of(drawn))
    word = words.pop() if len(words) == 1 else panel.card.place_word
    labels = _labels(panel, ids)
    if node is not None:
        where = f"Around {place_of(panel, node)}"
    elif len(ids) < len(panel.node_ids):
        where = f"{len(ids)} of {len(panel.node_ids)} {word}s, nearest to the one with the most links"
    else:
        where = f"All {len(ids)} {word}s"
    linked = panel.adjacency().nnz > 0
    return draw_heatmap(
        times=panel.times[-steps:],
        values=values,
        imputed=imputed,
        node_labels=labels,
        highlight=None if node is None else labels[ids.index(node)],
        title=heading(where, channel.label),
        order="along the links" if linked else "in the data set's order",
        **_frame(panel, channel),
    )


def rows_of(panel: Panel, node: str | None) -> NDArray[np.intp]:
    """Positions of the nodes of a heatmap, from the top row to the bottom row."""
    from mm4st_agent.imaging.ordering import along_links, hub, nearest

    adjacency = panel.adjacency()
    if node is not None:
        chosen = nearest_to(panel, node, ROWS_AROUND)
    elif len(panel.node_ids) > MAX_ROWS:
        chosen = nearest(adjacency, hub(adjacency), MAX_ROWS)
    else:
        chosen = np.arange(len(panel.node_ids))
    return along_links(adjacency, chosen)


def nearest_to(panel: Panel, node: str, limit: int) -> NDArray[np.intp]:
    """Positions of the node and of those nearest to it, nearest first: by links, or by distance where none is."""
    from mm4st_agent.imaging.ordering import nearest

    adjacency = panel.adjacency()
    away = distances_km(panel, node) if adjacency.nnz == 0 else np.array([])
    if np.isfinite(away).sum() > 1:
        return np.argsort(away, kind="stable")[:limit]
    return nearest(adjacency, panel.position(node), limit)


def heading(where: str, what: str) -> str:
    """Such as `Road station S065 (Stadium westbound): traffic flow`."""
    return f"{where[:1].upper()}{where[1:]}: {what}"


def _labels(panel: Panel, ids: list[str]) -> list[str]:
    return [" ".join(dict.fromkeys((node_id, panel.place_name(node_id)))) for node_id in ids]


def _frame(panel: Panel, channel: Channel) -> dict[str, Any]:
    return {"unit": channel.unit, "time_zone": panel.card.time_zone, "synthetic": panel.card.synthetic}
