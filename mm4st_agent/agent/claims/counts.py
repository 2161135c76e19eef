"""Counts: a whole number, in digits or words, of the things that the words behind it name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.happenings import HAPPENINGS, NAMES, happenings
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.number_words import COUNT, MULTIPLE, SHARE, count_of, multiple_of, share_of
from mm4st_agent.agent.quantities import plain

_THINGS: tuple[tuple[str, str], ...] = (
    (r"stations?|sensors?|detectors?|places?|nodes?|locations?|sites?|points",
     r"nodes|places|ranked|unread|unknown|found|complete|silent"),
    (r"weeks?", r"usual_weeks|cycles"),
    (r"anomal\w+|outliers?|stretch(?:es)?|oddit\w+|unusual \w+|spikes?|excursions?|deviations?", r"anomaly_count"),
    (r"level changes?|changes?|shifts?|jumps?|breaks?", r"change_count|changes"),
    (r"steps?|readings?|measurements?|values?|intervals?|cells?|samples?|points?",
     r"steps|measured|imputed|missing|usual_readings|cells|both_measured|unread"),
    (r"forecasts?|predictions?", r"forecasts|draws"),
    (r"moments?|windows?|cases?|analogs?|situations?|days?|occasions?", r"searched|forecasts|inside|analogs|logged"),
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
_NOUN = re.compile(
    rf"[\s-]*(?:(?:out )?of (?:the|those|these) )?(?:\(?\w+\)?[\s-]+){{0,3}}?"
    rf"(?P<noun>{'|'.join(noun for noun, _ in _THINGS)}|{NAMES})\b(?!'s)",
    re.IGNORECASE,
)
_HEAD = re.compile(rf"\s+(?P<noun>{'|'.join(noun for noun, _ in _THINGS)})\b", re.IGNORECASE)
_SUBSET = re.compile(r"\s+(?:out\s+)?of\s+(?:the|those|these|all|them)\b", re.IGNORECASE)
_OF_THEM = re.compile(r"^\W*(?:out )?of (?:the|these|those) [^,;]{3,40},\s+(?:only |just )?$", re.IGNORECASE)
"""'Of the five stations listed, four ...'."""
_STATES = ("silent", "complete", "unread", "unknown")
_OF_ALL = re.compile(r"\bof (?:the|all)\s+$", re.IGNORECASE)
_ALL_THERE = re.compile(r"\ball\b[^.;]*\b(?:present|measured|available|there|complete)\b", re.IGNORECASE)
QUANTIFIED = re.compile(
    rf"\b(?P<many>all|each|every|none|(?:only )?one|{COUNT.pattern}|\d+) "
    r"(?:of (?:the|these|those|them)|(?:\w+ )?(?:stations?|places?|steps?))\b",
    re.IGNORECASE,
)
"""'Only one of the five is above 50 km/h'."""
BEYOND = re.compile(
    r"\b(?:(?:less|more|fewer|higher|lower|faster|slower) than|below|above|under|at least|at most|"
    r"exceed\w*|or more|or less)\b",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"(?<![\w:.])\d[\d,]*(?:\.\d+)?(?![\w:])")
_CHANGED = re.compile(
    r"\b(?:lost|los(?:e|es|ing)|gain(?:s|ed|ing)?|dropped|f[ae]ll(?:en)?|slowed|declined|rose|risen|changed|shed)\b",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:(?:more|higher|faster|greater|longer) than|above|over|exceed\w*|past|beyond)\s+(?:about |a |the )?$",
    re.IGNORECASE,
)
_UNDER = re.compile(
    r"\b(?:(?:less|fewer|lower|slower|shorter) than|below|under|beneath)\s+(?:about |a |the )?$", re.IGNORECASE
)


def is_count(reader: Reader, span: tuple[int, int]) -> bool:
    """Whether a number without a unit counts something: its sentence names no unit, or a noun for things follows."""
    found = _NOUN.match(reader.own, span[1])
    between = reader.own[span[1] : found.start("noun")] if found is not None else ""
    if re.search(
        r"\b(?:is|are|was|were|will|be|could|can|on|at|in|for|to|by|from|than|and|with|as|below|above|under|over|"
        r"off|behind|ahead|short)\b",
        between,
    ):
        return False
    return found is not None and "." not in reader.text[slice(*span)] and found.end() <= reader.sentence(span[0])[1]


def read_words(reader: Reader) -> None:
    """Counts in words, such as 'two incidents', and multiples such as 'three times as fast'."""
    for found in MULTIPLE.finditer(reader.own):
        if reader.free(*found.span()) and multiple_of(found) is not None:
            reader.take(*found.span())  # `comparisons` judges it
    for found in COUNT.finditer(reader.own):
        if not reader.free(*found.span()) or cues.ADVICE.search(reader.own[slice(*reader.sentence(found.start()))]):
            continue
        if re.search(r"\b(?:first|top|last|next|remaining|other)\s+$", reader.own[: found.start()], re.IGNORECASE):
            continue
        noun = _NOUN.match(reader.own, found.end())
        if (
            re.search(r"\b(?:the|these|those|both)\s+$", reader.own[: found.start()], re.IGNORECASE)
            and found[0].lower() == "two"
        ):
            continue
        if noun is None and re.match(r"\s+of (?:them|which|whom)\b", reader.own[found.end() :]):
            judge(reader, found.span(), float(count_of(found[0])), about=False)
            continue
        if noun is None and _OF_THEM.search(reader.own[reader.sentence(found.start())[0] : found.start()]):
            judge(reader, found.span(), float(count_of(found[0])), about=False)
            continue
        if noun is None or noun.end() > reader.sentence(found.start())[1] or not _adjacent(found[0], noun):
            continue
        if found[0].lower() == "one" and not HAPPENINGS.fullmatch(noun["noun"]) and not _plain_one(reader, found):
            continue
        judge(reader, found.span(), float(count_of(found[0])), about=False)


def _adjacent(word: str, noun: re.Match[str]) -> bool:
    """'One' is a count only right before its noun; other numbers may have words between."""
    between = noun[0][: noun.start("noun") - noun.start()].split()
    if re.search(
        r"\b(?:of|per|in|is|are|was|were|be|could|can|not|the|and|with|that|which)\b", " ".join(between)
    ) and not re.match(r"of (?:the|all)\b|of\b", " ".join(between)):
        return False
    return word.lower() != "one" or not between or between == ["ongoing"]


def _plain_one(reader: Reader, found: re.Match[str]) -> bool:
    return (
        re.search(
            r"(?:\b(?:has|had|have|is|was|are|just|only|exactly|with|found|shows?)|,)\s+$", reader.own[: found.start()]
        )
        is not None
    )


def judge(reader: Reader, span: tuple[int, int], value: float, *, about: bool) -> None:
    """Judge one count by the noun behind it, else by any count of the evidence."""
    scope = Scope(reader, span)
    found = _NOUN.match(reader.own, span[1])
    noun = found["noun"].lower() if found is not None else ""
    if found is not None and (head := _HEAD.match(reader.own, found.end())):
        noun = head["noun"].lower()  # "twelve forecast steps"
    allowed = reader.allowed(span[1])
    words = reader.own[span[1] : found.end()] if found is not None else ""
    slack = 0.05 * value if about else 0.0
    subset = _SUBSET.match(reader.own, span[1]) or _OF_THEM.search(scope.ahead)
    beyond = subset is not None and BEYOND.search(scope.sentence) is not None
    right = []
    for facts in reader.facts:
        if facts.entry.id in allowed:
            told = list(_with_property(facts, scope)) if beyond or "ranking[0].id" in facts.entry.values else []
            told += list(_with_sign(facts, scope)) if subset is not None else []
            told += [] if beyond else _counted(facts, noun, words, scope)
            right += [facts.entry.id] if any(abs(count - value) <= slack for count in told) else []
    reader.add(span, "number", value, None, right, why=f"the evidence counts no such number of {noun or 'things'}")


def _with_property(facts: Facts, scope: Scope) -> Iterator[float]:
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


def _with_sign(facts: Facts, scope: Scope) -> Iterator[float]:
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
    for fact in facts.numbers:
        if fact.unit.startswith("lane") and (not scope.places or fact.places & scope.places):
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


def _counted(facts: Facts, noun: str, words: str, scope: Scope) -> Iterator[float]:
    if HAPPENINGS.fullmatch(noun):
        yield from happenings(facts, words, noun, scope)
        return
    kinds = [kind for name, kind in _THINGS if re.fullmatch(name, noun)]
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
        if fact.role == "missing" and not re.search(r"miss|gap|lack|without|absent", scope.sentence, re.IGNORECASE):
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
    for text in facts.entry.words.values():  # "234 forecasts from ..."
        yield from (
            float(m[1].replace(",", "")) for m in re.finditer(rf"(\d[\d,]*)\s+{re.escape(noun)}\b", str(text)) if noun
        )
    if re.fullmatch(_THINGS[0][0], noun) and len(facts.about) > 1:
        yield float(len(facts.about))
    for name, count in lists.items():
        if paths.fullmatch(name) or (
            noun and f"{name}[0].id" in facts.entry.values and re.fullmatch(_THINGS[0][0], noun)
        ):
            yield float(count)
    if re.fullmatch(_THINGS[2][0], noun) and "anomalies" in lists:
        kinds_of = [str(facts.word(f"anomalies[{n}].kind")) for n in range(lists["anomalies"])]
        yield from (float(kinds_of.count(kind)) for kind in set(kinds_of) if kind and kind[:4] == noun[:4])


def _of_kind(facts: Facts, path: str, words: str, scope: Scope) -> bool:
    """A count of one kind of place stands with that kind; the count of all stands with none."""
    prefix = path.rpartition(".")[0]
    kinds = {str(word).casefold() for p, word in facts.entry.words.items() if re.fullmatch(r"kinds\[\d+\]\.kind", p)}
    if not kinds:
        return True
    said = f"{words} {scope.after[:30]}".casefold()
    heads = {kind: kind.split()[0] for kind in kinds}
    named = {kind for kind, head in heads.items() if re.search(rf"\b{re.escape(head)}s?\b", said)}
    own = facts.word(f"{prefix}.kind").casefold() if prefix.startswith("kinds") else ""
    if prefix.startswith("channels"):
        return not named or re.search(r"\bmeasur", scope.sentence, re.IGNORECASE) is not None
    return own in named if own else not named or path not in ("nodes",)
