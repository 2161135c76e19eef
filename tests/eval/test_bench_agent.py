"""`mm4st bench agent`: the question sets, the figures, and a few questions through the real graph and model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.bench.agent import bench_agent, meaning_of
from eval.bench.agent_matching import Call, Judgement, judge
from eval.bench.agent_questions import Question, load_questions
from eval.bench.agent_scores import Outcome, failure_of, groups_of, print_failures, print_groups, rows_of, wilson
from mm4st_agent.cli.forecasting import bench
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings


def ask(text: str = "S039 next hour?", **fields: Any) -> Question:
    line = {
        "id": "q1",
        "family": "forecast/next-hour/terse",
        "dataset": "demo",
        "before": [],
        "question": text,
        "intents": ["forecast"],
        "calls": [{"tool": "forecast", "args": {"node": "S039", "minutes": 60}}],
        "clarify": None,
    }
    return Question.model_validate({**line, **fields})


def outcome(question: Question | None = None, **fields: Any) -> Outcome:
    usual: dict[str, Any] = {
        "tasks": ("forecast",),
        "judgement": Judgement(2, 2, ()),
        "made": ("forecast {'node': 'S039'}",),
        "asked": False,
        "claims": {"verified": 3},
        "seconds": 0.5,
    }
    return Outcome(question=question or ask(), **{**usual, **fields})


def test_the_development_set_is_sound() -> None:
    questions = load_questions("dev")

    assert len(questions) >= 280
    assert len({question.family for question in questions}) >= 200
    asked = Counter((question.dataset, question.question, tuple(question.before)) for question in questions)
    assert max(asked.values()) == 1
    assert all(question.calls == [] for question in questions if question.clarify)


def test_every_expected_call_of_the_development_set_can_be_made(tmp_path: Path) -> None:
    runtime = Runtime(Settings(home=tmp_path))
    nodes = set(runtime.registry.open("demo").node_ids)
    for question in load_questions("dev"):
        for call in question.calls:
            for tool in [call.tool] if isinstance(call.tool, str) else call.tool["any"]:
                fields = runtime.tools[tool].input_model.model_fields
                assert set(call.args) <= set(fields) - {"dataset"}, question.id
            if question.dataset == "demo":
                assert _places(call.args) <= nodes, question.id


def _places(value: Any) -> set[str]:
    """Every node id that the arguments hold."""
    if isinstance(value, list):
        return {node for item in value for node in _places(item)}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, item in value.items():
        if name in ("node", "other", "source", "target", "highlight"):
            found |= {item} if isinstance(item, str) else set(item["any"])
        else:
            found |= _places(item)
    return found


def test_a_broken_set_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no question set .*dev\.jsonl"):
        load_questions("dev", tmp_path)

    good = ask().model_dump_json()
    (tmp_path / "dev.jsonl").write_text(f"{good}\n{good.replace('forecast', 'weather')}\n")
    with pytest.raises(DataError, match=r"Line 2 of dev\.jsonl is not a question: intents"):
        load_questions("dev", tmp_path)

    (tmp_path / "dev.jsonl").write_text(f"{good}\n{good}\n")
    with pytest.raises(DataError, match="has the id 'q1' of an earlier line"):
        load_questions("dev", tmp_path)


def test_intents_are_compared_in_order_without_repeats() -> None:
    two = ask(intents=["status", ["forecast", "rank"]])

    assert outcome(two, tasks=("status", "rank")).intent_right
    assert outcome(two, tasks=("status", "status", "forecast")).intent_right
    assert not outcome(two, tasks=("forecast", "status")).intent_right
    assert not outcome(two, tasks=("status",)).intent_right
    assert outcome(ask(intents=["rank"]), tasks=("all_places",)).intent_right


def test_a_plan_is_right_when_calls_are_and_it_asked_back_where_due() -> None:
    unclear = ask(calls=[], clarify="place")

    assert outcome().plan_right
    assert not outcome(asked=True).plan_right
    assert not outcome(judgement=Judgement(2, 1, ("forecast.minutes is 30, not 60",))).plan_right
    assert not outcome(error="ValueError: no").plan_right
    assert outcome(unclear, asked=True).plan_right
    assert outcome(unclear).faults == ["did not ask back: place"]
    assert outcome(asked=True).faults == ["asked back"]


def test_rows_hold_shares_intervals_and_seconds() -> None:
    outcomes = [
        outcome(),
        outcome(seconds=1.5, claims={"verified": 1, "unsupported": 1}),
        outcome(tasks=("status",), judgement=Judgement(2, 1, ("forecast.minutes is 30, not 60",)), claims={}),
        outcome(tasks=(), judgement=Judgement(2, 0, ("no call of forecast",)), error="KeyError: 'x'", seconds=None),
    ]

    rows = {row["name"]: row for row in rows_of(outcomes)}

    assert [rows[name]["ours"] for name in ("intent accuracy", "slot accuracy", "whole-plan accuracy")] == [
        0.5,
        5 / 8,
        0.5,
    ]
    assert rows["intent accuracy"]["ratio"] == pytest.approx(0.5 / 0.95)
    assert (rows["slot accuracy"]["low"], rows["slot accuracy"]["high"]) == wilson(5, 8)
    assert rows["answers all of whose claims are verified"]["ours"] == 0.5
    assert rows["p50 of an answer"]["ours"] == 0.5
    assert rows["p50 of an answer"]["ratio"] == 3
    assert rows["questions without an answer"]["ours"] == 1
    json.dumps(list(rows.values()), allow_nan=False)


def test_nothing_asked_is_undefined_rather_than_zero() -> None:
    assert wilson(0, 0) is None
    assert {row["ours"] for row in rows_of([])[:-1]} == {None}


def test_wilsons_interval() -> None:
    low, high = wilson(81, 263) or (0, 0)  # Newcombe (1998), table I, method 3

    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)


def test_groups_and_failures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    polite = ask(id="q2", family="status/now/polite", intents=["status"], before=["S040?"])
    wrong = outcome(polite, judgement=Judgement(2, 1, ("forecast.minutes is 30, not 60",)))
    outcomes = [outcome(), wrong]
    by = {
        "intent": groups_of(outcomes, lambda one: one.question.topic),
        "manner": groups_of(outcomes, lambda one: one.question.manner),
    }

    print_failures([failure_of(wrong)])
    print_groups({"rows": rows_of(outcomes), "asked": 2, "half": "dev", "by": by})

    shown = capsys.readouterr().out
    assert by["manner"]["polite"]["slot accuracy"] == [1, 2]
    assert by["intent"]["status"]["intent accuracy"] == [0, 1]
    for words in ("q2  status/now/polite", "before    S040?", "forecast.minutes is 30, not 60", "read as forecast"):
        assert words in shown


def test_the_defaults_that_calls_are_judged_by_are_the_tools_own(tmp_path: Path) -> None:
    runtime = Runtime(Settings(home=tmp_path))
    meaning = meaning_of(runtime, runtime.registry.open("demo"))
    expected = [Call("query_series", {"channel": "pm25", "hours": 24, "until": "2025-10-22T07:40"})]

    assert not judge(expected, [Call("query_series", {"node": "A12"})], meaning).wrong
    assert judge(expected, [Call("query_series", {"node": "S039"})], meaning).right == 2
    assert meaning.channel_of("travel-info") == "requests"


def test_questions_go_through_the_real_graph_and_model(tmp_path: Path) -> None:
    questions = [
        ask(),
        ask(id="q2", calls=[{"tool": "forecast", "args": {"node": "S040"}}]),
        ask("and S041?", id="q3", before=["S039 next hour?"], calls=[{"tool": "forecast", "args": {"node": "S041"}}]),
        ask(" ", id="q4"),
        ask(id="q5", dataset="pems-orange"),
    ]

    report = bench_agent(Settings(home=tmp_path, data_dir=None), questions=questions, failures=True)

    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["asked"], report["skipped"]) == (4, {"pems-orange": 1})
    found = {failure["id"]: failure["faults"] for failure in report["failures"]}
    assert found["q2"] == ["forecast.node is S039, not S040"]
    assert found["q4"][0].startswith("error: UsageError: The question is empty.")
    assert set(found) == {"q2", "q4"}
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["whole-plan accuracy"]["ours"] == 0.5
    assert rows["answers all of whose claims are verified"]["of"] == 3
    assert 0 < rows["p50 of an answer"]["ours"] <= rows["p95 of an answer"]["ours"]
    assert not (tmp_path / "threads.sqlite").exists()


def test_a_data_set_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no question on 'metr-la' that is here"):
        bench_agent(Settings(home=tmp_path), "dev", dataset="metr-la")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["agent", "--seeds", "2"], "'bench agent' takes no --seeds."),
        (["imaging", "--half", "test"], "'bench imaging' takes no --half."),
        (["forecast", "--dataset", "demo", "--failures"], "'bench forecast' takes no --failures."),
    ],
)
def test_options_of_another_benchmark_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(bench, arguments, catch_exceptions=False, standalone_mode=False)
