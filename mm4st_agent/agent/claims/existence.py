"""Existence: "no incident", "there is a road closure", "no anomalies", "no gaps", recomputed from counts and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.copied import names
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.happenings import NAMES, logged, sort_of, texts_of
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.ledger import Evidence

_NO = r"(?:no|not any|without any|nor|zero|neither)"
_ABSENT = re.compile(
    rf"\b{_NO}\s+(?:\w+\s+){{0,2}}?(?P<what>{NAMES}|anomal\w+|outliers?|unusual (?:values|readings)|"
    r"spikes?|gaps?|missing (?:readings|values|data|steps)|level changes?|lasting trend|"
    r"(?:upward or downward )?trend|cycles?|"
    r"stretch(?:es)?)\b|"
    rf"\b(?:nobody|no one|not|never)\b[^.;,]{{0,30}}\bany\s+(?P<any>{NAMES})\b|"
    r"\b(?P<nothing>nothing|none)\b(?=[^.;]*\b(?:logged|reported|announced|happen\w*|recorded|found)\b)",
    re.IGNORECASE,
)
_FINDINGS: tuple[tuple[str, str], ...] = (
    (r"anomal\w+|outliers?|unusual (?:values|readings)|stretch(?:es)?", "anomaly_count"),
    (r"gaps?|missing (?:readings|values|data|steps)", "missing"),
    (r"level changes?", "change_count"),
)
_ARTICLE = r"(?:an?|another|one|the|this|that|heavy|further|ongoing|recent)"
_PRESENT = re.compile(
    rf"\b(?P<article>{_ARTICLE})\s+(?P<words>(?:[\w'-]+\s+){{0,2}}?)(?P<what>{NAMES})\b", re.IGNORECASE
)
_BARE = re.compile(rf"\b(?P<what>{NAMES})\b", re.IGNORECASE)
_AT = re.compile(
    r"\s+(?:was |were |is |are |has been |have been )?(?:reported |logged |recorded |"
    r"happened |occurred )?(?:are |is |was )?(?:at|on|in|near)\s+(?P<where>(?:the\s+)?(?:[A-Z][\w']*\s?){1,4})"
)
_HYPOTHETICAL = re.compile(
    r"^\W*had\b|\b(?:if|without|would|removing|whether|could|may|might|can|e\.g\.|"
    r"such as|like|in general|typically|usually)\b",
    re.IGNORECASE,
)
_DIRECTED = re.compile(
    r"\b(?!At\b|On\b|In\b|Near\b)(?P<name>[A-Z][\w']+(?: [A-Z][\w']+){0,3}) "
    r"(?P<way>(?:north|south|east|west)bound|(?:anti)?clockwise)\b"
)
_LISTED_AS_ABSENT = re.compile(
    r"\b(?:no|not|nor|without|neither|n't)\b[^.;]*(?:,|\bor|\band|\bnor|\bany)\s+$|\b(?:longest|data|sensor)\s+$",
    re.IGNORECASE,
)
_AS_A_VERB = re.compile(
    r"\b(?:(?:will|would|should|may|might|can|could|they)|(?:is|are|set|expected|going|likely) to)\s+(?:\w+ly\s+)?$",
    re.IGNORECASE,
)
_VERB_TAIL = re.compile(
    r"\s+(?:(?:by|to|from|down to)\s+(?:\w+\s+){0,2}\d|the other way|against|in favou?r|towards?)\b",
    re.IGNORECASE,
)
"""'Speeds crash by 72 %', 'the reading works the other way': no events."""
_FURTHER = re.compile(r"\b(?:further|more|else|announced|other)\b", re.IGNORECASE)


def read(reader: Reader) -> None:
    """Judge what is said to be there, or not to be."""
    for found in _ABSENT.finditer(reader.own):
        if reader.free(*found.span()):
            _judge_absent(reader, found)
    _read_directed(reader)
    for found in (*_PRESENT.finditer(reader.own), *_BARE.finditer(reader.own)):
        start, end = found.span("what")
        if reader.free(start, end) and sort_of(found["what"]) is not None:
            _judge_present(reader, found)


def _read_directed(reader: Reader) -> None:
    """A road with its direction, such as 'North Avenue southbound', stands so in the evidence."""
    known = " | ".join(text.casefold() for entry in reader.ledger for text in _all_words(entry))
    for found in _DIRECTED.finditer(reader.text):
        name, way = found["name"].casefold(), found["way"].casefold()
        other = re.search(rf"\b{re.escape(name)} (?!{way})\w+(?:bound|clockwise)\b", known) is not None
        if other and f"{name} {way}" not in known and reader.free(*found.span()):
            reader.add(found.span(), "existence", found[0], None, [], why="the evidence names no such road")


def _all_words(entry: Evidence) -> Iterator[str]:
    """Every word of a reply, its texts, and of the question."""
    yield from (str(word) for word in (*entry.words.values(), *entry.labels, *entry.args.values()))
    yield from (passage.text for passage in entry.texts)


def _judge_absent(reader: Reader, found: re.Match[str]) -> None:
    scope = Scope(reader, found.span())
    what = (found["what"] or found["any"] or "").lower()
    if re.match(r"\s*(?:of|that|which)\b", scope.after) and found["nothing"]:
        return
    known = [(facts.entry.id, absent) for facts in _in_scope(reader, scope) for absent in _absent(facts, what, scope)]
    if not known:
        if sort_of(what) is not None or found["nothing"] or what.startswith(("event", "incident")):
            reader.add(found.span(), "existence", what, None, [], why="nothing in the evidence looked for that")
        return
    right = [entry for entry, absent in known if absent]
    reader.add(found.span(), "existence", what, None, right, why="the evidence has such")


def _in_scope(reader: Reader, scope: Scope) -> Iterator[Facts]:
    for facts in reader.facts:
        elsewhere = scope.places and facts.about and not facts.about & scope.places
        if facts.entry.id in reader.allowed(scope.span[1]) and not elsewhere:
            yield facts


def _absent(facts: Facts, what: str, scope: Scope) -> Iterator[bool]:
    if "trend" in what:
        if facts.word("trend.kind"):
            yield facts.word("trend.kind") == "none"
        elif facts.word("trend"):
            yield facts.word("trend") in ("steady", "unclear")
        return
    if what.startswith("cycle"):
        if "anomaly_count" in facts.entry.values:
            yield not any(path.startswith("periods[") for path in facts.entry.values)
        return
    if what.startswith("spike"):
        if "anomaly_count" in facts.entry.values:
            yield "spike" not in facts.entry.words.values()
        return
    for nouns, role in _FINDINGS:
        if re.fullmatch(nouns, what):
            yield from (fact.value == 0 for fact in facts.numbers if fact.role == role)
            return
    if not logged(facts):
        yield from (fact.value == 0 for fact in facts.numbers if fact.role in ("events_logged", "logged"))
        return
    if _FURTHER.search(scope.part) or cues.future(scope.part):
        yield from (fact.value == 0 for fact in facts.numbers if fact.role == "events_announced")
        return
    said = sort_of(what)
    if said is not None:
        yield not any(_tells(text, said) for text in texts_of(facts))
    else:
        yield from (fact.value == 0 for fact in facts.numbers if fact.role == "events_found")


def _judge_present(reader: Reader, found: re.Match[str]) -> None:
    scope = Scope(reader, found.span("what"))
    sentence = scope.sentence
    if cues.ADVICE.search(sentence) or reader.own[found.start("what") - 1 : found.start("what")] in (
        "'",
        '"',
        "“",
        "‘",
    ):
        return
    if _AS_A_VERB.search(reader.own[: found.start("what")]) or _VERB_TAIL.match(reader.own, found.end("what")):
        return
    if _LISTED_AS_ABSENT.search(reader.own[reader.sentence(found.start("what"))[0] : found.start("what")]):
        return
    if _HYPOTHETICAL.search(scope.ahead) and not re.search(r"\bthere\b", scope.ahead, re.IGNORECASE):
        return
    said = sort_of(found["what"])
    assert said is not None, "only sorts are judged"
    whole = (
        "what"
        if not found.re.groupindex.get("words")
        else ("words" if found["words"] and found["words"].strip() else "what")
    )
    start = found.start(whole) if whole == "words" else found.start("what")
    if any(not reader.free(at, at + 1) for at in (start, found.end("what") - 1)):
        start = found.start("what")
    texts = [(facts.entry.id, text) for facts in reader.facts for text in (*texts_of(facts), *_labels(facts))]
    right = [entry for entry, text in texts if _tells(text, said)]
    if right and not _near(reader, scope, right):
        reader.add(
            (start, found.end("what")), "existence", found["what"], None, [], why="the evidence has it elsewhere"
        )
        return
    reader.add(
        (start, found.end("what")),
        "existence",
        found["what"],
        None,
        right,
        bound=False,
        why="no event of the evidence is that",
    )
    where = _AT.match(reader.own, found.end("what"))
    if right and where is not None:
        place = " ".join(where["where"].split()).removeprefix("the ")
        told = [entry for entry, text in texts if _tells(text, said) and place.casefold() in text.casefold()]
        named = scope.named_places
        span = (where.start("where"), where.start("where") + len(where["where"].rstrip()))
        if not told and place and not WEEK.match(place) and reader.free(*span) and not named and sentence:
            reader.add(span, "existence", place, None, [], why="the event of the evidence is elsewhere")


WEEK = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|"
                  r"september|october|november|december", re.IGNORECASE)  # fmt: skip
"""Words that stand behind "on" and are no places."""


def _labels(facts: Facts) -> list[str]:
    """Short texts of a reply that tell of events or weather, such as a driver's label."""
    return names(facts.entry) if facts.entry.tool != "question" else []


def _tells(text: str, said: str) -> bool:
    return re.search(rf"\b(?:{said})", text, re.IGNORECASE) is not None


def _near(reader: Reader, scope: Scope, entries: list[str]) -> bool:
    """Whether an entry with the event is about the place named, if one is."""
    if not scope.named_places:
        return True
    return any(
        not facts.about or facts.about & scope.named_places or facts.ids & scope.named_places
        for facts in reader.facts
        if facts.entry.id in entries
    )
