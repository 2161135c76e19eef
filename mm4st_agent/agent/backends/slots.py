"""Places in a question, as the embedded chat model reads them. Times are in `times`, quantities in `channels`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from mm4st_agent.agent.backends.common_words import is_english, stop_words
from mm4st_agent.agent.backends.known_names import known_names
from mm4st_agent.agent.backends.small_names import small_names


@dataclass(frozen=True)
class PlaceWords:
    """Words of a question that name a place.

    Attributes:
        text: The words.
        at: Where they stand in the question.
        kind: 'id': an identifier, a freeway or a quoted name. 'name': capitalised. 'phrase': what stands
            behind a preposition.
    """

    text: str
    at: tuple[int, int]
    kind: Literal["id", "name", "phrase"]


_FREEWAY = re.compile(
    r"\b(?:(?:I|SR|US|CA|Interstate|(?:State )?Route|(?:State )?Highway|Freeway)[- ]?\d{1,3}\b"
    r"(?:[- ]?(?:[NSEW]\b|north|south|east|west)(?:bound)?)?"
    r"|(?:the\s+)?\d{1,3}[- ]?(?:north|south|east|west)(?:bound)?\b"
    r"|(?:the\s+)?\d{1,3}[- ]?(?:(?-i:[NSEW])|[nsew]b)\b"
    r"|\b(?P<ahead>[nsew]b|(?:north|south|east|west)bound)\s+(?:on\s+)?(?:the\s+|(?:I|SR)[- ]?)?(?P<number>\d{1,3})\b"
    r"(?!\s*(?:%|percent|km|mph|min|h\b|hours?|vehicles?|cars?|stations?|sensors?|\d|[:.]\d))"
    r"|\b\d{2,3}[new]\b|\b\d{1,2}[1-46-9]s\b"
    r"|\bthe\s+\d{1,3}(?=\s+(?:at|near|past|by|around)\s+(?!\d))"
    r"|(?:(?<=on )|(?<=along )|(?<=off ))the\s+\d{1,3}\b(?!\s*(?:%|percent|km|mph|min|h\b|hours?|vehicles?|cars?"
    r"|stations?|sensors?|\d|[:.]\d)))",
    re.IGNORECASE,
)
_BOUND = {"n": "northbound", "s": "southbound", "e": "eastbound", "w": "westbound"}
_ROAD_NUMBER = re.compile(
    r"(?:(?:I|SR|US|CA|Interstate|(?:State )?Route|(?:State )?Highway|Freeway)[- ]?|the\s+)?\d{1,3}\b", re.IGNORECASE
)
_POSTMILE = r"(?:(?:abs(?:olute)? )?(?:post ?mile|mile ?post|mile marker|mile|pm)\s*\d+(?:\.\d+)?)"
_ON_FREEWAY = re.compile(
    rf"\b({_POSTMILE}|(?!(?:How|What|Which|Where|Is|Any|Traffic|Speed|Flow|Get|Go|Stuck|Stay|Slow)\b)[A-Z][\w'’.-]*"
    r"(?:\s+(?:[A-Z][\w'’.-]*|\d{1,2}\b))*),?\s+(?:(?:north|south|east|west)bound\s+)?(?:on|off|along)\s+(?:the\s+)?$"
)
_SMALL_ON_FREEWAY = re.compile(
    r"(?:^\W*|\b(?:at|near|past|by|around|from)\s+(?:the\s+)?)(?!(?:traffic|speeds?|flow|volume|occupancy"
    r"|jam\w*|crash\w*"
    r"|accidents?|incidents?|congestion|cars|vehicles|driving|stations?|sensors?|anything|something|map|slow"
    r"|busy|stuck|forecast"
    r"|\w+ing)\b)([a-z][a-z'’-]{2,}(?:\s+(?:ave|avenue|st|street|rd|road|blvd|way|canyon|park|hill|creek))?),?\s+"
    r"(?:(?:north|south|east|west)bound\s+)?(?:on|off)\s+(?:the\s+)?$"
)
"""A name without a capital in front of its freeway: "stadium on the 57"."""
_BEFORE_FREEWAY = re.compile(r"(?:^|(?<=[a-z,:] ))([A-Z][\w'’]+(?:\s+[A-Z][\w'’]+)*(?:\s+\d)?),?\s+$")
_PAST_FREEWAY = re.compile(
    r"(?:\s*,|\s+(?:just\s+)?(?:at|near|past|by|around|passing|through|before|after|over)(?:\s+the)?)\s+"
    rf"(?P<name>{_POSTMILE}|[A-Z][\w'’.-]*(?:\s+(?:[A-Z][\w'’.-]*|\d{{1,2}}\b(?!\s*[ap]?\.?m\b)|of\s+\d+))*)"
)
"""What place of a freeway is meant, said behind it: "the 57 south past Stadium"."""
_QUOTED = re.compile(r"[\"“]([^\"“”]{1,60})[\"”]|(?<!\w)['‘]([^'‘’]{1,60})['’](?!\w)")
_BARE_ID = re.compile(
    r"(?<![\w.:,/-])(?:[A-Za-z]{1,4}[-_]?\d{2,}|\d{4,}|[A-Z]{1,3}\d)(?!\w|[:.,]\d|-\d)"
    r"(?!\s*(?:vehicles|cars|km|mph|min|hours|days|%))"
)
_BEHIND = re.compile(
    r"\b(?:(?:at|near|around|on|by|for|of|along|round|through|via|past|across|over)\s+(?:the\s+)?|in\s+the\s+)",
    re.IGNORECASE,
)
_WAY = r"(?:(?:north|south|east|west)(?:bound)?|(?:anti|counter)?-?clockwise|inbound|outbound|[nsew]b)"
_HEADING = rf"(?:{_WAY}|roadside|kerbside|background)"
_BOTH_WAYS = re.compile(
    rf"\b(?P<first>{_WAY})\s*(?:or|and|vs\.?|versus|/|against|than|&)\s*(?:the\s+)?(?P<second>{_WAY})\b", re.IGNORECASE
)
"""Two ways of one place: "northbound or southbound at Castle Hill"."""
_GOING = re.compile(
    r"\b(?:go(?:es|ing)?|head(?:s|ed|ing)?|driv(?:e|es|ing)|travel(?:s|ling|ing)?|direction|run(?:s|ning)?|bound"
    r"|towards?(?: the)?|to the)\s+(?P<way>north|south|east|west)(?:wards?|bound)?\b"
    r"|\b(?P<bound>(?:north|south|east|west)bound|(?:(?:anti|counter)-?)?clockwise)\b",
    re.IGNORECASE,
)
"""Which way somebody goes, where the name of the place does not say it."""
_KIND_BEHIND = re.compile(
    r"(?:\s+(?:roadside|background))?\s+(?:air|road)\s+(?:station|sensor|monitor)\b", re.IGNORECASE
)
_CAPITALISED = re.compile(
    rf"\b[A-Z][\w'’-]*(?:\s+(?:[A-Z][\w'’-]*|of|the)\b)*(?:\s+\d\b(?![-:.–]\d))?"
    r"(?:\s+(?:bridge|tunnel|street|avenue|lane|square|hospital|campus|market|terminal|viaduct|flyover|plaza"
    r"|services)\b)?"
    rf"(?:\s+(?:air|road)\s+(?:station|sensor"
    rf"|monitor)\b)?(?:\s+{_HEADING}\b)?(?:\s+(?:air|road)\s+(?:station|sensor|monitor)\b)?"
)
_BESIDE = re.compile(
    r"\b(?:than|exceed\w*|versus|vs|against|compar\w+|differ\w*|between|beside|both|set|put"
    r"|as \w+ as|that (?:at|of))\b",
    re.IGNORECASE,
)
"""An id and a name may stand for two places there; else a name only says more about the id."""
_EITHER_OF = re.compile(r"\bor\s+(?:at\s+|through\s+|over\s+|past\s+|via\s+)?(?:the\s+)?(?:[A-Z]|\S*\d)")
_LEADING_TO = re.compile(
    r"\b(?:at|near|of|between|than|and|or|versus|vs\.?|against|with|to|compare|put|set|is|by)\s+(?:the\s+)?$",
    re.IGNORECASE,
)


def places(
    question: str,
    place_word: str,
    *,
    known: Sequence[str] = (),
    masked: str | None = None,
    names: tuple[str, ...] = (),
) -> list[PlaceWords]:
    """The words that name places, in order; empty when none do.

    Looks, in this order, for quoted names; identifiers and freeways; capitalised words; what stands
    behind a preposition. Several names count only where a word such as 'and' joins them.

    Args:
        question: The person's words.
        place_word: What a node is called, such as 'station'.
        known: Ids that exist.
        masked: The question with words that mean something else, such as time words, as ';'.
        names: Of all places.
    """
    quoted = [PlaceWords(f[1] or f[2], f.span(), "id") for f in _QUOTED.finditer(question)]
    if quoted:
        return quoted
    text = masked or question
    identified = _on_roads(text, _identified(text, place_word, known), names)
    if identified and (_BESIDE.search(text) or _EITHER_OF.search(text)):
        rest = "".join(";" if any(a <= n < b for a, b in (p.at for p in identified)) else c for n, c in enumerate(text))
        named = [place for place in _capitalised(rest) if _LEADING_TO.search(text[: place.at[0]])]
        return sorted([*identified, *named], key=lambda place: place.at)
    return identified or _capitalised(text) or _known(text, names) or _small(text) or _behind_preposition(text)


def _known(text: str, names: tuple[str, ...]) -> list[PlaceWords]:
    """Names that the data have, in small letters."""
    return [PlaceWords(text[start:end], (start, end), "name") for start, end in known_names(text, names)]


def _on_roads(text: str, found: list[PlaceWords], names: tuple[str, ...]) -> list[PlaceWords]:
    """The only freeway with the only name in small letters beside it: "collins sb on the 55"."""
    number = _FREEWAY.search(found[0].text) if len(found) == 1 and " at " not in found[0].text else None
    if number is None:
        return found
    start, end = found[0].at
    beside = _known(text[:start] + ";" * (end - start) + text[end:], names)
    if len(beside) != 1:
        return found
    start, end = min(start, beside[0].at[0]), max(end, beside[0].at[1])
    return [PlaceWords(f"{number[0]} at {beside[0].text}", (start, end), "id")]


def _identified(text: str, place_word: str, known: Sequence[str]) -> list[PlaceWords]:
    found = []
    for freeway in _FREEWAY.finditer(text):
        phrase = _phrase_from(text, freeway.start(), freeway.end()) or freeway[0]
        start, end = freeway.start(), freeway.start() + len(phrase)
        road = f"{freeway['number']} {_BOUND[freeway['ahead'][0].casefold()]}" if freeway["ahead"] else freeway[0]
        phrase = phrase.replace(freeway[0], road)
        behind = _PAST_FREEWAY.match(text, freeway.end())
        if behind and not _is_common(behind["name"]):
            phrase, end = f"{road} at {behind['name'].rstrip('.')}", behind.end()
        before = _ON_FREEWAY.search(text[:start]) or _BEFORE_FREEWAY.search(text[:start])
        small = None if before else _SMALL_ON_FREEWAY.search(text[:start])
        alone = before is not None and before.re is _BEFORE_FREEWAY and not text[: before.start()].strip()
        if before and not _is_common_name(before[1], alone=alone):
            phrase, start = f"{phrase} at {before[1]}", before.start()  # "Taft on the 55 northbound"
        elif small and not _is_common(small[1]):
            phrase, start = f"{phrase} at {small[1]}", small.start(1)
        found.append(PlaceWords(phrase, (start, end), "id"))
    named = re.compile(
        rf"\b(?:{re.escape(place_word)}|station|sensor|node|detector|id)s?\s+(?:id\s+|number\s+|no\.?\s*|#)?"
        r"(?P<id>[A-Za-z]{0,4}[-_]?\d[\w-]*)",
        re.IGNORECASE,
    )
    spans = [match.span("id") for match in named.finditer(text)]
    spans += [match.span() for match in _BARE_ID.finditer(text)]
    for node in known:
        spans += [m.span() for m in re.finditer(rf"(?<![\w-]){re.escape(node)}(?![\w-])", text, re.IGNORECASE)]
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if all(end <= place.at[0] or start >= place.at[1] for place in found):
            found.append(PlaceWords(text[start:end], (start, end), "id"))
    return sorted(found, key=lambda place: place.at)


def _is_common_name(name: str, *, alone: bool) -> bool:
    """Whether words in front of a freeway name no place: common ones, or one that only begins the question."""
    words = name.split()
    return all(_is_common(word) for word in words) or (alone and len(words) == 1 and is_english(words[0]))


def _capitalised(text: str) -> list[PlaceWords]:
    found: list[PlaceWords] = []
    for match in _CAPITALISED.finditer(text):
        words, start = match[0].split(), match.start()
        if re.search(r"(?:^|[.?!:]\s+|¿)$", text[:start]):  # a capital there need not be a name
            while words and (_is_common(words[0]) or (_only_a_word(words, text[match.end() :]))):
                start += len(words.pop(0)) + 1
        while words and words[-1].casefold() in ("of", "the"):
            words.pop()
        phrase = " ".join(words)
        acronym = len(words) == 1 and len(phrase) <= 4 and phrase.isupper()
        if (
            len(phrase) <= 2
            or acronym
            or _is_common(phrase)
            or all(_is_common(word) or word.isdigit() for word in words)
        ):
            continue
        start = text.index(words[0], match.start())
        joined = found and re.fullmatch(
            r"\s*(?:(?:\w+\s+){0,4}(?:than|or|versus|vs\.?|against|compared (?:to|with)|exceeds?)"
            r"|(?:,|and|or|&|vs\.?|versus|with|than|to|against|from)+(?:\s+(?:and|or))?)"
            r"(?:\s+(?:over|through|via|along|at|on|past|the|that|of|it|is|does))*\s*",
            text[found[-1].at[1] : start],
        )
        passed = re.search(r"\b(?:past|at|near|by|passing|outside|around|through)\s+(?:the\s+)?$", text[:start])
        if not found or joined:
            found.append(PlaceWords(phrase, (start, match.end()), "name"))
        elif len(found) == 1 and passed:  # "down Mill Road, past the Gasworks"
            found = [PlaceWords(phrase, (start, match.end()), "name")]
    return found


def _small(text: str) -> list[PlaceWords]:
    return [PlaceWords(text[start:end], (start, end), "name") for start, end in small_names(text)]


def _only_a_word(words: list[str], rest: str) -> bool:
    """Whether a capital stands there only because a sentence begins: an English word that stands alone."""
    named = len(words) > 1 and (words[1][0].isupper() or re.fullmatch(_HEADING, words[1], re.IGNORECASE))
    listed = re.match(r"\s*(?:$|[,?:]|and\b|or\b|vs\b|versus\b|now\b|right\b)", rest) is not None
    plain = re.sub(r"['’]s$", "", words[0])
    known = is_english(plain) or plain.endswith("est")
    return not named and not (listed and len(words) == 1) and known


def with_heading(question: str, place: PlaceWords) -> PlaceWords:
    """The place with the way that somebody goes, where its name says none and the question does."""
    freeway = place.kind == "id" and _ROAD_NUMBER.match(place.text) is not None
    if (place.kind == "id" and not freeway) or re.search(rf"\b{_HEADING}\b", place.text, re.IGNORECASE):
        return place
    if freeway and re.match(r"(?:[A-Z]+[- ]?|the\s+)?\d+[- ]?[NSEW]\b", place.text, re.IGNORECASE):
        return place
    going = _GOING.search(question)
    if going is None:
        return place
    way = going["bound"] or f"{going['way']}bound"
    return replace(place, text=f"{place.text} {way.casefold()}")


def in_each_way(question: str, found: Sequence[PlaceWords]) -> list[PlaceWords]:
    """The only place once for each of two ways that the question names: "eastbound or westbound past Eastgate"."""
    ways = _BOTH_WAYS.search(question)
    if ways is None or len(found) != 1 or (found[0].kind == "id" and not _ROAD_NUMBER.match(found[0].text)):
        return list(found)
    name = re.sub(rf"\s*\b{_WAY}\b(?:\s+(?:or|and)\s+{_WAY}\b)?", "", found[0].text, flags=re.IGNORECASE).strip()
    return (
        [replace(found[0], text=f"{name} {ways[way].casefold()}") for way in ("first", "second")] if name else [*found]
    )


def _behind_preposition(text: str) -> list[PlaceWords]:
    for match in _BEHIND.finditer(text):
        phrase = _phrase_from(text, match.end(), match.end())
        if phrase and not all(_is_common(word) for word in phrase.split()):
            return [PlaceWords(phrase, (match.end(), match.end() + len(phrase)), "phrase")]
    return []


def _is_common(word: str) -> bool:
    plain = re.sub(r"['’](?:s|m|re|ll|ve|d|t)$", "", word.casefold()).strip(".'’")
    return plain in stop_words()


def content_words(masked: str) -> str:
    """What is left of a question without function words: a weak hint at a place."""
    words = re.findall(r"[\w'’.-]+", masked)
    return " ".join(word.rstrip(".") for word in words if not _is_common(word))


def _phrase_from(text: str, start: int, least_end: int) -> str | None:
    """The words from `start` on, up to punctuation or a word that cannot belong to a name."""
    phrase = text[start:least_end]
    for word in re.finditer(r"\s*([\w'’/.-]+|[,;?!])", text[least_end:]):
        bare = word[1].casefold().rstrip(".")
        joining = bare in {"at", "of", "near", "the"} and phrase
        if bare in {",", ";", "?", "!"} or (bare in stop_words() and not joining):
            break
        phrase += word[0].rstrip(".")
    if phrase and (kind_behind := _KIND_BEHIND.match(text, start + len(phrase))):
        return " ".join((phrase + kind_behind[0]).split())
    words = phrase.split()
    while words and words[-1].casefold() in stop_words():
        words.pop()
    return " ".join(words) or None


def kind(question: str, kinds: Sequence[str]) -> str | None:
    """The kind of place that a question names, such as 'air station' in 'the air stations in the old town'."""
    return next((name for name in kinds if _of_kind(name).search(question)), None)


def without_kind(question: str, name: str, word: str) -> str:
    """The question with the plain `word` for a place in place of the kind `name`."""
    return _of_kind(name).sub(word, question)


@cache
def _of_kind(name: str) -> re.Pattern[str]:
    words = name.casefold().split()
    nouns = f"(?:{re.escape(words[-1])}|station|sensor|site|monitor)" if len(words) > 1 else re.escape(words[0])
    before = "".join(rf"{re.escape(word)}\s+" for word in words[:-1])
    return re.compile(rf"\b{before}(?:quality\s+)?{nouns}s?\b", re.IGNORECASE)
