"""Comparisons with the usual, the baseline and another time, recomputed from the ledger."""

from __future__ import annotations

import re
from datetime import datetime

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.verdicts import LESS, MORE, add, scoped
from mm4st_agent.agent.clock_words import same_time
from mm4st_agent.agent.number_words import COUNT, MULTIPLE, SHARE, count_of, multiple_of

_MORE_ALONE = MORE.replace("over|", "")
_LESS_ALONE = LESS.replace("under|", "")
"""Without words that also say how long: 'over the last day'."""
_SAME = r"close to|near(?:ly)?|about|as|practically|in line with|around|similar to|at"
_ADJ = r"(?:slightly|somewhat|clearly|considerably|much|far|well|a bit|a little|significantly|just|only|markedly|way)"
_USUAL = (
    r"(?:usual(?:ly)?|normal(?:ly)?|typical(?:ly)?|you(?:'d| would) (?:normally |"
    r"usually )?expect)(?:\s+(?:speed|value|level|flow|load|one)s?)?"
)
_WITH_USUAL = re.compile(
    rf"\b(?P<words>(?:{_ADJ}\s+)?(?:(?P<more>{MORE})|(?P<less>{LESS}))\s+(?:\w+\s+)?(?:than\s+|"
    rf"as\s+)?(?:the\s+|its\s+|their\s+|is\s+|(?:it|they|he|she)\s+)?{_USUAL})"
    rf"|\b(?P<same>(?:(?:{_SAME})\s+)?(?:as\s+|its\s+|the\s+)?(?<!un)(?:usual|"
    r"normal)(?=\s*(?:,|\.|;|$|at\b|for\b|right\b|now\b)))\b",
    re.IGNORECASE,
)
_YESTERDAY = re.compile(
    rf"\b(?:(?P<more>{_MORE_ALONE})|(?P<less>{_LESS_ALONE})|(?P<same>the same as))\b(?:[^.;,]{{0,40}}?)\s+(?:than\s+)?"
    r"(?:the (?:day|24 hours|week) before|yesterday|last week|"
    r"a (?:day|week) (?:ago|earlier|before)|(?:on )?the previous (?:day|week)|a week ago)\b",
    re.IGNORECASE,
)
_COMPARED_WITH_YESTERDAY = re.compile(
    r"\bcompared (?:with|to) (?:yesterday|last week|the day before|the previous day|the week before)", re.IGNORECASE
)
_ABOUT_AS = re.compile(
    rf"\b(?:{_SAME}|is|are|was|were|be|but|looks?|seems?|entirely|quite|perfectly)\s+(?:as\s+|"
    r"its\s+|the\s+)?(?:usual|normal)$",
    re.IGNORECASE,
)
_ONE_WAY = re.compile(rf"\b(?:(?P<more>{MORE}|rose|up(?! to))|(?P<less>{LESS}|fell|down))\b", re.IGNORECASE)
_BEFORE = re.compile(
    rf"\b(?:(?P<more>{_MORE_ALONE})|(?P<less>{_LESS_ALONE}))\b[^.;,]{{0,40}}?\s+than\s+(?:in\s+)?(?:the\s+)?"
    r"(?:(?:previous|last|preceding)(?:\s+(?:one|hour))?|(?:\w+\s+)?before|now)\b",
    re.IGNORECASE,
)
_WITH_MEAN = re.compile(
    rf"\b(?P<words>(?:(?P<more>{MORE})|(?P<less>{LESS})))\s+(?:than\s+)?(?:its|the|"
    rf"their)\s+(?:[\w-]+\s+){{0,3}}?(?:mean|average)\b",
    re.IGNORECASE,
)
_LATER = re.compile(
    r"\b(?:(?P<later>second|later|latter|more recent|latest|most recent)|first|earlier|former)"
    r"(?: of the two)? (?:days?|24 hours|window|period)\b"
    rf"[^.;,\d]{{0,40}}?\b(?P<words>(?P<more>{_MORE_ALONE})|(?P<less>{_LESS_ALONE}))\b(?!\s+than)",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|never|hardly|barely)\s+$", re.IGNORECASE)
