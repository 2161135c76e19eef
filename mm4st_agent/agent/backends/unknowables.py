"""What no measurement of a place can tell: who people are, what they feel or want, and whose fault something is."""

from __future__ import annotations

import re
from typing import Literal

Unknowable = Literal["identity", "feelings", "purposes", "blame"]

_PEOPLE = (
    r"(?:drivers?|people|persons?|passengers?|motorists?|commuters?|travell?ers?|cyclists?|residents?|inhabitants"
    r"|tourists?|users?|folks?|women|men|those (?:who|in|on|that)|of (?:those|them)|everyone|everybody|crowds?"
    r"|families)"
)
_FEELING = (
    r"(?:angr(?:y|ier)|annoyed|happy|happier|unhappy|sad|stressed|frustrated|impatient|nervous|afraid|scared|tired"
    r"|bored"
    r"|drunk|asleep|relaxed|satisfied|pleased|upset|furious|cheerful|polite|rude|aggressive|careless|distracted|feel"
    r"|felt|feeling|feelings|think|thought|mood|moods|opinions?|enjoy(?:ed|ing)?|like[ds]?|hate[ds]?|worried|in love)"
)
_KINDS: dict[Unknowable, str] = {
    "blame": r"\b(?:who|whose|which (?:driver|person|company))\b.{0,40}\b(?:caused|causes|to blame|blame|fault|guilty"
    r"|responsible|liable|negligent)\b|\bwhose fault\b|\bwho (?:is|was|were|are) (?:behind|at the wheel)\b",
    "identity": r"\b(?:the|their|his|her|what(?:['’]s| is| are| was| were)) (?:names?|identity|identities"
    r"|phone numbers?|telephone numbers?|addresse?s?|e-?mails?|ages?|gender"
    r"|nationalit(?:y|ies)|licen[cs]e plates?|number plates?|registration(?: numbers?)?)\b.{0,10}\b(?:of|from)\b.{0,20}"
    rf"\b(?:the |that |each |every )?(?:\w+ )?(?:{_PEOPLE}|cars?|vehicles?)\b"
    rf"|\b(?:{_PEOPLE}|cars?|vehicles?)['’]s? (?:\w+ )?(?:names?|phone|address|age|plates?)\b"
    r"|\bwho(?:se (?:car|vehicle|van|truck|lorry))?\s+(?:was|were|is|are|has|have|had|did)?\s*(?:it\s+)?(?:the\s+)?"
    r"(?:first\s+|last\s+|it\s+)?(?:passed|passes|passing|drove|drives|driving|crossed|crossing|crashed|parked|speeding"
    r"|sped|nearest|sitting|walked|went (?:by|past|through)|came (?:by|past|through))\b"
    rf"|\bhow many\b.{{0,30}}\b(?:of (?:them|those)|{_PEOPLE}|cars|vehicles)\b.{{0,40}}\b(?:were|are|had|have|was)\s+"
    r"(?:men|women|male|female|children|tourists|locals|foreigners|over \d+|under \d+|older|younger|red|blue|black"
    r"|white"
    r"|electric|diesel|insured|stolen|rented|wearing|married)\b",
    "purposes": rf"\b(?:{_PEOPLE}|cars|vehicles)\b.{{0,50}}\b(?:on (?:their|the) way (?:to|home|from)|want(?:ed)? to"
    r"|wish(?:ed)? to|intend\w*|plan(?:ned)? to|heading (?:home|to work)|going (?:home|to work|shopping|on holiday)"
    r"|late for|coming from|bound for)\b"
    rf"|\b(?:where|why) (?:are|were|do|did) (?:all )?(?:the |these |those )?(?:{_PEOPLE}|cars|vehicles)\b.{{0,40}}"
    r"\b(?:want(?:ed)? to|heading|headed|com(?:e|ing) from|going|bound|travel\w*)\b(?!.{0,20}\b(?:slow|fast|km/h|mph))",
    "feelings": rf"\b{_PEOPLE}\b.{{0,50}}\b{_FEELING}\b|\b(?:how|what)\b.{{0,25}}\b{_FEELING}\b.{{0,30}}\b{_PEOPLE}\b"
    rf"|\b(?:mood|morale) (?:of|among|at|in|on)\b|\bhow (?:did|do|does) (?:the )?{_PEOPLE} (?:feel|think|like)\b",
}
_PATTERNS = {kind: re.compile(words, re.IGNORECASE) for kind, words in _KINDS.items()}


def unknowable(question: str) -> Unknowable | None:
    """What kind of thing a question asks that these data can never tell; None where it asks none.

    >>> unknowable("How many drivers were angry at the station?"), unknowable("Who caused the crash?")
    ('feelings', 'blame')
    >>> unknowable("How many cars passed the station?") is None
    True
    """
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(question)), None)
