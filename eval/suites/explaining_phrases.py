"""How a cause, the drivers of a forecast and a what-if are asked for: for each half in other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.suites.suite import Half

CAUSE, DRIVERS, WHAT_IF = "named cause", "faithfulness", "what if"
PHRASES: Mapping[Half, Mapping[str, Sequence[str]]] = {
    "dev": {
        CAUSE: ("Why is it so slow at {place} right now?",),
        DRIVERS: ("Which inputs moved your {quantity} forecast for {place} over the next hour?",),
        WHAT_IF: ("What would the {quantity} at {place} be over the next hour {without}?",),
    },
    "test": {
        CAUSE: ("The traffic at {place} is slower than it should be. What is the reason?",),
        DRIVERS: ("Explain the {quantity} forecast of {place} for the coming hour, please.",),
        WHAT_IF: ("Imagine {absent}. How would the {quantity} at {place} go over the coming hour?",),
    },
}
WITHOUT = {
    "rain": ("without the rain", "it did not rain at all"),
    "event": ("if the event at {place} had been called off", "the event at {place} had been called off"),
    "incident": ("if the incident at {place} had never happened", "the incident at {place} had never happened"),
    "works": ("without the works at {place}", "there were no works at {place}"),
}
"""By kind of cause, as a half says that it is away: development, test."""
