"""What an answer repeats word for word: evidence marks, quotations, names and ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mm4st_agent.agent.answer import Claim
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import POINTER, SUBSTANCE, Judged, Mention, Reader
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.quantities import NUMBER
from prompts import quotable

LEAST_QUOTE = 3
"""Words in quotation marks from this many on are a quotation; fewer are a way of speaking."""

_QUOTE = re.compile(r"“([^”]+)”|\"([^\"\n]+)\"")
_PLACE = "station|sensor|node|detector|place|road|street|server|service|region|district|zone|cell|link|segment"
_PLACES = ("station", "sensor", "node", "detector", "place", "Station", "Sensor", "Node", "Detector", "Place")
_DIRECTED = re.compile(r"(?P<name>\D+?) (?:north|south|east|west|clockwise|anticlockwise)(?:bound)?")
_DIRECTED_NAME = re.compile(
    r"\b(?!(?:At|On|In|Near|Both|The|All|Other|These|Each|Two|Three|Four|Five|Most|Many|Any|No)\b)"
    r"[A-Z][\w']+(?: [A-Z][\w']+){0,3} "
    r"(?:(?:north|south|east|west)bound|(?:anti)?clockwise)\b"
)
_SHORT = 3
"""Ids with fewer letters, and no digits, may be words."""
_TOKEN = r"#?[A-Za-z]*\d[\w-]*"
_IDS = re.compile(
    rf"\b(?:{_PLACE})(?:s?,\s+such as|s)?\s+({_TOKEN}(?:(?:,\s*|,?\s+(?:and|or)\s+){_TOKEN})*)", re.IGNORECASE
)
_LIKE_AN_ID = re.compile(r"(?:(?<=\b[Aa]t )|(?<=\b[Ff]or )|(?<=\b[Ss]tation ))[A-Z]{1,2}\d{2,4}\b")
_BARE = re.compile(r"\d{1,4}")
"""An identifier that looks like any number: it is read as one only behind a word for a place."""
_LIST_NUMBER = re.compile(r"(?:^|(?<=[:;,]))\s*(\d{1,2})[.)]\s", re.MULTILINE)
_RANGE_OF_IDS = re.compile(r"(?:–|-|to|through)\s*$")


def read_pointers(reader: Reader) -> None:
    """An evidence mark must point to an entry that exists."""
    known = {entry.id for entry in reader.ledger}
    for found in POINTER.finditer(reader.text):
        reader.take(*found.span())
        reader.hide(*found.span())
        missing = [i for i in re.findall(r"E\d+", found[1]) if i not in known]
        if missing:
            claim = Claim(
                text=found[0], span=found.span(), kind="id", value=missing[0], unit=None,
                status="unsupported", evidence=[],
            )  # fmt: skip
            reader.judged.append(Judged(claim, "there is no such evidence"))


def skip_list_numbers(reader: Reader) -> None:
    """The numbers of a numbered list are no claims."""
    expected = 1
    for found in _LIST_NUMBER.finditer(reader.text):
        number = int(found[1])
        if number in (1, expected):  # an answer may hold several lists
            reader.take(*found.span(1))
            expected = number + 1


def read_quotes(reader: Reader) -> None:
    """A quotation must stand in a text of the ledger; the question's words may be quoted, but for its numbers."""
    for found in _QUOTE.finditer(reader.text):
        words = quotable(found[1] or found[2])
        if SUBSTANCE.fullmatch(words):
            reader.take(*found.span())  # its digits are no number
            continue
        if len(words.split()) < LEAST_QUOTE and not re.search(r"\d", words):
            continue
        plain = words.rstrip(".,;!?")
        ids = [e.id for e in reader.ledger if any(plain in quotable(text) for text in _quotable(e))]
        if not ids and any(words in quotable(text) for entry in reader.ledger for text in _asked(entry)):
            if not any(reader.units.after(words, n.end()).unit is not None for n in NUMBER.finditer(words)):
                reader.add(found.span(), "quote", words, None, [reader.ledger[-1].id], bound=False)
                reader.hide(*found.span())
            continue
        reader.add(found.span(), "quote", words, None, ids, why="no text of the evidence says that")
        reader.hide(*found.span())


def _quotable(entry: Evidence) -> list[str]:
    """Texts with a source, and a failed call's own sentences."""
    return [*(passage.text for passage in entry.texts), *([entry.error] if entry.error else []), *names(entry)]


def _asked(entry: Evidence) -> list[str]:
    return [str(value) for value in entry.args.values()]


def names(entry: Evidence) -> list[str]:
    """The reply's short texts, without what the call's arguments had said already."""
    said = " ".join(_asked(entry))
    return [label for label in entry.labels if label not in said]


def read_names(reader: Reader) -> None:
    """A name with digits that a tool gave may be repeated; and where the answer names a place is noted."""
    known: dict[str, list[str]] = {}
    units = {value.unit for entry in reader.ledger for value in entry.values.values()}
    for entry in reader.ledger:
        for label in names(entry):
            if label not in units and len(label) > 2 and re.search(r"\d", label) and re.search(r"[^\W\d]", label):
                known.setdefault(label, []).append(entry.id)
    for name in sorted(known, key=len, reverse=True):
        for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", name, None, known[name], bound=False)
                if len(name.split()) > 2:
                    reader.hide(*found.span())


