"""What a question is after, by similarity to examples; the embedded chat model's way of planning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Intent = Literal["forecast", "status", "rank", "events", "places", "dataset", "concept", "chat", "off_topic"]

Inquiry = Literal["explanation", "analogs", "backtest"]

SURE_SIMILARITY = 0.6
"""From this cosine on, a question is taken as one about the forecaster itself."""
LEAST_SIMILARITY = 0.25
"""Below this cosine no example is meant: the question is off topic."""

EXAMPLES: dict[Intent, tuple[str, ...]] = {
    "forecast": (
        "how much traffic will the station carry over the next hour, and why?",
        "what will the speed be at the sensor in half an hour?",
        "forecast the next hour at the station",
        "predict the values for the sensor",
        "will it be busy at the station at eight?",
        "how busy is the bridge going to be?",
        "is a jam coming at the station?",
        "what should I expect at the sensor this evening?",
        "how many vehicles will pass tomorrow morning?",
        "why is the forecast so high?",
        "will the air get worse in the next hours?",
        "how sure are you about the next hour?",
    ),
    "status": (
        "what is happening at the station now?",
        "how is traffic at the sensor right now?",
        "what is the current speed at the station?",
        "is this level normal for this time of the week?",
        "how was the station today?",
        "show me the last 24 hours of the sensor",
        "how did it look yesterday?",
        "plot the series of the station",
        "what was the highest flow at the station last night?",
        "is traffic rising or falling there?",
        "is it busier or quieter than normal right now?",
        "is the present level unusually high?",
        "is there congestion at the sensor at present?",
        "how is the air quality at the station now?",
        "how many requests does the service get?",
    ),
    "rank": (
        "which stations are the highest right now?",
        "which sensor has the worst value at present?",
        "where is it busiest at the moment?",
        "which places are far above their usual level?",
        "where is it rising fastest?",
        "rank the stations",
        "show the top five stations",
    ),
    "events": (
        "were there any incidents near the station?",
        "what happened near the sensor in the last hours?",
        "is there an accident on the freeway?",
        "list the collisions on the road today",
        "any closures or hazards around the bridge?",
    ),
    "places": (
        "which stations are on the freeway northbound?",
        "find stations near the avenue",
        "list the sensors you know",
        "where is the station?",
        "what is the id of the sensor at the bridge?",
    ),
    "dataset": (
        "what data do you have?",
        "describe the data set",
        "how many stations are there and for which dates?",
        "how complete are the data, how much is missing or imputed?",
        "where do the data come from and under which licence?",
        "which quantities are measured?",
        "from when to when do the readings run?",
        "how many sensors does this data set have?",
    ),
    "concept": (
        "what is a capacity drop?",
        "why does rain slow traffic down?",
        "what do the air quality index values mean?",
        "how does wind affect PM2.5?",
        "explain the fundamental diagram",
        "how does autoscaling decide the number of replicas?",
        "what rainfall triggers landslides?",
        "what does an 80 percent interval mean?",
        "what is MASE?",
        "explain how prediction intervals work",
        "what is meant by coverage?",
        "define shock wave",
        "tell me about loop detectors and imputation",
        "why is Monday different from Sunday?",
    ),
    "chat": (
        "hello",
        "good morning",
        "thanks a lot",
        "who are you?",
        "what can you do?",
        "help",
        "bye",
    ),
    "off_topic": (
        "write me a poem about love",
        "who won the election?",
        "what is the capital of France?",
        "give me a recipe for pancakes",
        "which stocks should I buy?",
        "tell me a joke",
        "translate this sentence into German",
        "write a Python function that sorts a list",
        "who is the president?",
        "recommend a film for tonight",
        "how do I treat a headache?",
        "how many goals did the team score?",
        "where can I eat well tonight?",
        "what is the best hotel?",
        "what is the meaning of life?",
        "how do I fix my computer?",
    ),
}
INQUIRIES: dict[Inquiry, tuple[str, ...]] = {
    "explanation": (
        "what drives the forecast for the station?",
        "which inputs matter most for the forecast?",
        "is the forecast driven by the neighbouring stations?",
        "how does the model come to its prediction?",
    ),
    "analogs": (
        "when was it like this before?",
        "which past days are most similar to now at the station?",
        "has a situation like the present one occurred before, and what followed?",
        "which historical hours resemble the present at the station?",
    ),
    "backtest": (
        "how good were your forecasts last week?",
        "how accurate is the model at the station?",
        "did the forecasts beat the baselines?",
        "how often do you get the station right?",
        "evaluate the forecasts of the last days",
    ),
}
"""Of questions about the forecaster itself; what they have in common with others is much, so they must be near."""
FORECASTS = (
    "forecast the station",
    "forecast the station and the station for tomorrow",
    "draw the forecast for the station",
    "what does the model predict for the station?",
    "compare the station today with last week",
    "how was the station last week?",
    "show the past of the station",
    "which quantity do you forecast?",
)
"""Examples that are no such questions, though they use the same words."""


class IntentMatcher:
    """Finds the nearest example of a question.

    Args:
        encode: Texts to L2-normalised embeddings, `(n, d)`.
    """

    def __init__(self, encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._encode = encode
        self._labels = [intent for intent in get_args(Intent) for _ in EXAMPLES[intent]]
        self._examples: NDArray[np.float32] | None = None
        self._inquiries: NDArray[np.float32] | None = None
        self._matched: dict[str, Intent] = {}
        self._inquired: dict[str, Inquiry | None] = {}

    def match(self, question: str) -> Intent:
        """The intent of the nearest example; 'off_topic' when none is near."""
        if question not in self._matched:
            self._matched[question] = self._nearest(question)
        return self._matched[question]

    def _nearest(self, question: str) -> Intent:
        if self._examples is None:
            self._examples = self._encode([text for intent in get_args(Intent) for text in EXAMPLES[intent]])
        similarity = self._examples @ self._encode([question])[0]
        best = int(np.argmax(similarity))
        return self._labels[best] if similarity[best] >= LEAST_SIMILARITY else "off_topic"

    def inquiry(self, question: str) -> Inquiry | None:
        """What is asked of the forecaster itself, where the nearest example of all is one of these, and near."""
        if question not in self._inquired:
            self._inquired[question] = self._nearest_inquiry(question)
        return self._inquired[question]

    def _nearest_inquiry(self, question: str) -> Inquiry | None:
        labels = [kind for kind in get_args(Inquiry) for _ in INQUIRIES[kind]]
        if self._inquiries is None:
            texts = [text for kind in get_args(Inquiry) for text in INQUIRIES[kind]]
            self._inquiries = self._encode([*texts, *FORECASTS, *(t for known in EXAMPLES.values() for t in known)])
        similarity = self._inquiries @ self._encode([question])[0]
        best = int(np.argmax(similarity))
        return labels[best] if best < len(labels) and similarity[best] >= SURE_SIMILARITY else None
