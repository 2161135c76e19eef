"""The claim checker: every number, time, id and quotation of an answer against the ledger.

Rules, in order; characters that one rule has read are not read by the next:

1. Evidence marks such as `[E2]` are pointers; one to an entry that does not exist is unsupported.
2. A quotation must stand, word for word, in a text of the ledger. The question's own words may be
   quoted too, but not to pass off a number with a unit.
3. A name that a tool gave (`I5-N, N OF 57`) may be repeated; its digits are no numbers. What the
   chat model itself put into a call's arguments is no name.
4. An identifier must be one that a tool gave.
5. A date or time must equal one of the ledger, to the precision written.
6. A number must equal a value of the ledger in the same unit, rounded as written. Without a unit it
   must be a count, or its sentence must name the unit. An entry about one place supports no number
   in a sentence that names another.

Where a sentence points to entries, one of those must support its numbers and quotations; where it
does not, an entry of the present question must. What nothing supports is marked in the text itself.

Not read yet: numbers in words, directions ("rises"), weekday names, what a count counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mm4st_agent.agent.answer import Claim, ClaimKind
from mm4st_agent.agent.clock_words import WHEN, moments, same_time, written_time
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.quantities import NUMBER, UnitReader, same_number, well_formed
from prompts import quotable

MARK = " [unsupported]"
LEAST_QUOTE = 3
"""Words in quotation marks from this many on are a quotation; fewer are a way of speaking."""

_POINTER = re.compile(r"\[(E\d+(?:\s*,\s*E\d+)*)\]")
_QUOTE = re.compile(r"“([^”]+)”|\"([^\"\n]+)\"")
_PLACE = "station|sensor|node|detector|place|road|street|server|service|region|district|zone|cell|link|segment"
_TOKEN = r"#?[A-Za-z]*\d[\w-]*"
_IDS = re.compile(
    rf"\b(?:{_PLACE})(?:s?,\s+such as|s)?\s+({_TOKEN}(?:(?:,\s*|,?\s+(?:and|or)\s+){_TOKEN})*)", re.IGNORECASE
)
_BARE = re.compile(r"\d{1,4}")
"""An identifier that looks like any number: it is read as one only behind a word for a place."""
_LIST_NUMBER = re.compile(r"^\s*(\d{1,2})[.)]\s", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?;](?=\s)|\n")


@dataclass(frozen=True)
class Checked:
    """An answer after the check: its text with marks, and its claims with their spans in that text."""

    text: str
    claims: list[Claim]


@dataclass
class _Reader:
    """The text, the ledger (latest entry first), and which characters have been read already."""

    text: str
    ledger: Sequence[Evidence]
    present: set[str]
    taken: list[bool] = field(init=False)
    claims: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.text)

    def free(self, start: int, end: int) -> bool:
        return not any(self.taken[start:end])

    def take(self, start: int, end: int) -> None:
        self.taken[start:end] = [True] * (end - start)

    def sentence(self, span: tuple[int, int]) -> tuple[int, int]:
        """Where the sentence around `span` starts, and where the first mark behind it, or the sentence, ends."""
        before = [m.end() for m in _SENTENCE_END.finditer(self.text, 0, span[0]) if self.free(m.start(), m.start() + 1)]
        behind = _SENTENCE_END.search(self.text, span[1])
        end = behind.end() if behind else len(self.text)
        mark = re.compile(r"\s*\[E").match(self.text, end)  # "... as usual. [E4]"
        closing = self.text.find("]", end) + 1 if mark else end
        return (before[-1] if before else 0), closing

    def pointed(self, span: tuple[int, int]) -> list[str]:
        """The entries that the first mark behind a claim, in its sentence, points to."""
        found = _POINTER.search(self.text, span[1], self.sentence(span)[1])
        return re.findall(r"E\d+", found[1]) if found else []

    def add(
        self,
        span: tuple[int, int],
        kind: ClaimKind,
        value: float | str,
        unit: str | None,
        ids: Sequence[str],
        *,
        bound: bool = True,
    ) -> None:
        """Note a claim that the entries `ids` support; a bound one needs those that its sentence points to."""
        pointed = self.pointed(span)
        chosen = [i for i in pointed if i in ids]
        if not chosen and not (bound and pointed):
            chosen = [i for i in ids if not bound or i in self.present][:1]
        self.take(*span)
        status = "verified" if chosen else "unsupported"
        text = self.text[span[0] : span[1]]
        self.claims.append(
            Claim(text=text, span=span, kind=kind, value=value, unit=unit, status=status, evidence=chosen)
        )


def check(text: str, ledger: Sequence[Evidence], first: int = 0) -> Checked:
    """Read every claim of `text`, judge it by `ledger`, and mark what nothing supports.

    Args:
        text: An answer, possibly with evidence marks such as `[E1]`.
        ledger: The entries of the thread, oldest first; later entries are preferred.
        first: Position of the first entry of the present question; earlier ones must be pointed to.
    """
    reader = _Reader(text, list(reversed(ledger)), {entry.id for entry in ledger[first:]})
    _read_pointers(reader)
    _skip_list_numbers(reader)
    _read_quotes(reader)
    _read_names(reader)
    _read_ids(reader)
    _read_times(reader)
    _read_numbers(reader)
    return _marked(text, sorted(reader.claims, key=lambda claim: claim.span))


def _read_pointers(reader: _Reader) -> None:
    known = {entry.id for entry in reader.ledger}
    for found in _POINTER.finditer(reader.text):
        reader.take(*found.span())
        missing = [i for i in re.findall(r"E\d+", found[1]) if i not in known]
        if missing:
            reader.claims.append(
                Claim(
                    text=found[0], span=found.span(), kind="id", value=missing[0], unit=None,
                    status="unsupported", evidence=[],
                )
            )  # fmt: skip


def _skip_list_numbers(reader: _Reader) -> None:
    expected = 1
    for found in _LIST_NUMBER.finditer(reader.text):
        if int(found[1]) == expected:
            reader.take(*found.span(1))
            expected += 1


def _read_quotes(reader: _Reader) -> None:
    units = UnitReader(reader.ledger)
    for found in _QUOTE.finditer(reader.text):
        words = _flat(found[1] or found[2])
        if len(words.split()) < LEAST_QUOTE and not re.search(r"\d", words):
            continue
        ids = [e.id for e in reader.ledger if any(words in _flat(t) for t in _quotable(e))]
        if not ids and any(words in _flat(t) for e in reader.ledger for t in _asked(e)):
            if not any(units.after(words, n.end()).unit is not None for n in NUMBER.finditer(words)):
                reader.add(found.span(), "quote", words, None, [reader.ledger[-1].id], bound=False)
            continue
        reader.add(found.span(), "quote", words, None, ids)


def _quotable(entry: Evidence) -> list[str]:
    """Texts with a source, and a failed call's own sentences."""
    return [*(passage.text for passage in entry.texts), *([entry.error] if entry.error else []), *_names(entry)]


