"""Typing errors and shorthand in a question: "waht wil the trafic be nxt hr", put right before it is read."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from rapidfuzz.distance import OSA

from mm4st_agent.agent.backends.common_words import is_english, stop_words
from mm4st_agent.agent.chat import Session

_SHORTHAND = {
    "2moro": "tomorrow", "2morrow": "tomorrow", "2nite": "tonight", "adn": "and", "atm": "at the moment", "avg":
    "average", "bisy": "busy", "coz": "because", "cud": "could", "curr": "current", "fcast": "forecast", "fcst":
    "forecast", "fri": "friday", "gimme": "give me", "hav": "have", "hor": "hour", "hors": "hours", "hows": "how's",
    "hr": "hour", "hrs": "hours", "hwo": "how", "incdt": "incident", "iz": "is", "liek": "like", "lst": "last",
    "mapp": "map", "meny": "many", "mesure": "measure", "mon": "monday", "mornin": "morning", "nd": "and", "nere":
    "near", "nite": "night", "nxt": "next", "ovr": "over", "plese": "please", "pls": "please", "plz": "please",
    "pred": "predict", "spd": "speed", "sped": "speed", "stn": "station", "teh": "the", "ther": "there", "thur":
    "thursday", "thurs": "thursday", "thx": "thanks", "tiem": "time", "tmr": "tomorrow", "tmrw": "tomorrow", "tmw":
    "tomorrow", "todays": "today's", "tommorow": "tomorrow", "tonite": "tonight", "traf": "traffic", "tues":
    "tuesday", "veh": "vehicles", "vehs": "vehicles", "wat": "what", "wats": "what's", "wek": "week", "wer": "were",
    "whats": "what's", "wheres": "where's", "whos": "who's", "wht": "what", "wich": "which", "wil": "will", "wknd":
    "weekend", "wud": "would", "yday": "yesterday", "yest": "yesterday", "ystd": "yesterday", "yuo": "you",
}  # fmt: skip
_WORDS = (
    "accident accidents accuracy accurate actually afternoon ahead anomalies anomalous anomaly anticlockwise"
    " anything around average"
    " backtest baseline because before behave being below between broken busier busiest carry certain change changes"
    " clockwise closed closure coming compare comparison compared concert concentration congested congestion"
    " correlation"
    " count crash crashed current currently cycle daily data detector development difference different direction"
    " downstream drives earlier eastbound error errors evening events exceed expect expected explain explanation"
    " explains"
    " faster fastest flow following forecast forecasts forecasting friday frozen gaps happen happened happening heatmap"
    " heavy higher highest history hours imputed incident incidents increase influence interval jammed latest level"
    " levels lowest lower measured minute minutes missing moment monday morning neighbour neighbours neighbouring"
    " nearby nitrogen normal normally northbound northern outlook outliers pattern patterns people picture please plot"
    " pollution polluted predict predicted prediction predictions previous quality quantity quiet quieter quietest"
    " quicker quickest quickly"
    " rain rained rains raining rainfall ranking reading readings recent record reliable reported request requests"
    " right"
    " rising roadworks saturday seasonal sensor sensors series should show similar situation slower slowest southbound"
    " speed spikes station stations status stuck sunday temperature their there these thursday today tomorrow tonight"
    " traffic travel trend trust tuesday uncertain unusual unusually upstream usual usually value values vehicle"
    " vehicles"
    " volume warning warnings weather wednesday weekend weekly weird westbound where which wind would yesterday"
    " closest hottest cleanest dirtiest worst strange suspicious faulty thanks map plot busy list rank near jams slow"
    " suppose supposing imagine holiday holidays school schools tunnel bicycles definitely probably anybody somebody"
    " receive bottleneck neighbourhood quarter"
    " unusual dropped dropouts reliable trustworthy imputed complete frozen roadwork hello morning evening night"
)
_DEGREES = (
    "fast", "slow", "busy", "many", "much", "long", "quick", "high", "full", "heavy", "clean", "dirty", "bad", "good",
    "sure",
)  # fmt: skip
_HOW = re.compile(r"\b((?:how|hwo)\s+(?:many\s+|mayn\s+)?)([a-z]{3,6})\b", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![\w.,/-])[A-Za-z0-9]*[A-Za-z][A-Za-z]*(?:['’][a-z]+)?(?![\w-]|\.\w)")


def mended(message: str, session: Session) -> str:
    """The message with its typing errors put right; names, ids and quoted words stay as they are.

    Args:
        message: The person's words.
        session: Its title, places and quantities bring words that are right.
    """
    own = _words_of(" ".join([session.title, session.place_word, *session.kinds, *session.places, *session.place_ids,
                              *(c["title"] + " " + c["name"] for c in session.channels)]))  # fmt: skip
    quoted = [found.span() for found in re.finditer(r"[\"“][^\"”]*[\"”]|(?<!\w)'[^']{1,60}'(?!\w)", message)]

    def put_right(found: re.Match[str]) -> str:
        word = found[0]
        inside = any(start <= found.start() < end for start, end in quoted)
        plain = word.casefold()
        if inside or plain in own or not _may_be_wrong(message, found):
            return word
        better = _SHORTHAND.get(plain) or _nearest(plain, tuple(sorted(own)))
        if better is None:
            return word
        return better.capitalize() if word[0].isupper() else better

    text = re.sub(r"(?<=\d)\s*mins?\b", " min", message)
    text = re.sub(r"(?<=\w)(?<!\b\d)(?<!\b\d\d)(?<!\b\d\d\d)\s+(?:n|'n')\s+(?=\w)", " and ", text)
    text = re.sub(r"\b([NSEWnsew])/([Bb])\b", r"\1\2", text)
    text = _HOW.sub(lambda found: found[1] + (_swapped(found[2].casefold()) or found[2]), text)
    text = re.sub(r"(?<!\S)(?:t ?)?\+ ?(\d{1,3})(?: ?(?:m|min\w*)\b|(?=\W*$))", r"in \1 min", text)  # "speed +30"
    text = re.sub(r"(?<=\w )in (\d{2})(?=\W*$)", r"in \1 min", text)
    text = re.sub(r"(?<=[a-z]\d),(?=\d\b)", ".", text)  # "pm2,5"
    return _TOKEN.sub(put_right, text) if text == message else mended(text, session)


@cache
def _swapped(word: str) -> str | None:
    """The word for a degree that a word is with two letters swapped, whatever else it may mean: "how fats"."""
    return next((d for d in _DEGREES if d != word and sorted(d) == sorted(word) and OSA.distance(d, word) == 1), None)


def _may_be_wrong(message: str, found: re.Match[str]) -> bool:
    """A capital marks a name, but at the beginning of a sentence, and not before another capital."""
    word = found[0]
    if word.islower() or (word.casefold() in _SHORTHAND and word.isupper() and len(word) > 2):
        return True
    begins = re.search(r"(?:^|[.?!:]\s+)\W*$", message[: found.start()]) is not None
    followed = re.match(r"\s+[A-Z][a-z]", message[found.end() :]) is not None
    return begins and word[1:].islower() and not followed


@lru_cache(maxsize=4096)
def _nearest(word: str, own: tuple[str, ...]) -> str | None:
    """The word that a misspelt one is likeliest to mean; None where it is known, or none is near."""
    if len(word) < 3 or not word.isalpha() or word in _known() or is_english(word):
        return None
    most = 0 if len(word) < 4 else 1 if len(word) < 7 else 2
    best = []
    for right in (*_targets(), *(word for word in own if len(word) > 5 and word.isalpha())):
        if abs(len(right) - len(word)) > 2 or right[0] != word[0]:
            continue
        swapped = len(word) == len(right) and sorted(word) == sorted(right) and OSA.distance(word, right) == 1
        distance = OSA.distance(word, right)
        lacking = len(word) > 4 and distance == len(right) - len(word)  # only letters left out: "forcst"
        if (swapped and len(word) > 2) or lacking or (distance <= most and (len(word) > 4 or len(right) > 4)):
            best.append((distance, abs(len(right) - len(word)), right))
    return min(best)[2] if best else None


@cache
def _targets() -> tuple[str, ...]:
    short = {
        "what",
        "show",
        "flow",
        "rain",
        "week",
        "hour",
        "with",
        "have",
        "many",
        "busy",
        "near",
        "now",
        "the",
        "and",
    }
    return tuple(sorted({*_WORDS.split(), *short}))


@cache
def _known() -> frozenset[str]:
    return frozenset({*_targets(), *stop_words()})


def _words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+(?:['’][a-z]+)?", text.casefold()))
