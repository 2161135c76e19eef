"""Comparisons of models and baselines, recomputed from the errors and forecasts of the ledger."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims.comparisons import OF_STEPS
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.claims.verdicts import LESS, MORE, add, scoped
from mm4st_agent.agent.clock_words import same_time

_WITH_BASELINE = re.compile(
    rf"\b(?:(?P<more>{MORE}|beats?|outperforms?)|(?P<less>{LESS}))\s+(?:accurate\s+)?(?:than\s+)?(?:the\s+|"
    r"its\s+|every\s+|any\s+|a\s+)?"
    r"(?:best\s+|simple\s+|naive\s+|[\w-]+\s+){0,2}?baselines?\b",
    re.IGNORECASE,
)
_BASELINE_BEATS = re.compile(
    r"\bbaselines?\b[^.;,]*?\b(?P<words>(?P<better>better|more accurate|(?:smaller|lower) errors?|beats?|"
    r"beat|ahead)|(?P<worse>worse|less accurate|(?:larger|higher|bigger) errors?))"
    r"(?:\s+than)?\s+(?:the |our |this )?(?:trained )?(?:model|forecast)",
    re.IGNORECASE,
)
_BEST = re.compile(
    r"\b(?:(?:most accurate|best|strongest|(?:lowest|smallest) errors?)|"
    r"(?P<worst>poorest|worst|weakest|least accurate|(?:highest|largest) errors?))\b"
    r"(?=[^.;]*\b(?:baselines?|three|method|rule)\b|(?<=\b))",
    re.IGNORECASE,
)


def read(reader: Reader) -> None:
    """Judge every comparison of the model with a baseline, and of baselines with each other."""
    for found in _BASELINE_BEATS.finditer(reader.own):
        _judge_models(reader, found, model_better=found["worse"] is not None)
    for found in _WITH_BASELINE.finditer(reader.own):
        _judge_baseline(reader, found)
    for found in _BEST.finditer(reader.own):
        _judge_best(reader, found)


def _judge_baseline(reader: Reader, found: re.Match[str]) -> None:
    scope = Scope(reader, found.span())
    if OF_STEPS.search(scope.sentence):
        return  # "in 5 of the 12 steps": the count is judged
    word = found[0].lower()
    if re.match(r"better|worse|beats?|outperforms?|.*accurate", word):
        _judge_models(reader, found, model_better=found["more"] is not None and "less" not in word)
        return
    gaps = [f for _, f in scoped(reader, scope) if f.role == "gap" and f.of == ("median", "baseline")]
    then = [f for f in gaps if f.moment is not None and any(same_time(w, f.moment) for w in scope.reached_times)]
    gaps = then or [fact for fact in gaps if fact.group in ("total", "forecast")]
    verdicts = [(fact.entry, (fact.value > 0) == (found["more"] is not None)) for fact in gaps]
    add(reader, found.span(), found[0], verdicts, "the evidence says otherwise")


def _judge_models(reader: Reader, found: re.Match[str], *, model_better: bool) -> None:
    scope = Scope(reader, found.span())
    verdicts = []
    for facts, fact in scoped(reader, scope):
        if fact.role == "gap" and fact.of == ("mae", "baseline_mae"):
            verdicts.append((fact.entry, (fact.value < 0) == model_better))
        elif (
            fact.role == "mae"
            and facts.entry.values.get("backtest.baseline_mae") is not None
            and fact.path == "backtest.mae"
        ):
            other = float(facts.entry.values["backtest.baseline_mae"].value)
            verdicts.append((fact.entry, (fact.value < other) == model_better))
    if re.search(r"\b(?:every|all|any)\b", found[0]) and verdicts:
        verdicts = [(verdicts[0][0], all(holds for _, holds in verdicts))]
    words = found.span("words") if "words" in found.re.groupindex else found.span()
    add(reader, words, found[0], verdicts, "the errors in the evidence say otherwise")


def _judge_best(reader: Reader, found: re.Match[str]) -> None:
    """'The best of the baselines was the last reading', by the errors of a backtest."""
    sentence = reader.own[slice(*reader.sentence(found.start()))].casefold()
    verdicts = []
    for facts in reader.facts:
        rows = {f.label: f.value for f in facts.numbers if f.role == "baseline_mae" and f.group == "rows" and f.label}
        said = [label for label in rows if _names(sentence, label)]
        if facts.entry.id in reader.allowed(found.end()) and len(rows) > 1 and len(said) == 1:
            extreme = max(rows.values()) if found["worst"] else min(rows.values())
            verdicts.append((facts.entry.id, rows[said[0]] == extreme))
    add(reader, found.span(), found[0], verdicts, "the errors in the evidence say otherwise")


def _names(sentence: str, label: str) -> bool:
    """Whether a sentence says the telling words of a baseline's name."""
    words = [word for word in re.findall(r"\w{4,}", label.casefold()) if word not in ("this", "time")]
    return bool(words) and all(word in sentence for word in words)
