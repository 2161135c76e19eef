"""One simulated city for all tests of it."""

from __future__ import annotations

import pytest

from mm4st_agent.demo_city.city import City


@pytest.fixture(scope="session")
def city() -> City:
    """The city that is shipped, with its traffic simulated; nobody may change it."""
    made = City()
    made.simulate()
    return made