_DOUBLES = re.compile(
    r"\b(?:(?P<two>doubl(?:es|ed|ing)|"
    r"(?<=would )double|(?<=nearly )double)|(?P<half>halv(?:es|ed|ing)))\b(?! (?:the|its))",
    re.IGNORECASE,
)
_FIRST = re.compile(rf"\bfirst (?:(?P<many>{COUNT.pattern}|\d+) )?steps?\b", re.IGNORECASE)
_UNTIL = re.compile(r"\b(?:until|up to|before)\b", re.IGNORECASE)
_EVERY = re.compile(r"\b(?:every|all|each|throughout|always|stays?|remains?)\b", re.IGNORECASE)
_ENDS = re.compile(r"\b\w+est\b", re.IGNORECASE)
_ABOUT = 0.1
"""How far a ratio in words may be off."""
_WELL_OVER = 1.2
_SO_MUCH = re.compile(r"(?<![\w:.,])\d[\d,]*(?:\.\d+)?\s+$")
OF_STEPS = re.compile(rf"\b(?:in|for|during|at|over)\s+(?:{COUNT.pattern}|\d+)\s+(?:out\s+)?of\s+", re.IGNORECASE)
_LIKE = 0.08
"""What differs from the usual by less than this share is about as usual."""


def read(reader: Reader) -> None:
    """Judge every comparison."""
    for found in MULTIPLE.finditer(reader.own):
        _judge_multiple(reader, found)
    for found in _DOUBLES.finditer(reader.own):
        _judge_doubling(reader, found)
    for found in _WITH_USUAL.finditer(reader.own):
        _judge_usual(reader, found)
    for found in (*_YESTERDAY.finditer(reader.own), *_COMPARED_WITH_YESTERDAY.finditer(reader.own)):
        _judge_days(reader, found)
    for found in _LATER.finditer(reader.own):
        _judge_later(reader, found)
    for found in _BEFORE.finditer(reader.own):
        _judge_before(reader, found)
    for found in _WITH_MEAN.finditer(reader.own):
        _judge_mean(reader, found)


def _judge_multiple(reader: Reader, found: re.Match[str]) -> None:
    factor = multiple_of(found)
    scope = Scope(reader, found.span())
    if factor is None or re.search(r"\bout of\s+$", scope.before):
        return
    more_than = re.search(r"\bmore than\s+$", scope.ahead, re.IGNORECASE) is not None
    usual = cues.USUAL.search(scope.part + scope.after) is not None
    verdicts = []
    for fact in reader.all_facts:
        if fact.entry not in reader.allowed(found.end()) or fact.role not in ("times",):
            continue
        if usual != (fact.of[1] == "usual"):
            continue
        ends = fact.of == ("maximum", "minimum") and _ENDS.search(scope.sentence) is not None
        if len(fact.places) == 2 and not ends and not fact.places <= scope.named_places:
            continue
        if not usual and not ends and len(fact.places) < 2 and len(scope.named_places) > 1:
            continue
        if scope.named_places and fact.places and not fact.places & scope.named_places:
            continue
        close = (
            factor < fact.value < max(factor + 1, _WELL_OVER * factor)
            if more_than
            else abs(fact.value - factor) <= _ABOUT * factor
        )
        if fact.of[1] in ("baseline", "usual", "baseline_mae", "mean"):
            other = 1 / fact.value
            close = close or (factor < other < factor + 1 if more_than else abs(other - factor) <= _ABOUT * factor)
        verdicts.append((fact.entry, close))
    allowed = sorted(reader.allowed(found.end()))
    if allowed and not any(close for _, close in verdicts) and _ratio_said(scope, factor, more_than=more_than):
        verdicts.append((allowed[0], True))
    add(reader, found.span(), found[0], verdicts or [("", False)], "the evidence has another ratio")


