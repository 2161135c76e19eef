"""Own suites: what a line may hold, what is said of a wrong one, and how expectations are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.harness.own import OwnSuite
from mm4st_agent.agent.answer import Answer, Claim
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

GOOD = '{"question": "How busy is S039?", "expect": {"tools": ["query_series"]}}'


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", r"Line 2 of mine.jsonl is not JSON: .* at character 2"),
        ('{"question": "Hm?"}', "Line 2 of mine.jsonl is wrong: expect: Field required"),
        ('{"question": "Hm?", "expect": {}}', "Line 2 .* wrong: expect: nothing is expected"),
        ('{"question": "Hm?", "expect": {"tool": ["x"]}}', "Line 2 .* wrong: expect.tool: Extra inputs"),
        ('{"expect": {"asks": true}}', "Line 2 .* give either question or questions"),
        (
            '{"question": "Hm?", "expect": {"number": {"unit": "km/h"}}}',
            "Line 2 .* give either value, or tool and path",
        ),
        ('{"id": "line-1", "question": "Hm?", "expect": {"asks": true}}', "Line 2 .* has the id 'line-1' of line 1"),
    ],
)
def test_a_wrong_line_is_named_with_its_reason(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{GOOD}\n{line}\n")

    with pytest.raises(DataError, match=reason):
        OwnSuite(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dataset": "atlantis"}, "Line 1 of mine.jsonl cannot be asked: There is no data set 'atlantis'"),
        ({"as_of": "1999-01-01"}, "Line 1 of mine.jsonl cannot be asked: .*outside the data"),
        ({"expect": {"tools": ["divine"]}}, "Line 1 of mine.jsonl: there is no tool 'divine'"),
    ],
)
def test_what_there_is_not_is_named_before_anything_is_asked(
    fields: dict[str, Any], reason: str, tmp_path: Path, runtime: Runtime
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({**json.loads(GOOD), **fields}))

    with pytest.raises(DataError, match=reason):
        OwnSuite(path).items("dev", runtime)


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl cannot be read"):
        OwnSuite(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match=r"empty\.jsonl holds no question"):
        OwnSuite(tmp_path / "empty.jsonl")


def test_the_lines_of_the_manual_are_right(tmp_path: Path, runtime: Runtime) -> None:
    manual = Path(__file__).parents[2] / "docs" / "evaluation.md"
    path = tmp_path / "manual.jsonl"
    path.write_text(manual.read_text().split("```json\n", 1)[1].split("```", 1)[0])

    assert [item.id for item in OwnSuite(path).items("dev", runtime)] == ["line-1", "line-2", "follow-up"]


SAID = Answer(
    question="How busy is S039?",
    answer="It carried 84 vehicles/5 min.",
    claims=[
        Claim(text="84 vehicles/5 min", span=(11, 28), kind="number", value=84, unit="vehicles/5 min",
              status="verified", evidence=["E2"]),
    ],
    evidence=[
        Evidence(id="E1", tool="question", args={}, as_of=None, seconds=0),
        Evidence(id="E2", tool="query_series", args={"node": "S039"}, as_of=None, seconds=0,
                 values={"latest.value": EvidenceValue(value=84.4, unit="vehicles/5 min")}),
    ],
    figures=[], citations=[], warnings=[], chat_model="embedded", dataset="demo", as_of="2025-10-22T07:40+01:00",
    thread="t", seconds=0.1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("expect", "value", "why"),
    [
        ({"tools": ["query_series"]}, 1, "as expected"),
        ({"tools": ["query_series", "forecast"]}, 0.5, "forecast was not called"),
        ({"no_tools": True}, 0, "it called query_series"),
        ({"number": {"value": 84, "unit": "vehicles/5 min"}}, 1, "as expected"),
        ({"number": {"value": 84, "unit": "km/h"}}, 0, "84 km/h (within 2%) is not stated"),
        ({"number": {"value": 90}}, 0, "90 (within 2%) is not stated"),
        ({"number": {"value": 90, "tolerance": 0.1}}, 1, "as expected"),
        ({"number": {"tool": "query_series", "path": "latest.value"}}, 1, "as expected"),
        ({"number": {"tool": "query_series", "path": "mean"}}, 0, "no reply of query_series has a number at mean"),
        ({"contains": ["Carried"], "lacks": ["km/h"]}, 1, "as expected"),
        ({"contains": ["rain"], "lacks": ["carried"]}, 0, "'rain' is not in it; 'carried' is in it"),
        ({"abstains": True, "asks": False}, 0.5, "it should abstain"),
        ({"asks": True}, 0, "it should ask back"),
        ({"supported": True}, 1, "as expected"),
    ],
)
def test_the_score_is_the_share_of_expectations_that_hold(
    expect: dict[str, Any], value: float, why: str, tmp_path: Path, runtime: Runtime
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"question": "How busy is S039?", "expect": expect}))
    suite = OwnSuite(path)
    (item,) = suite.items("dev", runtime)

    scored = suite.score(item, [SAID], runtime)

    assert scored is not None
    assert scored.value == value
    assert scored.why == why


def test_an_unsupported_claim_is_named(tmp_path: Path, runtime: Runtime) -> None:
    loose = SAID.model_copy(update={"claims": [SAID.claims[0].model_copy(update={"status": "unsupported"})]})
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "How busy is S039?", "expect": {"supported": true}}')
    suite = OwnSuite(path)

    scored = suite.score(suite.items("dev", runtime)[0], [loose], runtime)

    assert scored is not None
    assert (scored.value, scored.why) == (0, "without support: 84 vehicles/5 min")
