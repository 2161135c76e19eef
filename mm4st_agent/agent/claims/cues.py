"""Words of a sentence that say which quantity, tense, place of a ranking or direction a number in it is."""

from __future__ import annotations

import re


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


FUTURE = _words(
    r"look(?:s|ing)? (?:ahead|set)|set to|bound to|poised|upcoming|fores[ae]en?|foresees|envisag\w*|expectations?|"
    r"prospects?|projections?|"
    r"to come|tonight|from now|within the hour|(?:it|they|speeds?|traffic)'ll|(?<!the )hour ahead|"
    r"will|forecasts?|forecasted|expect(?:s|ed)?|predict(?:s|ed|ion)?|project(?:s|ed)|should|going to|coming(?! in\b)|"
    r"(?:in|over|during|for|of) the next|next (?:\w+ )?(?:hours?|minutes?|days?)|ahead(?! of)|tomorrow|likely|chance|"
    r"probability|(?:model|forecast) (?:now )?(?:sees|gives|says|shows|puts)|calls for|outlook|anticipated?|soon|"
    r"later today|"
    r"would (?:carry|predict|say)|about to"
)
UNEXPECTED = re.compile(r"\bthan\b[^.;,]*\bexpect\w*", re.IGNORECASE)
"""'Higher than you would expect' speaks of the usual, not of what comes."""
PRESENT = _words(
    r"current(?:ly)?|right now|now|at present|at the moment|presently|measured|recorded|reported|readings?|"
    r"is (?:running|doing|moving|crawling|travelling|receiving|handling)|was|were|has been|so far|at this moment"
)
NOW = _words(r"current(?:ly)?|right now|now|at present|at the moment|presently|at this moment")
AVERAGE = _words(r"averag\w*|means?|on average|over the|in total|total|all day|per day|daily")
MEAN = _words(r"averag\w*|means?|hourly")
RANGE = _words(
    r"odds|span\w*|spread|uncertain\w*|ceiling|floor|as (?:little|much|few|many) as|pessimistic|optimistic|possibl[ey]|"
    r"plausibl\w*|"
    r"could|might|excluded|ruled out|at (?:worst|best)|plus or minus|margin|envelope|somewhere|extremes?|"
    r"percentiles?|quantiles?|"
    r"(?:four|eight) (?:times |cases )?(?:out of|in) (?:five|ten)|"
    r"bands?|between|range[sd]?|rang(?:e|ing)|intervals?|from|bounds?|at least|"
    r"at most|up to|as (?:low|high) as|low(?:er)? end|"
    r"(?:high|upp)er end|upper|no (?:better|worse|faster|slower|busier) than|likely|"
    r"chance|probability|certainty|confidence|"
    r"no (?:fewer|less|more|higher|lower) than|anywhere|reach(?:es)? from|worst case|"
    r"best case|give or take"
)
INTERVAL = _words(
    r"odds|bands?|range[sd]?|rang(?:e|ing)|intervals?|chance|probability|certainty|"
    r"confidence|bounds?|likely|anywhere|give or take|no (?:fewer|less|more|"
    r"higher|lower) than"
)
USUAL = _words(
    r"norms?|habitual(?:ly)?|accustomed|as a rule|most weeks|long-(?:run|term)|"
    r"(?:average|expected|common|standard) (?:\w+ )?(?:for|at) (?:this|that) (?:time|hour|slot|day|point)|"
    r"(?:you|one|people)(?: would|'d) (?:normally |usually )?expect|(?:this|that) time of (?:the |a )?week|"
    r"usual(?:ly)?(?!\s+(?:course|rhythm))|normal(?:ly)?|typical(?:ly)?"
    r"(?! (?:gap|error|miss|deviation|difference|spread))|"
    r"customary|ordinar(?:y|ily)|regular(?:ly)?"
)
BASELINE = _words(
    r"benchmarks?|yardsticks?|na[iï]ve|persist\w*|repeat(?:s|ed|ing)?|carry-forward|last-(?:value|reading)|week-ago|"
    r"rules?|(?:simple|simpler|reference|comparison) (?:methods?|forecasts?|guess(?:es)?)|weekly (?:profile|"
    r"average|pattern)|"
    r"baselines?|naive|seasonal naive|persistence|rivals?|carr(?:y|ies|ied|ying) (?:the )?last|carried forward|"
    r"last (?:reading|count|value) forward|simply repeating|repeating the last|usual(?:-for-the-week| week)|"
    r"(?:the )?same time last week|last reading as"
)
ERROR = _words(
    r"mean absolute|discrepan\w*|out by|residuals?|track record|fares?|fared|performs?|performed|performance|"
    r"errors?|backtest|err(?:s|ed)|(?:is|was|are|were|far|typically|be) off|off by|"
    r"off(?=[,.;]|$)|(?:go|goes|went|going) wrong|miss(?:es|ed)?|wrong|MAE|inaccura\w*|"
    r"accura\w*|(?<!standard )deviat\w*|mistaken"
)
WIDTH = _words(r"wid(?:e|er|est|th|ths)|narrow\w*|tight\w*|broad\w*|span\w*|(?:interval|band|range)s?")
COVERAGE = _words(
    r"availab\w*|delivered|arrived|transmitted|recorded|valid|present|observ\w*|reported|"
    r"cover\w*|measured|complete\w*|readings|data|available|gaps?"
)
HELD = _words(
    r"hits?|caught|landed|lay|lies?|enclos\w*|includ\w*|bracket\w*|actual\w*|outcomes?|observed|reliab\w*|"
    r"came (?:in|true)|"
    r"truths?|true|contain\w*|h[eo]lds?|held|cover\w*|inside|within|fell|captur\w*|calibrat\w*|intervals?"
)
LOWEST = _words(
    r"nadir|floor|record low|slump(?:s|ed)?|bottomed|low point|deepest|as (?:little|few) as|"
    r"s[aiu]nks?(?: as low as)? to|"
    r"between|at one end|at the other|(?:not|never) (?:\w+ )?(?:slower|lower)|"
    r"as slow as|lowest|minim(?:um|a)|(?<!\d )min(?=\.)|slowest|bottoms?(?: out)?|trough|"
    r"low(?= of\b| was\b| is\b| came\b| for\b|,|\.| at\b| point\b)|dip(?:s|ped)?|least|quietest|weakest|smallest|"
    r""
    r"cleanest|worst|best|fell to|down to|ranged?|ranging|as low as|drop(?:s|ped)? to"
)
HIGHEST = _words(
    r"ceiling|record high|crests?|crested|apex|top speed|as (?:much|many) as|spik(?:es?|ed)|maxed|surged to|up at|"
    r"between|at one end|at the other|as fast as|highest|max(?:imum|ima)?|fastest|"
    r"peak(?:s|ed|ing)?|top(?:s|ped)?|high(?= of\b| for\b|,|\.| at\b| point\b)|most|"
    r"busiest|strongest|largest|biggest|dirtiest|worst|"
    r"best|ranged?|ranging|as high as|(?<!back )up to|reach(?:es|ed)? (?:its|a)"
)
SUPERLATIVE_OF_READINGS = re.compile(
    r"\b(?:(?:lowest|highest|slowest|fastest|smallest|largest|peak|busiest|quietest|minimum|maximum|top)\s+"
    r"(?:\w+\s+)?(?:readings?|values?|speed|flow|load|levels?|concentration|requests?|figure|point|median|step|"
    r"estimate|PM_*|NO_*)(?!\w)|"
    r"(?:lowest|highest|slowest|fastest)\b(?=(?:\s+\w+){0,2}\s+of the (?:day|week|last|past))|"
    r"daily (?:minimum|maximum|low|high)|minimum|maximum)\b",
    re.IGNORECASE,
)
LAST_READING = _words(
    r"(?:last|latest|most recent|newest|final)\s+(?:[\w-]+\s+)?(?:readings?|values?|measurements?|counts?|"
    r"observations?|samples?|data points?)"
)
END_OF_INTERVAL = re.compile(
    r"\b(?:(?P<low>low(?:er)?|bottom)|(?P<high>upper|high(?:er)?|top))[\s-]+(?:end|bound|limit|edge)\b", re.IGNORECASE
)
PAST = _words(r"(?:in|over|during|within) the (?:last|past|previous|preceding)|last hour|ago|came by|passed|happened")
PREVIOUS = _words(
    r"had been|initially|since|used to|"
    r"before|previous|preceding|prior|past|last|earlier|so far|current|now|from|compared|against|than"
)
COMPARED = _words(
    r"between\b[^.;]*\blies?|missing|lack\w*|comparison|contrast|compare[sd]?|outpac\w*|additional|extra|further|another|net|swing\w*|jump\w*|surg\w*|"
    r"plung\w*|slump\w*|climb\w*|"
    r"dip\w*|shed\w*|sag\w*|beneath|deviat\w*|shift\w*|adds?|added|adding|cuts?|cutting|knock\w*|trim\w*|shav\w*|"
    r"push\w*|pull\w*|drag\w*|"
    r"slow\w*|quicken\w*|narrow\w*|advantage|leads?|closer|away|improv\w*|worsen\w*|effects?|influence\w*|"
    r"contribut\w*|moves?|moved|"
    r"more|less|higher|lower|faster|slower|quicker|above|below|over|under|difference|"
    r"gap|than|fewer|drop\w*|lost|lose\w*|losing|"
    r"up|down|ris\w+|rose|f[ae]ll\w*|beats?|better|worse|exceeds?|increase\w*|decreas\w*|declin\w*|gain\w*|change\w*|"
    r"shorter|longer|behind|ahead|apart|separat\w*|shortfall|deficit|surplus|excess|margin|differ\w*|lag\w*|"
    r"trail\w*|spread|wide|width|"
    r"lighter|heavier|busier|quieter|off|too|as much|"
    r"reduc\w*|ease\w*|edge|short of|raises?|smaller|larger|greater|bigger"
)
UP = _words(
    r"uptick|upswing|soar\w*|swell\w*|mount(?:s|ed|ing)|strengthen\w*|accelerat\w*|quicken\w*|boost\w*|outpac\w*|"
    r"extra|additional|"
    r"above|more|higher|faster|quicker|(?<!make )(?<!makes )(?<!made )(?<!add )(?<!adds )up(?! to)|"
    r"ris(?:e|es|ing|en)|rose|increas\w*|gain\w*|grow\w*|grew|climb\w*|exceed\w*|"
    r""
    r"rais\w*|busier|heavier|jump(?:s|ed)?|surplus|recover\w*|speed(?:s|ed|ing)? up|pick(?:s|ed|ing)? up|upwards?"
)
DOWN = _words(
    r"shed(?:s|ding)?|sag\w*|slump\w*|dip(?:s|ped|ping)?|cut(?:s|ting)?|trim\w*|knock\w*|shav\w*|drag\w*|"
    r"shortfall|deficit|beneath|slowdown|"
    r"decelerat\w*|depress\w*|tumbl\w*|slip\w*|dwindl\w*|"
    r"below|less|lower\w*|slower|down|drop\w*|f[ae]ll(?:s|ing|en)?|decreas\w*|declin\w*|lost|los(?:e|es|ing)|reduc\w*|"
    r"eas(?:e|es|ed|ing)|fewer|shrink\w*|slow(?:s|ed|ing)|plung\w*|lighter|quieter|downwards?|plummet\w*|sink\w*|sank|"
    r"collaps\w*|short of|pulls?"
)

ADVICE = re.compile(
    r"^\W*(?:ask|try|say|you can|you named|you asked|i can|i cannot|i could|"
    r"tell me|for example|do you|shall i|would you)\b|\?\W*$",
    re.IGNORECASE,
)
"""A sentence that asks or offers something claims nothing about the data."""


def future(text: str) -> bool:
    """Whether a text speaks of what comes."""
    return FUTURE.search(UNEXPECTED.sub("", text)) is not None


def sign(text: str) -> int:
    """1 where a text says more, -1 where it says less, 0 where it says neither or both."""
    return bool(UP.search(text)) - bool(DOWN.search(text))
