"""`mm4st eval run` through a real vLLM server; its model is random, so it is the harness that is tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.harness.record import read_record
from mm4st_agent.cli.evaluation import evaluation
from mm4st_agent.settings import load_settings

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _short_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MM4ST_VLLM_MAX_TOKENS", "48")
    monkeypatch.setenv("MM4ST_VLLM_MAX_IMAGES", "0")
    monkeypatch.setenv("MM4ST_MAX_MODEL_CALLS", "3")


def _run(*args: str) -> Any:
    ran = CliRunner().invoke(evaluation, ["run", *args, "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


def test_a_random_model_is_run_and_recorded(served: Any, tmp_path: Path) -> None:
    chat_model = f"{served.url}#{served.model}"

    told = _run("planning", "--limit", "3", "--chat-model", chat_model)

    (suite,) = told["suites"]
    assert told["chat_model"] == chat_model
    assert told["model"] == served.model
    assert suite["scored"] + suite["unscored"] + suite["failed"] == 3
    assert suite["score"] is None or suite["score"] <= 1 / 3, "random words make no plans"
    assert suite["cost"]["model_calls"] >= 1
    record = read_record(told["name"], load_settings().home)
    answered = [one for one in record.items if one.status == "scored"]
    assert all(one.tokens for one in answered)
    assert all(one.why for one in record.items)


def test_a_model_that_is_not_served_is_named(served: Any) -> None:
    ran = CliRunner().invoke(evaluation, ["run", "planning", "--limit", "1", "--chat-model", f"{served.url}#gpt"])

    assert "does not serve 'gpt'" in str(ran.exception)
