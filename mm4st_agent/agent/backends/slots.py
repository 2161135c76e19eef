"""Places in a question, as the embedded chat model reads them. Times are in `times`, quantities in `channels`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal


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
    r"\b(?:(?:I|SR|US|CA|Interstate|Route|Highway)[- ]?\d{1,3}\b"
    r"(?:[- ]?(?:[NSEW]\b|north|south|east|west)(?:bound)?)?"
    r"|(?:the\s+)?\d{1,3}[- ]?(?:north|south|east|west)(?:bound)?\b)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“]([^\"“”]{1,60})[\"”]|(?<!\w)['‘]([^'‘’]{1,60})['’](?!\w)")
_BARE_ID = re.compile(
    r"(?<![\w.:,/-])(?:[A-Za-z]{1,4}[-_]?\d{2,}|\d{4,}|[A-Z]{1,3}\d)(?![\w:]|[.,]\d|-\d)"
    r"(?!\s*(?:vehicles|cars|km|mph|min|hours|days|%))"
)
_BEHIND = re.compile(r"\b(?:(?:at|near|around|on|by|for|of|along)\s+(?:the\s+)?|in\s+the\s+)", re.IGNORECASE)
_CAPITALISED = re.compile(
    r"\b[A-Z][\w'’-]*(?:\s+(?:[A-Z][\w'’-]*|of|the)\b)*(?:\s+(?:north|south|east|west)(?:bound)?\b)?"
)
_STOP = (
    "the a an and or is are was were be been will would should could can do does did has have had how much many what"
    " which who whom why when where there of for on at near over next last past in into to by about from with between"
    " around me my us you your i it its this that these those show tell give list find forecast predict expect carry"
    " get got look like busy fast slow high low happen happening happened traffic flow speed value values level now"
    " right today tomorrow yesterday tonight morning afternoon evening night hour hours minute minutes day week going"
    " please any some all incident incidents accident accidents event events collision normal usual current currently"
    " vehicles cars pass come coming station stations sensor sensors node detector place places then same picture plot"
    " line heatmap draw data set so hello hi thanks sure not if as up down out go goes expected worst best jam jams"
    " i'm im let's leaving leave drive driving reach arrive compare comparing vs versus than or both also again too"
    " one ones first second busier busiest quieter quiet faster"
    " fastest slower slowest more most less least fewer better worse"
    " better worse congestion congested jammed accurate accuracy reliable trust good bad average total highest lowest"
    " maximum minimum peak mean usually unusual unusually rising"
    " falling trend steady status state situation report summary explain"
    " question answer sorry ok okay yes no thank there here then it's what's how's where's who's there's that's hey"
    " combine still yet just really actually maybe probably likely same both each every all whole measured measure"
    " reading readings latest recent recently moment present interval baseline model models error errors history past"
    " future ahead ago since until till before after during within over under above below so far been am pm clock"
    " january february march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday weekend month year quarter half many capacity occupancy volume congestion crash"
    " crashed crashes closure closures hazard hazards air pollution weather rain load requests level levels higher"
    " lower different difference between compared comparison right exactly roughly about want need know think see"
    " freeway freeways road roads street streets city cities county kinds kind type types map overview"
    " work working works happens expects predicted forecasting forecasts outlook prediction predictions interested"
    " cause causes caused reason reasons because due network area region whole country rank ranking top"
)


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(_STOP.split())


def places(question: str, place_word: str, *, known: Sequence[str] = (), masked: str | None = None) -> list[PlaceWords]:
    """The words that name places, in order; empty when none do.

    Looks, in this order, for quoted names; identifiers and freeways; capitalised words; what stands
    behind a preposition. Several names count only where a word such as 'and' joins them.

    Args:
        question: The person's words.
        place_word: What a node is called, such as 'station'.
        known: Ids that exist.
        masked: The question with words that mean something else, such as time words, as ';'.
    """
    quoted = [PlaceWords(f[1] or f[2], f.span(), "id") for f in _QUOTED.finditer(question)]
    if quoted:
        return quoted
    text = masked or question
    return _identified(text, place_word, known) or _capitalised(text) or _behind_preposition(text)


def _identified(text: str, place_word: str, known: Sequence[str]) -> list[PlaceWords]:
    found = []
    for freeway in _FREEWAY.finditer(text):
        phrase = _phrase_from(text, freeway.start(), freeway.end()) or freeway[0]
        found.append(PlaceWords(phrase, (freeway.start(), freeway.start() + len(phrase)), "id"))
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


def _capitalised(text: str) -> list[PlaceWords]:
    found: list[PlaceWords] = []
    for match in _CAPITALISED.finditer(text):
        words, start = match[0].split(), match.start()
        if re.search(r"(?:^|[.?!:]\s+|¿)$", text[:start]):  # a capital there need not be a name
            while words and _is_common(words[0]):
                start += len(words.pop(0)) + 1
        while words and words[-1].casefold() in ("of", "the"):
            words.pop()
        phrase = " ".join(words)
        if len(phrase) <= 2 or _is_common(phrase) or all(_is_common(word) for word in words):
            continue
        start = text.index(words[0], match.start())
        joined = found and re.fullmatch(
            r"\s*(?:,|and|or|&|vs\.?|versus|with|than|to)+(?:\s+(?:and|or))?\s*", text[found[-1].at[1] : start]
        )
        if not found or joined:
            found.append(PlaceWords(phrase, (start, match.end()), "name"))
    return found


def _behind_preposition(text: str) -> list[PlaceWords]:
    for match in _BEHIND.finditer(text):
        phrase = _phrase_from(text, match.end(), match.end())
        if phrase and not all(_is_common(word) for word in phrase.split()):
            return [PlaceWords(phrase, (match.end(), match.end() + len(phrase)), "phrase")]
    return []


def _is_common(word: str) -> bool:
    plain = re.sub(r"['’](?:s|m|re|ll|ve|d|t)$", "", word.casefold()).strip(".'’")
    return plain in _stop_words()


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
        if bare in {",", ";", "?", "!"} or (bare in _stop_words() and not joining):
            break
        phrase += word[0].rstrip(".")
    words = phrase.split()
    while words and words[-1].casefold() in _stop_words():
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
