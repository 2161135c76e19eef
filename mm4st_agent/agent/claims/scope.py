"""What the words around a claim say that it is about: places, times, quantity, and the part of the sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.parallels import parallel_place
from mm4st_agent.agent.claims.reader import Mention, Reader
from mm4st_agent.agent.claims.said_channels import said_channels
from mm4st_agent.agent.claims.said_times import AHEAD, DAY, LASTING, minutes_of, said_times, timeless
from mm4st_agent.agent.clock_words import WHEN, WrittenTime, written_time
from mm4st_agent.agent.number_words import COUNT, count_of

_DEPENDS = re.compile(
    r"\s*(?:which|where|in place of|instead of|rather than|compared (?:with|to)|against|versus|vs\.?)\b", re.IGNORECASE
)
_FOLLOWED = re.compile(r"\bfollowed by\b", re.IGNORECASE)
_LONG_PAST = re.compile(r"last|past|previous|preceding|day|daily|24-hour|mean|average", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)")
_AT = re.compile(r"[*\s]*(?:at|on|in|for)\s+(?:the\s+)?(?:(?:road|air)\s+)?(?:stations?\s+|sensor\s+|detector\s+)?\**")
_THE_OTHER_ONE = re.compile(r"\s*(?:at|for|of)\s+the\s+(?:\w+est|other)(?: one| station| place)?\b", re.IGNORECASE)
_APART = re.compile(r"\b(?:apart from|except(?: for)?|besides|other than|excluding)\s+$", re.IGNORECASE)
_ANOTHER_CLAUSE = re.compile(r"\b(?:while|whereas|but|yet|although|than|against)\b", re.IGNORECASE)
_RIGHT_BEHIND = re.compile(r",?\s+\(?(?:(?:reached |recorded |measured |seen )?(?:at|around))\s+")
_ANOTHER_DAY = re.compile(
    r"\b(?:an?|one|the|next|previous|following|preceding) (?:\w+ )?day (?:before|after|earlier|later)?\b", re.IGNORECASE
)
_NEXT_NUMBER = re.compile(
    r"(?<![\w:.,])\d[\d,]*(?:\.\d+)?(?![\d:,]|\.\d|st\b|nd\b|rd\b|th\b|-|\s*(?:hours?|minutes?|min|h|days?)\b|"
    r"\s+[A-Z][a-z])"
)
"""A value, and no time or length of time."""
_CONTRAST = re.compile(
    r"[,;]\s+(?:and (?:the|its|it)|but|yet|while|whereas|although|though)\b|\s(?:than|versus|vs\.?|against|compared)\s",
    re.IGNORECASE,
)
_PAIRED = re.compile(r"\s*(?:to|and|or|–|-)\s*(?:about |around )?", re.IGNORECASE)
"""Between the first number of a pair and the second."""
_LATER = re.compile(
    rf"\b(?P<many>{COUNT.pattern}|\d+) (?P<unit>minutes?|hours?) (?P<way>later|earlier)\b", re.IGNORECASE
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|will|would|can|could|may|might|should|do(?:es)?|did|runs?|stands?|"
    r"moves?|gives?|"
    r"makes?|shows?|reach(?:es)?|carr(?:y|ies)|counts?|averages?|expects?|lies?|sits?|needs?|takes?|comes?|goes?|"
    r"\w{3,}ed)\b",
    re.IGNORECASE,
)
_INTERVAL = re.compile(r"\b(?:between|from)\s+(?:about )?[\d,.]*$", re.IGNORECASE)
_RESPECTIVELY = re.compile(r"\d\s*(?:[\w/%³µ]+\s*){0,3}(?:versus|vs\.?|against|and)\s+(?:about\s+)?\d", re.IGNORECASE)
_TO_A_PAIR = re.compile(r"(?:\s+(?:were|are|was|is|ran|stood|averaged)(?: at)?|:)?\s*\(?\s*(?:about )?[\d,.]*")
_JOINED_TO_OTHERS = re.compile(r"[\w)],\s+$")
"""Before the second of three places."""


@dataclass(frozen=True)
class Scope:
    """Around one claim.

    Attributes:
        sentence: The whole sentence, without quotations and marks.
        part: The part of it that holds the claim.
        before: The part up to the claim.
        after: The part behind it.
        previous: The sentence before, with what semicolons join to it.
        bare: Whether it is a number without a unit.
    """

    reader: Reader
    span: tuple[int, int]
    bare: bool = False

    @cached_property
    def _sentence(self) -> tuple[int, int]:
        return self.reader.sentence(self.span[0])

    @cached_property
    def _part(self) -> tuple[int, int]:
        return self.reader.part(*self.span)

    @cached_property
    def sentence(self) -> str:
        return self.reader.own[slice(*self._sentence)]

    @cached_property
    def raw(self) -> str:
        """The sentence with its quotations, names and marks."""
        return self.reader.text[slice(*self._sentence)]

    @cached_property
    def context(self) -> str:
        """The sentence, the one before, and in a list the line above the list."""
        start = self._sentence[0]
        above = ""
        if self.sentence.lstrip().startswith(("-", "*")) or re.search(
            r"\n[-*] [^\n]*$", self.reader.own[: self.span[0]]
        ):
            heads = re.findall(r"[^\n]*:[ ]*(?=\n)", self.reader.own[:start])
            above = heads[-1] if heads else ""
        return f"{above} {self.previous} {self.sentence}"

    @property
    def around(self) -> tuple[int, int]:
        """Where the part stands, with its brackets."""
        start, end = self._part
        opened = self.reader.own.rfind("(", self._sentence[0], self.span[0])
        return (opened if opened >= 0 else start), end + 1

    @cached_property
    def part(self) -> str:
        return self.reader.own[slice(*self._part)]

    @cached_property
    def clause(self) -> str:
        """The part, with those before it whose verb it shares: 'but only some 3 km/h at S116'."""
        start, end = self._part
        while start > self._sentence[0] and not _VERB.search(_FOLLOWED.sub("", self.reader.own[start:end])):
            start = self.reader.part(start - 1, start - 1)[0]
        return self.reader.own[start:end]

    @cached_property
    def before(self) -> str:
        return _BRACKETS.sub(lambda found: " " * len(found[0]), self.reader.own[self._part[0] : self.span[0]])

    @cached_property
    def after(self) -> str:
        return self.reader.own[self.span[1] : self._part[1]]

    @cached_property
    def dependent(self) -> bool:
        """Whether the part leans on the one before it: 'which would be 47.5', 'in place of 54', 'against 31'."""
        return _DEPENDS.match(self.part) is not None

    @cached_property
    def words_before(self) -> str:
        """`before` without the digits of times and lengths of time."""
        return timeless(self.before)

    @cached_property
    def ahead(self) -> str:
        """The sentence up to the claim."""
        return self.reader.own[self._sentence[0] : self.span[0]]

    @cached_property
    def reach(self) -> str:
        """The sentence up to the next number or contrast behind the claim: what stands there is said of that."""
        contrast = _CONTRAST.search(self.reader.own, self.span[1], self._sentence[1])
        end = contrast.start() if contrast else self._sentence[1]
        for found in _NEXT_NUMBER.finditer(self.reader.own, self.span[1], end):
            if not _PAIRED.fullmatch(self.reader.own[self.span[1] : found.start()]):
                return self.reader.own[self._sentence[0] : found.start()]
        return self.reader.own[self._sentence[0] : end]

    @cached_property
    def previous(self) -> str:
        start = self._sentence[0]
        if start == 0:
            return ""
        first = self.reader.sentence(start - 1)[0]
        while first > 0 and self.reader.text[:first].rstrip().endswith(";"):
            first = self.reader.sentence(first - 1)[0]
        return self.reader.text[first:start]

    # -- place ----------------------------------------------------------------------------------

    @cached_property
    def places(self) -> frozenset[str]:
        """Ids that the claim may be about; empty where the text leaves that open."""
        own = self.reader.places(*self._part)
        at = _AT.match(self.reader.own, self.span[1])
        if at is not None and (here := [mention for mention in own if mention.start == at.end()]):
            return here[0].places
        inside = re.compile(r"\s*\(\s*").match(self.reader.own, self.span[1])
        if inside is not None and (here := [m for m in self.reader.mentions if m.start == inside.end()]):
            return here[0].places
        if _THE_OTHER_ONE.match(self.reader.own, self.span[1]):
            return frozenset()  # "the 14 km/h at the slowest one"
        named = [m for m in self.reader.places(*self._sentence) if not _APART.search(self.reader.own[: m.start])]
        own = [mention for mention in own if mention in named]
        if (place := parallel_place(self.reader.own, self._sentence, self.span, named)) is not None:
            return place.places
        if (pair := self._of_a_pair(named)) is not None:
            return pair.places
        if own:
            before = [mention for mention in own if mention.start < self.span[0]]
            behind = [mention for mention in own if mention.start >= self.span[1]]
            if before and behind and self._of_another(before[-1]) and self._reaches(behind[0]):
                return behind[0].places  # "1.6 km/h at S039 and 18.1 vehicles for the flow at S071"
            return (before[-1] if before else own[0]).places
        if not named and self.reader.pointed(self.span[1]):
            return frozenset()  # the mark says what it is about
        if not named:
            earlier = [mention for mention in self.reader.mentions if mention.start < self.span[0]]
            if not earlier:
                return frozenset()
            return earlier[-1].places | earlier[0].places
        before = [mention for mention in named if mention.start < self.span[0]]
        if not before and _ANOTHER_CLAUSE.search(self.reader.own, self.span[1], named[0].start):
            return frozenset()
        numbers = _RESPECTIVELY.search(self.sentence)
        if len(before) == 2 and numbers is not None and not _INTERVAL.search(self.sentence[: numbers.start()]):
            first = self.span[0] - self._sentence[0] <= numbers.start() + 1
            return before[0 if first else 1].places
        return frozenset().union(*(mention.places for mention in before or named))

    def _of_a_pair(self, named: list[Mention]) -> Mention | None:
        """The place that stands where this number does: 'S039 ran faster than S096 (57.4 versus 55.4 km/h)'."""
        start = self._sentence[0]
        for pair in _RESPECTIVELY.finditer(self.sentence):
            first, last = start + pair.start(), start + pair.end()
            before = [mention for mention in named if mention.end <= first][-2:]
            if len(before) < 2 or before[0].places == before[1].places:
                continue
            between = self.reader.own[before[1].end : first]
            if not _TO_A_PAIR.fullmatch(between) or _JOINED_TO_OTHERS.search(self.reader.own[: before[0].start]):
                continue
            if self.span[0] <= first < self.span[1]:
                return before[0]
            if self.span[0] < last <= self.span[1]:
                return before[1]
        return None

    def _of_another(self, mention: Mention) -> bool:
        """Whether a place of the part stands right behind another number."""
        ahead = self.reader.own[self._part[0] : mention.start]
        return re.search(r"\d[\d.,]*[^\d]{1,30}\b(?:at|for|of|in|on)\s+$", ahead) is not None

    def _reaches(self, mention: Mention) -> bool:
        """Whether a place of the part is said of the claim, which stands before it."""
        between = self.reader.own[self.span[1] : mention.start]
        return re.fullmatch(r"[^\d;]{0,30}\b(?:at|for|of|in|on)\s+", between) is not None

    @cached_property
    def named_places(self) -> frozenset[str]:
        """Ids that the sentence names."""
        return frozenset().union(*(mention.places for mention in self.reader.places(*self._sentence)))

    # -- time -----------------------------------------------------------------------------------

    @cached_property
    def times(self) -> list[WrittenTime]:
        """Of the part, and the one right behind the claim: '57 mph, at 04:50'."""
        right_behind = _RIGHT_BEHIND.match(self.reader.own, self.span[1])
        found = WHEN.match(self.reader.own, right_behind.end()) if right_behind else None
        written = written_time(found) if found else None
        beyond = found is not None and found.start() >= self._part[1]
        own = self.reader.own[self._part[0] : min(self._part[1], self._sentence[0] + len(self.reach))]
        return self._moved or [*said_times(own), *([written] if written is not None and beyond else [])]

    @cached_property
    def _moved(self) -> list[WrittenTime]:
        """The clock time of '14:50, and five minutes later'; none where no time is moved."""
        by = _LATER.search(self.reach, len(self.ahead))
        ahead = [
            one for one in said_times(self.ahead) if one.hour is not None and one.minute is not None and not one.either
        ]
        if by is None or not ahead:
            return []
        many = count_of(by["many"]) if COUNT.fullmatch(by["many"]) else int(by["many"])
        minutes = many * (60 if by["unit"].lower().startswith("h") else 1) * (1 if by["way"].lower() == "later" else -1)
        moment = datetime(2000, 1, 1, ahead[-1].hour or 0, ahead[-1].minute or 0) + timedelta(minutes=minutes)
        return [WrittenTime(hour=moment.hour, minute=moment.minute)]

    @cached_property
    def all_times(self) -> list[WrittenTime]:
        """Of the sentence."""
        return said_times(self.sentence)

    @cached_property
    def reached_times(self) -> list[WrittenTime]:
        """Of the sentence up to the next number: what stands behind that is said of it."""
        return said_times(self.reach)

    @cached_property
    def days(self) -> list[str]:
        """Weekdays, "today" and "yesterday" of the part, else of the sentence."""
        if _ANOTHER_DAY.search(re.split(r"\d", self.after)[0]):
            return []
        said = [found["day"].lower().removesuffix("'s") for found in DAY.finditer(self.part)]
        if said or self.times or _ANOTHER_DAY.search(self.reach[len(self.ahead) :]):
            return said
        return [m["day"].lower().removesuffix("'s") for m in DAY.finditer(self.reach)]

    @cached_property
    def lasting(self) -> float | None:
        """Minutes back that the part, or else the only one of the sentence, speaks of."""
        compared = cues.COMPARED.search(self.sentence) is not None
        for text, whole in ((self.part, False), ("" if compared else self.reach, True)):
            spans = [m for m in LASTING.finditer(text) if (_LONG_PAST.search(m[0]) if whole else self._beside(m))]
            found = {minutes for m in spans if (minutes := minutes_of(m)) is not None}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def _beside(self, found: re.Match[str]) -> bool:
        """Whether no other number stands between a length of time in the part and the claim."""
        start, end = found.start() + self._part[0], found.end() + self._part[0]
        between = self.reader.own[end : self.span[0]] if end <= self.span[0] else self.reader.own[self.span[1] : start]
        return re.search(r"\d", between) is None and re.search(r"\b(?:times|exceeds?|than|of the)\b", between) is None

    @cached_property
    def reaching(self) -> float | None:
        """Minutes ahead that the part, or else the only one of the sentence, speaks of."""
        for text in (self.part, self.sentence):
            found = {minutes for m in AHEAD.finditer(text) if (minutes := minutes_of(m)) is not None}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    # -- quantity -------------------------------------------------------------------------------

    def channels(self, ledger: list[Facts]) -> set[str]:
        """Channels of the ledger that the part names, else the sentence up to `reach`, else the one before."""
        texts = (self.reader.text[slice(*self._part)], self.raw[: len(self.reach)], self.previous)
        return next((found for text in texts if (found := said_channels(text, ledger))), set())

    @cached_property
    def sign(self) -> int:
        """What the part says of more or less; see `cues.sign`."""
        return cues.sign(self.part)
