"""`find_places`: which nodes a person means by an id, a name, a freeway, a postmile, or nearly so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from rapidfuzz import fuzz

from mm4st_agent.toolspec import Measured, ToolIn, ToolOut, ToolSpec, Unit
from tools.readings import given

if TYPE_CHECKING:
    from mm4st_agent.data.panel import Panel
    from tools.context import ToolContext

MIN_SCORE = 70.0
"""Fuzzy matches below this are other places."""
_SUGGESTIONS = 5
"""So many ids are suggested in place of an unknown one."""
_NEIGHBOURS = 3
_ATTRIBUTE_UNITS = {"postmile": "mile", "lanes": "lanes"}

_DIRECTION = r"(?:north|south|east|west)(?:bound)?|[nsew]b?"
_FREEWAY = re.compile(
    rf"\b(?:i|sr|us|ca|interstate|(?:state )?route|rte|freeway|fwy|highway|hwy|the)[\s-]*(\d{{1,3}})"
    rf"(?:[\s-]*({_DIRECTION}))?\b"
)
_BARE_FREEWAY = re.compile(rf"\b(\d{{1,3}})[\s-]*({_DIRECTION})\b|\b(north|south|east|west|[nsew]b)\s+(\d{{1,3}})\b")
"""A number alone is a freeway only beside a direction, and only where the data have such a freeway."""
_DIRECTION_WORD = re.compile(r"\b(north|south|east|west|[nsew]b)(?:bound)?\b")
_POSTMILE = re.compile(r"\b(?:abs(?:olute)? )?(?:pm|post ?mile|mile ?post|mile marker|mile)\s*(\d+(?:\.\d+)?)")
_SMALL_WORDS = {
    "a",
    "an",
    "and",
    "around",
    "at",
    "by",
    "close",
    "from",
    "in",
    "is",
    "near",
    "of",
    "on",
    "or",
    "the",
    "to",
}
_PLACE_WORDS = {"detector", "id", "node", "place", "road", "sensor", "site", "station", "stations"}


class FindPlacesIn(ToolIn):
    """Find which stations or sensors a person means: by id, name, freeway and direction, postmile, or similar."""

    dataset: str = Field(description="Registered data set name, such as 'pems-orange'.")
    query: str = Field(
        min_length=1, max_length=500, description="What the person said, such as '1205330' or 'SR 57 southbound'."
    )
    limit: int = Field(5, ge=1, le=20, description="At most so many matches.")


class Attribute(ToolOut):
    """One number that belongs to a place, such as its postmile."""

    name: str
    value: Measured
    unit: str


class PlaceMatch(ToolOut):
    """One node that the query may mean."""

    id: Annotated[str, Unit("id")]
    name: str
    description: str
    exact: bool = Field(
        description="The query holds this id, or names this place in full (places can share a name). False: similar."
    )
    score: Annotated[float, Unit("score")] = Field(description="How well it fits, 0..100; 100 where exact.")
    lat: Annotated[float | None, Unit("degree")]
    lon: Annotated[float | None, Unit("degree")]
    attributes: list[Attribute]
    upstream: Annotated[list[str], Unit("id")] = Field(description="Nearest ids that feed into it, at most 3.")
    downstream: Annotated[list[str], Unit("id")] = Field(description="Nearest ids that it feeds into, at most 3.")
    neighbours: Annotated[list[str], Unit("id")] = Field(
        description="Nearest ids linked both ways, so that neither is upstream; at most 3."
    )


class FindPlacesOut(ToolOut):
    """Best match first; empty when nothing fits."""

    dataset: str
    query: str
    found: int = Field(description="How many fit before the limit.")
    matches: list[PlaceMatch]
    unknown_ids: Annotated[list[str], Unit("id")] = Field(
        description="Parts of the query that look like an id and are none; then the matches are only suggestions."
    )


def find_places(args: FindPlacesIn, ctx: ToolContext) -> FindPlacesOut:
    """Rank the nodes of a panel by how well they fit the query."""
    panel = ctx.panel(args.dataset)
    nodes = panel.nodes
    scores, exact, unknown = _rank(args.query, nodes)
    order = sorted(np.flatnonzero(scores > 0), key=lambda i: (not exact[i], -scores[i], i))
    return FindPlacesOut(
        dataset=panel.name,
        query=args.query,
        found=len(order),
        matches=[_match(panel, nodes, int(i), bool(exact[i]), float(scores[i])) for i in order[: args.limit]],
        unknown_ids=unknown,
    )


def _rank(query: str, nodes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores `(N,)` 0..100 (0 = no match), exact flags `(N,)`, and tokens that look like ids but are none."""
    ids = [node.casefold() for node in nodes.index]
    tokens = [token.strip(".,;:?!'\"()#") for token in query.split()]
    unknown = [token for token in _id_like(tokens, ids) if token.casefold() not in ids]
    named = np.isin(ids, [*(token.casefold() for token in tokens), query.strip().casefold()])
    if not named.any():
        named = np.array([_words(name) == _words(query) for name in nodes["name"]])
        unknown = [] if named.any() else unknown
    if named.any():
        return np.where(named, 100.0, 0.0), named, unknown
    if unknown:
        close = np.array([max(fuzz.ratio(token.casefold(), node) for token in unknown) for node in ids])
        close[np.argsort(-close, kind="stable")[_SUGGESTIONS:]] = 0
        return np.clip(close, 0, 99), named, unknown
    scores, exact = _by_words(_words(query), nodes)
    return scores, exact, []


