"""Comparisons of places, and superlatives: "slower than S039", "the busiest station", "third"."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.by_place import furthest_above_usual, told_by, values_of
from mm4st_agent.agent.claims.reader import Mention, Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.verdicts import LESS, MORE, add, scoped
from mm4st_agent.agent.number_words import COUNT

_THAN = re.compile(
    rf"\b(?P<words>(?:(?P<more>{MORE})|(?P<less>{LESS}))\b(?:\s+(?:[a-z]+|_+)){{0,4}}?\s+than)\s+(?:that of |"
    r"at |it is at )?",
    re.IGNORECASE,
)
_OF_TWO = re.compile(
    r"\bthe\s+(?P<words>(?P<more>faster|busier|higher|quicker)|(?P<less>slower|quieter|lower))\s+(?:one|of the two|"
    r"(?:mean |average )?(?:speed|flow|load|level|value|concentration))\b",
    re.IGNORECASE,
)
_FURTHER = re.compile(
    r"\b(?P<words>(?:(?:further|farther|deeper|more)|(?P<less>less(?: far)?))\s+"
    r"(?:(?P<above>above)|below|under|beneath)\s+"
    r"(?:its|their|the|what is)\s+(?:own\s+)?(?:usual|normal|typical)(?:\s+\w+)?)\s+than\b",
    re.IGNORECASE,
)
_SUPERLATIVE = re.compile(
    r"\b(?P<word>(?P<high>highest|busiest|fastest|most|largest|biggest|dirtiest|"
    r"top)|(?P<low>lowest|slowest|quietest|least|"
    r"smallest|cleanest)|(?P<either>worst|best|steepest|most congested))\b",
    re.IGNORECASE,
)
_RANKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_ORDINAL = re.compile(
    rf"\b(?P<rank>(?:(?<=in )|(?<=takes )|(?<=holds ))first(?= place)|(?:(?<=ranks )|(?<=comes )|(?<=ranked ))first|"
    rf"{'|'.join(list(_RANKS)[1:])})\b(?!\s+(?:of|slower|faster|higher|lower|more|less|busier))",
    re.IGNORECASE,
)
_MOST_VERB = re.compile(
    r"\b(?:lost|gained|dropped|rose|fell|changed|slowed|declined|climbed|increased|decreased|sped up)\s+(?:down\s+)?"
    r"(?:the\s+)?most\b|\bsteepest (?:drop|fall|rise)\b",
    re.IGNORECASE,
)
_OF_A_CHANGE = re.compile(
    r"\s+(?:\w+\s+)?(?:loss|drop|fall|decrease|decline|rise|gain|increase|change|jump|shortfall|"
    r"slowdown|deviation|gap|difference|delay)\b",
    re.IGNORECASE,
)
_EXCESS = re.compile(r"\s+(?:relative )?(?:excess|surplus)\b", re.IGNORECASE)
_OF_SEVERAL = re.compile(rf"\b(?:no|among|one of)\b|\b(?:{COUNT.pattern}|\d+)\s+$", re.IGNORECASE)
"""'Among the five slowest': no single place is that."""
_SIDE = re.compile(r"\b(?:of|than|to|from|at|as|and|against|versus)\s+(?:the|that of the)\s+$", re.IGNORECASE)
_NO_NOUN = re.compile(r"\s*(?:[.,;)]|$|one\b)")
_NEXT = re.compile(r"\W*(?:relative|most|similar|recent|likely|of (?:any|the)\b)", re.IGNORECASE)
_LONGEST = 60
"""Characters between a place and its superlative, from which on they are two claims."""


def read(reader: Reader) -> None:
    """Judge every comparison of places, rank and superlative."""
    for found in _ORDINAL.finditer(reader.own):
        _judge_rank(reader, found)
    for found in _FURTHER.finditer(reader.own):
        _judge_further(reader, found)
    for pattern in (_THAN, _OF_TWO):
        for found in pattern.finditer(reader.own):
            _judge_places(reader, found)
    for found in _SUPERLATIVE.finditer(reader.own):
        _judge_superlative(reader, found)
    _read_owners(reader)


def _judge_places(reader: Reader, found: re.Match[str]) -> None:
    """'S096 is slower than S039', 'of the two, S096 is the slower one'."""
    start, end = reader.sentence(found.start())
    named = reader.places(start, end)
    before = [mention for mention in named if mention.end <= found.start()]
    behind = [mention for mention in named if mention.start >= found.end()]
    of_two = found.re is _OF_TWO
    if of_two:
        subject = before[-1] if before else behind[0] if behind else None
        others = _others(reader, subject)
    else:
        direct = behind[0] if behind and behind[0].start - found.end() < 30 and not re.search(
            r"[.;,]", reader.own[found.end() : behind[0].start]) else None  # fmt: skip
        if direct is None or re.match(r"\s*\d", reader.own[found.end() :]):
            return
        subject = before[-1] if before else (behind[1] if len(behind) > 1 else None)
        others = [direct]
    if subject is None or not others:
        return
    if re.search(r"\bno (?:\w+ )?(?:station|place|sensor)\b", reader.own[start : found.start()], re.IGNORECASE):
        subject = Mention(start, start, frozenset(p for facts in reader.facts for p in facts.ids) - others[0].places)
        _judge_top(reader, (found.start(), found.end()), found, others[0], low=found["less"] is not None)
        return
    scope = Scope(reader, found.span())
    verdicts = []
    channels = scope.channels(reader.facts)
    values = told_by(reader, scope) or values_of(reader, scope, channels)
    for key, by_place in values.items():
        ours = [v for place, v in by_place if place in subject.places]
        for other in others:
            theirs = [v for place, v in by_place if place in other.places]
            if ours and theirs and other.places != subject.places:
                more = ours[0][1] > theirs[0][1]
                verdicts.append((ours[0][0], more == (found["more"] is not None), key))
    if not verdicts:
        return
    # where means over a window and readings of now disagree, either may be meant
    span = found.span("words")
    if of_two and subject.end <= span[0] and not any(holds for _, holds, _ in verdicts):
        _blame(reader, (subject.start, span[1]), found)
        return
    why = "the values of the two places say otherwise"
    add(reader, span, found[0], [(entry, holds) for entry, holds, _ in verdicts], why)


def _judge_further(reader: Reader, found: re.Match[str]) -> None:
    """'S116 lies further below its usual speed than S110 does', by what each differs from its usual."""
    start, end = reader.sentence(found.start())
    named = reader.places(start, end)
    before = [mention for mention in named if mention.end <= found.start()]
    behind = [mention for mention in named if mention.start >= found.end()]
    if not before or not behind:
        return
    scope = Scope(reader, found.span())
    way = 1 if found["above"] else -1
    verdicts = []
    for entry in sorted(reader.allowed(found.end())):
        for role in ("gap", "relative"):
            known = [f for f in reader.all_facts if f.entry == entry and f.role == role and f.of[1] == "usual"]
            ours, theirs = (
                [way * f.value for f in known if f.places == mention.places] for mention in (before[-1], behind[0])
            )
            if ours and theirs:
                verdicts.append((entry, (ours[0] > theirs[0]) != (found["less"] is not None)))
    if verdicts and all(holds == verdicts[0][1] for _, holds in verdicts):
        reader.judged = [one for one in reader.judged if not found.start() <= one.claim.span[0] < found.end()]
        ids = [entry for entry, holds in verdicts if holds]
        why = "the values of the two places say otherwise"
        reader.add(found.span("words"), "comparison", scope.reader.own[slice(*found.span("words"))], None, ids, why=why)


def _read_owners(reader: Reader) -> None:
    """'The longest gap is at S022', of what a reply has once, with the id of its place."""
    for facts in reader.facts:
        for path, value in facts.entry.values.items():
            if value.unit != "id" or not path.endswith(".id") or "[" in path:
                continue
            for found in re.finditer(path[:-3].replace("_", " "), reader.own, re.IGNORECASE):
                named = reader.places(*reader.sentence(found.start()))
                if len(named) == 1 and facts.entry.id in reader.allowed(found.end()):
                    holds = str(value.value) in named[0].places
                    if not holds:
                        _blame(reader, (min(found.start(), named[0].start), max(found.end(), named[0].end)), found)


def _blame(reader: Reader, span: tuple[int, int], found: re.Match[str]) -> None:
    """Note that it is another place: the place's name and the comparison are one claim."""
    if not any(reader.free(at, at + 1) for at in range(*found.span())):
        return
    inside = [one for one in reader.judged if span[0] <= one.claim.span[0] < span[1]]
    if any(one.why for one in inside):
        return
    reader.judged = [one for one in reader.judged if one not in inside]
    reader.add(span, "comparison", found[0], None, [], why="it is another place")


