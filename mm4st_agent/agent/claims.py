"""The claim checker: every number, time, id and quotation of an answer against the ledger.

Rules, in order; characters that one rule has read are not read by the next:

1. Evidence marks such as `[E2]` are read as pointers, not as claims.
2. A quotation must stand, word for word, in a text of the ledger.
3. A name that a tool gave (`I5-N, N OF 57`) may be repeated; its digits are no numbers.
4. An identifier must be one that a tool gave.
5. A date or time must equal one of the ledger, to the precision written.
6. A number must equal a value of the ledger in the same unit, rounded as written.

A claim that no entry supports is marked in the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mm4st_agent.agent.answer import Claim, ClaimKind
from mm4st_agent.agent.ledger import Evidence, EvidenceValue

MARK = " [unsupported]"
LEAST_QUOTE = 3
"""Words in quotation marks from this many on are a quotation; fewer are a way of speaking."""

_POINTER = re.compile(r"\s*\[(E\d+(?:\s*,\s*E\d+)*)\]")
_QUOTE = re.compile(r"“([^”]+)”|\"([^\"\n]+)\"")
_ID = re.compile(r"\b(?:station|sensor|node|detector|place)s?\s+#?([A-Za-z]*\d[\w-]*)", re.IGNORECASE)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_WHEN = re.compile(
    r"\b(?P<iso>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})?)?)"
    rf"|\b(?P<day>\d{{1,2}})\s+(?P<month>{_MONTHS})(?:\s+(?P<year>\d{{4}}))?\b"
    rf"|\b(?P<month2>{_MONTHS})\s+(?P<day2>\d{{1,2}})(?:,?\s+(?P<year2>\d{{4}}))?\b"
    r"|\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?:\s*(?P<half>[ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.,])[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?![\d])")
_ORDINAL = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_RANGE = re.compile(r"\s*(?:–|-|to|and)\s*[-−+]?\d+(?:,\d{3})*(?:\.\d+)?\s*", re.IGNORECASE)

_UNIT_WORDS = {
    "per cent": "%", "percent": "%", "minutes": "min", "minute": "min", "hours": "h", "hour": "h", "days": "d",
    "day": "d", "seconds": "s", "second": "s", "miles": "mile", "vehicle": "vehicles", "steps": "", "step": "",
}  # fmt: skip
_OTHER_UNITS = (
    "mph", "km/h", "m/s", "kn", "km", "m", "mm", "mm/h", "mile", "vehicles", "vehicles/h", "veh/h", "cars",
    "°C", "°F", "hPa", "ug/m3", "µg/m3", "ppm", "ppb", "requests", "requests/s", "tokens", "GB", "MB",
)  # fmt: skip
"""Units that an answer may write although no entry uses them; such a number is then unsupported."""
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Checked:
    """An answer after the check: its text with marks, and its claims with their spans in that text."""

    text: str
    claims: list[Claim]

    @property
    def unsupported(self) -> int:
        return sum(claim.status == "unsupported" for claim in self.claims)


@dataclass
class _Reader:
    """The text, the ledger, and which characters have been read already."""

    text: str
    ledger: Sequence[Evidence]
    taken: list[bool] = field(init=False)
    claims: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.text)

    def free(self, start: int, end: int) -> bool:
        return not any(self.taken[start:end])

    def take(self, start: int, end: int) -> None:
        self.taken[start:end] = [True] * (end - start)

    def add(self, span: tuple[int, int], kind: ClaimKind, value: float | str, unit: str | None, ids: list[str]) -> None:
        self.take(*span)
        cited = self._cited_after(span[1])
        ordered = [i for i in cited if i in ids] or ids[:1]
        status = "verified" if ids else "unsupported"
        text = self.text[span[0] : span[1]]
        self.claims.append(
            Claim(text=text, span=span, kind=kind, value=value, unit=unit, status=status, evidence=ordered)
        )

    def _cited_after(self, position: int) -> list[str]:
        """The entries that the sentence's own mark names: the next mark on the same line."""
        line_end = self.text.find("\n", position)
        found = _POINTER.search(self.text, position, line_end if line_end >= 0 else len(self.text))
        return re.findall(r"E\d+", found[1]) if found else []


def check(text: str, ledger: Sequence[Evidence]) -> Checked:
    """Read every claim of `text`, judge it by `ledger`, and mark what nothing supports.

    Args:
        text: An answer, possibly with evidence marks such as `[E1]`.
        ledger: The entries of the thread, oldest first; later entries are preferred.
    """
    reader = _Reader(text, list(reversed(ledger)))
    for found in _POINTER.finditer(text):
        reader.take(*found.span())
    for found in _ORDINAL.finditer(text):
        reader.take(*found.span())
    _read_quotes(reader)
    _read_names(reader)
    _read_ids(reader)
    _read_times(reader)
    _read_numbers(reader)
    return _marked(text, sorted(reader.claims, key=lambda claim: claim.span))


def _read_quotes(reader: _Reader) -> None:
    for found in _QUOTE.finditer(reader.text):
        words = " ".join((found[1] or found[2]).split())
        if len(words.split()) < LEAST_QUOTE and not re.search(r"\d", words):
            continue
        ids = [
            entry.id
            for entry in reader.ledger
            if any(words in " ".join(t.split()) for t in [*(p.text for p in entry.texts), *entry.labels])
        ]
        reader.add(found.span(), "quote", words, None, ids)


