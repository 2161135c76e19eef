"""`mm4st eval run` through a real vLLM server; its model is random, so it is the harness that is tested."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from eval.harness.record import read_record
from eval.suites import suite_names
from mm4st_agent.cli.evaluation import evaluation
from mm4st_agent.settings import load_settings

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
LIMIT = 2
BY_CHANCE = 0.1
"""So much above its baseline a model that writes random words may score."""


@pytest.fixture(autouse=True)
def _short_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three short messages a question, which is when the agent gives up one that nobody can read; demo city only."""
    monkeypatch.setenv("MM4ST_VLLM_MAX_TOKENS", "16")
    monkeypatch.setenv("MM4ST_VLLM_MAX_IMAGES", "0")
    monkeypatch.setenv("MM4ST_MAX_MODEL_CALLS", "3")
    monkeypatch.setenv("MM4ST_TIMEOUT_S", "300")
    monkeypatch.delenv("MM4ST_DATA_DIR", raising=False)


def _run(*args: str) -> Any:
    ran = CliRunner().invoke(evaluation, ["run", *args, "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


def test_all_suites_score_a_random_model_no_better_than_chance(served: Any) -> None:
    chat_model = f"{served.url}#{served.model}"

    told = _run("all", "--limit", str(LIMIT), "--chat-model", chat_model)

    assert (told["chat_model"], told["model"]) == (chat_model, served.model)
    assert [suite["name"] for suite in told["suites"]] == list(suite_names())
    for suite in told["suites"]:
        assert (suite["scored"], suite["unscored"], suite["failed"]) == (LIMIT, 0, 0), suite["name"]
        assert suite["score"] <= suite["baseline"] + BY_CHANCE, suite["name"]
        assert suite["cost"]["model_calls"] == 3
    for one in read_record(told["name"], load_settings().home).items:
        assert "the chat model kept sending messages that could not be read" in (one.answer or "")
        assert one.tokens
        assert one.why


def test_a_model_that_is_not_served_is_named(served: Any) -> None:
    ran = CliRunner().invoke(evaluation, ["run", "planning", "--limit", "1", "--chat-model", f"{served.url}#gpt"])

    assert "does not serve 'gpt'" in str(ran.exception)
