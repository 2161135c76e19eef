"""Whether the words around a number let it have the role of a fact: the mean, an end, the usual, an error, a share."""

from __future__ import annotations

import re

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.extremes import CENTRES, LEVELS, extreme_against
from mm4st_agent.agent.claims.fact import Fact
from mm4st_agent.agent.claims.models import MODEL, error_against
from mm4st_agent.agent.claims.percentages import NOMINAL_BEHIND, SO_MUCH_MORE, Uncued, percentage_against, said
from mm4st_agent.agent.claims.scope import Scope

_STRICT_GAP = (
    r"(?:\s+(?:speeds?|flows?|loads?|levels?|values?|readings?|rates?|one|ones|"
    r"mean|figure|at|of|is|was|for|this|that|about|around|the|time|week|hour|"
    r"[a-z]?ly|roughly|would|be|say|says?|gives?|expected|vehicles|estimate|"
    r",))*\W*"
)
_THAN = re.compile(
    r"\b(?:than|above|below|over|under|to|as|from|versus|against)\s+(?:the|its|their|his|a|an)?\s*$", re.I
)
_DIRECT = re.compile(rf"{_STRICT_GAP}$", re.IGNORECASE)
_OF_THE_ONE_BEFORE = re.compile(r"\d\s*[^\s\d]\S*\s+(?:at|in|of|from|as)\s+(?:the\s+|its\s+)?$")
"""'5.1 km/h at the last count and 14 km/h': the words speak of the number before them."""
_LOOSE = re.compile(r"[^.;:\d]{0,70}$")
_BEHIND = re.compile(
    r"\W*(?:(?:that|which)\s+)?(?:is|was|would be|are|as|being)?\s*(?:the\s+)?(?:usual|normal|"
    r"typical)\b(?!\W*(?:about |of )?\d)",
    re.IGNORECASE,
)
_SECOND = re.compile(
    r"\d\s*(?:[^\s\d]\S*\s+(?:\S+\s+)?)?(?:to|and)\s*(?:about |around |almost |"
    r"nearly |roughly |some |just |only )?\W*$|"
    r"\d[^\s\d]*\s*[–-]\s*$",
    re.IGNORECASE,
)
"""Behind the first number of a pair."""
FROM = re.compile(
    r"\b(?:from|between|range\w* (?:is |of |in the range )?|range)\s*(?:about |around |roughly |some |just )?\W*$",
    re.IGNORECASE,
)
_NAMED_END = re.compile(r"\b(?:(?P<low>low)|high)\W{1,3}$", re.IGNORECASE)
"""'Low 11.1, median 15.2, high 18.5 km/h'."""
_OPENS = re.compile(r"\d[^()\d]*[(\[]\s*$")
_CLOSES = re.compile(r"\s*(?:[^\s\d]\S*\s+)?(?:to|–|-)\s*\d[^()]*(?:[)\]]|$)")
"""'137 vehicles (124 to 149)': the first number of a pair in brackets behind another number."""
READ = frozenset({"last", "recent", "mean", "minimum", "maximum", "total", "value", "first_mean", "second_mean"})
_ERRORS = frozenset({"mae", "baseline_mae", "recent_mae", "width80"})
ENDS = frozenset({"low", "high"})
_BASELINE_OR_USUAL = re.compile(f"{cues.BASELINE.pattern}|{cues.USUAL.pattern}", re.IGNORECASE)
_SLOWDOWN = re.compile(r"\b(?:slow(?:s|ed|ing|downs?)|loss\w*|speeds? up|sped up)\b", re.IGNORECASE)
_COMPARED_BEHIND = re.compile(
    r"[^.;]{0,25},?\s+(?:above|below|over|under|more|less|fewer|higher|lower|faster|slower)\b", re.IGNORECASE
)
_PAIR_IN_BRACKETS = re.compile(
    r"\(\D{0,10}\d[\d.,]*[^()\d]{0,20}(?:vs\.?|versus|against|instead of|rather than|compared (?:with|"
    r"to))[^()\d]{0,10}\d[\d.,]*[^()]{0,20}\)"
)
"""'Above normal (16.4 vs 14.9)': which is which, the words before tell."""
_CHANGES_BY = re.compile(
    r"\b(?:ris|rose|f[ae]ll|drop|jump|chang|increas|decreas|slow|exceed|rais|lower|lift|gain|los|differ|declin|"
    r"climb|grow|grew)"
    r"\w*\s+(?:\w+\s+){0,2}?by\s+(?:about |around |roughly |nearly )?$",
    re.IGNORECASE,
)
_AS_IF = re.compile(r"^\W*(?:without|had)\b|\b(?:removed|removing|taken out|left out|never)\b", re.IGNORECASE)
_SPREAD = re.compile(
    r"\b(?:range\w*|ranging|spread|spans?|spanning|swings?|swung|differ\w*|gap|between|apart|separat\w*|times|"
    r"twice|half|"
    r"(?:fast|slow|high|low|busi|quiet)\w*est|extremes?|from)\b",
    re.IGNORECASE,
)
_APART = re.compile(r"\b(?:gap|differ\w*|apart|deviat\w*|distance|separat\w*|discrepan\w*)\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"\b(?:before\w*|prior|preceding|previous|earlier|ahead of|this morning|now|this time|had been|current\w*|"
    r"then|start\w*|from)\b",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"\b(?:random\w*|together|all|remov\w*|taking|taken|left out|leaving|add\w*|sum\w*|chance|at once|shift\w*|"
    r"mov\w*|eight|test)\b",
    re.IGNORECASE,
)
_AT_A_LEVEL = re.compile(
    r"\b(?:did|does|doing|ran|runs|(?:was|is|were|are|stood|stands) at|averaged|averages|made)\s+"
    r"(?:about |around |only |just )?$",
    re.IGNORECASE,
)
_FARTHER = re.compile(r"\b(?:farther|further|nearer|closer|more|less|than|apart)\b", re.IGNORECASE)
_STARTS = re.compile(
    r"\b(?:intervals?|ranges?|bands?)\b[^.;,\d]*\b(?:(?P<low>starts?|begins?|opens?)|ends?|stops?|closes?)\s+(?:at|with)\s+$",
    re.IGNORECASE,
)
_OF_MEANS = re.compile(
    r"\b(?:mean|average) (?:speed|flow|level|value)s\b|\b(?:means|averages)\b|"
    r"\bon average\b[^.;]*\b(?:faster|slower|more|less)\b",
    re.IGNORECASE,
)
_OF_A_GAP = re.compile(
    r"\b(?:gap|difference)\b[^\d;]*\b(?:of|was|is|were|at|to|averaged)\s+(?:about |only |just |roughly |some )?$|"
    r"\bdiffer(?:ed|s)? by\s+(?:about |only )?$",
    re.IGNORECASE,
)
_LAST_ONE = re.compile(
    rf"{cues.LAST_READING.pattern}(?: [^\d,;.]{{0,30}})?, (?:(?!mean|average|usual|median|"
    rf"forecast)[^\d;.]){{0,30}}(?:is|was|at|in at|stood at)\s+$",
    re.IGNORECASE,
)
_OWN_ROLES = {
    "mean_gap": (_APART, "gap between the readings"),
    "just_before": (_BEFORE, "time before"),
    "random_shift": (_TOGETHER, "shift by random removals"),
    "random_moved": (_TOGETHER, "shift by random removals"),
    "random_moved_high": (_TOGETHER, "shift by random removals"),
    "added_up": (_TOGETHER, "sum of the effects"),
    "moved": (_TOGETHER, "shift by removing all"),
}
"""Roles that no plain number has, the words that such a number needs, and how they are called."""
_BETTER = re.compile(r"\b(?:better|worse|beats?|beaten|outperform\w*|wins?|won|ahead|behind)\b", re.IGNORECASE)
_OVER_A_DAY = re.compile(
    r"\b(?:average|mean)\s+(?:\w+\s+){0,2}(?:of|for|over) the (?:day|week|last|past)\b", re.IGNORECASE
)
OF_TWO_VALUES = frozenset({"gap", "relative", "share", "times"})


def attached(cue: re.Pattern[str], scope: Scope) -> bool:
    """Whether a cue speaks of this number: it stands before it with no other number between, and compares nothing."""
    for found in cue.finditer(scope.words_before):
        gap = scope.words_before[found.end() :]
        if _OF_THE_ONE_BEFORE.search(scope.before[: found.start()]) and re.match(r"\s*(?:and|,|but)\b", gap):
            continue
        if gap.lstrip().startswith(":") and _THAN.search(scope.before[: found.start()]):
            continue  # "fewer than usual: 294.9"
        if _DIRECT.fullmatch(gap) and not (re.match(r"\s*at\b", gap) and _THAN.search(scope.before[: found.start()])):
            return True
        if _LOOSE.fullmatch(gap) and not _THAN.search(scope.before[: found.start()]):
            return True
    return False


def role_against(fact: Fact, scope: Scope) -> str:
    """What says that the number is no mean, end, error, share, ... as the fact is; "" where nothing does."""
    role, sentence, part = fact.role, scope.sentence, scope.part
    if fact.unit == "%" and NOMINAL_BEHIND.match(scope.after) and role != "interval":
        return f"that is no nominal level but the {said(role)}"
    compared = role in OF_TWO_VALUES
    if compared:
        return _compared(fact, scope)
    if fact.unit == "%":
        return percentage_against(fact, scope)
    error = cues.ERROR.search(scope.context if role in _ERRORS else sentence) is not None
    error = error or (role == "width80" and cues.WIDTH.search(scope.context) is not None)
    if role in _ERRORS and _BETTER.search(sentence) and (cues.BASELINE.search(sentence) or MODEL.search(sentence)):
        error = True  # "the best baseline had 2.5 km/h, so the model is better"
    if (
        (role in _ERRORS) != error
        and fact.unit not in ("", "min", "h", "s", "time")
        and (role in _ERRORS or attached(cues.ERROR, scope))
    ):
        if role in _ERRORS:
            return error_against(fact, scope) or Uncued("that is an error of forecasts")
        return "that is no error of a forecast"
    if role == "width80" and cues.ERROR.search(scope.part) and not cues.WIDTH.search(scope.part):
        return "that is the width of the intervals"
    if role in _ERRORS:
        return error_against(fact, scope)
    if fact.unit in ("", "min", "h", "s"):
        return ""
    if role in _OWN_ROLES and not _OWN_ROLES[role][0].search(scope.sentence):
        return f"that is the {_OWN_ROLES[role][1]}"
    if role == "mean_gap" and _OF_MEANS.search(scope.part):
        return "that is the mean gap of the readings"
    if role == "difference" and re.search(r"\b(?:average|mean|typical) (?:gap|difference)\b", scope.before):
        return "that is the difference of the means"
    if role in ("first_mean", "second_mean", "mean", "value", "recent") and _OF_A_GAP.search(scope.before):
        return "that is a level, not a difference"
    usual = (attached(cues.USUAL, scope) and role != "mean_gap") or _BEHIND.match(scope.after) is not None
    baseline = attached(cues.BASELINE, scope) or re.match(
        r"\W*(?:\w+\s+){0,3}(?:that|which) (?:the )?(?:baseline|serves)", scope.after
    )
    pair = _PAIR_IN_BRACKETS.search(scope.reader.own, *scope.around) is not None and cues.USUAL.search(sentence)
    if pair and role in ("usual", "recent", "last", "median", "baseline"):
        return ""
    if role == "usual" and not fact.path.startswith("usual.") and not usual and not _usual_near(scope):
        return Uncued("that is the usual value")
    if usual and role not in ("usual", "baseline") and not baseline and not fact.path.startswith("usual."):
        return f"that is not the usual value but the {said(role)}"
    named = cues.BASELINE.search(scope.ahead)
    apposed = named is not None and not re.search(r"\d", scope.ahead[named.end() :])
    called = fact.label and any(word in sentence.casefold() for word in re.findall(r"\w{4,}", fact.label.casefold()))
    if (
        role == "baseline"
        and not called
        and not (baseline or apposed or cues.BASELINE.search(part) or cues.USUAL.search(part))
    ):
        return "that is the baseline"
    if baseline and role not in ("baseline", "last", "usual"):
        return f"that is not the baseline but the {said(role)}"
    apart = re.sub(r"\b\d{1,2}:\d\d\b", "", scope.ahead)
    last = attached(cues.LAST_READING, scope) or _LAST_ONE.search(apart) is not None
    if last and role in (*CENTRES, *READ, "low", "high") and role != "last":
        return f"that is not the last reading but the {said(role)}"
    moved_from = re.search(r"\b(?:from|instead of|rather than)\s+(?:about )?$", scope.before) is not None
    if fact.path.startswith("before.") and _AS_IF.search(sentence) and not moved_from and "would" in part.split():
        return "that is the forecast as things are"
    if role in LEVELS and not fact.signed and _CHANGES_BY.search(scope.before):
        return "that is a level, not a change"
    signed = scope.reader.text[scope.span[0] : scope.span[0] + 1] in ("+", "-", "−")
    if (
        fact.signed
        and role == "change"
        and not signed
        and not (cues.COMPARED.search(scope.clause) or _SLOWDOWN.search(scope.clause))
    ):
        return "that is a change"
    if fact.signed and not signed and role in ("change", "difference") and _AT_A_LEVEL.search(scope.before):
        return "that is a change, not a level"
    around = re.split(r"\d(?! (?:min|hour))", scope.before)[-1] + " " + re.split(r"\d", scope.after)[0]
    averaged = (
        scope.lasting is not None
        and not attached(cues.LAST_READING, scope)
        and re.search(r"\bon average\b|\baverag", around, re.IGNORECASE) is not None
    )
    if role == "last" and (averaged or attached(_OVER_A_DAY, scope)):
        return "that is one reading"
    return _bounds(fact, scope) or extreme_against(fact, scope)


def _usual_near(scope: Scope) -> bool:
    if re.match(r"\s*(?:instead of|rather than|compared|against|versus)", scope.part, re.IGNORECASE):
        return True
    if scope.dependent and cues.USUAL.search(scope.context):
        return True
    return cues.USUAL.search(scope.part) is not None and not re.search(r"\d", scope.before[-40:])


def _bounds(fact: Fact, scope: Scope) -> str:
    """An end of an interval stands as one, and what stands as one is no middle."""
    if fact.role in ENDS and re.search(
        r"\b(?:most likely (?!lie)|best estimate|central estimate)", scope.part, re.IGNORECASE
    ):
        return f"that is the {fact.role} end of the interval"
    end = _STARTS.search(scope.words_before) or cues.END_OF_INTERVAL.search(scope.before)
    if end is not None:
        right = fact.role == ("low" if end["low"] else "high")
        return "" if right else "that is not this end of the interval"
    if fact.role in ENDS and (named := _NAMED_END.search(scope.before)) is not None:
        right = fact.role == ("low" if named["low"] else "high")
        return "" if right else "that is not this end of the interval"
    if fact.role in ENDS and _OPENS.search(scope.before) and _CLOSES.match(scope.after):
        return "" if fact.role == "low" else "the interval does not begin with its upper end"
    second = _SECOND.search(scope.before) is not None
    dashed = re.match(r"\s*[–-]\s*\d", scope.after) or re.search(r"\d\s*[–-]\s*$", scope.before)
    if fact.role in ENDS and not cues.RANGE.search(scope.sentence) and not second and not dashed:
        return f"that is the {fact.role} end of the interval"
    if (
        fact.role in ENDS
        and not second
        and not FROM.search(scope.before)
        and not re.match(r"\s*(?:[\w/%³µ]+\s+)?(?:to|and|–|-)\s*(?:about )?\d|\s*[–-]\d", scope.after)
    ) and not re.search(
        r"\b(?:low|high|upper|lower|least|most|up to|bound|worst|best|end|no more than|"
        r"no fewer than|no less than|than|could|might|may|excluded|ruled out|possibl[ey]|starts?|begins?|reaches|"
        r"ends)\b",
        scope.sentence,
        re.IGNORECASE,
    ):
        return f"that is the {fact.role} end of the interval"
    if second and fact.role in (*CENTRES, "low", "minimum") and cues.INTERVAL.search(scope.part):
        return f"the interval does not end with the {said(fact.role)}"
    if fact.role in CENTRES and FROM.search(scope.before) and cues.INTERVAL.search(scope.part):
        return f"the interval does not begin with the {said(fact.role)}"
    if fact.role in ("high", "maximum") and FROM.search(scope.before) and cues.INTERVAL.search(scope.part):
        return "the interval does not begin with its upper end"
    return ""


def _compared(fact: Fact, scope: Scope) -> str:
    """A difference or ratio needs words that compare, and the words for what it is compared with."""
    sentence, (_, other) = scope.sentence, fact.of
    both = len(fact.places) == 2 and fact.places <= scope.named_places
    behind = _COMPARED_BEHIND.match(scope.reader.own, scope.span[1]) is not None
    if fact.role == "gap" and not behind and not SO_MUCH_MORE.match(scope.after) and _AT_A_LEVEL.search(scope.before):
        return "that is a difference, not a level"
    if fact.of == ("last", "usual") and fact.role == "share" and not cues.LAST_READING.search(sentence):
        return "that is of the last reading"
    if fact.of[0] == "away" and not _FARTHER.search(scope.clause):
        return "that is a difference, not a distance"
    moves = (words.search(sentence if both else scope.clause) for words in (cues.COMPARED, cues.UP, cues.DOWN))
    if fact.role in ("gap", "relative") and not (behind or any(moves)):
        return "nothing is compared there"
    if other == "minimum" and not _SPREAD.search(sentence):
        return "nothing is said of a spread"
    if cues.ERROR.search(scope.part) and other != "baseline_mae":
        return "that is no error of a forecast"
    needed = {
        "usual": cues.USUAL, "baseline": _BASELINE_OR_USUAL, "previous_mean": cues.PREVIOUS,
        "baseline_mae": cues.BASELINE,
        **({"mean": cues.AVERAGE, "recent": cues.AVERAGE} if fact.of[0] != other else {}),
    }.get(other)  # fmt: skip
    if needed is not None and not needed.search(sentence):
        return f"nothing is compared with the {said(other)}"
    if (
        other == "usual"
        and fact.role == "relative"
        and not cues.USUAL.search(scope.part)
        and not re.match(
            r"\W*(?:\w+\s+)?than (?:is |the )?(?:usual|normal|"
            r"typical)",
            scope.reader.own[scope.span[1] :],
        )
        and (cues.USUAL.search(sentence) is None or cues.PREVIOUS.search(scope.part))
    ):
        return "nothing is compared with the usual there"
    if fact.role == "share" and SO_MUCH_MORE.match(scope.after):
        return "it is so much of it, not so much more or less"
    if other != "usual" and not needed and cues.USUAL.search(scope.part):
        return "that is not compared with the usual"
    return ""