def _judge_doubling(reader: Reader, found: re.Match[str]) -> None:
    """'The error more than doubles': numbers of the sentence, or the first and last of a course, have that ratio."""
    scope = Scope(reader, found.span())
    factor = 0.5 if found["half"] else 2.0
    verdicts = [
        (fact.entry, abs(fact.value - factor) <= _ABOUT * factor)
        for _, fact in scoped(reader, scope)
        if fact.role == "times" and fact.of[1] in ("first step", "previous_mean", "first_mean", "second_mean", "before")
    ]
    if (allowed := sorted(reader.allowed(found.end()))) and _ratio_said(scope, factor, more_than=False):
        verdicts.append((allowed[0], True))
    add(reader, found.span(), found[0], verdicts or [("", False)], "nothing in the evidence has doubled or halved")


def _ratio_said(scope: Scope, factor: float, *, more_than: bool) -> bool:
    """Whether two numbers of the sentence, which are judged themselves, have that ratio."""
    said = [
        float(number.replace(",", ""))
        for number in re.findall(r"(?<![\w:.])\d[\d,]*(?:\.\d+)?(?![\w:])", scope.sentence)
    ]
    ratios = [one / other for one in said for other in said if other]
    return any(factor < r < factor + 1 if more_than else abs(r - factor) <= _ABOUT * factor for r in ratios)


def _judge_usual(reader: Reader, found: re.Match[str]) -> None:
    scope = Scope(reader, found.span())
    if _NEGATED.search(scope.before) or (found["more"] and SHARE.search(found[0])):
        return  # "just over half its usual"
    if not found["same"] and (_SO_MUCH.search(scope.before) or OF_STEPS.search(scope.sentence)):
        return  # "45 more than usual", "in 5 of the 12 steps": the number is judged
    if found["same"] and (
        not _ABOUT_AS.search(reader.own[: found.start()] + found[0])
        or re.search(r"\d\s*(?:%|per ?cent)?\s*(?:of\s+)?$|\d[^,;]*(?:is|be|are|as)\s*$", scope.before)
        or re.search(r"\bof\s+(?:what\s+is\s+|the\s+|its\s+)?$", reader.own[: found.start()])
        or (re.search(r"\d", scope.before[-30:]) and re.search(r"\bof\b", scope.before))
    ):
        return
    verdicts: list[tuple[str, bool]] = []
    steps: list[tuple[str, bool]] = []
    then: list[tuple[str, bool]] = []
    said = scope.all_times
    # "The forecast ... is below the usual" has the baseline for it where that is the usual
    known = list(scoped(reader, scope))
    now = any(fact.role == "usual" for _, fact in known)
    for facts, fact in known:
        if fact.role != "relative" or fact.of[1] not in ("usual", "baseline"):
            continue
        later = cues.future(scope.part) or (cues.future(scope.ahead) and not cues.PRESENT.search(scope.part))
        coming = later or not now or _EVERY.search(scope.sentence) is not None
        if fact.of[1] == "baseline" and not (coming and "usual" in facts.word("baseline_name")):
            continue
        if fact.of[1] == "usual" and cues.future(scope.part) and not fact.coming:
            continue
        value = -fact.value if _reversed(found, facts) else fact.value
        if fact.group == "steps":
            if fact.moment is not None and any(
                same_time(wanted, fact.moment) for wanted in scope.times or (said if len(said) == 1 else [])
            ):
                then.append((fact.entry, _holds(found, value)))
            if fact.moment is not None and _from_then(fact.moment, scope):
                steps.append((fact.entry, _holds(found, value)))
            if fact.moment is not None and _among(fact, scope):
                then.append((fact.entry, _holds(found, value)))
        else:
            verdicts.append((fact.entry, _holds(found, value)))
    every = _EVERY.search(scope.sentence) is not None
    if then and not every:
        verdicts = then
    if steps and (every or not verdicts):
        verdicts = [(steps[0][0], all(holds for _, holds in steps) if every else any(holds for _, holds in steps))]
    start, end = found.span()
    if found["same"]:
        start = reader.own.lower().find("usual" if "usual" in found[0].lower() else "normal", start)
    add(reader, (start, end), found[0], verdicts, "the evidence says otherwise")


def _among(fact: Fact, scope: Scope) -> bool:
    """Whether a step is one of 'the first two steps'."""
    found = _FIRST.search(scope.sentence)
    index = re.match(r"steps\[(\d+)\]", fact.path)
    if found is None or index is None:
        return False
    many = found["many"] or "one"
    return int(index[1]) < (count_of(many) if COUNT.fullmatch(many) else int(many))


