"""What a question wants to see: a map, a picture of a certain kind, or what pattern a series follows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Method = Literal[
    "auto", "line", "heatmap", "multiples", "uvh", "stft", "cwt", "filterbank", "gasf", "gadf", "mtf", "rp"
]
Aspect = Literal["trend", "periods", "changes", "regimes", "anomalies", "volatility", "noise", "relation", "overall"]

_DAILY = (
    r"(?:by|per|of(?: the)?|over(?: the)?) (?:day|hour|time of (?:the )?day)|day by day|days?[- ](?:and|by"
    r"|x)[- ]hours?"
)
_CHART = r"(?:plots?|charts?|graphs?|diagrams?|pictures?|images?|fields?|matri(?:x|ces)|maps?)"
_METHODS: dict[Method, str] = {
    "uvh": rf"heat ?-?maps?\b(?=.{{0,30}}\b(?:{_DAILY}))|(?:daily|calendar|folded|day) heat ?-?maps?"
    rf"|(?:fold\w*|stack\w*|wrap\w*)(?=\b.{{0,25}}\b(?:by|per|into|after) (?:the )?(?:day|week|hour|period|row))"
    r"|one row (?:per|for (?:each|every)) day",
    "heatmap": r"heat ?-?maps?|(?:places|stations|sensors|nodes|roads|detectors|space)(?: and| against| by"
    r"| over| x| vs\.?"
    r"| versus| times)+ (?:the )?time\b|time (?:against|by|x|vs\.?|versus|and) (?:the )?(?:places|stations"
    r"|sensors|nodes|roads"
    r"|space)\b|(?:every|each|one|all) (?:place|station|sensor|node|road)s? (?:as|in|is|being|per|a) (?:its "
    r"|an? )?(?:own )?rows?"
    r"|space[- ]time (?:plots?|diagrams?|pictures?)",
    "multiples": r"small multiples|multiples|panel (?:plot|chart)s?|one (?:panel|plot|chart) (?:per|for each) \w+"
    r"|(?:next to|beside|with|and|alongside|against) (?:its|the|all its) neighbou?r(?:s|ing \w+)?",
    "filterbank": r"(?:mel )?filter ?-?banks?|mel(?:[- ]spectrograms?)?(?= |\W|$)",
    "cwt": r"wavelets?(?: (?:transforms?|spectr(?:um|a)))?|scalograms?|cwt",
    "stft": r"spectrograms?|spectrum|spectra|stft|short[- ]time fourier(?: transforms?)?|frequenc(?:y|ies)"
    r" (?:over|through|against) time",
    "gadf": rf"gadf|(?:gramian |angular )+difference (?:angular )?{_CHART}",
    "gasf": rf"gasf|gaf|gramians?(?: (?:angular|summation))*(?: {_CHART})?|angular (?:summation )?{_CHART}",
    "mtf": rf"mtf|markov(?: transition)?(?: {_CHART})?|transition {_CHART}",
    "rp": rf"recurrence(?: {_CHART})?",
    "line": r"line (?:plots?|charts?|graphs?|pictures?|drawings?)|(?:as|with) a line|curves?|time series plots?",
}
"""How each picture is asked for; the first that fits is meant."""
_AUTO = (
    r"(?:which|what) (?:kind of |sort of |type of )?(?:picture|plot|chart|view|image|visuali[sz]ation|drawing)s?"
    r"(?= (?:would |will |should |can |do |does )?(?:you |i )?(?:show|suit|fit|say|tell|reveal|bring|recommend"
    r"|draw|use|is best|works))"
    r"|(?:best|right|most (?:telling|useful|informative)) (?:picture|plot|chart|view|image|visuali[sz]ation"
    r"|way to (?:see|look at|show|draw))"
    r"|draw|sketch|as an? (?:image|picture)|picture the|visuali[sz]e|depict|(?:a )?(?:picture|image"
    r"|visuali[sz]ation|drawing) (?:of|for)"
    r"|(?:plot|chart|graph)(?: of| for)?"
)
_SERIES = re.compile(
    r"\b(?:series|history|last|past|previous|readings|hours?|days?|levels?|now|today|yesterday)\b", re.IGNORECASE
)
"""A plot of these is the line that stands with the numbers."""
_PLOT = re.compile(r"\b(?:plot|chart|graph)\b", re.IGNORECASE)
_MAP = re.compile(
    r"\bbird'?s?[- ]?eye(?: view)?\b|\b(?:over)?view of the (?:whole |entire )?(?:city|town|network|region|area)\b"
    r"|\bfrom above\b|\b(?:(?:city|road|network|street) )?maps?\b|\bmapped\b|\bgeographic\w*\b|\bspatial(?:ly)?\b",
    re.IGNORECASE,
)
_CHANGING = re.compile(
    r"\bchang\w*|\bgetting\b|\bslowing\b|\bimprov\w*|\bworsen\w*|\bris(?:e|es|ing|en)\b|\brose\b|\bfall(?:s|ing"
    r"|en)?\b|\bfell\b|\bdevelop\w*|\b(?:went|gone|goes|going|moved?|shot|came|come|up or|up and) (?:up|down)\b"
    r"|\b(?:in|de)creas\w*|\bdropp\w*|\bdeclin\w*|\bdiffer\w*|\bup or down\b",
    re.IGNORECASE,
)
_ASPECTS: dict[Aspect, str] = {
    "relation": r"lag(?:s|ged|ging)?|lead(?:s|ing)?|follow(?:s|ing|ed)?|behind|ahead of|correlat\w*|relat\w+"
    r"|influences?"
    r"|affects?"
    r"|reach(?:es)?|spill\w*|propagat\w*|spread\w*|later at|earlier at|before (?:it )?(?:reaches|does)"
    r"|driv(?:es|en)|caus(?:es|ed)|depends?|coupled|connected|synchron\w*|granger\w*|in step|together"
    r"|one before the other",
    "anomalies": r"anomal\w*|outliers?|spikes?|glitch\w*|odd(?:ities|ity|ly)?|strange\w*|weird\w*|suspicious"
    r"|implausible"
    r"|anything (?:unusual|abnormal|unexpected)|unusual (?:readings?|values?|moments?|things?|behaviou?r)"
    r"|out of the ordinary|stuck (?:at|on)|flat ?-?lin\w+|irregularit(?:y|ies)|(?:faulty|wrong"
    r"|bad) (?:readings?|values?)",
    "changes": r"change ?-?points?|break ?-?points?|structural breaks?|step changes?|(?:level|mean) (?:shifts?"
    r"|changes?|breaks?|jumps?)"
    r"|(?:dropp|fell|fall|jump|ris|rose|mov|shift|chang|switch|settl|sank|sunk|climb"
    r"|stepp)\w* to an? (?:\w+ )?(?:level|value|plateau)"
    r"|such a (?:break|jump|step|change|shift)"
    r"|shifts? (?:in|of) (?:the )?(?:level|mean)|(?:level|mean|average|base(?:line)?) (?:\w+ ){0,2}?(?:change"
    r"|shift|jump|move|break)d?"
    r"|changes? (?:in|of) (?:the )?(?:level|mean|variance|spread)|new level|shift(?:s|ed)?"
    r"|when did(?=\b.{0,30}?\b(?:change|shift|jump"
    r"|drop|break|switch))",
    "regimes": r"regimes?|(?:two|several|different|distinct) states|switch(?:es|ing)? (?:between|back)",
    "periods": r"periodic\w*|periodicit\w+|seasonal\w*|cycl(?:e|es|ic|ical|ically)|rhythm\w*|repeat\w*"
    r"|recur(?:s|ring)?"
    r"|how regular\w*|dominant (?:period|frequency)|(?:main|which|what) (?:period|frequency)(?= (?:does|do|has"
    r"|is|dominates)|\W*$)",
    "trend": r"trends?|trending|long[- ](?:term|run)|drift(?:s|ing)?|creep\w*|steadily (?:ris|fall|grow|increas"
    r"|declin|climb)\w+"
    r"|(?:rising|falling|growing|declining|increasing|decreasing) (?:over|in the long)(?= )",
    "volatility": r"volatil\w*|how (?:un)?(?:stable|steady)|jump(?:y|iness)|jitter\w*|erratic\w*|fluctuat\w*"
    r"|variab\w+|unsteady|restless",
    "noise": r"noisy|noisiness|how much (?:random )?noise|white noise|(?:kind|colou?r|sort|type) of noise"
    r"|random walk|autocorrelat\w*",
    "overall": r"patterns?|characteri[sz]e|characteristics|regularities|(?:describe|explain) the (?:series"
    r"|shape|behaviou?r)"
    r"|(?:kind|sort|type) of series|features of",
}  # fmt: skip
_WORDS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in (*_METHODS.items(), *_ASPECTS.items())
}
_AUTO_WORDS = re.compile(rf"\b(?:{_AUTO})(?!\w)", re.IGNORECASE)
_BETWEEN_TWO = re.compile(r"\b(?:lag\w*|correlat\w*|granger\w*|depends? on|move together)\b", re.IGNORECASE)
"""Other words of a relation have other meanings where only one place is named."""
EVERYWHERE: frozenset[Method | None] = frozenset({"heatmap"})
"""Pictures that show all places where none is named."""


@dataclass(frozen=True)
class Look:
    """What a question wants to see.

    Attributes:
        map: A map.
        change: How it changes, rather than how it is.
        method: The kind of picture that is named; 'auto' leaves it to the tool.
        aspects: Of the pattern of a series, in the order in which they are named.
        at: Where the words for these stand; they name no place.
    """

    map: bool = False
    change: bool = False
    method: Method | None = None
    aspects: tuple[Aspect, ...] = ()
    at: tuple[tuple[int, int], ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether a picture or a pattern is named at all."""
        return self.map or self.method is not None or bool(self.aspects)

    def of_one(self, question: str) -> Look:
        """The same where the question names one place, so that "follow" need not speak of two."""
        if _BETWEEN_TWO.search(question):
            return self
        return replace(self, aspects=tuple(aspect for aspect in self.aspects if aspect != "relation"))


