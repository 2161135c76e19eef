"""How a forecast is asked for: by what is forecast, for each half in other words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from eval.suites.suite import Half

Manner = Literal["volume", "speed", "air", "load"]

PHRASES: Mapping[Half, Mapping[Manner, Mapping[str, str]]] = {
    "dev": {
        "volume": {
            "how-many": "How many vehicles do you expect at {place} over the next {span}?",
            "forecast-from": "Forecast how many vehicles pass {place} from {begin} to {end}.",
        },
        "speed": {
            "how-fast": "How fast will traffic at {place} be on average over the next {span}?",
            "forecast-from": "Forecast the speed at {place} from {begin} to {end}.",
        },
        "air": {
            "what-level": "What will the {what} level at {place} be over the next {span}?",
            "forecast-from": "Forecast {what} at {place} from {begin} to {end}.",
        },
        "load": {
            "how-many": "How many requests per minute will {place} get over the next {span}?",
            "forecast-from": "Forecast the requests per minute at {place} from {begin} to {end}.",
        },
    },
    "test": {
        "volume": {
            "plan-with": "I have to plan the coming {span} at {place}: what number of vehicles should I reckon with?",
            "between": "Vehicles at {place} between {begin} and {end}: your estimate?",
        },
        "speed": {
            "plan-with": "I have to plan the coming {span} at {place}: what mean speed should I reckon with?",
            "between": "Speed at {place} between {begin} and {end}: your estimate?",
        },
        "air": {
            "plan-with": "I have to plan the coming {span} near {place}: how much {what} should I reckon with?",
            "between": "{what} at {place} between {begin} and {end}: your estimate?",
        },
        "load": {
            "plan-with": "I have to plan the coming {span} for {place}: how many requests a minute do we reckon with?",
            "between": "Requests per minute at {place} between {begin} and {end}: your estimate?",
        },
    },
}
