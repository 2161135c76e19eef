"""What a question is after, by the fitted model, with the real sentence embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mm4st_agent.agent.backends.examples import Intent, digest, examples
from mm4st_agent.agent.backends.features import cues, grams
from mm4st_agent.agent.backends.fitting import CLOCK, by_author, fitted, store
from mm4st_agent.agent.backends.intents import IntentMatcher, shipped
from mm4st_agent.agent.backends.languages import other_language
from mm4st_agent.knowledge.embedding import minilm


@pytest.fixture(scope="module")
def matcher() -> IntentMatcher:
    return IntentMatcher(lambda texts: minilm().encode(texts))


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("What volume should we plan for at the station until nine?", "forecast"),
        ("Will the station be jammed in twenty minutes?", "forecast"),
        ("I have a dentist's appointment at ten, will I make it past the station?", "forecast"),
        ("the station, 20 min ahead, NO2", "forecast"),
        ("Is it unusually quiet at the station?", "status"),
        ("Somebody told me nothing moves at the station. Is that so?", "status"),
        ("Draw Sunday's curve of the sensor", "picture"),
        ("Did anybody crash near the station this morning?", "events"),
        ("Are they digging up the road by the station?", "events"),
        ("Which detectors lie along the motorway?", "places"),
        ("What period do the data cover and how many sensors are there?", "dataset"),
        ("Explain what a forecast interval is", "concept"),
        ("Why do jams reduce the capacity of a road?", "concept"),
        ("Where in town would you rather not be driving at this moment?", "rank"),
        ("In which places do you expect the slowest traffic at nine?", "rank"),
        ("By how much do the station and the station differ in speed?", "comparison"),
        ("I need to see on a map where it is slow", "map"),
        ("Are there any hiccups in the series of the station this week?", "patterns"),
        ("Which inputs had the largest effect on the forecast?", "explanation"),
        ("Is the forecast driven by the neighbours?", "explanation"),
        ("Imagine a cloudburst at the station. How slow would traffic get?", "what_if"),
        ("Which historical hours match the present at the station?", "analogs"),
        ("Do you usually get the station right?", "backtest"),
        ("How well did your predictions hold up against the baseline over the last week?", "backtest"),
        ("Has the detector gone to sleep?", "quality"),
        ("What do the clocks say where you are?", "clock"),
        ("Terrific, thanks, bye", "thanks"),
        ("Is there a person behind this chat?", "identity"),
        ("ahoy there", "chat"),
        ("What kinds of things can I learn from you?", "chat"),
        ("Who painted the Mona Lisa?", "off_topic"),
        ("Compose a song about my cat", "off_topic"),
        ("What is the best pizza in town?", "off_topic"),
        ("xqzt blorp", "off_topic"),
        ("How many skateboarders went by the station?", "unmeasured"),
        ("What will it be at the sensor north in the next 3 hours?", "forecast"),
    ],
)
def test_unseen_questions(matcher: IntentMatcher, question: str, intent: str) -> None:
    assert question.casefold() not in {example.text.casefold() for example in examples()}
    assert matcher.match(question, CLOCK) == intent


def test_probabilities_add_up(matcher: IntentMatcher) -> None:
    likely = matcher.likely("speed the station", CLOCK)

    assert set(likely) == set(get_args(Intent))
    assert sum(likely.values()) == pytest.approx(1, abs=1e-5)


def test_the_shipped_model_was_fitted_on_the_examples() -> None:
    """Else run `python -m mm4st_agent.agent.backends.fitting`."""
    assert shipped().fitted_on == digest()


def test_every_intent_has_many_phrasings() -> None:
    counts = {intent: [e for e in examples() if e.intent == intent] for intent in get_args(Intent)}

    assert min(len(found) for found in counts.values()) >= 25
    assert all(len({e.group for e in found}) >= 4 for found in counts.values())


def test_a_model_is_fitted_stored_and_reads_what_it_never_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("clock", "map", "rank")
    chosen = [example for example in examples() if example.intent in kinds]
    first = [example for example in chosen if example.group % 2 == 0]
    rest = [example for example in chosen if example.group % 2 == 1]
    model = fitted(first, minilm().encode([example.text for example in first]))
    store(model, tmp_path / "model.npz")

    asked = [example.text for example in rest]
    shares = model.probabilities(asked, minilm().encode(asked), CLOCK)
    right = [model.labels[best] == e.intent for best, e in zip(shares.argmax(axis=1), rest, strict=True)]

    assert model.labels == kinds
    assert np.mean(right) > 0.9
    with np.load(tmp_path / "model.npz") as stored:
        assert stored["weights"].shape == model.weights.shape
        assert np.allclose(stored["weights"], model.weights, atol=0.02)


def test_the_examples_of_an_author_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [e for e in examples() if e.intent in ("clock", "thanks", "map") and e.author in (0, 3)]
    monkeypatch.setattr("mm4st_agent.agent.backends.fitting.examples", lambda: chosen)

    shares = by_author(lambda texts: minilm().encode(texts))

    assert set(shares) == {3}
    assert 0.8 < shares[3] <= 1


def test_words_and_pairs_and_what_they_give_away() -> None:
    assert {"will", "at 0", "0 ?"} <= grams("Will it jam at 9?")
    assert {"time:future", "tense:future", "places:1"} <= cues("Will it jam at the station at nine?", CLOCK)
    assert {"look:map", "tense:past"} <= cues("where was it slow yesterday, on a map?", CLOCK)
    assert {"aspect:trend", "probe:None", "reads:terse"} <= cues("trend the station", CLOCK)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Wie viel Verkehr wird an Station 1205330 in der nächsten Stunde sein?", "German"),
        ("Combien de voitures dans la prochaine heure ?", "French"),
        ("¿Cuánto tráfico habrá en la próxima hora?", "Spanish"),
        ("下一个小时的交通流量是多少？", "another script"),
        ("How much traffic will station 1205330 carry over the next hour, and why?", None),
        ("forecast D05", None),
        ("", None),
        ("Combien de voitures à D22?", "French"),
        ("Trafic à la station D22 demain matin", "French"),
        ("¿Tráfico D22?", "Spanish"),
        ("Wieviel Verkehr an D22?", "German"),
        ("Verkehr D22 nächste Stunde", "German"),
        ("Quanto traffico a D22?", "Italian"),
        ("Hoe druk is het op D22?", "Dutch"),
        ("How busy is El Toro?", None),
        ("El Toro now", None),
        ("Las Palmas tomorrow", None),
        ("Los Angeles and El Segundo", None),
        ("La Habra traffic", None),
        ("Del Mar speed", None),
        ("How is Dongsi?", None),
        ("Dongsi", None),
        ("D22", None),
        ("status of const now", None),
        ("forecast D05 as soon as possible", None),
        ("per hour", None),
        ("hour", None),
        ("and D05?", None),
        ("why?", None),
        ("thanks!", None),
        ("in no time", None),
        ("What is the flow at Via del Rio?", None),
        ("compare D05 and D22", None),
        ("die rate at D05", None),
        ("Is San Juan Capistrano busy?", None),
    ],
)
def test_languages(question: str, language: str | None) -> None:
    assert other_language(question) == language
