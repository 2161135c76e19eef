"""One session for all tests here: loading the forecasters and making the text index takes most of the time."""

from __future__ import annotations

import pytest

import mm4st_agent as mm4st
from mm4st_agent.api.session import Session


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return mm4st.open("demo", as_of="2025-10-22T07:40", home=tmp_path_factory.mktemp("home"))
