"""The text branch from scratch: token embeddings of a prompt in context, and of what is written about each node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from mm4st_agent.data.panel import Panel
from mm4st_agent.forecaster.stvlm.lines import POINTS, is_code, number
from mm4st_agent.forecaster.stvlm.tokenizer import PADDING, VOCABULARY
from mm4st_agent.forecaster.stvlm.tokens import TextBatch

_NODE_WIDTH = 32
_NEAR_KM = 1.5
_KM_A_DEGREE = 111.2
_PLACE = frozenset({"lat", "lon", "name"})


class TextEncoder(nn.Module):
    """Two layers of a transformer over the tokens of a prompt.

    Args:
        width: Of the tokens that come out.
        vocabulary: How many ids there are.
        layers: Of the transformer.
        heads: Of the transformer.
        limit: Most tokens of a prompt.
        dropout: Of the transformer.
    """

    def __init__(
        self,
        width: int,
        *,
        vocabulary: int = VOCABULARY,
        layers: int = 2,
        heads: int = 4,
        limit: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        # Half the width is enough for words that all come from a few templates, and costs a quarter.
        inner = heads * max(4, width // (2 * heads))
        rooms = max(1, limit)
        self.token = nn.Embedding(vocabulary, inner, padding_idx=PADDING)
        self.position = nn.Embedding(rooms, inner)
        self.line = nn.Embedding(rooms, inner)
        block = nn.TransformerEncoderLayer(
            inner, heads, 2 * inner, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(block, layers, nn.LayerNorm(inner), enable_nested_tensor=False)
        self.out = nn.Linear(inner, width)
        for embedding in (self.token, self.position, self.line):
            nn.init.normal_(embedding.weight, std=0.5 if embedding is self.token else 0.1)
        with torch.no_grad():
            self.token.weight[PADDING].zero_()

    def forward(self, text: TextBatch) -> torch.Tensor:
        """`(B, L, width)`; zeros at padding, so that a window without text gives zeros."""
        present = text.present
        batch, length = present.shape
        if length == 0:
            return self.out.weight.new_zeros(batch, 0, self.out.out_features)
        rows = text.line.clamp(min=0)
        tokens = self.token(text.ids) + self.position(_within(text.line)) + self.line(rows)
        # Attention over nothing is undefined: a window without text attends to its padding, and is blanked below.
        hidden = ~present & present.any(dim=1, keepdim=True)
        return torch.where(present[..., None], self.out(self.layers(tokens, src_key_padding_mask=hidden)), 0)


def _within(line: torch.Tensor) -> torch.Tensor:
    """`(B, L)` position of each token within its line, from 0."""
    place = torch.arange(line.shape[1], device=line.device).expand_as(line)
    fresh = torch.ones_like(line, dtype=torch.bool)
    fresh[:, 1:] = line[:, 1:] != line[:, :-1]
    return place - torch.where(fresh, place, 0).cummax(dim=1).values


class NodeText(nn.Module):
    """Mean of the embeddings of what is written about each node.

    Args:
        ids: `(N, L)` int64 of the hashed words of `node_lines`; 0 is padding. Part of the state, so zeros will do
            where a checkpoint is loaded.
        width: Of what comes out.
        vocabulary: How many ids there are.
    """

    ids: torch.Tensor

    def __init__(self, ids: torch.Tensor, width: int, vocabulary: int = VOCABULARY) -> None:
        super().__init__()
        self.register_buffer("ids", ids)
        self.words = nn.EmbeddingBag(vocabulary, _NODE_WIDTH, mode="mean", padding_idx=PADDING)
        self.out = nn.Linear(_NODE_WIDTH, width)

    def forward(self) -> torch.Tensor:
        """`(N, width)`; the same for all nodes of which nothing is written."""
        out: torch.Tensor = self.out(self.words(self.ids))
        return out


def node_lines(panel: Panel) -> list[str]:
    """What is known of each node, in words: its own columns, its links, and the static layers at or near it.

    Identifiers are left out, and so is what all nodes share; '' where nothing is known.
    """
    parts: list[list[str]] = [[] for _ in panel.node_ids]
    table = panel.nodes
    _add_columns(parts, table.drop(columns=list(_PLACE & set(table.columns))))
    adjacency = panel.adjacency()
    if adjacency.nnz:
        incoming, outgoing = np.diff(adjacency.tocsc().indptr), np.diff(adjacency.indptr)
        for row, before, after in zip(parts, incoming, outgoing, strict=True):
            row.append(f"links in {before}, out {after}")
    if {"lat", "lon"} <= set(table.columns):
        _add_bearing(parts, table[["lat", "lon"]].to_numpy(dtype=float))
    for layer in panel.static.values():
        if (key := _key(layer, panel.node_ids)) is not None:
            own = layer.drop_duplicates(key).set_index(key).reindex(panel.node_ids)
            known = [c for c in own.columns if c in table.columns or str(c).startswith(("lat", "lon"))]
            _add_columns(parts, own.drop(columns=known))
        elif {"lat", "lon"} <= set(layer.columns) and {"lat", "lon"} <= set(table.columns):
            _add_nearest(parts, layer, table)
    for row, node in zip(parts, panel.node_ids, strict=True):
        if not is_code(name := panel.place_name(node)):
            row.append(name)
    return [", ".join(row) for row in parts]


def _key(layer: pd.DataFrame, nodes: Sequence[str]) -> str | None:
    """The column of a layer that holds the ids of most nodes."""
    for column in layer.columns:
        if len(set(nodes) & set(layer[column].astype(str))) > len(nodes) / 2:
            return str(column)
    return None


def _add_columns(parts: list[list[str]], table: pd.DataFrame) -> None:
    """Say each column that tells nodes apart."""
    for name in table.columns:
        column = table[name]
        if column.nunique() < 2 or _is_code(column):
            continue
        label = str(name).replace("_", " ")
        numeric = pd.api.types.is_numeric_dtype(column)
        for row, value in zip(parts, column, strict=True):
            if pd.notna(value) and str(value).strip():
                row.append(f"{label} {number(float(value), 4) if numeric else value}")


def _add_nearest(parts: list[list[str]], layer: pd.DataFrame, nodes: pd.DataFrame) -> None:
    """Say the words of the layer's row that is nearest to each node, if it is near."""
    places = layer[["lat", "lon"]].to_numpy(dtype=float)
    words = [c for c in layer.columns if not pd.api.types.is_numeric_dtype(layer[c]) and not _is_code(layer[c])]
    if not words or not len(places):
        return
    own = nodes[["lat", "lon"]].to_numpy(dtype=float)
    for row, place in zip(parts, own, strict=True):
        away = np.nan_to_num(np.hypot(*_km(places, place)), nan=np.inf)
        nearest = int(away.argmin())
        if away[nearest] <= _NEAR_KM:
            row.append("near " + " ".join(str(layer[c].iloc[nearest]) for c in words))


def _add_bearing(parts: list[list[str]], places: NDArray[np.float64]) -> None:
    """Say where each node lies as seen from the middle of all."""
    known = np.atleast_1d(np.isfinite(places).all(axis=1))
    if known.sum() < 2:
        return
    north, east = _km(places, np.median(places[known], axis=0))
    for row, up, right, there in zip(parts, north, east, known.tolist(), strict=True):
        if there:
            point = POINTS[round(np.rad2deg(np.arctan2(right, up)) / 45) % 8]
            row.append(f"{number(float(np.hypot(up, right)))} km {point} of the middle")


def _km(places: NDArray[np.float64], origin: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(K,)` each: how far north and east of `origin` the `(K, 2)` latitudes and longitudes lie."""
    north, east = (places - origin).T * _KM_A_DEGREE
    return north, east * np.cos(np.deg2rad(origin[0]))


def _is_code(column: pd.Series) -> bool:
    """Whether every entry is an identifier."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    known = column.dropna().astype(str)
    return bool(len(known)) and all(map(is_code, known))