def _others(reader: Reader, subject: Mention | None) -> list[Mention]:
    """The other places that the evidence compares with the subject."""
    if subject is None:
        return []
    places = {place for facts in reader.facts for fact in facts.numbers for place in fact.places}
    return [Mention(0, 0, frozenset({place})) for place in places - subject.places]


def _judge_superlative(reader: Reader, found: re.Match[str]) -> None:
    if _NEXT.match(reader.own, found.end()) and found["word"].lower() in ("most", "least"):
        return
    scope = Scope(reader, found.span())
    if found["word"].lower() in ("most", "top", "best", "least") and not _MOST_VERB.search(scope.sentence):
        return
    if _OF_SEVERAL.search(scope.before) or _ORDINAL.search(scope.before[-12:]):
        return
    if _SIDE.search(scope.before) and _NO_NOUN.match(scope.after):
        return  # "eight times the speed of the slowest": the other side of a comparison
    named = reader.places(*reader.part(*found.span())) or reader.places(*reader.sentence(found.start()))
    if len(named) > 1 and not reader.places(*reader.part(*found.span())):
        return
    if len(named) > 1 and re.search(r"five|three|two|four|\bare\b", scope.part):
        return
    if not named or re.search(r"\b(?:reading|readings|value|step|minutes)\b", scope.part) or _time_of_extreme(scope):
        return
    one = (
        named[0]
        if named[0].end <= found.start() or len(named) == 1
        else min(named, key=lambda m: abs(m.start - found.end()))
    )
    low = bool(found["low"])
    if _EXCESS.match(reader.own, found.end()) and (known := furthest_above_usual(reader, scope)):
        holds = known[0] in one.places
        return add(reader, found.span("word"), found[0], [(known[1], holds)], "another place is")
    if found["either"] or _OF_A_CHANGE.match(reader.own, found.end()) or _MOST_VERB.search(scope.sentence):
        _judge_top(reader, found.span("word"), found, one, low=None)
        return
    _judge_top(reader, found.span("word"), found, one, low=low)


