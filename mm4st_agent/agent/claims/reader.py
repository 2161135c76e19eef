"""The text of an answer while it is read: which characters a rule has taken, its sentences, parts and places."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from mm4st_agent.agent.answer import Claim, ClaimKind
from mm4st_agent.agent.claims.derived import across
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.quantities import UnitReader

POINTER = re.compile(r"\[(E\d+(?:\s*,\s*E\d+)*)\]")
_SENTENCE_END = re.compile(r"(?<![ap]\.m)(?<!\bi\.e)(?<!\be\.g)(?<!\bvs)(?<!\bapprox)[.!?;](?=\s)|\n")
_PART_END = re.compile(
    r"\s(?=and\s+(?:[\d.,]+\s[^.;]{0,30}\sat\s\d{1,2}:\d\d|(?:the\s+)?(?:low|high|slow|fast|busi|quiet)\w*est))|"
    r"(?<=[^\d])[:–—](?=\s)|\s[–—-](?=\s)|,(?=\s)(?!\sby\s(?:\w+\s)?\d)|(?<!rather)\s(?=(?:but|yet|while|whereas|although|"
    r"though|because|which|then|"
    r"instead\s+of|in\s+place\s+of|rather\s+than|compared\s+(?:with|to)|relative\s+to|against|"
    r"versus|vs\.?|than|with\s+(?:a|an|the|only)|"
    r"and\s+(?:ends?|starts?|falls?|rises?|drops?|climbs?|then|reaches|the|it|"
    r"its|is|was|will|an?|has|peaks?|expects?|at|on|station\s|sensor\s|_{2,}))\b)",
    re.IGNORECASE,
)
_OPENER = re.compile(
    r"(?:\W*(?:(?:the |an )?(?:day|hour) (?:before|earlier)|"
    r"normally|usually|typically|ordinarily|currently|right now|now|today|"
    r"(?:per|every) (?:\w+ )?(?:minutes?|hours?)|"
    r"(?:over|in|during|for|within) the (?:last|past|next|coming) [^,.;]{1,25}|(?:at|with|averaging) (?:[^,.;]|"
    r"[.,](?=\d)){1,40}|"
    r"(?:in|on|at|by|over|during|for|with|without|from|since|before|after|going by|judging by|according to|based on|"
    r"leaving|taking|taken|as of|per|under|had|if|ahead of|right) "
    r"(?:(?!\b(?:is|are|was|were|has|have|will|does|did|\w{3,}ed(?!,))\b)[^,.;:()\d]|\d{1,2}:\d\d|"
    r"\d{1,3}[ -](?:minute|hour)s?\b|\d{1,2} (?:Jan|Feb|Mar|Apr|May|Ju[nl]|Aug|Sep|Oct|Nov|Dec)){1,70})"
    r"(?:,? at this time[^,.;]{0,20})?,(?=\s))+",
    re.IGNORECASE,
)
"""Words at the head of a sentence that hold for what stands behind their comma."""

_NOTHING = re.compile(r"\s*(?:about |around |roughly |some )?")
_APPOSED = re.compile(r"\s*(?:,|\.(?!\d)|$)")
"""'The text share, 64 %, is larger': a number alone between commas belongs to what stands before it."""
_LABEL = re.compile(
    r"\W*(?!(?:\w+\s+)*(?:is|are|was|were|has|have|says?|does|runs?)\b)(?:[^\W\d][\w'/-]*\s?){1,4}", re.IGNORECASE
)
"""'Half-hour mean: 45.9 km/h': a few words before a colon tell what stands behind it."""
_OPENING = re.compile(r"\W*\[(E\d+(?:,\s*E\d+)*)\]\s+\w")
"""A mark at the head of a sentence holds for all of it."""
SUBSTANCE = re.compile(r"\b(PM|NO|CO|O|SO)(\d+(?:\.\d+)?)(?!\w)", re.IGNORECASE)
"""The digits of NO2 or PM2.5 are no number."""


@dataclass(frozen=True)
class Mention:
    """Where the answer names a place; several ids where the name is shared."""

    start: int
    end: int
    places: frozenset[str]


@dataclass(frozen=True)
class Judged:
    """A claim and, where nothing supports it, why."""

    claim: Claim
    why: str = ""


def units_of(ledger: Iterable[Evidence]) -> UnitReader:
    """Reads the units of these entries, and common ones."""
    return UnitReader({value.unit for entry in ledger for value in entry.values.values()})


@dataclass
class Reader:
    """The text and the ledger, latest entry first.

    Attributes:
        present: Ids of the entries of the present question.
        judged: The claims so far.
        mentions: The places that the answer names, once `names` has read them.
        quoted: Characters inside quotations and evidence marks: no words of the answer's own.
    """

    text: str
    ledger: Sequence[Evidence]
    present: set[str]
    judged: list[Judged] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._taken = bytearray(len(self.text))
        self._own = SUBSTANCE.sub(lambda found: found[1] + "_" * len(found[2]), self.text)

    # -- what has been read ---------------------------------------------------------------------

    def free(self, start: int, end: int) -> bool:
        return not any(self._taken[start:end])

    def take(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\1" * (end - start)

    def hide(self, start: int, end: int) -> None:
        """Keep characters that are not the answer's own words from being read as such."""
        self._own = self._own[:start] + re.sub(r"\S", "_", self._own[start:end]) + self._own[end:]

    @property
    def own(self) -> str:
        """The text without the characters of quotations and marks."""
        return self._own

    # -- sentences ------------------------------------------------------------------------------

    @cached_property
    def _ends(self) -> list[int]:
        return [m.end() for m in _SENTENCE_END.finditer(self._own)]

    def sentence(self, position: int) -> tuple[int, int]:
        """Where the sentence around a position starts and ends."""
        at = bisect_right(self._ends, position)
        start = self._ends[at - 1] if at else 0
        return start, self._ends[at] if at < len(self._ends) else len(self.text)

    def part(self, start: int, end: int) -> tuple[int, int]:
        """The part of the sentence around a claim, between commas and words such as "but"."""
        first, last = self.sentence(start)
        opened = self._own.rfind("(", first, start)
        if opened >= 0 and self._own.find(")", opened, start) < 0:
            closed = self._own.find(")", end, last)
            return self.part(opened, opened + 1)[0], closed if closed >= 0 else last
        opener = _OPENER.match(self._own, first, last)
        for found in _PART_END.finditer(self._own, opener.end() if opener else first, last):
            if self._own.count("(", first, found.start()) > self._own.count(")", first, found.start()):
                continue  # inside brackets
            if found[0] == ":" and _LABEL.fullmatch(self._own, first, found.start()):
                continue
            if found.end() <= start:
                if (
                    found[0] == ","
                    and _NOTHING.fullmatch(self._own, found.end(), start)
                    and _APPOSED.match(self._own, end)
                ):
                    continue
                first = found.end()
            elif found.start() >= end:
                return first, found.start()
        return first, last

    def pointed(self, end: int) -> list[str]:
        """The entries that the first mark behind a claim, in its sentence or right behind it, points to."""
        first, last = self.sentence(max(0, end - 1))
        opening = _OPENING.match(self.text, first)
        heads = self.text[:first].rstrip(" ")[-1:] in ("", ";", ":", "\n")  # behind a full stop it is the last one's
        if opening is not None and heads and opening.end() < end:
            return re.findall(r"E\d+", opening[1])
        mark = re.compile(r"\s*\[E").match(self.text, last)  # "... as usual. [E4]"
        closing = self.text.find("]", last) + 1 if mark else last
        found = POINTER.search(self.text, end, closing)
        return re.findall(r"E\d+", found[1]) if found else []

    # -- evidence -------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> list[Facts]:
        """Of all entries, the latest first."""
        return [Facts(entry) for entry in self.ledger]

    @cached_property
    def all_facts(self) -> list[Fact]:
        """Of the entries that a claim may rest on: those of the question, and those that the text points to."""
        pointed = {pointer for found in POINTER.finditer(self.text) for pointer in re.findall(r"E\d+", found[1])}
        at_hand = [facts for facts in self.facts if facts.entry.id in self.present | pointed]
        return [
            *(fact for facts in at_hand for fact in facts.all),
            *across(fact for facts in at_hand for fact in facts.numbers),
        ]

    @cached_property
    def units(self) -> UnitReader:
        return units_of(self.ledger)

    @cached_property
    def ids(self) -> frozenset[str]:
        """Every id that a tool gave."""
        return frozenset().union(*(facts.ids for facts in self.facts))

    def allowed(self, end: int) -> set[str]:
        """The entries that may support a claim that ends there."""
        pointed = set(self.pointed(end))
        return pointed or self.present

    def places(self, start: int, end: int) -> list[Mention]:
        return [mention for mention in self.mentions if start <= mention.start < end]

    # -- claims ---------------------------------------------------------------------------------

    def add(
        self,
        span: tuple[int, int],
        kind: ClaimKind,
        value: float | str,
        unit: str | None,
        ids: Sequence[str],
        *,
        bound: bool = True,
        why: str = "nothing in the evidence says so",
        correct: str | None = None,
    ) -> None:
        """Note a claim that the entries `ids` support; a bound one needs those that its sentence points to.

        Args:
            span: Its characters.
            kind: What it is.
            value: What it says.
            unit: Of a number.
            ids: Entries that support it, or that correct it.
            bound: Whether entries of earlier questions support it only where the sentence points to them.
            why: What is said of it where nothing supports it.
            correct: The words that the ledger has instead; None: it stands as written.
        """
        pointed = self.pointed(span[1])
        chosen = [i for i in pointed if i in ids]
        if not chosen and not (bound and pointed):
            chosen = [i for i in ids if not bound or i in self.present][:1]
        self.take(*span)
        text = self.text[span[0] : span[1]] if correct is None or not chosen else correct
        status = "unsupported" if not chosen else "verified" if correct is None else "corrected"
        claim = Claim(text=text, span=span, kind=kind, value=value, unit=unit, status=status, evidence=chosen)
        self.judged.append(Judged(claim, why if status == "unsupported" else ""))