def read_ids(reader: Reader) -> None:
    """An id must be one that a tool gave, and so must what is written like one."""
    known: dict[str, list[str]] = {}
    for facts in reader.facts:
        for node in facts.ids:
            known.setdefault(node, []).append(facts.entry.id)
    marked = [name for name in known if not _BARE.fullmatch(name)]
    if marked:
        for found in re.finditer(_named_by(marked), reader.text):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", found[0], None, known[found[0]], bound=False)
                reader.hide(*found.span())
    for listed in _IDS.finditer(reader.text):
        for place, token in enumerate(re.finditer(r"[A-Za-z]*\d[\w-]*", listed[1])):
            span = (listed.start(1) + token.start(), listed.start(1) + token.end())
            if reader.free(*span) and (token[0] in known or (place == 0 and "such as" not in listed[0])):
                reader.add(span, "id", token[0], None, known.get(token[0], []), bound=False, why="no tool gave that id")
    _read_unknown_ids(reader)
    shapes = {re.sub(r"\d", r"\\d", re.escape(name)) for name in marked if re.fullmatch(r"[A-Z]+\d+", name)}
    if shapes:
        for found in re.finditer(rf"(?<![\w.])(?:{'|'.join(sorted(shapes))})(?!\w)", reader.own):
            if reader.free(*found.span()):
                reader.add(found.span(), "id", found[0], None, [], why="no tool gave that id")


def _read_unknown_ids(reader: Reader) -> None:
    """A capital with digits behind "at" or "station" must stand in the words of the evidence or the question."""
    told = " ".join(text for entry in reader.ledger for text in _told(entry))
    for found in _LIKE_AN_ID.finditer(reader.own):
        if reader.free(*found.span()) and not re.search(rf"\b{found[0]}\b", told):
            reader.add(found.span(), "id", found[0], None, [], why="no tool gave that id")


def _told(entry: Evidence) -> Iterator[str]:
    """All words of an entry, of its texts and of its arguments."""
    yield from (*_asked(entry), *map(str, entry.words.values()), *entry.labels)
    yield from (f"{passage.text} {passage.place or ''}" for passage in entry.texts)


def _named_by(called: Iterable[str]) -> str:
    """A pattern of ids and names; one that may be a word, such as "a", counts only behind a word for a place."""
    words = [name for name in called if len(name) < _SHORT and name.isalpha()]
    own = "|".join(re.escape(name) for name in sorted(set(called) - set(words), key=len, reverse=True))
    behind = "|".join(rf"(?<=\b{place} ){re.escape(name)}" for name in words for place in _PLACES)
    return rf"(?<![\w.])(?:{'|'.join(filter(None, (own, behind)))})(?!\w)"


def _bare_names(called: dict[str, set[str]]) -> dict[str, set[str]]:
    """Names without their direction, where only one place has that: "Castle Hill" of "Castle Hill southbound"."""
    found: dict[str, set[str]] = {}
    for name, places in called.items():
        if (directed := _DIRECTED.fullmatch(name)) is not None:
            found.setdefault(directed["name"], set()).update(places)
    return {name: places for name, places in found.items() if len(places) == 1}


def _all_named(facts: Facts) -> bool:
    """Whether a reply gives the name of every place that it is about."""
    return "ranking[0].name" in facts.entry.words or (bool(facts.about) and facts.about <= facts.names.keys())


def _read_unknown(reader: Reader) -> None:
    """A place with its direction that the replies, which name all of theirs, do not name."""
    known = [(mention.start, mention.end) for mention in reader.mentions]
    told = " | ".join(text.casefold() for entry in reader.ledger for text in _told(entry))
    for found in _DIRECTED_NAME.finditer(reader.text):
        near = any(start < found.end() and found.start() < end for start, end in known)
        if not near and found[0].casefold() not in told and reader.free(*found.span()):
            reader.add(found.span(), "existence", found[0], None, [], why="the evidence is about no such place")


def note_places(reader: Reader) -> None:
    """Where the answer names a place by its id or its name."""
    called: dict[str, set[str]] = {place: {place} for place in reader.ids if not place.startswith("demo/")}
    for facts in reader.facts:
        for place, name in facts.names.items():
            called.setdefault(name.casefold(), set()).add(place)
    for base, of_base in _bare_names(called).items():
        called.setdefault(base, of_base)
    if not called:
        return
    for found in re.finditer(_named_by(called), reader.text, re.IGNORECASE):
        places = called.get(found[0]) or called.get(found[0].casefold())
        if places and not (_BARE.fullmatch(found[0]) and reader.free(*found.span())):
            reader.mentions.append(Mention(found.start(), found.end(), frozenset(places)))
            reader.hide(*found.span())
    if reader.facts and all(_all_named(facts) for facts in reader.facts):
        _read_unknown(reader)
    reader.mentions.sort(key=lambda mention: mention.start)
    for one, other in zip(reader.mentions[-2::-1], reader.mentions[:0:-1], strict=True):
        if one.places & other.places and re.fullmatch(r"\s*[(,]?\s*", reader.text[one.end : other.start]):
            reader.mentions.remove(other)  # "S096 (Castle Hill southbound)" names one place
