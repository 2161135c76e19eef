"""Planning by examples, with the real sentence embeddings."""

from __future__ import annotations

import pytest

from mm4st_agent.agent.backends.intents import EXAMPLES, IntentMatcher
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
        ("Is it unusually quiet at the station?", "status"),
        ("Draw yesterday's curve of the station", "status"),
        ("Did anybody crash near the station this morning?", "events"),
        ("Which detectors are there on the freeway?", "places"),
        ("What period do the data cover and how many sensors are there?", "dataset"),
        ("Explain what a forecast interval is", "concept"),
        ("Why do jams reduce the capacity of a road?", "concept"),
        ("hi there", "chat"),
        ("Who painted the Mona Lisa?", "off_topic"),
        ("Compose a song about my cat", "off_topic"),
        ("What is the best pizza in town?", "off_topic"),
        ("xqzt blorp", "off_topic"),
    ],
)
def test_unseen_questions(matcher: IntentMatcher, question: str, intent: str) -> None:
    assert question.casefold() not in {text for texts in EXAMPLES.values() for text in texts}
    assert matcher.match(question) == intent


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Which inputs had the largest effect on the forecast?", "explanation"),
        ("Is the forecast driven by the neighbours?", "explanation"),
        ("Which historical hours match the present at the station?", "analogs"),
        ("Do you usually get the station right?", "backtest"),
        ("Compare your forecasts with the baseline over the last week", "backtest"),
        ("What do you expect at the station?", None),
        ("Forecast flow and speed at the station", None),
        ("What happened at the station in the past week?", None),
        ("How was it at the station before the incident?", None),
        ("Which station will be the busiest?", None),
    ],
)
def test_what_is_asked_of_the_forecaster_itself(matcher: IntentMatcher, question: str, kind: str | None) -> None:
    assert matcher.inquiry(question) == kind


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
