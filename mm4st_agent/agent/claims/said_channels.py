"""Quantities by how people call them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mm4st_agent.agent.claims.facts import Facts

_SUBSTANCES = {
    "no2": r"\bno2\b|\bno₂|nitrogen dioxide", "pm25": r"\bpm2\.5|\bpm₂|fine (?:particle|dust)", "pm10": r"\bpm10\b",
    "ozone": r"\bozone\b|\bo3\b", "so2": r"\bso2\b|sul(?:ph|f)ur dioxide", "co": r"carbon monoxide",
}  # fmt: skip
"""Quantities that share their unit, by how people call them."""


def said_channels(text: str, ledger: Iterable[Facts]) -> set[str]:
    """The channels of the ledger that a text names; else the substances that it names, which are no channels of it."""
    said = text.casefold()
    found = {f.channel for f in ledger if f.channel and any(word in said for word in _titles(f))}
    return found or {name for name, words in _SUBSTANCES.items() if re.search(words, said)}


def _titles(facts: Facts) -> set[str]:
    names = {facts.channel.casefold(), facts.title.casefold()}
    more = {"pm25": {"pm2.5", "fine particle", "fine dust"}, "no2": {"no2", "nitrogen dioxide", "no₂"}}
    return (names | more.get(facts.channel.casefold(), set())) - {""}