def _by_words(query: str, nodes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Freeway and postmile narrow the choice, the remaining words are compared with names."""
    scores = np.full(len(nodes), 90.0)
    exact = np.zeros(len(nodes), dtype=bool)
    understood = False
    if "postmile" in nodes and (found := _POSTMILE.search(query)):
        away = np.abs(nodes["postmile"].to_numpy(dtype=np.float64) - float(found[1]))
        scores = np.nan_to_num(np.clip(99 - 20 * away, 0, None))
        query = query.replace(found[0], " ")
        understood = True
    if "freeway" in nodes and (freeway := _freeway(query, nodes["freeway"])):
        number, heading, query = freeway
        scores = scores * _on_freeway(nodes["freeway"], number, heading)
        understood = True
    plain_names = [_words(name) for name in nodes["name"]]
    # Words like 'at' tell no two names apart, even where one has them; 'station' may, as in 'Station Square'.
    fillers = _SMALL_WORDS | _PLACE_WORDS.difference(*(name.split() for name in plain_names))
    words = _without(fillers, query)
    if words:
        names = np.array([_likeness(words, _without(fillers, name) or name) for name in plain_names])
        layers = [c for c in nodes.columns if c != "name" and pd.api.types.is_string_dtype(nodes[c])]
        if not understood and layers:
            other = nodes[layers].astype(str).agg(" ".join, axis=1)
            names = np.maximum(names, [0.85 * fuzz.token_set_ratio(words, _words(text)) for text in other])
        exact = (scores > 0) & np.array([_names_it(query, name) for name in plain_names])
        scores = np.where((scores > 0) & (names >= MIN_SCORE), names, 0.0)
    elif not understood:
        scores = np.zeros(len(nodes))
    return np.where(exact, 100.0, 0.0 if exact.any() else scores), exact


def _freeway(query: str, freeways: pd.Series) -> tuple[str, str | None, str] | None:
    """The number of the freeway that the query names, its direction if it has one, and the other words."""
    found = _FREEWAY.search(query)
    if found is not None:
        number, heading = found[1], found[2]
    else:
        bare = _BARE_FREEWAY.finditer(query)
        found = next((one for one in bare if _on_freeway(freeways, one[1] or one[4], None).any()), None)
        if found is None:
            return None
        number, heading = found[1] or found[4], found[2] or found[3]
    rest = query.replace(found[0], " ")
    turn = _DIRECTION_WORD.search(rest) if heading is None else None
    return number, heading or (turn[1] if turn else None), rest.replace(turn[0], " ") if turn else rest


def _without(fillers: set[str], text: str) -> str:
    return " ".join(word for word in text.split() if word not in fillers)


def _names_it(words: str, name: str) -> bool:
    """Whether the words are this name, or hold it in full; a name of one word may occur by chance."""
    return words == name or (" " in name and f" {name} " in f" {words} ")


def _likeness(words: str, name: str) -> float:
    """0..99: allows for typing errors, another word order, and words that only one of the two has."""
    score = max(fuzz.ratio(words, name), 0.95 * fuzz.token_set_ratio(words, name))
    if 4 <= len(words) <= len(name) + 2:
        score = max(score, 0.9 * fuzz.partial_ratio(words, name))
    return min(score, 99.0)


def _words(text: str) -> str:
    """Lower case without punctuation; directions in one spelling."""
    plain = re.sub(r"[^\w.&]+", " ", str(text).casefold())
    plain = re.sub(r"\.(?!\d)", " ", plain)
    return " ".join(re.sub(r"\b(north|south|east|west)(bound)\b", r"\1", plain).split())


def _id_like(tokens: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Tokens with a digit that follow a word like 'station', or have the make-up and nearly the length of an id."""
    shapes, lengths = {_shape(node) for node in ids}, [len(node) for node in ids]
    found = []
    for before, token in zip(["", *tokens], tokens, strict=False):
        alike = _shape(token.casefold()) in shapes and min(lengths) - 1 <= len(token) <= max(lengths) + 1
        if any(map(str.isdigit, token)) and (alike or (token.isdigit() and before.casefold() in _PLACE_WORDS)):
            found.append(token)
    return found


def _shape(token: str) -> str:
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", token))


def _on_freeway(freeways: pd.Series, number: str, heading: str | None) -> np.ndarray:
    """`(N,)` bool; freeways are written like 'SR57-S'."""
    wanted = re.compile(rf"[a-z]*0*{number}-?{heading[0] if heading else '[nsew]?'}", re.IGNORECASE)
    return np.array([wanted.fullmatch(str(freeway)) is not None for freeway in freeways])


def _match(panel: Panel, nodes: pd.DataFrame, position: int, exact: bool, score: float) -> PlaceMatch:
    row = nodes.iloc[position]
    node = str(nodes.index[position])
    sources = panel.edges[panel.edges["target"] == node].sort_values("weight", ascending=False, kind="stable")
    targets = panel.edges[panel.edges["source"] == node].sort_values("weight", ascending=False, kind="stable")
    feeds, fed = list(sources["source"]), list(targets["target"])
    both = [other for other in feeds if other in fed]
    numbers = [c for c in nodes.columns if c not in ("lat", "lon") and pd.api.types.is_numeric_dtype(nodes[c])]
    return PlaceMatch(
        id=node,
        name=panel.place_name(node),
        description=_describe(row),
        exact=exact,
        score=round(score, 1),
        lat=given(row["lat"], 10),
        lon=given(row["lon"], 10),
        attributes=[Attribute(name=c, value=given(row[c], 10), unit=_ATTRIBUTE_UNITS.get(c, "")) for c in numbers],
        upstream=[other for other in feeds if other not in both][:_NEIGHBOURS],
        downstream=[other for other in fed if other not in both][:_NEIGHBOURS],
        neighbours=both[:_NEIGHBOURS],
    )


def _describe(row: pd.Series) -> str:
    """One readable line, such as 'I5-N, N OF 57, postmile 106.551, Orange, 4 lanes'."""
    parts = [str(row["freeway"])] if row.get("freeway") else []
    parts.append(str(row["name"]))
    for column, value in row.drop(["name", "kind", "freeway", "lat", "lon"], errors="ignore").items():
        if isinstance(value, str):
            if value and value not in str(row["name"]):
                parts.append(value)
        elif pd.notna(value):
            parts.append(f"{value:g} lanes" if column == "lanes" else f"{column} {value:.10g}")
    return ", ".join(" ".join(part.split()) for part in parts)


FIND_PLACES = ToolSpec("find_places", FindPlacesIn, FindPlacesOut, find_places, title="Looking up the place")
