"""Words that name a place: an id, a name, a freeway, a postmile, or nearly so."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from rapidfuzz import fuzz

MIN_SCORE = 70.0
"""Fuzzy matches below this are other places."""
SUGGESTIONS = 5
"""So many ids are suggested in place of an unknown one."""

_DIRECTION = r"(?:north|south|east|west)(?:bound)?|[nsew]b?"
_FREEWAY = re.compile(
    rf"\b(?:i|sr|us|ca|interstate|(?:state )?route|rte|freeway|fwy|highway|hwy|the)[\s-]*(\d{{1,3}})"
    rf"(?:[\s-]*({_DIRECTION}))?\b"
)
_BARE_FREEWAY = re.compile(rf"\b(\d{{1,3}})[\s-]*({_DIRECTION})\b|\b(north|south|east|west|[nsew]b)\s+(\d{{1,3}})\b")
"""A number alone is a freeway only beside a direction, and only where the data have such a freeway."""
_DIRECTION_WORD = re.compile(r"\b(north|south|east|west|[nsew]b)(?:bound)?\b")
_WAYS = {"n": "north", "s": "south", "e": "east", "w": "west"}
_POSTMILE = re.compile(r"\b(?:abs(?:olute)? )?(?:pm|post ?mile|mile ?post|mile marker|mile)\s*(\d+(?:\.\d+)?)")
_NUMBERED = re.compile(r"(?P<letters>[a-z]{0,3})[\s_-]*(?P<number>\d{1,7})")
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


def rank(query: str, nodes: pd.DataFrame, kind: str | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """How well each of N nodes fits the words of a query.

    Args:
        query: What the person said.
        nodes: Indexed by id, with `name` and perhaps `freeway`, `postmile` and other text columns.
        kind: Of all these nodes, where it was asked for; its own words then tell no two of them apart.

    Returns:
        Scores `(N,)` 0..100 (0 = no match), exact flags `(N,)`, and tokens that look like ids but are none.
    """
    ids = [node.casefold() for node in nodes.index]
    tokens = [token.strip(".,;:?!'\"()#") for token in query.split()]
    unknown = [token for token in _id_like(tokens, ids) if token.casefold() not in ids]
    named = np.isin(ids, [*(token.casefold() for token in tokens), query.strip().casefold()])
    if not named.any():
        named = _same_number(query, ids)
        unknown = [] if named.any() else unknown
    if not named.any():
        named = np.array([plain(name) == plain(query) for name in nodes["name"]])
        unknown = [] if named.any() else unknown
    if named.any():
        return np.where(named, 100.0, 0.0), named, unknown
    if unknown:
        close = np.array([max(fuzz.ratio(token.casefold(), node) for token in unknown) for node in ids])
        close[np.argsort(-close, kind="stable")[SUGGESTIONS:]] = 0
        return np.clip(close, 0, 99), named, unknown
    scores, exact = _by_words(plain(query), nodes, kind)
    return scores, exact, []


def _same_number(query: str, ids: Sequence[str]) -> np.ndarray:
    """`(N,)` bool: ids that the whole query names with other zeros or another break: "S39", "s-039", "station 39"."""
    said = _NUMBERED.fullmatch(
        re.sub(rf"\b(?:{'|'.join(sorted(_PLACE_WORDS))})\b", " ", query.casefold()).strip(" .?!#")
    )
    if said is None:
        return np.zeros(len(ids), dtype=bool)
    parts = [_NUMBERED.fullmatch(node) for node in ids]
    return np.array(
        [
            part is not None and int(part["number"]) == int(said["number"]) and said["letters"] in ("", part["letters"])
            for part in parts
        ]
    )


def _by_words(query: str, nodes: pd.DataFrame, kind: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Kind, freeway and postmile narrow the choice, the remaining words are compared with names."""
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
    elif "freeway" in nodes and (turn := _DIRECTION_WORD.search(query)) and query.strip() != turn[0]:
        headed = _on_freeway(nodes["freeway"], r"\d+", turn[1])  # "Meats northbound", on whichever freeway
        others = {*query.split()} - {turn[0]}
        # "57 SB Lambert" has the word in its name; a place called "South" is not what "Meats southbound" means
        if others and not any(turn[1] in (said := plain(n).split()) and others & {*said} for n in nodes["name"]):
            scores, query = scores * headed, query.replace(turn[0], " ")
    plain_names = [plain(name) for name in nodes["name"]]
    # Words like 'at' tell no two names apart, even where one has them; 'station' may, as in 'Station Square'.
    of_kind = {form for word in plain(kind or "").split() for form in (word, f"{word}s")}
    fillers = _SMALL_WORDS | (_PLACE_WORDS | of_kind).difference(*(name.split() for name in plain_names))
    words = _without(fillers, query)
    if words:
        names = np.array([_likeness(words, _without(fillers, name) or name) for name in plain_names])
        layers = [c for c in nodes.columns if c != "name" and pd.api.types.is_string_dtype(nodes[c])]
        if not understood and layers:
            other = nodes[layers].astype(str).agg(" ".join, axis=1)
            names = np.maximum(names, [0.85 * fuzz.token_set_ratio(words, plain(text)) for text in other])
        exact = (scores > 0) & np.array([_names_it(query, name) for name in plain_names])
        scores = np.where((scores > 0) & (names >= MIN_SCORE), names, 0.0)
    elif not understood and kind is None:
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
    joined = words.replace(" ", "") == name.replace(" ", "")  # "Westgate" is West Gate, "St Annes" St Anne's
    return joined or (" " in name and f" {name} " in f" {words} ")


