"""Runs through the real agent and inspect_ai: what is recorded, what fails, and what is not asked again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from inspect_ai.log import read_eval_log

from eval.harness.agent import Cost, EvalRuntime, with_chat_model
from eval.harness.options import Options
from eval.harness.record import RECORD, RUNS, read_record
from eval.harness.run import LOGS, run_suites
from mm4st_agent.cli import main
from mm4st_agent.cli.evaluation import evaluation
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import LONGEST_QUESTION
from mm4st_agent.settings import Settings, load_settings

STOPPED = """
import os, signal, sys, threading, time
from mm4st_agent.agent.tool_threads import NAME
import eval.harness.run as run
from mm4st_agent.cli import main
from eval.harness.agent import EvalRuntime

def stop_when_a_tool_runs():
    while NAME not in {thread.name for thread in threading.enumerate()}:
        time.sleep(0.02)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
run.source_commit = lambda: "c" * 40
EvalRuntime.warm_up = lambda self: None
threading.Thread(target=stop_when_a_tool_runs, daemon=True).start()
main(["eval", "run", sys.argv[1]])
"""
"""A run that gets Ctrl-C while a tool computes: the first forecast takes seconds."""

LINES: list[dict[str, Any]] = [
    {"id": "declines", "question": "What is the noise level at S042?", "expect": {"abstains": True, "no_tools": True}},
    {"id": "wrong", "question": "What is the humidity at S042?", "expect": {"abstains": False}},
    {"id": "fails", "question": "why? " * LONGEST_QUESTION, "expect": {"asks": True}},
    {"id": "thread", "questions": ["Hello!", "Thank you."], "kind": "talk", "expect": {"no_tools": True}},
]


@pytest.fixture(autouse=True)
def _one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody saves during a test makes it another source, and so another run."""
    monkeypatch.setattr("eval.harness.run.source_commit", lambda: "c" * 40)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of four items; no answer to them needs what warming up loads."""
    monkeypatch.setattr(EvalRuntime, "warm_up", lambda self: None)
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in LINES))
    return path


def test_a_run_records_scores_failures_and_cost_and_asks_nothing_twice(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[int, int | None]] = []

    found = run_suites(load_settings(), Options(str(own)), progress=lambda done, total: said.append((done, total)))

    (suite,) = found.suites
    assert (suite.scored, suite.unscored, suite.failed) == (3, 0, 1)
    assert suite.score == pytest.approx(2 / 3)
    assert suite.baseline is None
    by_id = {one.id: one for one in found.items}
    assert {one.id: one.value for one in found.items} == {"declines": 1, "wrong": 0, "fails": None, "thread": 1}
    assert by_id["fails"].status == "failed"
    assert by_id["fails"].why.startswith("The question has ")
    assert by_id["fails"].answer is None
    assert by_id["wrong"].why == "it should not abstain"
    assert by_id["declines"].model_calls >= 1
    assert by_id["declines"].tokens is None
    assert by_id["thread"].questions == ["Hello!", "Thank you."]
    assert said[0] == (0, 4)
    assert said[-1] == (4, 4)
    assert (found.commit, found.dirty) == ("c" * 40, False)
    assert found.data == {"demo": found.data["demo"]}
    assert {"inspect-ai", "langgraph", "python"} <= set(found.versions)
    assert found.prompts

    folder = load_settings().home / RUNS / found.name
    assert (folder / RECORD).is_file()
    log = read_eval_log(str(folder / suite.log))
    assert log.status == "success"
    thread = next(sample for sample in log.samples or [] if sample.id == "thread")
    assert [message.role for message in thread.messages] == ["user", "assistant", "user", "assistant"]
    assert len({json.dumps(answer["thread"]) for answer in thread.store["answers"]}) == 1
    assert not (load_settings().home / "threads.sqlite").exists(), "the person's home stays as it was"

    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("it was asked again")

    monkeypatch.setattr(EvalRuntime, "ask", never)
    again = run_suites(load_settings(), Options(str(own)))

    assert again.items == found.items
    assert again.suites == found.suites
    with pytest.raises(UsageError, match="Another process runs"), _locked(folder):
        run_suites(load_settings(), Options(str(own)))


def _locked(folder: Path) -> Any:
    from filelock import FileLock

    return FileLock(folder / "lock", is_singleton=False)


def test_an_interrupt_within_a_tool_says_how_to_go_on_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"id": "first", "question": "Hello!", "expect": {"no_tools": True}},
        {"id": "second", "question": "How many vehicles will pass S039 in an hour?", "expect": {"tools": ["forecast"]}},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))

    ended = subprocess.run(
        [sys.executable, "-c", STOPPED, str(path)], capture_output=True, text=True, timeout=300, check=False
    )

    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "1 of 2 questions are answered; the same command goes on from there." in ended.stderr
    asked: list[str] = []

    async def ask(self: EvalRuntime, question: str, **options: Any) -> Any:
        asked.append(question)
        raise UsageError("Nobody is here.")

    monkeypatch.setattr(EvalRuntime, "warm_up", lambda self: None)
    monkeypatch.setattr(EvalRuntime, "ask", ask)
    found = run_suites(load_settings(), Options(str(path)))
    assert asked == [lines[1]["question"]]
    assert {one.id: one.status for one in found.items} == {"first": "scored", "second": "failed"}


def test_the_command_prints_one_json_object_and_other_commands_read_the_run(own: Path, tmp_path: Path) -> None:
    runner = CliRunner()

    ran = runner.invoke(evaluation, ["run", str(own), "--limit", "2", "--json"])

    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["chat_model"] == "embedded"
    (suite,) = told["suites"]
    keys = {"name", "score", "low", "high", "baseline", "scored", "unscored", "failed", "cost", "kinds"}
    assert keys <= set(suite)
    assert suite["scored"] == 2
    assert "items" not in told
    page = tmp_path / "page.html"
    made = runner.invoke(evaluation, ["report", told["name"], "--out", str(page)])
    assert made.exit_code == 0, made.output
    assert told["name"] in page.read_text()
    same = runner.invoke(evaluation, ["compare", told["name"], told["name"], "--json"])
    assert same.exit_code == 0, same.output
    assert json.loads(same.stdout)["suites"][0]["difference"] == 0
    shown = runner.invoke(evaluation, ["run", str(own), "--limit", "2"])
    assert "mine" in shown.stdout


def test_what_a_suite_cannot_score_is_counted_as_unscored(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.harness.own import OwnSuite

    monkeypatch.setattr(OwnSuite, "score", lambda *args: None)

    found = run_suites(load_settings(), Options(str(own), limit=2))

    (suite,) = found.suites
    assert (suite.score, suite.scored, suite.unscored, suite.failed) == (None, 0, 2, 0)


def test_a_bug_in_a_score_is_a_failure_and_no_zero(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.harness.own import OwnSuite

    def broken(*args: Any) -> Any:
        raise RuntimeError("the scorer broke")

    monkeypatch.setattr(OwnSuite, "score", broken)

    found = run_suites(load_settings(), Options(str(own), limit=1))

    (suite,) = found.suites
    assert (suite.score, suite.scored, suite.failed) == (None, 0, 1)
    assert found.items[0].why == "RuntimeError('the scorer broke')"
    assert read_record(found.name, load_settings().home) == found


def test_other_arguments_are_another_run(own: Path) -> None:
    names = {
        run_suites(load_settings(), Options(str(own), **fields)).name
        for fields in ({"limit": 1}, {"limit": 1, "seed": 1}, {"limit": 1, "epochs": 2})
    }

    assert len(names) == 3
    repeated = run_suites(load_settings(), Options(str(own), limit=1, epochs=2))
    assert [one.epoch for one in repeated.items] == [1, 2]
    assert repeated.suites[0].scored == 1
    assert (load_settings().home / RUNS / repeated.name / LOGS).is_dir()


@pytest.mark.parametrize(
    ("words", "served"),
    [
        ("vllm", ("http://127.0.0.1:8000/v1", None)),
        ("vllm:qwen", ("http://127.0.0.1:8000/v1", "qwen")),
        ("http://gpu.example:9000/v1", ("http://gpu.example:9000/v1", None)),
        ("https://gpu.example/v1#org/model-7b", ("https://gpu.example/v1", "org/model-7b")),
        ("openai:https://gpu.example/v1#m", ("https://gpu.example/v1", "m")),
    ],
)
def test_chat_models_are_named_in_a_few_ways(words: str, served: tuple[str, str | None]) -> None:
    found = with_chat_model(Settings(), words)

    assert found.chat_model == "vllm"
    assert (str(found.vllm_url), found.vllm_model) == served
    assert with_chat_model(found, "embedded").chat_model == "embedded"


@pytest.mark.parametrize("words", ["gpt", "vllm:", "ftp://x/v1", ""])
def test_an_unknown_chat_model_is_named(words: str) -> None:
    with pytest.raises(UsageError, match="There is no chat model"):
        with_chat_model(Settings(), words)


def test_a_server_that_is_not_there_ends_the_run_before_anything_is_asked(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main.add_command(evaluation)
    with pytest.raises(SystemExit) as caught:
        main(["eval", "run", str(own), "--chat-model", "http://127.0.0.1:9/v1", "--json"])

    assert caught.value.code == 4
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "server"


def test_costs_of_questions_that_are_asked_together_do_not_mix(tmp_path: Path) -> None:
    runtime = EvalRuntime(load_settings(), tmp_path / "run", tmp_path / "shared")

    async def asked(question: str) -> Cost:
        cost = Cost()
        with runtime.counting(cost):
            await runtime.ask(question)
        return cost

    async def both() -> tuple[list[Cost], list[Cost]]:
        questions = ("What is the noise level at S042?", "How busy is the Golden Gate Bridge?")
        alone = [await asked(question) for question in questions]
        return alone, list(await asyncio.gather(*map(asked, questions)))

    alone, together = asyncio.run(both())

    assert [cost.model_calls for cost in together] == [cost.model_calls for cost in alone]
    assert alone[0].model_calls < alone[1].model_calls