def look(question: str) -> Look:
    """Read what kind of picture or pattern a question names.

    >>> look("show S096 as a wavelet scalogram").method
    'cwt'
    >>> look("any spikes, and is there a trend?").aspects
    ('anomalies', 'trend')
    """
    at: list[tuple[int, int]] = []
    method: Method | None = None
    for name in _METHODS:
        if found := _WORDS[name].search(question):
            method, at = name, [found.span()]
            break
    text = _without(question, at)
    mapped = _MAP.search(text) if method is None else None
    if method is None and mapped is None and (found := _AUTO_WORDS.search(question)):
        method = "line" if _PLOT.match(found[0]) and _SERIES.search(question) else "auto"
        at = [found.span()]
    if mapped:
        at.append(mapped.span())
    aspects: dict[Aspect, int] = {}
    for aspect in _ASPECTS:
        if found := _WORDS[aspect].search(text):
            aspects[aspect] = found.start()
            if found.start() == 0 or found[0].islower():  # else it may be part of a name
                at.append(found.span())
            text = _without(text, [found.span()])
    return Look(
        map=mapped is not None,
        change=_CHANGING.search(question) is not None,
        method=method,
        aspects=tuple(sorted(aspects, key=lambda aspect: aspects[aspect])),
        at=tuple(at),
    )


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + ";" * (end - start) + text[end:]
    return text