def _judge_rank(reader: Reader, found: re.Match[str]) -> None:
    """'S030 comes second', 'the second busiest is S030'."""
    scope = Scope(reader, found.span())
    named = reader.places(*reader.part(*found.span()))
    behind = named[:1] if named and named[0].start >= found.end() else []
    if behind and re.search(r"\b(?:after|behind)\b", reader.own[found.end() : behind[0].start]):  # "second after S096"
        named = [m for m in reader.places(*reader.sentence(found.start())) if m.end <= found.start()][-1:]
    named = [mention for mention in named if mention.end <= found.start()] or named
    start, end = reader.sentence(found.start())
    ranks = list(_ORDINAL.finditer(reader.own, start, end))
    if 1 < len(ranks) == len(reader.places(start, end)):
        nth = [one.start() for one in ranks].index(found.start())
        named = [reader.places(start, end)[nth]]  # "S026 and S034 take third and fourth place"
    if len(named) != 1:
        return
    rank = _RANKS[found["rank"].lower()]
    verdicts = [
        (fact.entry, fact.value == rank)
        for _, fact in scoped(reader, scope)
        if fact.role == "rank" and fact.places & named[0].places
    ]
    add(reader, found.span(), found[0], verdicts, "its rank is another")


def _time_of_extreme(scope: Scope) -> bool:
    return (
        bool(scope.times) and re.search(r"\b(?:today|yesterday|recorded|came|its|daily|day)\b", scope.part) is not None
    )


def _judge_top(reader: Reader, span: tuple[int, int], found: re.Match[str], one: Mention, *, low: bool | None) -> None:
    """Whether a place is the first of a ranking, or at the end of what a map or several replies show."""
    scope = Scope(reader, span)
    channels = scope.channels(reader.facts)
    usual = cues.USUAL.search(scope.sentence) is not None or "relative" in scope.sentence.lower()
    verdicts: list[tuple[str, bool]] = []
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(span[1]) or (
            channels and facts.channel and facts.channel not in channels
        ):
            continue
        order, by = facts.word("order"), facts.word("by")
        first = facts.entry.values.get("ranking[0].id")
        if first is not None and (low is None or order == ("lowest" if low else "highest")):
            if by == "usual" and not usual and low is not None and "speed" not in facts.channel:
                continue
            verdicts.append((facts.entry.id, str(first.value) in one.places))
        for name, is_low in (("lowest_at", True), ("highest_at", False)):
            at = facts.entry.values.get(name)
            if at is not None and (low is None or low == is_low):
                verdicts.append((facts.entry.id, str(at.value) in one.places))
    if not verdicts and low is not None and len(reader.places(*reader.sentence(span[0]))) <= 2:
        for by_place in values_of(reader, scope, channels).values():
            values = {place: value for place, (_, value) in by_place}
            mine = [value for place, value in values.items() if place in one.places]
            if mine and len(values) > 1:
                extreme = min(values.values()) if low else max(values.values())
                verdicts.append((by_place[0][1][0], mine[0] == extreme))
    mention = (one.start, one.end) if found.re is _SUPERLATIVE else span
    if verdicts and not any(holds for _, holds in verdicts):
        start, last = min(mention[0], span[0]), max(mention[1], span[1])
        _blame(reader, (start, last) if last - start < _LONGEST else span, found)
        return
    add(reader, span, found[0], verdicts, "another place is")
