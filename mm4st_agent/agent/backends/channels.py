"""Quantities in a question: which channel of the data its words name, and which they do not measure.

A channel is known by its name, its title, the words of its title that no other channel has, and what its unit counts;
then by the synonyms below, where the channel is that quantity. So a data set brings its own words along.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mm4st_agent.agent.backends.quantity_words import FIELDS, GENERAL, HINTS, LOW_IS_BAD, QUANTITIES, UNITS

Channel = Mapping[str, str]
"""`{name, title, unit}` of one."""

_LOW_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_COUNTED = r"(?:vehicles?|cars?|automobiles|motorists)"
_MOVING = re.compile(
    r"\b(?:fast|quick|quickly|slow|slowly|speeds?|velocity|pace)\s+(?:(?:is|are|was|were|do|does|did|will|can|would"
    rf"|going|go|of|do you expect|you expect|for)\s+)+(?:the\s+|most\s+)?{_COUNTED}\b"
    rf"|\b{_COUNTED}\s+(?:(?:is|are|was|were|will|be|there|can)\s+)*(?:going|moving|driv\w+|travel\w*|go|move"
    r"|crawl\w*)\b(?=.*\b(?:fast\w*|quick\w*|slow\w*|speeds?|mph|km/h)\b)"
    rf"|\b(?:fast|quick|slow)\w*\b.{{0,30}}\b{_COUNTED}\s+(?:is |are |be )?(?:going|moving|driving|travell?ing|go"
    r"|move)\b",
)
"""Where vehicles are named as what moves: "how fast are the cars?" is about none of their number."""
_REQUESTING = re.compile(
    r"(?<!the )(?<!of )(?<!many )(?<!much )(?<!in )(?<!to )(?<!info )(?<!service )(?<!more )(?<!most )\brequests?\b"
    r"(?=\s+(?:the|an?|that|you|your|us|me|to|information|details|figures)\b(?!\s+(?:travel|info|service|server)))"
)
"""Somebody requests something: the verb."""


@dataclass(frozen=True)
class Named:
    """The channel that a question names.

    Attributes:
        channel: None leaves the main one.
        sure: Its words name this quantity; else they only hint at it.
    """

    channel: str | None
    sure: bool


def named(question: str, channels: Sequence[Channel], *, general: bool = True) -> Named:
    """The channel that a question names first, by its own words, else by a synonym, else in general.

    Args:
        question: The person's words.
        channels: Of the data, the main one first.
        general: Whether words of a whole domain, such as 'traffic', and hints, such as 'busy', count too.
    """
    text = _plain(question)
    own = _own_phrases(channels)
    for vocabulary in (own, {c["name"]: _synonyms(c) for c in channels}):
        found = [(at, name) for name, phrases in vocabulary.items() if (at := _where(text, phrases)) is not None]
        if found:
            return Named(min(found)[1], True)
    if not general:
        return Named(None, False)
    in_general = list(_in_general(text, channels))
    hinted = [c["name"] for c in channels if any(_first(text, HINTS.get(group, ())) for group in _groups(c))]
    if not in_general:
        return Named(hinted[0] if hinted else None, False)
    return Named(next((name for name in hinted if name in in_general), in_general[0]), True)


def all_named(question: str, channels: Sequence[Channel]) -> list[str]:
    """The channels that a question names by themselves, in the order of their words."""
    found: dict[str, int] = {}
    text = _plain(question)
    own = _own_phrases(channels)
    for channel in channels:
        at = _where(text, own[channel["name"]] | _synonyms(channel))
        if at is not None:
            found[channel["name"]] = at
    return sorted(found, key=lambda name: found[name])


def unmeasured(question: str, channels: Sequence[Channel], domain: str = "general") -> str | None:
    """The word for a quantity that a question names and the data do not measure, or None.

    Args:
        question: The person's words.
        channels: Of the data.
        domain: Of the data; general words such as 'traffic' or 'air quality' name all of one domain.
    """
    text = _plain(question)
    groups = {group for channel in channels for group in _groups(channel)}
    for field in FIELDS:
        if domain != field.domain and groups.isdisjoint(field.members) and (word := _first(text, field.words)):
            return word.removeprefix("the ")
    for phrases in _own_phrases(channels).values():
        for start, end in _spans(text, phrases):
            text = text[:start] + " " * (end - start) + text[end:]
    return next((word for g, words in QUANTITIES.items() if g not in groups and (word := _first(text, words))), None)


def spans(question: str, channels: Sequence[Channel], *, with_digits: bool = False) -> list[tuple[int, int]]:
    """Where quantities are named, in any way; only those whose words have digits, so that they look like ids."""
    words = {phrase for phrases in _own_phrases(channels).values() for phrase in phrases}
    words |= {word for known in QUANTITIES.values() for word in known}
    if not with_digits:
        words |= {word for field in FIELDS for word in field.words}
    return list(_spans(_plain(question), [w for w in words if not with_digits or re.search(r"\d", w)]))


def notes_of(channel: Channel) -> str | None:
    """What notes about this channel are filed under: 'traffic', 'air', 'rain', 'cloud', or None."""
    groups = _groups(channel)
    return next((field.notes for field in FIELDS if not groups.isdisjoint(field.members)), None)


def low_is_bad(channel: Channel) -> bool:
    """Whether the lowest value is the worst, as of speed."""
    return not LOW_IS_BAD.isdisjoint(_groups(channel))


def _own_phrases(channels: Sequence[Channel]) -> dict[str, set[str]]:
    """By channel: its name, its title, the parts and telling words of it, and what its unit counts."""
    single: dict[str, set[str]] = {c["name"]: _telling(c) for c in channels}
    return {
        c["name"]: {c["name"].casefold(), *_title_phrases(c)}
        | {word for word in single[c["name"]] if sum(word in words for words in single.values()) == 1}
        for c in channels
    }


def _title_phrases(channel: Channel) -> set[str]:
    """The title, and its parts in and before brackets; not a single word that is general."""
    title = _plain(channel["title"])
    parts = {title, *re.split(r"\s*[()\[\],;:]\s*", title)}
    return {part for part in parts if part and part not in GENERAL}


def _telling(channel: Channel) -> set[str]:
    """Words of the title that are not general, its unit, and the word of what that counts, such as 'vehicles'."""
    unit = _plain(channel.get("unit", ""))
    counted = unit.split("/")[0].strip()
    units = {u for u in (unit, counted if counted.isalpha() and len(counted) > 3 else "") if len(u) > 2}
    words = {word for word in re.split(r"[\s()\[\],;:/]+", _plain(channel["title"])) if len(word) > 1}
    return (words | units) - GENERAL


def _groups(channel: Channel) -> set[str]:
    """The quantities that a channel is: by its name and whole title, else by the words of its title, else its unit."""
    for words in ({channel["name"], *_title_phrases(channel)}, _telling(channel)):
        bare = {_bare(word) for word in words}
        found = {quantity for quantity, known in _KNOWN.items() if not bare.isdisjoint(known)}
        if found:
            return found
    unit = UNITS.get(_plain(channel.get("unit", "")))
    return {unit} if unit is not None else set()


def _synonyms(channel: Channel) -> set[str]:
    return {word for group in _groups(channel) for word in QUANTITIES[group]}


def _in_general(text: str, channels: Sequence[Channel]) -> Iterator[str]:
    """The first channel of each domain that is named in general."""
    for field in FIELDS:
        if _first(text, field.words):
            yield from (c["name"] for c in channels if not _groups(c).isdisjoint(field.members))


def _plain(text: str) -> str:
    """Lower case, with digits on the line and without words that only look like quantities; as long as `text`."""
    lower = text.translate(_LOW_DIGITS)
    text = "".join(c.lower() if len(c.lower()) == 1 else c for c in lower)
    text = _REQUESTING.sub(lambda found: " " * len(found[0]), text)
    return _MOVING.sub(lambda found: re.sub(rf"\b{_COUNTED}\b", lambda word: " " * len(word[0]), found[0]), text)


def _bare(word: str) -> str:
    return re.sub(r"[\W_]", "", word.casefold())


_KNOWN = {quantity: frozenset({_bare(quantity), *map(_bare, words)}) for quantity, words in QUANTITIES.items()}
"""All bare words of a quantity."""


def _spans(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    for word in sorted(words, key=len, reverse=True):
        for found in _alone(word).finditer(text):
            yield found.span()


@lru_cache(4096)
def _alone(word: str) -> re.Pattern[str]:
    """Where a word stands by itself; there are more of them than `re` keeps patterns."""
    return re.compile(rf"(?<![\w./]){re.escape(word)}(?![\w/]|\.\d)")


def _where(text: str, words: Iterable[str]) -> int | None:
    return min((start for start, _ in _spans(text, words)), default=None)


def _first(text: str, words: Iterable[str]) -> str | None:
    return next((word for word in words if _where(text, [word]) is not None), None)
