"""Expected and made calls: what agrees, what does not, and how they are paired."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from eval.bench.agent_matching import Call, Meaning, agrees, judge

ZONE = ZoneInfo("Europe/Lisbon")
NOW = datetime(2025, 10, 22, 7, 40, tzinfo=ZONE)
MEANING = Meaning(
    defaults={
        "forecast": {"channel": None, "minutes": 60, "start_in_minutes": 0},
        "query_series": {"channel": None, "hours": 24, "until": None},
        "rank_places": {"channel": None, "order": "highest", "until": None},
        "compare_series": {"other": None, "channel": None},
    },
    step_s=300,
    zone=ZONE,
    now=NOW,
    channel_of={None: "flow", "S039": "flow", "A12": "pm25"}.get,
)


@pytest.mark.parametrize(
    ("name", "expected", "found", "agree"),
    [
        ("limit", 5, 5, True),
        ("limit", 5, 6, False),
        ("value", 8, 8.05, True),
        ("value", 8, 8.2, False),
        ("value", 0, 0.0, True),
        ("minutes", 60, 65, True),
        ("minutes", 60, 66, False),
        ("start_in_minutes", 20, 15, True),
        ("start_in_minutes", 20, 0, False),
        ("hours", 7, 7 + 1 / 12, True),
        ("hours", 7, 7.2, False),
        ("hours", 168, 169.5, True),
        ("days", 7, 7.5, False),
        ("minutes", 60, True, False),
        ("minutes", 60, "60", False),
        ("node", "S039", "s039", True),
        ("node", "S039", "S038", False),
        ("node", "S039", None, False),
        ("channel", {"any": ["flow", "speed"]}, "speed", True),
        ("channel", {"any": ["flow", "speed"]}, "pm25", False),
        ("minutes", {"any": [30, 60]}, 64, True),
        ("until", "2025-10-22T00:00", "2025-10-22T00:00:00+01:00", True),
        ("until", "2025-10-22T00:00", "2025-10-21T23:00:00Z", True),
        ("until", "2025-10-22T00:00", "2025-10-21T23:59:59", True),
        ("until", "2025-10-22T00:00", "2025-10-21T23:55", False),
        ("until", "2025-10-22T00:00", datetime(2025, 10, 21, 23, 0, tzinfo=UTC), True),
        ("until", "2025-10-22T00:00", "midnight", False),
        ("until", None, "2025-10-22T00:00", False),
        ("changes", [{"kind": "set", "value": 5}], [{"kind": "set", "value": 5.0, "name": "rain"}], True),
        ("changes", [{"kind": "set"}, {"kind": "remove"}], [{"kind": "remove"}, {"kind": "set"}], True),
        ("changes", [{"kind": "set"}], [{"kind": "set"}, {"kind": "set"}], False),
        ("changes", [{"kind": "set", "value": 5}], [{"kind": "set"}], False),
        ("changes", [{"kind": "set"}], "set", False),
        ("changes", [{"kind": "set"}], None, False),
    ],
)
def test_values(name: str, expected: Any, found: Any, agree: bool) -> None:
    assert agrees(expected, found, name, MEANING) is agree


def test_what_is_left_out_has_the_tools_default() -> None:
    expected = [Call("forecast", {"node": "A12", "channel": "pm25", "minutes": 60, "start_in_minutes": 0})]

    assert not judge(expected, [Call("forecast", {"node": "A12"})], MEANING).wrong
    assert not judge(expected, [Call("forecast", {"node": "A12", "channel": None})], MEANING).wrong
    assert judge(expected, [Call("forecast", {"node": "A12", "channel": "no2"})], MEANING).right == 3


def test_a_ranking_left_without_channel_is_of_the_main_one_and_until_the_clock() -> None:
    expected = [Call("rank_places", {"channel": "flow", "order": "highest", "until": "2025-10-22T07:40"})]

    assert not judge(expected, [Call("rank_places", {})], MEANING).wrong


def test_several_values_may_be_right_for_either_place() -> None:
    both = {"any": ["S039", "S040"]}
    expected = [Call("compare_series", {"node": both, "other": both})]

    assert not judge(expected, [Call("compare_series", {"node": "S040", "other": "S039"})], MEANING).wrong
    assert judge(expected, [Call("compare_series", {"node": "S040"})], MEANING).right == 1


def test_slots_are_counted_over_all_expected_calls() -> None:
    expected = [Call("forecast", {"node": "S039", "minutes": 30}), Call("rank_places", {"order": "lowest"})]

    found = judge(expected, [Call("forecast", {"node": "S039", "minutes": 60})], MEANING)

    assert (found.slots, found.right) == (3, 1)
    assert found.wrong == ("forecast.minutes is 60, not 30", "no call of rank_places")


def test_calls_are_paired_so_that_most_arguments_agree() -> None:
    expected = [Call("forecast", {"node": "S001"}), Call("forecast", {"node": "S002"})]
    made = [Call("forecast", {"node": "S002"}), Call("forecast", {"node": "S001"})]

    assert judge(expected, made, MEANING).right == 2
    assert judge(expected, made[:1], MEANING).wrong == ("no call of forecast",)


def test_one_call_does_not_answer_for_two() -> None:
    twice = [Call("forecast", {"node": "S001"}), Call("forecast", {"node": "S001"})]

    assert judge(twice, twice[:1], MEANING).wrong == ("no call of forecast",)


def test_further_calls_are_wrong_unless_they_look_up_or_show() -> None:
    expected = [Call("forecast", {"node": "S039"})]
    forecast = Call("forecast", {"node": "S039"})

    looked_up = judge(expected, [Call("find_places", {}), forecast, Call("render_series", {})], MEANING)
    ranked = judge(expected, [forecast, Call("rank_places", {})], MEANING)
    again = judge(expected, [forecast, forecast], MEANING)

    assert not looked_up.wrong
    assert ranked.wrong == ("a further call of rank_places",)
    assert again.wrong == ("a further call of forecast",)
    assert not judge([], [Call("retrieve_context", {})], MEANING).wrong


def test_a_description_of_the_data_is_free_where_it_is_not_expected() -> None:
    changed = Call("what_if", {"node": "S039"})

    assert not judge([changed], [Call("describe_dataset", {"dataset": "demo"}), changed], MEANING).wrong
    assert judge([Call("describe_dataset", {})], [changed], MEANING).wrong[0] == "no call of describe_dataset"


def test_an_expected_support_call_must_be_made() -> None:
    assert judge([Call("render_series", {})], [Call("find_places", {})], MEANING).wrong == ("no call of render_series",)


def test_one_of_several_tools_is_enough() -> None:
    either = [Call({"any": ["find_places", "describe_dataset"]}, {})]

    assert not judge(either, [Call("describe_dataset", {})], MEANING).wrong
    assert judge(either, [Call("forecast", {})], MEANING).wrong
