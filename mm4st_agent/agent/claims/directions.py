"""Directions: "is rising", "will fall", "steady", recomputed from trends, slopes, changes and steps of forecasts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mm4st_agent.agent.claims import cues
from mm4st_agent.agent.claims.courses import SMALL, courses
from mm4st_agent.agent.claims.facts import Facts
from mm4st_agent.agent.claims.reader import Reader
from mm4st_agent.agent.claims.scope import Scope
from mm4st_agent.agent.clock_words import same_time

UP = (
    r"rising|risen|rises?|rose|increas(?:es?|ed|ing)|climb(?:s|ed|ing)?|grow(?:s|ing|n)?|grew|recover(?:s|ed|ing)?|"
    r"gain(?:s|ed|ing)|pick(?:s|ed|ing)? up(?: speed)?|speed(?:s|ed|ing)? up|go(?:es|ing)? up|went up|on the rise|"
    r"(?:ramp|step|tick|firm)(?:s|ed|ped|ing|ping) up|"
    r"soar(?:s|ed|ing)|mount(?:s|ed|ing)|build(?:s|ing)? up|swell(?:s|ed|ing)|"
    r"lift(?:s|ed|ing)?|boost(?:s|ed|ing)|(?:on (?:the|its) way|heading|creep(?:s|ing)|inch(?:es|ing)) up|"
    r"upward(?:s| trend)?|accelerat(?:es?|ed|ing)|surg(?:es?|ed|ing)|jump(?:s|"
    r"ed|ing)|rais(?:es?|ed|ing)|pushe?(?:s|d)? up|"
    r"getting (?:faster|busier|heavier|worse)|trending up|edg(?:es?|ed|ing) up|"
    r"(?<=will )grow|(?<=to )grow|(?<=will )rise|(?<=to )rise|(?<=to )gain"
)
DOWN = (
    r"falling|fallen|falls?|fell|drop(?:s|ped|ping)?|declin(?:es?|ed|ing)|decreas(?:es?|ed|ing)|shrink(?:s|ing)?|"
    r"eas(?:es?|ed|ing)(?: off)?|plung(?:es?|ed|ing)|collaps(?:es?|ed|ing)|slow(?:s|"
    r"ed|ing)?(?: down)?|sink(?:s|ing)?|sank|"
    r"los(?:es?|ing|t)|go(?:es|ing)? down|went down|downward(?:s| trend)?|plummet(?:s|ed|ing)?|"
    r"getting (?:slower|quieter|lighter)|trending down|edg(?:es?|ed|ing) down|"
    r"slip(?:s|ped|ping)|sag(?:s|ged|ging)|tumbl(?:es?|ed|ing)|dwindl(?:es?|ed|ing)|slump(?:s|ed|ing)|"
    r"depress(?:es|ed)|drags?|dragged|(?:on (?:the|its) way|heading|creep(?:s|ing)|inch(?:es|ing)) down|"
    r"tail(?:s|ed|ing) off|taper(?:s|ed|ing)?(?: off)?|wan(?:es|ed|ing)|abat(?:es|ed|ing)|subsid(?:es|ed|ing)|"
    r"(?:cool|wind|d(?:ie|y))(?:s|ed|d|ing)? (?:off|down)|"
    r"thin(?:s|ned|ning)? out|reduc(?:es?|ed|ing)|lower(?:s|ed|ing)|weaken(?:s|ed|ing)?"
)
STEADY = (
    r"steady|stable|flat|unchanged|constant|hardly changes?|barely changes?|"
    r"no (?:real )?change(?! points?)|levell?ed off|stays? the same"
)
UNCLEAR = r"unclear|no clear (?:trend|direction)"
_CLAIM = re.compile(
    rf"\b(?:(?P<unclear>{UNCLEAR})|(?P<steady>{STEADY})|(?P<up>{UP})|(?P<down>{DOWN})|"
    r"(?P<particle>(?:up|down)(?=\s+(?:by\s+)?(?:about |around |roughly |some )?[\d]|\s+(?:from|on)\b)))\b",
    re.IGNORECASE,
)
_NOUN = re.compile(
    r"\b(?:an?|the|sudden|sharp|strong|slight|further|steep|steepest|largest|biggest)\s+$", re.IGNORECASE
)
_SOME = (
    r"(?:(?:about|around|roughly|nearly|almost|some|just|only|a|the|low|high|minimum|maximum|of|well|little|over|"
    r"under|"
    r"above|below|more|less|than|close|to|present|current|latest|initial)\s+){0,4}?"
)
_FROM_TO = re.compile(
    rf"\bfrom\s+{_SOME}(?P<from>\d[\d.,]*\d|"
    r"\d)(?![:\d])(?!\s*(?:to|–|-)\s*\d[\d.,]*\s*(?:min|h)).*?\bto\s+"
    rf"{_SOME}(?P<to>\d[\d.,]*\d|\d)(?![:\d])",
    re.IGNORECASE,
)
_PAST_A_LIMIT = re.compile(
    r"\s+(?:below|under|above|beneath|past)\s+(?:\w+\s+){0,2}?(?:\d|half\b|third\b|quarter\b)", re.IGNORECASE
)
_TO_A_VALUE = re.compile(
    r"\s+(?:back\s+|up\s+|down\s+)?to\s+(?:a\s+\w+\s+of\s+)?(?:about |around |just |only )?\d",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\b(?:without|if|unless|whether|no|not|nor|or|neither|any)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_VALUES = re.compile(
    r"\bfell (?:inside|within|into|outside|in the)\b|\bfalls? (?:in|within|inside|into|outside)\b", re.IGNORECASE
)
_SUPPOSED = re.compile(
    r"\b(?:would|comes? out|turns? out|were|had)\b[^.;]{0,45}?\b(?P<words>(?:slightly |a little |somewhat |much )?"
    r"(?:(?P<more>higher|faster|more|greater)|(?:lower|slower|less|fewer)))\b(?!\s+than (?:usual|normal))",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:g[ai]ve[sn]?|giving|m[ae]kes?|made|making|t[ao]kes?|took|ends?|ended|h[eo]lds?|sets?|shows?|showed|keeps?|"
    r"kept|backs?|opens?|opened|adds?|added)\s+$",
    re.IGNORECASE,
)
"""'Gave up 19 km/h': the verb says what is meant, and not "up"."""
_EFFECT = re.compile(r"(?:lift|boost|depress|drag)\w*", re.IGNORECASE)


def read(reader: Reader) -> None:
    """Judge every direction of something that has one in the evidence."""
    _read_supposed(reader)
    for found in _CLAIM.finditer(reader.own):
        scope = Scope(reader, found.span())
        if not _is_claim(reader, found, scope):
            continue
        kind = (
            "down"
            if found["particle"] and found["particle"].lower() == "down"
            else "up"
            if found["particle"]
            else found.lastgroup
        )
        known = list(_known(reader, scope, found))
        if not known:
            if scope.named_places and kind in ("up", "down") and _of_now(scope) and reader.free(*found.span()):
                reader.add(found.span(), "direction", kind, None, [], why="the evidence tells no direction there")
            continue
        right = [entry for entry, direction in known if direction == kind]
        if kind == "steady" and not right:
            right = [entry for entry, direction in known if direction == "small"]
        if reader.free(*found.span()):
            said = {direction for _, direction in known if direction not in ("small",)}
            reader.add(
                found.span(),
                "direction",
                str(kind),
                None,
                right,
                why=f"the evidence says {', '.join(sorted(said)) or 'steady'}",
            )


def _read_supposed(reader: Reader) -> None:
    """'Without the incident the mean would be slightly higher', of a forecast as if."""
    for found in _SUPPOSED.finditer(reader.own):
        span = found.span("words")
        scope = Scope(reader, span)
        if not reader.free(*span) or re.search(r"\bfirst\b|\buntil\b|\bonly at\b", scope.part):
            continue
        for facts in reader.facts:
            change = [fact.value for fact in facts.numbers if fact.path == "difference.percent"]
            if scope.times:
                change = [
                    fact.value
                    for fact in facts.numbers
                    if fact.group == "steps" and fact.role == "difference" and fact.moment is not None
                    if any(same_time(wanted, fact.moment) for wanted in scope.times)
                ]
            if change and facts.entry.id in reader.allowed(found.end()):
                right = (change[0] > 0) == (found["more"] is not None)
                why = f"it is {'more' if change[0] > 0 else 'less'}"
                reader.add(span, "direction", found["words"], None, [facts.entry.id] if right else [], why=why)
                break


def _is_claim(reader: Reader, found: re.Match[str], scope: Scope) -> bool:
    if re.search(r"\btogether\b", scope.part) or (found["particle"] and _VERB.search(scope.before)):
        return False
    if cues.ADVICE.search(scope.sentence) or re.search(r"\b(?:makes?|made|adds?)\s+$", scope.before):
        return False
    if (
        found[0][:1].isupper()
        and found[0].lower().endswith("ing")
        and re.match(r"\s+(?:the|its|that|this|all|an?)\b", scope.after)
    ):
        return False  # 'Dropping the incident from the log ...'
    if _PAST_A_LIMIT.match(reader.own, found.end()):
        return False  # 'falls below 280': the number says it
    if _TO_A_VALUE.match(reader.own, found.end()) and not cues.future(scope.sentence):
        return False  # 'fell to 194': so does this one
    if not reader.free(*found.span()) or _VALUES.match(reader.own, found.start()):
        return False
    if re.match(r"\s+(?:back |up |down )?(?:in)?to (?:the )?(?:first|second|third|fourth|fifth|last)\b", scope.after):
        return False
    if found["particle"] and re.match(r"\s+from\b[^.;]{0,25}?\d", scope.after) and re.search(r"\d", scope.ahead):
        return False  # '15.8, down from 17.7': the numbers say it
    if re.search(r"\b(?:uncertainty|intervals?|bands?|spread|gaps?)\s+(?:\w+\s+)?$", scope.before, re.IGNORECASE):
        return False
    if _EFFECT.fullmatch(found[0]) and re.match(r"\s+(?:\w+\s+){0,3}by\s+(?:about )?\d", scope.after):
        return False  # "lifts it by 2 km/h"
    if re.search(r"\bwhether\b", scope.ahead, re.IGNORECASE):
        return False
    if _WITHOUT.search(scope.before) and not found["unclear"]:
        return False
    word = found[0].lower()
    if word in ("raised", "lowered", "reduced") and re.search(
        r"\b(?:is|are|was|were|little|slightly)\s+$", scope.before
    ):
        return False
    if word in ("lower", "lost", "slow") and not re.search(r"\b(?:has|have|to|will)\s+(?:\w+\s+)?$", scope.before):
        return word == "lost" and cues.USUAL.search(scope.part) is None
    if word.startswith(("losing", "loses", "lost")) and cues.USUAL.search(scope.sentence):
        return False
    if word in ("drops", "falls", "gains", "rises") and re.search(
        r"\b(?:top|largest|biggest|steepest|\w+est|two|three|four|five|these|those|the) (?:\w+ )?$", scope.before
    ):
        return False  # nouns
    if _NOUN.search(scope.before) and word in ("rise", "fall", "drop", "decline", "decrease", "increase", "flat"):
        return True
    return word not in ("still", "slow")


def _of_now(scope: Scope) -> bool:
    return re.search(r"\b(?:is|are|has|have|was|were)\s+(?:\w+\s+)?$", scope.before) is not None


def _known(reader: Reader, scope: Scope, found: re.Match[str]) -> Iterator[tuple[str, str]]:
    """What the evidence says of the sentence's subject: entry, and `up`, `down`, `steady`, `small` or `unclear`."""
    allowed, channels, places = reader.allowed(found.end()), scope.channels(reader.facts), scope.places
    coming: bool | None = cues.future(scope.part) or (cues.future(scope.sentence) and not _of_now(scope))
    if re.search(r"\b(?:jump|drop)(?:s|ped)?\b|sudden|abrupt", scope.part, re.IGNORECASE) and not coming:
        coming = None  # a jump may be a shift
    pair = _FROM_TO.search(scope.sentence)
    if pair is not None and allowed and len(scope.ahead) < pair.start("to"):
        # the two numbers are judged themselves
        one, other = _value(pair["from"]), _value(pair["to"])
        yield min(allowed), "up" if other > one else "down"
        if one and abs(other / one - 1) < SMALL:
            yield min(allowed), "small"
        return
    scoped: list[Facts] = []
    for facts in reader.facts:
        if facts.entry.id not in allowed:
            continue
        if channels and facts.channel and facts.channel not in channels:
            continue
        if facts.about and places and not (facts.about | facts.ids) & places:
            continue
        scoped.append(facts)
    if coming is False and not any(
        f.word("trend") or f.word("trend.kind") or f.word("first") or f.word("order") for f in scoped
    ):
        coming = True  # only a forecast is there to tell a direction
    for facts in scoped:
        for direction in courses(facts, scope, coming):
            yield facts.entry.id, direction


def _value(text: str) -> float:
    return float(text.replace(",", ""))