def _from_then(moment: datetime, scope: Scope) -> bool:
    """Whether a step is not before the first clock time that the sentence says."""
    said = [wanted for wanted in scope.all_times if wanted.hour is not None and not wanted.either]
    if _UNTIL.search(scope.ahead) or not said:
        last = [wanted for wanted in scope.all_times if wanted.hour is not None][:1]
        return not last or (moment.hour, moment.minute) <= (last[0].hour or 0, last[0].minute or 0)
    return (moment.hour, moment.minute) >= (said[0].hour or 0, said[0].minute or 0)


def _reversed(found: re.Match[str], facts: Facts) -> bool:
    """Whether better means less: of dirt in the air."""
    dirt = any(unit.endswith(("/m³", "/m3")) or unit in ("ppb", "ppm") for unit in facts.units)
    return dirt and re.match(r"(?:\w+\s+)?(?:better|worse)\b", found[0], re.IGNORECASE) is not None


def _holds(found: re.Match[str], percent: float) -> bool:
    if found["more"]:
        far = re.match(r"far|much|well|way|significantly|considerably|markedly", found[0], re.IGNORECASE) is not None
        return percent > (5 if far else 0.3)
    if found["less"]:
        far = re.match(r"far|much|well|way|significantly|considerably|markedly", found[0], re.IGNORECASE) is not None
        return percent < (-5 if far else -0.3)
    return abs(percent) <= 100 * _LIKE


def _judge_days(reader: Reader, found: re.Match[str]) -> None:
    scope = Scope(reader, found.span())
    way = found if "more" in found.re.groupindex else _ONE_WAY.search(scope.sentence)
    if way is None:
        return
    verdicts = []
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(found.end()) or len(facts.about) != 1 or not facts.word("first"):
            continue
        for fact in facts.numbers:
            if fact.role == "difference":
                holds = fact.value > 0 if way["more"] else fact.value < 0
                if "same" in way.re.groupindex and way["same"]:
                    first = [f.value for f in facts.numbers if f.role == "first_mean"]
                    holds = bool(first) and abs(fact.value) < 0.01 * abs(first[0])
                verdicts.append((fact.entry, holds))
    start = 0 if way is found else reader.sentence(found.start())[0]
    span = (start + way.start(), start + way.end())
    add(reader, span, found[0], verdicts, "the two times in the evidence say otherwise")


def _judge_later(reader: Reader, found: re.Match[str]) -> None:
    """'The second day was busier', of two windows of one place."""
    later = found["later"] is not None
    verdicts = [
        (fact.entry, (fact.value > 0) == ((found["more"] is not None) == later))
        for facts, fact in scoped(reader, Scope(reader, found.span("words")))
        if fact.role == "difference" and facts.word("first") and len(facts.about) == 1
    ]
    add(reader, found.span("words"), found[0], verdicts, "the two times in the evidence say otherwise")


def _judge_mean(reader: Reader, found: re.Match[str]) -> None:
    """'Lower than its 24-hour mean', of the last readings."""
    half_hour = re.search(r"half[- ]hour|30[- ]minute", found[0], re.IGNORECASE) is not None
    verdicts = [
        (fact.entry, (fact.value > 0) == (found["more"] is not None))
        for _, fact in scoped(reader, Scope(reader, found.span()))
        if fact.role == "gap" and fact.of[1] == ("recent" if half_hour else "mean")
    ]
    add(reader, found.span(), found[0], verdicts, "the evidence says otherwise")


def _judge_before(reader: Reader, found: re.Match[str]) -> None:
    """'More than in the hour before', of a forecast or a ranking by change."""
    scope = Scope(reader, found.span())
    verdicts = [
        (fact.entry, (fact.value > 0) == (found["more"] is not None))
        for facts, fact in scoped(reader, scope)
        if fact.path == "change" or (fact.role == "change" and fact.group == "ranking" and scope.places)
    ]
    add(reader, found.span(), found[0], verdicts, "the evidence says otherwise")
