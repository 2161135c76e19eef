"""Which nodes measure which channel, and readings of no more nodes and steps than are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mm4st_agent.data.card import Channel
from mm4st_agent.data.panel import MASK, Panel
from mm4st_agent.errors import DataError, UsageError

SUGGESTED = 3
"""So many nodes are named in place of one that does not measure the channel."""
_EARTH_KM = 6371.0


def kind_of(panel: Panel, node: str) -> str:
    """The node's kind; '' where the data name none.

    Raises:
        UsageError: there is no such node.
    """
    return panel.kinds[panel.position(node)]


def word_of(panel: Panel, node: str) -> str:
    """What such a node is called: its kind where channels are told apart by kind, else the card's word."""
    return _word(panel, kind_of(panel, node))


def words_of(panel: Panel) -> list[str]:
    """`word_of` each node, in their order."""
    return [_word(panel, kind) for kind in panel.kinds]


def _word(panel: Panel, kind: str) -> str:
    return kind if any(kind in channel.kinds for channel in panel.card.channels) else panel.card.place_word


def head_of(panel: Panel, node: str) -> str:
    """The node at the head of a sentence, such as `Air station A03`."""
    return f"{_upper(word_of(panel, node))} {node}"


def place_of(panel: Panel, node: str) -> str:
    """The node in words, such as `air station A03 (Old Town)`.

    Raises:
        UsageError: there is no such node.
    """
    name = panel.place_name(node)
    return f"{word_of(panel, node)} {node}" + (f" ({name})" if name != node else "")


def channels_at(panel: Panel, node: str) -> list[Channel]:
    """The channels that the node measures, by its kind; the first is meant where a question names none.

    Raises:
        UsageError: there is no such node.
    """
    kind = kind_of(panel, node)
    return [channel for channel in panel.card.channels if not channel.kinds or kind in channel.kinds]


def channel_at(panel: Panel, node: str, name: str | None) -> Channel:
    """The channel `name` of a node; None takes the first that the node measures.

    Raises:
        UsageError: there is no such node or channel, or the node does not measure it; the hint says which nodes do.
    """
    own = channels_at(panel, node)
    if name is None and own:
        return own[0]
    wanted = panel.channel(name)
    if wanted in own:
        return wanted
    here = f"it measures {_listed([c.label for c in own])}" if own else "it measures nothing"
    raise UsageError(
        f"{_upper(place_of(panel, node))} of {panel.name!r} does not measure {wanted.label}; {here}.",
        _elsewhere(panel, node, wanted),
    )


def measuring(panel: Panel, channel: Channel) -> Panel:
    """The panel of the nodes that measure the channel; nothing is read for it.

    Raises:
        DataError: no node does.
    """
    if not channel.kinds:
        return panel
    if "kind" not in panel.data.coords or not panel.nodes_of(channel.name):
        raise DataError(
            f"No node of {panel.name!r} measures {channel.label}: none is of the kind {' or '.join(channel.kinds)}.",
            "Give the nodes these kinds, or take the kinds out of the channel's entry in the data card.",
        )
    return panel.of(channel.name)


def latest(panel: Panel, channel: str, steps: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The last `steps` readings `(S, N)` of all nodes of `panel`, and which of them are imputed.

    Readings are in the channel's unit; NaN is missing. Nothing earlier is read from disk.
    """
    shown = slice(-max(steps, 2), None)  # a panel has two steps or more
    cut = dataclasses.replace(panel, data=panel.data.isel(time=shown))
    return cut.values(channel)[-steps:], cut.imputed(channel)[-steps:]


def observed_in(panel: Panel, channel: str, span: slice) -> NDArray[np.float32]:
    """`(S, N)` measured readings of all nodes at the steps `span`; missing and imputed cells are NaN.

    Nothing else is read from disk.
    """
    cut = panel.data.isel(time=span)
    values = np.asarray(cut[channel].to_numpy(), dtype=np.float32)
    mask = cut[channel].attrs.get(MASK)
    return values if mask is None else np.where(cut[mask].to_numpy(), np.float32(np.nan), values)


def distances_km(panel: Panel, node: str) -> NDArray[np.float64]:
    """`(N,)` great-circle distances from a node; NaN where either has no coordinates."""
    if not {"lat", "lon"} <= set(panel.data.coords):
        return np.full(len(panel.node_ids), np.nan)
    lat, lon = (np.radians(panel.data.coords[name].to_numpy().astype(np.float64)) for name in ("lat", "lon"))
    at = panel.position(node)
    half = np.sin((lat - lat[at]) / 2) ** 2 + np.cos(lat) * np.cos(lat[at]) * np.sin((lon - lon[at]) / 2) ** 2
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def _elsewhere(panel: Panel, node: str, channel: Channel) -> str:
    """Where the channel is measured; the nearest first where coordinates tell."""
    there = panel.nodes_of(channel.name)
    if not there:
        return f"No place of {panel.name!r} measures it."
    away = distances_km(panel, node)[panel.data.indexes["node"].get_indexer(pd.Index(there))]
    near = [there[i] for i in np.argsort(away, kind="stable")[:SUGGESTED]]
    words = list(dict.fromkeys(channel.kinds)) or [panel.card.place_word]
    if len(there) == 1:
        return f"{_upper(channel.label)} is measured at {word_of(panel, near[0])} {near[0]} only."
    which = "the nearest are" if np.isfinite(away).any() else "such as"
    many = f"{len(there)} {' or '.join(f'{word}s' for word in words)}"
    return f"{_upper(channel.label)} is measured at {many}; {which} {', '.join(near)}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