def _read_names(reader: _Reader) -> None:
    names: dict[str, list[str]] = {}
    units = {value.unit for entry in reader.ledger for value in entry.values.values()}
    for entry in reader.ledger:
        for label in entry.labels:
            if label not in units and len(label) > 2 and re.search(r"\d", label) and re.search(r"[^\W\d]", label):
                names.setdefault(label, []).append(entry.id)
    for name in sorted(names, key=len, reverse=True):
        for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", name, None, names[name])


def _read_ids(reader: _Reader) -> None:
    known: dict[str, list[str]] = {}
    for entry in reader.ledger:
        for value in entry.values.values():
            if value.unit == "id":
                known.setdefault(str(value.value), []).append(entry.id)
    for name, ids in known.items():
        for found in re.finditer(rf"(?<![\w.]){re.escape(name)}(?![\w])", reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", name, None, ids)
    for found in _ID.finditer(reader.text):
        if reader.free(*found.span(1)):
            reader.add(found.span(1), "id", found[1], None, [])


def _read_times(reader: _Reader) -> None:
    for found in _WHEN.finditer(reader.text):
        if not reader.free(*found.span()):
            continue
        wanted = _written_time(found)
        ids = [e.id for e in reader.ledger if any(_same_time(wanted, moment) for moment in _moments(e))]
        reader.add(found.span(), "time", found[0], None, ids)


def _read_numbers(reader: _Reader) -> None:
    units = {v.unit for e in reader.ledger for v in e.values.values()} - {"", "id", "time"}
    names = sorted({*units, *_UNIT_WORDS, *_SECONDS, *_OTHER_UNITS, "%"}, key=len, reverse=True)
    after = re.compile(rf"\s*-?({'|'.join(re.escape(name) for name in names)})(?!\w)", re.IGNORECASE)
    spelling = {name.casefold(): name for name in (*_OTHER_UNITS, *units)}
    for found in _NUMBER.finditer(reader.text):
        if not reader.free(*found.span()):
            continue
        tail = _RANGE.match(reader.text, found.end())
        unit = after.match(reader.text, found.end()) or (after.match(reader.text, tail.end()) if tail else None)
        name = unit[1].casefold() if unit else None
        written = None if name is None else spelling.get(name) or _UNIT_WORDS.get(name, name)
        end = unit.end() if unit and unit.start() == found.end() else found.end()
        ids = [e.id for e in reader.ledger if any(_same_number(found[0], written, v) for v in e.values.values())]
        reader.add((found.start(), end), "number", _parse(found[0]), written or None, ids)


def _parse(written: str) -> float:
    return float(written.replace(",", "").replace("−", "-"))


def _same_number(written: str, unit: str | None, value: EvidenceValue) -> bool:
    """Whether the ledger's value, rounded as the text rounds, is the number written."""
    if isinstance(value.value, str):
        return False
    actual = float(value.value)
    if unit is not None and unit != value.unit:
        if unit == "%" and value.unit == "1":
            actual *= 100
        elif unit in _SECONDS and value.unit in _SECONDS:
            actual *= _SECONDS[value.unit] / _SECONDS[unit]
        else:
            return False
    number = _parse(written)
    if written[0] not in "+-−":  # "12 % below" states the size of -12
        actual = abs(actual)
    decimals = len(written.partition(".")[2])
    return abs(number - actual) <= 0.5 * 10.0**-decimals + 1e-9 * abs(actual)


@dataclass(frozen=True)
class _Time:
    year: int | None = None
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None


def _written_time(found: re.Match[str]) -> _Time:
    if found["iso"]:
        moment = datetime.fromisoformat(found["iso"])
        if len(found["iso"]) == 10:
            return _Time(moment.year, moment.month, moment.day)
        return _Time(moment.year, moment.month, moment.day, moment.hour, moment.minute)
    if found["hour"]:
        hour = int(found["hour"])
        if found["half"]:
            hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
        return _Time(hour=hour, minute=int(found["minute"]))
    month = (found["month"] or found["month2"]).capitalize()
    year = found["year"] or found["year2"]
    day = int(found["day"] or found["day2"])
    return _Time(int(year) if year else None, _MONTHS.split("|").index(month) + 1, day)


def _same_time(wanted: _Time, moment: datetime) -> bool:
    parts = ("year", "month", "day", "hour", "minute")
    return all(getattr(wanted, p) is None or getattr(wanted, p) == getattr(moment, p) for p in parts)


def _moments(entry: Evidence) -> Iterator[datetime]:
    if entry.as_of is not None:
        yield datetime.fromisoformat(entry.as_of)
    for value in entry.values.values():
        if value.unit == "time":
            yield datetime.fromisoformat(str(value.value))
    for passage in entry.texts:
        if passage.published_at is not None:
            yield passage.published_at


def _marked(text: str, claims: Iterable[Claim]) -> Checked:
    """Put the mark behind each unsupported claim, and move the spans along."""
    pieces: list[str] = []
    moved: list[Claim] = []
    read = shift = 0
    for claim in claims:
        start, end = claim.span
        moved.append(claim.model_copy(update={"span": (start + shift, end + shift)}))
        pieces.append(text[read:end])
        read = end
        if claim.status == "unsupported":
            pieces.append(MARK)
            shift += len(MARK)
    pieces.append(text[read:])
    return Checked("".join(pieces), moved)
