"""Events: how people call them, and how many of a sort an entry holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.scope import Scope

_SORTS: tuple[tuple[str, str], ...] = (
    (r"collisions?|crash(?:es)?|accidents?|pile-?ups?", r"collision|crash|accident|hit|trfc"),
    (r"(?:road |lane |street |full )?closures?|closed (?:lanes?|roads?)|blockages?|blocked (?:lanes?|roads?)",
     r"clos(?:ed|ure)|block"),
    (
        r"resurfacing|(?:road ?)?works(?! (?:out|well|at|as|like|by)\b)|"
        r"construction(?: works?)?|maintenance(?: works?| notes?)?|"
        r"permits?|repairs?", r"works?\b|permit|maint|repair|construct"),
    (r"break-?downs?|broken[- ]down (?:\w+)|stalled (?:\w+)|disabled (?:\w+)", r"broke|breakdown|stall|disabled"),
    (r"concerts?", r"concert"),
    (r"(?:football|soccer|rugby|cup|home) (?:match(?:es)?|games?)", r"match|game|football|stadium"),
    (r"festivals?|parades?|marathons?|demonstrations?|protests?|marches",
     r"festival|parade|marathon|demonstrat|protest|march"),
    (r"strikes?", r"strike"),
    (r"fireworks?", r"firework"),
    (r"fires?|wildfires?(?: smoke)?|smoke", r"fire|smoke"),
    (r"flood(?:s|ing|ed)?", r"flood|under water"),
    (r"burst (?:water )?(?:mains?|pipes?)|water mains?|gas leaks?", r"burst|main\b|leak|pipe"),
    (r"(?:heavy )?rain(?:fall|storms?)?|storms?|thunderstorms?", r"rain|storm|shower"),
    (r"(?:heavy )?snow(?:fall|storms?)?|ice|black ice", r"snow|ice\b"),
    (r"fog", r"fog"),
    (r"(?<!fine )dust(?: storms?)?", r"dust"),
    (r"(?:overturned |jack-?knifed )?(?:lorr(?:y|ies)|trucks?|tankers?)|school bus(?:es)?|cyclists?|pedestrians?",
     r"lorr|truck|tanker|school bus|cyclist|pedestrian"),
    (r"ozone|sul(?:ph|f)ur dioxide|carbon monoxide|speed cameras?|parking|bus positions?|toll gates?|humidity",
     r"ozone|sul(?:ph|f)ur|carbon monoxide|speed camera|parking|bus|toll gate|humidity"),
    (r"injur(?:y|ies|ed)|casualt(?:y|ies)|fatalit(?:y|ies)|people killed", r"injur|casualt|fatal|killed"),
    (r"detours?|diversions?", r"detour|diversion|diverted"),
    (r"fire brigade|firefighters|ambulances?|health office|hospital",
     r"fire brigade|firefighter|ambulance|health office|hospital"),
    (r"power (?:cuts?|outages?|failures?|suppl(?:y|ies))", r"outage|power"),
)  # fmt: skip
ANY = (
    r"events?|incidents?|alerts?|bulletins?|happenings?|disruptions?|notices?|"
    r"entries|entry|warnings?|announcements?|things(?= (?:were|are|have been) (?:logged|"
    r"reported))"
)
NAMES = f"{ANY}|{'|'.join(names for names, _ in _SORTS)}"
HAPPENINGS = re.compile(rf"\b(?:{NAMES})\b", re.IGNORECASE)
_PART = re.compile(r"/\d+$")


def sort_of(noun: str) -> str | None:
    """What the text of an event of this sort says, as a pattern; None for words that fit any event."""
    for names, said in _SORTS:
        if re.fullmatch(names, noun, re.IGNORECASE):
            return said
    return None


def logged(facts: Facts) -> bool:
    """Whether an entry looked for events."""
    return "events_found" in facts.entry.values or bool(_texts(facts))


def happenings(facts: Facts, words: str, noun: str, scope: Scope) -> Iterator[float]:
    """How many events of the sort an entry holds: entries of the log, and happenings that they are about."""
    said = sort_of(noun)
    if said is None:
        whole = (
            re.search(r"\blog\b|in (?:total|all)|data ?set|holds?\b|whole|logged|record", scope.part, re.IGNORECASE)
            is not None
        )
        near = re.search(r"near|around|close|nearby|past|last|hours?", scope.part, re.IGNORECASE) is not None
        for fact in facts.numbers:
            if (
                fact.role == "events_found"
                or (fact.role == "events_announced" and "announc" in scope.sentence.lower())
                or (fact.role == "events" and not near)
                or (fact.role == "events_logged" and whole and not near)
                or fact.role == "logged"
            ):
                yield fact.value
        if "events_found" in facts.entry.values and not near:
            yield float(len({_PART.sub("", doc) for doc, _ in _texts(facts)}))
        elif texts := _texts(facts):
            yield float(len({_PART.sub("", doc) for doc, _ in texts}))
            if "events_found" not in facts.entry.values:
                yield float(len(texts))
        return
    if not logged(facts):
        return
    found = [doc for doc, text in _texts(facts) if re.search(rf"\b(?:{said})", text, re.IGNORECASE)]
    yield float(len({_PART.sub("", doc) for doc in found}))


def _texts(facts: Facts) -> list[tuple[str, str]]:
    """Document and words of each dated passage; general notes tell of no event."""
    kinds = {p: str(w) for p, w in facts.entry.words.items() if p.endswith(".kind")}
    return [
        (passage.doc_id, f"{passage.text} {' '.join(kinds.values()) if len(facts.entry.texts) == 1 else ''}")
        for passage in facts.entry.texts
        if passage.published_at is not None
    ]


def texts_of(facts: Facts) -> list[str]:
    """The words of each event of an entry, with its place."""
    return [f"{p.text} {p.place or ''}" for p in facts.entry.texts if p.published_at is not None]
