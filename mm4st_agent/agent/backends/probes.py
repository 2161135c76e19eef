"""What a question asks of the forecaster itself: what drives it, what if, when it was like this, how good it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mm4st_agent.agent.backends.suppositions import Supposition, supposition

Inquiry = Literal["explanation", "what_if", "analogs", "backtest"]

_FORECAST = r"\b(?:forecasts?|forecasting|predictions?|predict\w*|outlook|expect\w*|model|network)\b"
_INPUTS = (
    r"(?:sensors?|stations?|inputs?|neighbou?rs?|lags?|readings?|nodes?|modalit(?:y|ies)|features?|detectors?"
    r"|factors?|drivers?)"
)
_SUCH = r"(?:days?|moments?|times?|situations?|windows?|hours?|cases?|mornings?|evenings?|nights?|episodes?|occasions?)"
_STATE = r"(?:busy|quiet|slow|fast|jammed|congested|high|low|full|empty|bad|dirty|polluted|clean|good)"
_PRESENT = r"(?:this|now|today|that|the present|the current|present|current|it is)"
_EXPLANATION = re.compile(
    rf"(?=.*(?:{_FORECAST}|\b(?:this|that|the|your) (?:number|figure|estimate)\b(?! of)))"
    r"\b(?:what|which|who)\b(?!\s+(?:\w+\s+)?(?:model|network)\b).{0,50}\b(?:driv\w+|influenc\w+|contribut\w+"
    r"|determin\w+|push\w*|pull\w*"
    r"|affect\w*|mov(?:es?|ed)|shap(?:es?|ed)|go(?:es)? into|behind|based on|rests?|rel(?:y|ies)|depends?|made"
    r"|mak(?:es?|ing)"
    r"|look(?:s|ing)? at|uses?|used|matter\w*|important)\b"
    rf"|\b(?:which|what)\s+(?:of the\s+)?(?:\w+\s+){{0,2}}?{_INPUTS}\s+(?:\w+\s+){{0,2}}?(?:matter\w*|counts?|counted"
    r"|important|driv(?:e|es|ing)|contribut\w+|influenc\w+|weigh\w*)\b"
    rf"|\b(?:is|are)\s+(?:the|that|this|these)\b.{{1,30}}\b(?:important|relevant|decisive)\b.{{0,20}}{_FORECAST}"
    r"|\bdo(?:es)?\b.{1,40}\b(?:matter|play (?:a|any) (?:role|part)|make (?:a|any) difference)\b"
    r"|\b(?:explain|justify|break down|account for)\s+(?:(?:to )?me\s+)?(?:please\s+)?(?:the|this|that|your|its"
    r"|how you)\b.{0,25}\b(?:forecasts?|predictions?|prognos[ie]s|outlook|estimate|figure|number)\b"
    r"|\bhow (?:did|do) you (?:come|arrive|get|reach)\b.{0,30}\b(?:forecast|prediction|number|figure|that|this)\b"
    r"|\b(?:how much|what share|how strongly)\b.{0,40}\b(?:texts?|pictures?|images?|vision|log|words|modalit\w+"
    r"|incident|neighbou?rs?)\b.{0,25}\b(?:count|contribute|matter|weigh|share|part)\w*"
    rf"|\bwhere do(?:es)?\b.{{0,20}}{_FORECAST}.{{0,30}}\bcome from\b"
    rf"|\b(?:reasons?|grounds|rationale|explanation|evidence|drivers?|factors?)\b.{{0,20}}\b(?:for|of"
    rf"|behind)\b.{{0,30}}{_FORECAST}"
    r"|\bwhat share\b.{0,30}\b(?:texts?|pictures?|images?|vision|series)\b",
    re.IGNORECASE,
)
_RESTS = re.compile(
    r"\b(?:rests? on|based on|go(?:es)? into|black box|look(?:s|ed)? at to|come(?:s)? from|relies on|behind (?:it"
    r"|that|this)"
    r"|(?:largest|biggest|most|greatest) (?:say|influence|weight|share|effect|impact)|what makes you (?:think|say"
    r"|believe|expect))\b",
    re.IGNORECASE,
)
_WHY_THAT = re.compile(
    r"\bon what (?:grounds|basis)\b|\bwhy (?:do|did|would) you (?:predict|forecast|expect|say|think|estimate)\b"
    r"|\bwhat (?:does|do|did) (?:that|it"
    r"|this|those) depend on\b|^\W*(?:but |and |so )?(?:why|how come)\b(?!.*\b(?:believe|trust"
    r"|rely)\b).{0,30}\b(?:that|this|your|the) (?:\w+ )?(?:forecast|prediction|estimate|number|figure)\b"
    r"|\bwhat makes you (?:think|say|believe|expect|so sure)\b|\b(?:reasons?|grounds) (?:behind|for) (?:that|this|your"
    r"|the (?:\w+ ){0,3}?(?:forecast|prediction|estimate|number|figure|outlook))\b",
    re.IGNORECASE,
)
_ANALOGS = re.compile(
    rf"\b(?:when|how often|was|were|has|have|had|did|ever)\b.{{0,50}}\b(?:(?<!look )like {_PRESENT}"
    rf"|as \w+ as {_PRESENT}|similar(?:ly)?)\b(?=.{{0,30}}\b(?:before|earlier|ever|past|last time)\b|\W*$)"
    r"|\bhas\s+(?:this|it|that|something like this|anything like this)\b.{0,40}\bbefore\b"
    rf"|\b(?:similar|comparable|alike|like)\s+(?:\w+\s+){{0,2}}?{_SUCH}\b"
    rf"|\b{_SUCH}\s+(?:\w+\s+){{0,4}}?(?:like|similar to|comparable (?:to|with)|resembl\w+|alike)\s+{_PRESENT}\b"
    rf"|\b(?:last time|ever)\b.{{0,40}}\b(?:this|that|so|as) {_STATE}\b"
    rf"|\b(?:this|that) {_STATE}\b.{{0,30}}\b(?:before|ever|previously)\b"
    rf"|\b(?:last|ever) look(?:ed)? like\b|\b{_SUCH}\b.{{0,25}}\blook(?:s|ed) like {_PRESENT}\b"
    r"|\bsuch (?:an? )?\w+\b.{0,30}\bbefore\b"
    rf"|\bresembl\w+\s+{_PRESENT}\b"
    r"|\bin (?:a|the same|such a|this|this kind of) situation\b.{0,20}\b(?:like this|before|last)\b|\b(?:historical"
    r"|past) twins?\b|\bdeja vu\b"
    r"|\bmornings? like this\b|\banalog(?:ue)?s?\b|\bprecedents?\b|\blook-?alikes?\b|\bmost alike\b"
    r"|\bseen (?:this|that|it|something like this|anything like (?:this|it))\b.{0,20}\bbefore\b",
    re.IGNORECASE,
)
_US = r"(?:you|your|forecast\w*|predict\w*|model|network|mm4st)"
_BACKTEST = re.compile(
    r"\b(?:coverage|accura\w+|reliab\w+|rely on|trust\w*|believ\w+|(?:track|good|bad) record|calibrat\w+|back-?test\w*"
    r"|hit rate(?! (?:of|on|at|for|in) (?:the |our |your )?(?:travel|info\w*|service|server|site|system|page"
    r"|api)\b)|come true|came true|mae|rmse|(?:average|mean|typical|usual) (?:absolute )?errors?)\b"
    rf"|\bhow (?:good|well|bad|badly|wrong|right|precise|exact|close|far off|far out)\b.{{0,40}}\b{_US}\b"
    rf"|\bhow often\b.{{0,30}}\b(?:{_US}|intervals?)\b.{{0,30}}\b(?:right|wrong|correct|hold|held|hit|miss\w*)\b"
    rf"|\b(?:were|was|are|is|have|has)\s+(?:\w+\s+)?{_US}\b.{{0,30}}\b(?:right|wrong|correct|any good"
    r"|better than|beaten)\b"
    r"|\b(?:forecast|prediction|model)(?:s|['’]s)?\s+(?:errors?|quality|performance|skill)\b"
    rf"|\b(?:errors?|quality|skill|performance)\s+(?:of|in|do|did)\s+(?:\w+\s+){{0,3}}?{_US}\b"
    rf"|\b(?:do|does|did)\s+(?:\w+\s+)?{_US}\b.{{0,20}}\b(?:beat|outperform)\w*\b"
    rf"|\b(?:do|does|did)\s+(?:\w+\s+)?{_US}\s+(?:do|perform|work)\s+(?:well|better|badly)\b"
    rf"|\bhow (?:much|far)\b.{{0,15}}\b{_US}\s+(?:off|out|wrong)\b|\b{_US}\b.{{0,20}}\b(?:hold|held)\b"
    r"|\b(?:intervals?|ranges?|bands?)\b.{0,20}\b(?:hold|held|contain(?:ed)?|cover(?:ed)?|miss(?:ed)?)\b",
    re.IGNORECASE,
)
_ERRORS = re.compile(
    r"\b(?:mae|rmse|mape|back-?test\w*|track record|(?:mean|average|typical|usual|median"
    r"|absolute) (?:absolute )?errors?"
    r"|(?:forecast|prediction) errors?|errors? (?:of|in) (?:the|your) (?:\w+ ){0,3}?(?:forecasts?|predictions?"
    r"|model))\b",
    re.IGNORECASE,
)
_OF_DATA = re.compile(r"\b(?:data|readings?|stations?|sensors?|detectors?|measurements?)\b", re.IGNORECASE)
WHY = re.compile(r"\b(?:why|how come|what(?:['’]s| is) the reason|for what reason|because of what)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Probe:
    """What is asked of the forecaster itself.

    Attributes:
        kind: None where nothing is.
        supposition: Of a what-if question.
    """

    kind: Inquiry | None = None
    supposition: Supposition | None = None


def probe(question: str) -> Probe:
    """Read what a question asks of the forecaster.

    >>> probe("which sensors matter?").kind
    'explanation'
    >>> probe("what if it rained 5 mm/h?").kind
    'what_if'
    """
    if (supposed := supposition(question)) is not None:
        return Probe("what_if", supposed)
    if _ANALOGS.search(question):
        return Probe("analogs")
    rests = _RESTS.search(question) and re.search(_FORECAST, question, re.IGNORECASE)
    if _EXPLANATION.search(question) or rests or _WHY_THAT.search(question):
        return Probe("explanation")
    of_data = _OF_DATA.search(question) and not re.search(rf"\b{_US}\b", question, re.IGNORECASE)
    return Probe("backtest" if _BACKTEST.search(question) and not of_data else None)


def of_errors(question: str) -> bool:
    """Whether a question asks for the errors of forecasts in so many words.

    >>> of_errors("mean error at S061, flow, one hour ahead"), of_errors("how good is the air?")
    (True, False)
    """
    return _ERRORS.search(question) is not None


def without_forecast(question: str) -> str:
    """The question, as long as it was, without words that speak of the future only because a forecast did."""
    return re.sub(_FORECAST, lambda found: ";" * len(found[0]), question, flags=re.IGNORECASE)
