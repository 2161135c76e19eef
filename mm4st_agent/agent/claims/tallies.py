"""What a reply counts: of things by their noun, of items with a property, of items beyond a limit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.happenings import HAPPENINGS, happenings
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.number_words import COUNT, SHARE, count_of, share_of
from mm4st_agent.agent.quantities import plain

THINGS: tuple[tuple[str, str], ...] = (
    (r"stations?|sensors?|detectors?|places?|nodes?|locations?|sites?|points",
     r"nodes|places|ranked|unread|unknown|found|complete|silent"),
    (r"weeks?", r"usual_weeks|cycles"),
    (r"anomal\w+|outliers?|stretch(?:es)?|oddit\w+|unusual \w+|spikes?|excursions?|deviations?", r"anomaly_count"),
    (r"level changes?|changes?|shifts?|jumps?|breaks?", r"change_count|changes"),
    (r"steps?|readings?|measurements?|values?|intervals?|cells?|samples?|points?",
     r"steps|measured|imputed|missing|usual_readings|cells|both_measured|unread"),
    (r"forecasts?|predictions?", r"forecasts|draws"),
    (r"moments?|windows?|cases?|analogs?|situations?|days?|occasions?|mornings|evenings|nights|look-?alikes?",
     r"searched|forecasts|inside|analogs|logged"),
    (r"drivers?|inputs?|factors?", r"removed|inputs_tried|drivers"),
    (r"removals?|draws?|tests?|times", r"draws|switches|removed|inputs_tried|forecasts|cycles"),
    (r"edges?|links?|hops?|connections?", r"edges|hops"),
    (r"trajector\w+|vehicles tracked|objects?", r"trajectories"),
    (r"channels?|quantit\w+", r"channels"),
    (r"lanes?", r"lanes"),
    (r"covariates?|variables?", r"covariates"),
    (r"implausible \w+", r"implausible_count|implausible"),
    (r"switches|times", r"switches|changes|change_count"),
    (r"entries|entry|reports?|items?", r"events\w*|logged|entries"),
    (r"services?", r"nodes"),
)  # fmt: skip
"""Nouns, and the counts of a reply that count them."""
_STATES = ("silent", "complete", "unread", "unknown")
_OF_ALL = re.compile(r"\bof (?:the|all)\s+$", re.IGNORECASE)
_ALL_THERE = re.compile(r"\ball\b[^.;]*\b(?:present|measured|available|there|complete)\b", re.IGNORECASE)
QUANTIFIED = re.compile(
    rf"\b(?P<many>all|each|every|none|(?:only )?one|{COUNT.pattern}|\d+) "
    r"(?:of (?:the|these|those|them)|(?:\w+ )?(?:stations?|places?|steps?))\b",
    re.IGNORECASE,
)
"""'Only one of the five is above 50 km/h'."""
_LIMIT = re.compile(r"(?<![\w:.])\d[\d,]*(?:\.\d+)?(?![\w:])")
_CHANGED = re.compile(
    r"\b(?:lost|los(?:e|es|ing)|gain(?:s|ed|ing)?|dropped|f[ae]ll(?:en)?|slowed|declined|rose|risen|changed|shed)\b",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"miss|gap|lack|without|absent|lost|(?:never|not) (?:arrive|come|came)", re.IGNORECASE)
_NOT_FORECAST = re.compile(
    r"[^,;.]*\b(?:cannot|can't|could not|couldn't|are not|were not|not)\s+(?:be\s+)?"
    r"(?:forecast|predicted|ranked|read)\b",
    re.IGNORECASE,
)
_OF = re.compile(r"\bof\b[^\d,;.]*$")
_NEVER_CAME = re.compile(
    r"[^,;.]*\b(?:readings?|steps?|values?|measurements?)\s+(?:(?:are|were|is|was|have|has|had|went|gone)\s+)?"
    r"(?:missing|lost|absent|lacking|never|did not|didn't)\b",
    re.IGNORECASE,
)
"""'7 of the 288 readings never arrived'."""
_OVER = re.compile(
    r"\b(?:(?:more|higher|faster|greater|longer) than|above|over|exceed\w*|past|beyond)\s+(?:about |a |the )?$",
    re.IGNORECASE,
)
_UNDER = re.compile(
    r"\b(?:(?:less|fewer|lower|slower|shorter) than|below|under|beneath)\s+(?:about |a |the )?$", re.IGNORECASE
)


def with_property(facts: Facts, scope: Scope) -> Iterator[float]:
    """How many items of a list have a property that the sentence tells: a limit, or a word of their name."""
    lists = columns(facts, scope)
    for limit, sides in limits(scope):
        for values in lists:
            counted = {
                ">": sum(value > limit for value in values),
                "<": sum(value < limit for value in values),
                "=": sum(value == limit for value in values),
            }
            yield from (float(sum(counted[side] for side in some)) for some in sides)
    names = [
        str(word) for path, word in facts.entry.words.items() if re.fullmatch(r"\w+\[\d+\]\.(?:name|description)", path)
    ]
    for word in set(re.findall(r"\b[A-Z][a-z]{2,}", scope.sentence)):
        yield float(sum(word in name.split() for name in names))


def not_forecast(scope: Scope) -> bool:
    """Whether the number counts what has no forecast: 'two of the 81 places cannot be forecast'."""
    return _NOT_FORECAST.match(scope.after) is not None and not _OF.search(scope.before)


def with_sign(facts: Facts, scope: Scope) -> Iterator[float]:
    """How many items of a list raise what the sentence says that they raise, or lower it."""
    effects = [fact.value for fact in facts.numbers if fact.role == "effect" and fact.path.startswith("drivers")]
    if effects and scope.sign:
        yield float(sum(value > 0 if scope.sign > 0 else value < 0 for value in effects))


def columns(facts: Facts, scope: Scope, unit: str | None = None) -> list[list[float]]:
    """The sizes of the values of each list and role; only those of a unit where one is given."""
    found: dict[tuple[str, str], list[float]] = {}
    ends = re.search(r"\b(?:bound|interval|end|baseline|usual)", scope.sentence, re.IGNORECASE) is not None
    for fact in facts.numbers:
        listed = "[" in fact.path and (ends or fact.group != "steps" or fact.role == "median")
        if listed and (unit is None or plain(fact.unit) == plain(unit)):
            found.setdefault((fact.group, fact.role), []).append(abs(fact.value))
    if any(role == "change" for _, role in found):
        changed = _CHANGED.search(scope.sentence) is not None
        return [values for (_, role), values in found.items() if (role == "change") == changed]
    return list(found.values())


def says_how_many(many: re.Match[str]) -> bool:
    """Whether a match of `QUANTIFIED` holds a number that is judged itself, which "one" is not."""
    word = many["many"].lower().removeprefix("only ")
    return word != "one" and (word.isdigit() or COUNT.fullmatch(word) is not None)


def so_many_beyond(many: re.Match[str], lists: Sequence[Sequence[float]], limit: float, *, over: bool) -> bool:
    """Whether all, none, or as many of a list as a match of `QUANTIFIED` says, are beyond a limit."""
    word = many["many"].lower().removeprefix("only ")
    for values in lists:
        wanted = {"all": len(values), "each": len(values), "every": len(values), "none": 0}.get(word)
        if wanted is None:
            wanted = int(word) if word.isdigit() else count_of(word)
        if len(values) > 1 and sum(value > limit if over else value < limit for value in values) == wanted:
            return True
    return False


def _lanes(facts: Facts, scope: Scope) -> Iterator[float]:
    """The lanes of the places that the sentence names, and those that a text tells of."""
    named = frozenset[str]().union(*(m.places for m in scope.reader.places(*scope.reader.part(*scope.span))))
    if not named and not QUANTIFIED.search(scope.sentence):
        named = scope.places
    for fact in facts.numbers:
        if fact.unit.startswith("lane") and (not named or fact.places & named):
            yield fact.value
    for passage in facts.entry.texts:
        for found in re.finditer(r"(?P<one>\w+)(?: of (?P<all>\w+))? lanes?\b", passage.text, re.IGNORECASE):
            for word in filter(None, (found["one"], found["all"])):
                if COUNT.fullmatch(word) or word.isdigit():
                    yield float(word) if word.isdigit() else float(count_of(word))


def _missing(facts: Facts) -> bool:
    """Whether some steps of an entry were not measured."""
    return any(fact.role == "missing" and fact.value > 0 for fact in facts.numbers)


def limits(scope: Scope) -> list[tuple[float, tuple[str, ...]]]:
    """The numbers and shares of a sentence that things may be beyond, with the sides that the words before leave."""
    told = [(found, float(found[0].replace(",", ""))) for found in _LIMIT.finditer(scope.sentence)]
    told += [(found, 100 * share_of(found)) for found in SHARE.finditer(scope.sentence)]
    return [(limit, _sides(scope.sentence[: found.start()])) for found, limit in told]


def _sides(ahead: str) -> tuple[str, ...]:
    """Which of more, less and equal the words before a limit speak of."""
    if _OVER.search(ahead):
        return (">",)
    return ("<",) if _UNDER.search(ahead) else (">=", "<=", "=")


def counted(facts: Facts, noun: str, words: str, scope: Scope) -> Iterator[float]:
    """Every count of an entry that a noun, with the words before it, may mean."""
    if HAPPENINGS.fullmatch(noun):
        yield from happenings(facts, words, noun, scope)
        return
    kinds = [kind for name, kind in THINGS if re.fullmatch(name, noun)]
    paths = re.compile(rf"(?:{'|'.join(kinds) or '.*'})", re.IGNORECASE)
    places = scope.places
    lists: dict[str, int] = {}
    for path in (*facts.entry.values, *facts.entry.words):
        if (item := re.match(r"(\w+)\[(\d+)\]", path)) is not None:
            lists[item[1]] = max(lists.get(item[1], 0), int(item[2]) + 1)
    for fact in facts.numbers:
        if fact.unit or (places and fact.places and not fact.places & places):
            continue
        if not paths.fullmatch(fact.role) or not _of_kind(facts, fact.path, words, scope):
            continue
        if fact.role == "missing" and not _ABSENT.search(scope.sentence):
            continue
        if fact.role in ("measured", "steps") and _NEVER_CAME.match(scope.after) and not _OF.search(scope.before):
            continue
        if fact.role == "measured" and re.search(r"missing", words, re.IGNORECASE):
            continue
        own = re.search(rf"\b(?:{'|'.join(_STATES)})\b", scope.part, re.IGNORECASE)
        if (
            own is not None
            and not _OF_ALL.search(scope.before)
            and fact.role in (*_STATES, "places", "nodes")
            and fact.role != own[0].lower()
        ):
            continue
        if fact.role == "steps" and _ALL_THERE.search(scope.part) and _missing(facts):
            continue
        if fact.role not in ("unknown", "unread") and not_forecast(scope):
            continue
        if fact.role == "events" and "nearby" in scope.sentence:
            continue
        if fact.role == "removed" and "random" in scope.part:
            continue
        if fact.role == "draws" and re.search(r"driver", scope.part):
            continue
        yield fact.value
    if re.fullmatch("lanes?", noun):
        yield from _lanes(facts, scope)
    if "implausible" in scope.sentence.casefold():
        yield from (fact.value for fact in facts.numbers if fact.role == "implausible_count")
    for text in () if noun.startswith("lane") else facts.entry.words.values():  # "234 forecasts from ..."
        yield from (
            float(m[1].replace(",", "")) for m in re.finditer(rf"(\d[\d,]*)\s+{re.escape(noun)}\b", str(text)) if noun
        )
    if re.fullmatch(THINGS[0][0], noun) and len(facts.about) > 1:
        yield float(len(facts.about))
    for name, count in () if not_forecast(scope) else lists.items():
        if paths.fullmatch(name) or (
            noun and f"{name}[0].id" in facts.entry.values and re.fullmatch(THINGS[0][0], noun)
        ):
            yield float(count)
    if re.fullmatch(THINGS[2][0], noun) and "anomalies" in lists:
        kinds_of = [str(facts.word(f"anomalies[{n}].kind")) for n in range(lists["anomalies"])]
        yield from (float(kinds_of.count(kind)) for kind in set(kinds_of) if kind and kind[:4] == noun[:4])


def _of_kind(facts: Facts, path: str, words: str, scope: Scope) -> bool:
    """A count of one kind of place stands with that kind; the count of all stands with none."""
    prefix = path.rpartition(".")[0]
    kinds = {str(word).casefold() for p, word in facts.entry.words.items() if re.fullmatch(r"kinds\[\d+\]\.kind", p)}
    if not kinds:
        return True
    said = f"{words} {re.split(r'[0-9,;]|and', scope.after[:30])[0]}".casefold()
    heads = {kind: kind.split()[0] for kind in kinds}
    named = {kind for kind, head in heads.items() if re.search(rf"\b{re.escape(head)}s?\b", said)}
    own = facts.word(f"{prefix}.kind").casefold() if prefix.startswith("kinds") else ""
    if prefix.startswith("channels"):
        return not named or re.search(r"\bmeasur", scope.sentence, re.IGNORECASE) is not None
    return own in named if own else not named or path not in ("nodes",)
