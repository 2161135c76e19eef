"""Where a claim comes from: the values of the evidence that it rests on, by the rules that the checker judges by.

The checker keeps only which entries support a claim. Here the words around it are read once more, against those entries
alone. Where no value can be told for sure, none is given: the entry as a whole is then what the claim rests on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from mm4st_agent.agent.answer import Claim, ClaimKind
from mm4st_agent.agent.claims import comparisons, copied, counts, cues, said_units, tallies
from mm4st_agent.agent.claims.as_read import AsRead
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.fitting import why_not
from mm4st_agent.agent.claims.happenings import HAPPENINGS
from mm4st_agent.agent.claims.reader import Reader, units_of
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.verdicts import scoped
from mm4st_agent.agent.claims.word_sources import HOW, Source, quotes_of, times_of, words_of
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.quantities import NUMBER, SECONDS, WrittenNumber, plain

__all__ = ["Source", "sources", "sources_of"]

MOST = 4
"""Values of one claim; where more fit, the first say enough."""
_EXACT = 1e-6


def sources(claim: Claim, text: str, evidence: Sequence[Evidence]) -> list[Source]:
    """The values that a claim rests on; none where nothing supports it, or where only its entries are known.

    Args:
        claim: Of an answer.
        text: The answer's whole text.
        evidence: The answer's entries, oldest first.
    """
    return next(sources_of([claim], text, evidence))


def sources_of(claims: Iterable[Claim], text: str, evidence: Sequence[Evidence]) -> Iterator[list[Source]]:
    """What `sources` gives for each of several claims of one answer, in less time."""
    readers: dict[tuple[str, ...], Reader] = {}
    said = AsRead(text, lambda: units_of(evidence))
    for claim in claims:
        named = [entry for entry in evidence if entry.id in claim.evidence]
        if not named or claim.status == "unsupported":
            yield []
            continue
        key = tuple(entry.id for entry in named)
        reader = readers.get(key) or readers.setdefault(key, _reader(said.text, named))
        read = claim.model_copy(update={"span": said.ahead(claim.span)})
        yield list(islice(dict.fromkeys(_FINDERS[claim.kind](read, reader)), MOST))


def _reader(text: str, entries: Sequence[Evidence]) -> Reader:
    """The text as the checker has read it before it comes to numbers."""
    reader = Reader(text, list(reversed(entries)), {entry.id for entry in entries})
    copied.read_pointers(reader)
    copied.read_quotes(reader)
    copied.read_names(reader)
    copied.read_ids(reader)
    copied.note_places(reader)
    return reader


# -- numbers ----------------------------------------------------------------------------------


def _numbers(claim: Claim, reader: Reader) -> Iterator[Source]:
    if isinstance(claim.value, str):
        return
    written = _written(claim, reader)
    if written.unit in SECONDS:
        yield from _lengths(reader, written)
    elif written.unit is None and counts.is_count(reader, claim.span):
        yield from _counts(claim, reader)
    else:
        yield from _measured(claim, reader, written)


def _written(claim: Claim, reader: Reader) -> WrittenNumber:
    """The number as the checker has read it; one in words has its value from the claim."""
    found = NUMBER.match(reader.text, claim.span[0])
    if found is not None:
        return reader.units.read(reader.text, found)
    value = float(claim.value)
    return WrittenNumber(f"{value:g}", claim.unit, claim.span[1], about=True)


def _measured(claim: Claim, reader: Reader, written: WrittenNumber) -> Iterator[Source]:
    """Values that it is; where there are none, the two that it is the difference or ratio of."""
    scope = Scope(reader, claim.span, bare=written.unit is None)
    clocks = [entry.as_of for entry in reader.ledger if entry.as_of is not None]
    clock = datetime.fromisoformat(clocks[0]) if clocks else None
    fitting = [
        fact for fact in reader.all_facts if _says(written, fact, scope, reader) and not why_not(fact, scope, clock)
    ]
    stated = [fact for fact in fitting if not _derived(fact, reader)]
    nearest = min((abs(abs(fact.value) - abs(written.value)) for fact in stated), default=0.0)
    for fact in stated:
        if abs(abs(fact.value) - abs(written.value)) <= nearest + _EXACT:
            yield _source(fact, reader)
    if not stated:
        for fact in fitting[:1]:
            yield from _parents(fact, reader)


def _says(written: WrittenNumber, fact: Fact, scope: Scope, reader: Reader) -> bool:
    """Whether a number is this fact, in its unit and rounded as written."""
    if written.unit is None and fact.unit not in ("", "1"):
        units = said_units.named_units(reader, scope)
        return any(written.says(value) for value in said_units.in_named_units(fact, units, scope, telling=True))
    unit = said_units.full_unit(fact, written.unit, scope)
    turned = [said_units.rounded(fact)] if unit and plain(unit) != plain(fact.unit) else []
    told = (said_units.in_unit(one, unit) for one in (fact, *turned))
    return any(written.says(value) or said_units.bounds(written, value, scope) for value in told if value is not None)


def _derived(fact: Fact, reader: Reader) -> bool:
    """Whether a fact is computed: no entry has it at its path."""
    value = _at(reader, fact.entry, fact.path)
    return value is None or isinstance(value.value, str) or abs(value.value - fact.value) > _EXACT


def _parents(fact: Fact, reader: Reader) -> Iterator[Source]:
    """The values that a computed fact comes from; only the first where the other cannot be told."""
    known = [other for facts in reader.facts for other in facts.numbers]
    left = next((other for other in known if (other.entry, other.path) == (fact.entry, fact.path)), None)
    if left is None:
        return
    yield _source(left, reader, "computed")
    for right in known:
        if right is not left and right.role in (fact.of[1], "median") and _gives(left.value, right.value, fact):
            yield _source(right, reader, "computed")
            return


def _gives(left: float, right: float, fact: Fact) -> bool:
    if fact.role == "gap":
        value = left - right
    elif right == 0:
        return False
    else:
        ratio = left / right
        value = {"relative": 100 * (ratio - 1), "share": 100 * ratio, "times": ratio}.get(fact.role, float("nan"))
    return abs(value - fact.value) <= _EXACT * max(1.0, abs(fact.value))


def _lengths(reader: Reader, written: WrittenNumber) -> Iterator[Source]:
    """Values that are so long."""
    wanted, slack = written.value * SECONDS[str(written.unit)], written.tolerance * SECONDS[str(written.unit)]
    for facts in reader.facts:
        for fact in facts.numbers:
            if fact.unit in SECONDS and abs(abs(fact.value) * SECONDS[fact.unit] - wanted) <= slack + _EXACT:
                yield _source(fact, reader)


def _counts(claim: Claim, reader: Reader) -> Iterator[Source]:
    """Counts of what the noun behind it names, else lists of as many such things."""
    found = counts._NOUN.match(reader.own, claim.span[1])
    kinds = [paths for noun, paths in tallies.THINGS if found and re.fullmatch(noun, found["noun"], re.IGNORECASE)]
    happenings = found is not None and HAPPENINGS.fullmatch(found["noun"]) is not None
    role = re.compile("|".join([*kinds, *([r"events\w*|logged|entries"] if happenings else [])]) or r".*")
    stated = [
        _source(fact, reader)
        for facts in reader.facts
        for fact in facts.numbers
        if not fact.unit and fact.value == claim.value and role.fullmatch(fact.role)
    ]
    yield from stated
    if stated:
        return
    for facts in reader.facts:
        sizes: dict[str, int] = {}
        for path in (*facts.entry.values, *facts.entry.words):
            if (item := re.match(r"(\w+)\[(\d+)\]", path)) is not None:
                sizes[item[1]] = max(sizes.get(item[1], 0), int(item[2]) + 1)
        for name, size in sizes.items():
            if size == claim.value and role.fullmatch(name):
                yield Source(facts.entry.id, name, EvidenceValue(value=size, unit=""), "counted")


_TRENDS = ("trend", "slope", "direction")
_COMPARED = (
    (cues.USUAL, ("usual",)),
    (cues.BASELINE, ("baseline", "baseline_mae")),
    (comparisons._YESTERDAY, ("first_mean", "second_mean", "change")),
    (cues.PREVIOUS, ("previous_mean", "before")),
)
"""Words for what something is compared with, and its roles."""


def _directions(claim: Claim, reader: Reader) -> Iterator[Source]:
    """What an entry itself says of its course, or the effect that stands behind 'raised' and 'lowered'."""
    scope = Scope(reader, claim.span)
    for facts in reader.facts:
        for path, word in facts.entry.words.items():
            if path.rpartition(".")[2] in _TRENDS:
                yield Source(facts.entry.id, path, EvidenceValue(value=str(word), unit="word"))
        for _, fact in scoped(reader, scope):
            if fact.role == "slope":
                yield _source(fact, reader)
        behind = NUMBER.search(reader.text, claim.span[1], reader.part(*claim.span)[1])
        if behind is not None:
            written = reader.units.read(reader.text, behind)
            effects = (fact for fact in facts.numbers if fact.role in ("effect", "shift", "change", "effect_percent"))
            yield from (_source(f, reader) for f in effects if f.unit == written.unit and written.says(f.value))


def _comparisons(claim: Claim, reader: Reader) -> Iterator[Source]:
    """The two values that are compared, or the first of the ranking that it is about."""
    scope = Scope(reader, claim.span)
    for words, roles in _COMPARED:
        if words.search(claim.text) or words.search(scope.part):
            for _, fact in scoped(reader, scope):
                if fact.role == "gap" and fact.of[1] in roles:
                    yield from _parents(fact, reader)
                    return
            return
    for facts in reader.facts:
        for path in ("ranking[0].id", "ranking[0].value", "lowest_at", "highest_at"):
            if (value := facts.entry.values.get(path)) is not None:
                yield Source(facts.entry.id, path, value)


_FINDERS: dict[ClaimKind, Callable[[Claim, Reader], Iterator[Source]]] = {
    "number": _numbers, "time": times_of, "id": words_of, "quote": quotes_of,
    "direction": _directions, "comparison": _comparisons, "existence": quotes_of,
}  # fmt: skip


def _source(fact: Fact, reader: Reader, how: HOW = "stated") -> Source:
    value = _at(reader, fact.entry, fact.path)
    assert value is not None, "a fact that is not computed has its value at its path"
    return Source(fact.entry, fact.path, value, how)


def _at(reader: Reader, entry: str, path: str) -> EvidenceValue | None:
    return next((one.values.get(path) for one in reader.ledger if one.id == entry), None)
