"""What comparisons share: the words for more and less, the facts that a sentence speaks of, and how one is noted."""

from __future__ import annotations

from collections.abc import Iterator

from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope

MORE = (
    r"wider|farther|more(?!\s+(?:slowly|quietly|lightly))|livelier|denser|higher|faster|quicker|busier|heavier|"
    r"greater|larger|"
    r"bigger|better|stronger|above|over|exceeds?|longer"
)
LESS = (
    r"narrower|nearer|closer|less|more (?:slowly|quietly|lightly)|"
    r"calmer|lower|slower|quieter|lighter|fewer|smaller|worse|weaker|below|under|beneath|short of|shorter"
)


def add(reader: Reader, span: tuple[int, int], value: str, verdicts: list[tuple[str, bool]], why: str) -> None:
    """Note a comparison that the evidence can judge, unless its characters have been read."""
    if verdicts and reader.free(span[0], span[0] + 1):
        right = [entry for entry, holds in verdicts if holds]
        taken = [at for at in range(*span) if reader.free(at, at + 1)]
        reader.add((taken[0], _run(taken)), "comparison", value, None, right, why=why)


def _run(taken: list[int]) -> int:
    """One past the last of the first unbroken row of positions."""
    end = taken[0]
    for at in taken:
        if at > end:
            break
        end = at + 1
    return end


def scoped(reader: Reader, scope: Scope) -> Iterator[tuple[Facts, Fact]]:
    """The facts of the quantity and places that a claim speaks of, in the entries that may support it."""
    channels = scope.channels(reader.facts)
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(scope.span[1]):
            continue
        if channels and facts.channel and facts.channel not in channels:
            continue
        for fact in facts.all:
            if not (scope.places and fact.places and not fact.places & scope.places):
                yield facts, fact
