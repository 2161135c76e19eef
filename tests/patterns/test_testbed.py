import json
import subprocess
import sys

import numpy as np
import pytest

from mm4st_agent.patterns.generated import GENERATORS
from mm4st_agent.patterns.testbed import RULES, case_of, is_right


def test_every_kind_has_a_rule() -> None:
    assert list(RULES) == list(GENERATORS)


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_case_is_the_same_again_and_another_for_another_seed(kind: str) -> None:
    first, again, other = case_of(kind, 1, 0), case_of(kind, 1, 0), case_of(kind, 2, 0)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.answer == again.answer
    assert not np.array_equal(first.values, other.values)


@pytest.mark.parametrize("kind", GENERATORS)
def test_nearly_all_of_a_kind_are_right(kind: str) -> None:
    assert sum(is_right(kind, case_of(kind, 50, index)) for index in range(10)) >= 8


@pytest.mark.parametrize(
    ("kind", "of"), [("random walk", "linear trend"), ("white noise", "sine"), ("ar", "ma"), ("sine", "square")]
)
def test_the_rules_reject_another_kind(kind: str, of: str) -> None:
    rule = RULES[kind][1]
    wrong = case_of(of, 51, 0)
    from mm4st_agent.patterns.detect import detect_patterns

    if kind == "sine":
        wrong.answer["waveform"] = "sine"
    assert not rule(detect_patterns(wrong.values, 300), wrong)


def test_the_command_prints_one_json_object() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mm4st_agent.patterns.testbed", "--json", "--per-kind", "1", "--seed", "3"],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    reply = json.loads(done.stdout)
    assert reply["seed"] == 3
    assert [row["kind"] for row in reply["rows"]] == list(GENERATORS)
    assert all(row["asked"] == 1 and row["right"] in {0, 1} for row in reply["rows"])
