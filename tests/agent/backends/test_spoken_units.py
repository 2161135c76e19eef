"""An answer in the units that were asked for."""

from __future__ import annotations

import pytest

from mm4st_agent.agent.backends.spoken_units import asked_units, in_units

UNITS = ["vehicles/5 min", "km/h", "°C", "requests/min"]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("How fast is S039 in mph?", {"km/h": "mph"}),
        ("What speed in miles per hour at S039?", {"km/h": "mph"}),
        ("How many mph is traffic doing?", {"km/h": "mph"}),
        ("How warm will it be in Fahrenheit?", {"°C": "°F"}),
        ("Give me the flow in vehicles per hour", {"vehicles/5 min": "vehicles/h"}),
        ("the load in requests per second please", {"requests/min": "requests/s"}),
        ("How fast is S039 in km/h?", {}),
        ("How fast is S039 in 30 minutes?", {}),
        ("How far is it in miles?", {}),
    ],
)
def test_the_unit_that_is_asked_for(question: str, wanted: dict[str, str]) -> None:
    assert asked_units(question, UNITS) == wanted


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("It is **45.9 km/h** [E3].", "It is **28.5 mph** [E3]."),
        ("Between 15.4 and 21.4 km/h.", "Between 9.57 and 13.3 mph."),
        ("It falls by 5.80 km/h per hour.", "It falls by 3.6 mph per hour."),
        ("At 08:10 on 22 October, 119 % of 3 stations.", "At 08:10 on 22 October, 119 % of 3 stations."),
        ('The sign says "50 km/h".', 'The sign says "50 km/h".'),
        ("1,200 km/h", "746 mph"),
    ],
)
def test_values_are_turned_and_nothing_else(text: str, turned: str) -> None:
    assert in_units(text, {"km/h": "mph"}) == turned


def test_rates_and_degrees() -> None:
    assert in_units("344 vehicles/5 min", {"vehicles/5 min": "vehicles/h"}) == "4,130 vehicles/h"
    assert in_units("20 °C, rising by 2 °C per hour", {"°C": "°F"}) == "68 °F, rising by 3.6 °F per hour"


def test_without_a_wish_the_text_stays() -> None:
    assert in_units("45.9 km/h", {}) == "45.9 km/h"