def _likeness(words: str, name: str) -> float:
    """0..99: allows for typing errors, another word order, and words that only one of the two has."""
    joined = fuzz.ratio(words.replace(" ", ""), name.replace(" ", ""))
    score = max(fuzz.ratio(words, name), joined, 0.95 * fuzz.token_set_ratio(words, name))
    if 4 <= len(words) <= len(name) + 2:
        score = max(score, 0.9 * fuzz.partial_ratio(words, name))
    return min(score, 99.0)


def plain(text: str) -> str:
    """Lower case without punctuation; directions in one spelling."""
    bare = re.sub(r"[^\w.&]+", " ", str(text).casefold())
    bare = re.sub(r"\.(?!\d)", " ", bare)
    bare = re.sub(r"\b(?:counter|anti) ?clockwise\b|\ba?ccw\b|\bacw\b", "anticlockwise", bare)
    bare = re.sub(r"\b([nsew])b\b", lambda found: _WAYS[found[1]], re.sub(r"\bcw\b", "clockwise", bare))
    return " ".join(re.sub(r"\b(north|south|east|west)(bound)\b", r"\1", bare).split())


def _id_like(tokens: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Tokens with a digit that follow a word like 'station', or have the make-up and nearly the length of an id."""
    lengths: dict[str, list[int]] = {}
    for node in ids:
        lengths.setdefault(_shape(node), []).append(len(node))
    found = []
    for before, token in zip(["", *tokens], tokens, strict=False):
        known = lengths.get(_shape(token.casefold()))
        alike = known is not None and min(known) - 1 <= len(token) <= max(known) + 1
        if any(map(str.isdigit, token)) and (alike or (token.isdigit() and before.casefold() in _PLACE_WORDS)):
            found.append(token)
    return found


def _shape(token: str) -> str:
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", token))


def _on_freeway(freeways: pd.Series, number: str, heading: str | None) -> np.ndarray:
    """`(N,)` bool; freeways are written like 'SR57-S'."""
    wanted = re.compile(rf"[a-z]*0*{number}-?{heading[0] if heading else '[nsew]?'}", re.IGNORECASE)
    return np.array([wanted.fullmatch(str(freeway)) is not None for freeway in freeways])
