"""Templates fail loudly and are hashed."""

from __future__ import annotations

import pytest

import prompts
from mm4st_agent.errors import UsageError


def test_a_missing_variable_fails() -> None:
    with pytest.raises(UsageError, match="'say_error' lacks a variable"):
        prompts.load("say_error").render()


def test_an_unknown_prompt_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"No prompt 'sytem'.*system"):
        prompts.load("sytem")


def test_every_prompt_compiles_and_has_its_own_hash() -> None:
    hashes = {prompts.load(name).sha256 for name in prompts.names()}

    assert len(hashes) == len(prompts.names()) >= 8
