"""What an answer adds on its own: names, causes and turns of events that no word of the evidence tells."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.reader import Reader

_NAME = re.compile(r"(?<![\w-])[A-Z][a-z]{2,}(?: (?:of |the )?[A-Z][a-z]{2,}){0,3}(?![\w-])")
_OF_THE_FIELD = re.compile(r"fourier|markov|gramian|gaussian|poisson|erlang")
"""Of methods, which an answer may explain in its own words."""
_HEAD = re.compile(r"(?:^|[.!?:;(\"“‘'*#\n_-]|\|)\W*$")
"""A word behind these may be written large without being a name; `_` ends a citation or quotation."""
_OF_THE_CALENDAR = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|"
    r"october|november|december|celsius|fahrenheit|christmas|easter"
)
_NEAR = re.compile(r"\b(?:near|from|at|of|to|for|past|around)\s+(?:the\s+)?$", re.IGNORECASE)
"""Before the name of the place that was asked for, which a reply may give by its id alone."""
_CAUSE = re.compile(
    r"\b(?:because of|due to|caused by|owing to|thanks to|attributed to|attributable to|blamed on|stems? from|"
    r"(?:as a |the )?result of|triggered by|on account of)\s+(?P<what>[^.;:,()]{3,70})",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(?:was|were|is|are|has|have|had|been|being|police|brigade|crews?|workers|they)\s+"
    r"(?:(?:\w+ly|been|since|now|already|have|has|being|again)\s+){0,3}"
    r"(?P<verb>(?P<stem>re-?open|clear|tow|injur|kill|evacuat|arrest|divert|clos|block|cancel|postpon|flood|repair|"
    r"hospitali|rescu)(?:[lsz]?ed|ing))\b",
    re.IGNORECASE,
)
"""What befalls a road, a vehicle or people."""
_FILLING = re.compile(
    r"the|and|for|was|are|its|has|had|one|two|this|that|these|those|with|from|into|over|some|more|most|very|such|than|"
    r"then|them|they|their|there|here|have|been|were|being|which|while|when|what|data|values?|readings?|levels?|usual|"
    r"normal|forecast|model|station|sensor|speeds?|flow|traffic|road|hour|minutes|today|near|nearby|only|also|just|"
    r"still|several|other|another"
)
"""Words of a cause that tell nothing of it."""
_STEM = 5


def read(reader: Reader) -> None:
    """Judge each name, cause and turn of events that stands in no other claim."""
    told = " ".join(_words(reader)).casefold()
    stems = {found[0][:_STEM] for found in re.finditer(r"[a-z]{3,}", told)}  # a list of all would be large
    unnamed = any(facts.about - facts.names.keys() or "beside" in facts.entry.args for facts in reader.facts)
    for found in _DONE.finditer(reader.own):
        if _open(reader, found.span("verb")) and found["stem"].lower().replace("-", "") not in told.replace("-", ""):
            reader.add(found.span("verb"), "existence", found["verb"], None, [], why="no text of the evidence says so")
    for found in _CAUSE.finditer(reader.own):
        words = [word for word in re.findall(r"[a-z]{3,}", found["what"].casefold()) if not _FILLING.fullmatch(word)]
        if words and _open(reader, found.span("what")) and not any(word[:_STEM] in stems for word in words):
            reader.add(found.span("what"), "existence", found["what"], None, [], why="the evidence tells no such cause")
    for found in _NAME.finditer(reader.own):
        words = [word.casefold() for word in re.findall(r"[A-Z][a-z]{2,}", found[0])]
        if _HEAD.search(reader.own[: found.start()]) or (unnamed and _NEAR.search(reader.own[: found.start()])):
            continue
        common = (_OF_THE_CALENDAR, _OF_THE_FIELD)
        unknown = any(word[:_STEM] not in stems for word in words if not any(w.fullmatch(word) for w in common))
        if unknown and _open(reader, found.span()) and not _marked(reader, found.span()):
            reader.add(found.span(), "existence", found[0], None, [], why="the evidence names no such thing")


def _open(reader: Reader, span: tuple[int, int]) -> bool:
    """Whether nothing there has been read, and the sentence states something."""
    return reader.free(*span) and cues.ADVICE.search(reader.own[slice(*reader.sentence(span[0]))]) is None


def _marked(reader: Reader, span: tuple[int, int]) -> bool:
    """Whether the part has a mark already: a name there belongs to what that is said of."""
    start, end = reader.part(*span)
    return any(one.why and start <= one.claim.span[0] < end for one in reader.judged)


def _words(reader: Reader) -> Iterator[str]:
    """All words of the ledger: of replies, passages, sources, arguments and of the question."""
    for entry in reader.ledger:
        yield from (str(word) for word in (*entry.words.values(), *entry.labels, *entry.args.values()))
        yield from (re.sub(r"[_.]", " ", path) for path in entry.values)
        yield from (f"{passage.text} {passage.place or ''} {passage.source}" for passage in entry.texts)
        yield entry.error or ""
    yield from (name for facts in reader.facts for name in facts.names.values())
