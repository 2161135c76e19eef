"""Comparisons of two things that words name: "a larger error than every rule", "above what the similar days brought".

Each side of the word that compares is resolved to values of one entry: errors of models or at two leads, outcomes of
analogs, sizes of anomalies, shares and effects of inputs, the hour before. A verdict is given only where all values of
one side are larger than all of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.calls import DAY_MEAN, HALF_HOUR_MEAN
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.models import MODEL, minutes_ahead, named_model
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.verdicts import LESS, MORE, add, scoped
from mm4st_agent.agent.quantities import NUMBER, plain

_COMPARES = re.compile(
    rf"\b(?P<words>(?:(?P<more>{MORE})|(?P<less>{LESS}))(?:\s+[a-z]+){{0,4}}?\s+than|"
    r"(?P<above>above|exceeds?|ahead of|outweighs?|beats?|outperforms?)|(?P<below>below|under|behind))\s+",
    re.IGNORECASE,
)
_OF_TWO = re.compile(
    rf"\bthe (?P<words>(?:(?P<more>{MORE})|(?P<less>{LESS})))\s+(?:one|of the (?:two|pair|anomalies|oddities))\b",
    re.IGNORECASE,
)
_OF_STEPS = re.compile(
    r"\b(?:every|each|all|no|none|never|always|stays?|remains?|steps?|"
    r"some|first|last|peak|at (?:best|worst|most|least))\b",
    re.IGNORECASE,
)
_SIDE_END = re.compile(r"[;:.](?=\s|$)|,(?=\s)|\s(?:but|while|whereas|although)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\W*(?:about |around |roughly |some |the )?(?:[-−+]?\d|half\b|an? (?:third|quarter|fifth)\b)", re.IGNORECASE
)
_ACCURACY = re.compile(r"\b(?:better|worse|accurate|precise|beats?|outperforms?|ahead|behind)\b", re.IGNORECASE)
_RULE = r"(?:rules?|baselines?|methods?|benchmarks?)"
_ALL_RULES = re.compile(
    rf"\b(?:every|any|all|each|three|other)\b[^.;,]{{0,25}}\b{_RULE}\b|\bthe (?:simple )?(?:rules|baselines)\b",
    re.IGNORECASE,
)
_BEST_RULE = re.compile(rf"\bbest\b[^.;,]{{0,25}}\b{_RULE}\b", re.IGNORECASE)
_ANALOGS = re.compile(
    r"\b(?:similar|analog\w*|match(?:es)?|comparable|precedents?|past (?:outcomes|cases|days))\b", re.IGNORECASE
)
_FORECAST = re.compile(
    r"\b(?:forecast\w*|model\w*|predict\w*|expect\w*|(?:coming|next) (?:hour|60 minutes)|hour ahead)\b", re.IGNORECASE
)
_JUST_BEFORE = re.compile(r"\b(?:before|now|leading up|run-?up|preceding)\b", re.IGNORECASE)
_HOUR_BEFORE = re.compile(
    r"\b(?:hour|60 minutes|one) (?:before|just (?:gone|past))\b|"
    r"\b(?:previous|past|preceding|last) (?:hour|one|60 minutes)\b",
    re.IGNORECASE,
)
_SHARES = {
    "text_percent": re.compile(r"\btexts?\b|\bwords\b|\bbulletins\b", re.IGNORECASE),
    "series_percent": re.compile(r"\bseries\b|\bnumbers\b|\breadings\b", re.IGNORECASE),
    "vision_percent": re.compile(r"\bvision\b|\bpictures?\b|\bimages?\b", re.IGNORECASE),
}
_LEVELS = ((cues.LAST_READING, "last"), (HALF_HOUR_MEAN, "recent"), (DAY_MEAN, "mean"))
_WHY = "the two values in the evidence say otherwise"
_GROWS = re.compile(
    r"\b(?:(?P<up>grow\w*|grew|ris(?:es?|ing)|increas\w+|climb\w*|worsen\w*|"
    r"(?:larger|bigger|worse|higher)(?= the| as| with))|"
    r"(?P<less>less accurate)|more accurate|shr[iau]nk\w*|fall\w*|drop\w*|decreas\w+|improv\w*|declin\w+|"
    r"(?:smaller|lower|better)(?= the| as| with))\b",
    re.IGNORECASE,
)
_HORIZON = re.compile(
    r"\b(?:horizons?|lead times?|(?:further|farther) (?:ahead|out)|(?:looks?|steps?) ahead|from \d+ to \d+ minutes)\b",
    re.IGNORECASE,
)

Sides = tuple[Sequence[float], Sequence[float]]
"""Values of what stands before the word that compares, and of what stands behind it."""


def read(reader: Reader) -> None:
    """Judge every comparison of two sides that one entry has, and how errors change with the horizon."""
    for found in _GROWS.finditer(reader.own):
        _judge_growth(reader, found)
    for found in _COMPARES.finditer(reader.own):
        if not _NUMBER.match(reader.own, found.end()):
            _judge(reader, found)
        else:
            _judge_limit(reader, found)
    for found in _OF_TWO.finditer(reader.own):
        _judge_kind(reader, found)


def _judge(reader: Reader, found: re.Match[str]) -> None:
    start, last = reader.sentence(found.start())
    cut = _SIDE_END.search(reader.own, found.end(), last)
    left, right = reader.own[start : found.start()], reader.own[found.end() : cut.start() if cut else last]
    more = bool(found["more"] or found["above"])
    verdicts = []
    for facts in reader.facts:
        if facts.entry.id not in reader.allowed(found.end()):
            continue
        for ours, theirs in _resolved(facts, left, right, found[0]):
            if ours and theirs and (min(ours) > max(theirs) or max(ours) < min(theirs)):
                verdicts.append((facts.entry.id, (min(ours) > max(theirs)) == more))
    add(reader, found.span("words"), found[0], verdicts, _WHY)


def _judge_limit(reader: Reader, found: re.Match[str]) -> None:
    """'NO2 will be higher than the 21.1 last read', of the mean that is forecast."""
    start, last = reader.sentence(found.start())
    left, number = reader.own[start : found.start()], NUMBER.search(reader.own, found.end(), last)
    scope = Scope(reader, found.span("words"))
    if number is None or re.search(r"\d", left) or not cues.future(left) or scope.all_times or _OF_STEPS.search(left):
        return
    written = reader.units.read(reader.own, number)
    verdicts = [
        (fact.entry, (fact.value > written.value) == bool(found["more"] or found["above"]))
        for _, fact in scoped(reader, scope)
        if fact.path == "forecast_mean" and written.unit is not None and plain(fact.unit) == plain(written.unit)
    ]
    add(reader, found.span("words"), found[0], verdicts, _WHY)


def _judge_kind(reader: Reader, found: re.Match[str]) -> None:
    """'The spike was the smaller of the two anomalies'."""
    left = reader.own[reader.sentence(found.start())[0] : found.start()]
    verdicts = []
    for facts in reader.facts:
        sizes = [fact.value for fact in facts.numbers if fact.group == "anomalies" and fact.role == "size"]
        ours = _sized(facts, left)
        if len(sizes) > 1 and len(ours) == 1 and facts.entry.id in reader.allowed(found.end()):
            verdicts.append((facts.entry.id, ours[0] == (max if found["more"] else min)(sizes)))
    add(reader, found.span("words"), found[0], verdicts, _WHY)


def _resolved(facts: Facts, left: str, right: str, words: str) -> Iterator[Sides]:
    """Values of the two sides, for each sort of thing that both of them may be."""
    yield from _errors(facts, left, right, words)
    yield from _outcomes(facts, left, right)
    yield _sized(facts, left), _sized(facts, right)
    shares = {f.role: f.value for f in facts.numbers if f.role in _SHARES}
    ours, theirs = (
        [shares[role] for role, said in _SHARES.items() if role in shares and said.search(side)]
        for side in (left, right)
    )
    if len(ours) == len(theirs) == 1:
        yield ours, theirs
    yield _level(facts, left), _level(facts, right)
    hours = {f.path: f.value for f in facts.numbers if f.path in ("forecast_mean", "previous_mean")}
    if len(hours) == len(("coming", "before")) and _HOUR_BEFORE.search(right) and _FORECAST.search(left):
        yield [hours["forecast_mean"]], [hours["previous_mean"]]


def _level(facts: Facts, text: str) -> list[float]:
    """The last reading, or the mean of the half hour or the day, that a side names alone."""
    named = [role for words, role in _LEVELS if words.search(text)]
    return [f.value for f in facts.numbers if f.path == named[0]] if len(named) == 1 else []


# -- errors -----------------------------------------------------------------------------------


def _errors(facts: Facts, left: str, right: str, words: str) -> Iterator[Sides]:
    """Errors, or widths of intervals, of two models, or of the model at two leads; a better one has less error."""
    if not any(fact.role in ("mae", "baseline_mae") for fact in facts.numbers):
        return
    wide = re.search(r"\b(?:wider|narrower)\b", words, re.IGNORECASE) is not None
    sign = -1.0 if _ACCURACY.search(words) else 1.0
    if not (wide or sign < 0 or cues.ERROR.search(f"{left} {right}")):
        return
    leads = minutes_ahead(left), minutes_ahead(right)
    if all(leads) and not set(leads[0]) & set(leads[1]):
        yield tuple([sign * value for value in _at_leads(facts, lead)] for lead in leads)  # type: ignore[misc]
        return
    rows = {
        fact.label or fact.role: fact
        for fact in facts.numbers
        if fact.group in ("rows", "backtest") and fact.role in (("width80",) if wide else ("mae", "baseline_mae"))
    }
    ruled = {fact.label for fact in facts.numbers if fact.role == "baseline_mae"}
    ours, theirs = (_models(rows.values(), ruled, side) for side in (left, right))
    if not {fact.path for fact in ours} & {fact.path for fact in theirs}:
        yield [sign * fact.value for fact in ours], [sign * fact.value for fact in theirs]


def _models(rows: Iterable[Fact], ruled: set[str], text: str) -> list[Fact]:
    """The rows of the models that a side names."""
    baselines = [fact for fact in rows if fact.label in ruled]
    if (name := named_model(text, {fact.label for fact in baselines})) is not None:
        return [fact for fact in baselines if fact.label == name]
    if _BEST_RULE.search(text):
        return sorted(baselines, key=lambda fact: fact.value)[:1]
    if _ALL_RULES.search(text) or (cues.BASELINE.search(text) and len(baselines) == 1):
        return baselines
    return [fact for fact in rows if fact.label not in ruled] if MODEL.search(text) else []


def _at_leads(facts: Facts, leads: Iterable[float]) -> list[float]:
    """Errors of the model so many minutes ahead."""
    ruled = {fact.label for fact in facts.numbers if fact.role == "baseline_mae"}
    return [
        f.value
        for f in facts.numbers
        if f.role == "mae" and f.ahead is not None and f.ahead in leads and f.label not in ruled
    ]


def _judge_growth(reader: Reader, found: re.Match[str]) -> None:
    """'The error shrinks with the horizon', of the errors at the shortest and the longest lead."""
    sentence = reader.own[slice(*reader.sentence(found.start()))]
    if not _HORIZON.search(sentence) or not cues.ERROR.search(sentence):
        return
    verdicts = []
    accuracy = re.search(r"\baccuracy\b", sentence, re.IGNORECASE) is not None
    for facts in reader.facts:
        ruled = {f.label for f in facts.numbers if f.role == "baseline_mae"}
        name = named_model(sentence, ruled)
        rows = sorted(
            (f.ahead, f.value)
            for f in facts.numbers
            if f.ahead is not None
            and f.role in ("mae", "baseline_mae")
            and (f.label == name if name else f.label not in ruled)
        )
        if len(rows) > 1 and facts.entry.id in reader.allowed(found.end()):
            verdicts.append(
                (facts.entry.id, (rows[-1][1] > rows[0][1]) == (bool(found["up"] or found["less"]) != accuracy))
            )
    add(reader, found.span(), found[0], verdicts, "the errors at the leads say otherwise")


# -- analogs and anomalies --------------------------------------------------------------------


def _outcomes(facts: Facts, left: str, right: str) -> Iterator[Sides]:
    """What is forecast, or was just before, and the same of the analogs."""
    if _ANALOGS.search(left) and _FORECAST.search(right) and not _ANALOGS.search(right):
        yield from ((theirs, ours) for ours, theirs in _outcomes(facts, right, left))
        return
    if not _ANALOGS.search(right) or not any(fact.group == "outcomes" for fact in facts.numbers):
        return
    before = _JUST_BEFORE.search(left) and not _FORECAST.search(left)
    role, group = ("just_before", "analogs") if before else ("median", "outcomes")
    ours = [f.value for f in facts.numbers if f.role == role and f.group == ("" if before else group)]
    theirs = [
        f.value for f in facts.numbers if f.group == "analogs" and f.role == ("just_before" if before else "mean")
    ]
    yield ours, theirs


def _sized(facts: Facts, text: str) -> list[float]:
    """Sizes of the anomalies that a side names by their kind."""
    sizes = [fact for fact in facts.numbers if fact.group == "anomalies" and fact.role == "size"]
    return [fact.value for fact in sizes if fact.label and re.search(rf"\b{fact.label}s?\b", text, re.IGNORECASE)]