def _asked(entry: Evidence) -> list[str]:
    return [str(value) for value in entry.args.values()]


def _names(entry: Evidence) -> list[str]:
    """The reply's short texts, without what the call's arguments had said already."""
    said = " ".join(_asked(entry))
    return [label for label in entry.labels if label not in said]


def _read_names(reader: _Reader) -> None:
    names: dict[str, list[str]] = {}
    units = {value.unit for entry in reader.ledger for value in entry.values.values()}
    for entry in reader.ledger:
        for label in _names(entry):
            if label not in units and len(label) > 2 and re.search(r"\d", label) and re.search(r"[^\W\d]", label):
                names.setdefault(label, []).append(entry.id)
    for name in sorted(names, key=len, reverse=True):
        for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", name, None, names[name], bound=False)


def _read_ids(reader: _Reader) -> None:
    known: dict[str, list[str]] = {}
    for entry in reader.ledger:
        for node in _ids(entry):
            known.setdefault(node, []).append(entry.id)
    for name, ids in known.items():
        if _BARE.fullmatch(name):
            continue
        for found in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", name, None, ids, bound=False)
    for listed in _IDS.finditer(reader.text):
        for place, found in enumerate(re.finditer(r"[A-Za-z]*\d[\w-]*", listed[1])):
            span = (listed.start(1) + found.start(), listed.start(1) + found.end())
            if reader.free(*span) and (found[0] in known or (place == 0 and "such as" not in listed[0])):
                reader.add(span, "id", found[0], None, known.get(found[0], []), bound=False)


def _ids(entry: Evidence) -> set[str]:
    return {str(value.value) for value in entry.values.values() if value.unit == "id"}


def _read_times(reader: _Reader) -> None:
    for found in WHEN.finditer(reader.text):
        if reader.free(*found.span()):
            wanted = written_time(found)
            ids = [e.id for e in reader.ledger if wanted and any(same_time(wanted, moment) for moment in moments(e))]
            reader.add(found.span(), "time", found[0], None, ids, bound=False)


def _read_numbers(reader: _Reader) -> None:
    units = UnitReader(reader.ledger)
    known = {node for entry in reader.ledger for node in _ids(entry)}
    for found in NUMBER.finditer(reader.text):
        if not reader.free(*found.span()):
            continue
        written = units.read(reader.text, found)
        span = (found.start(), written.end)
        if written.glued or not well_formed(found[0]):
            reader.add(span, "number", reader.text[slice(*span)], None, [])
            continue
        start, end = reader.sentence(found.span())
        sentence = reader.text[start:end]
        named = known & {str(c.value) for c in reader.claims if c.kind == "id" and start <= c.span[0] < end}
        ids = [
            entry.id
            for entry in reader.ledger
            if (not named or not _ids(entry) or named & _ids(entry))
            and any(same_number(written, path, value, sentence) for path, value in entry.values.items())
        ]
        reader.add(span, "number", written.value, written.unit or None, ids)


def _flat(text: str) -> str:
    """As templates quote it, so that a quotation of a text that itself holds quotation marks is found in it."""
    return quotable(text)


def _marked(text: str, claims: Iterable[Claim]) -> Checked:
    """Put the mark behind each unsupported claim, and move the spans along."""
    pieces: list[str] = []
    moved: list[Claim] = []
    read = shift = 0
    for claim in claims:
        start, end = claim.span
        moved.append(claim.model_copy(update={"span": (start + shift, end + shift)}))
        pieces.append(text[read:end])
        read = max(read, end)
        if claim.status == "unsupported":
            pieces.append(MARK)
            shift += len(MARK)
    pieces.append(text[read:])
    return Checked("".join(pieces), moved)
