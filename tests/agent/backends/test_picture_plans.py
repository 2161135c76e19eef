"""Which picture tool a question gets, with what arguments; and what the answers say beside the pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.backends.examples import examples
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.runtime import Runtime

Plan = Callable[..., list[Step] | str]


@pytest.fixture(scope="module")
def plan(planner: Callable[[Collection[str]], Plan]) -> Plan:
    return planner({"find_places"})


def _called(said: list[Step] | str, tool: str) -> list[dict[str, Any]]:
    assert not isinstance(said, str), said
    return [args for name, args in said if name == tool]


# -- maps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("show me a map", {"show": "level"}),
        ("Map please", {"show": "level"}),
        ("Can I see the whole city on a map?", {"show": "level"}),
        ("map of the speeds now", {"channel": "speed", "show": "level"}),
        ("where is it slow - on a map", {"channel": "speed", "show": "level"}),
        ("where are the jams? use a map", {"channel": "speed"}),
        ("I'd like to see on a map which streets are fast", {"channel": "speed"}),
        ("Where in town is the PM2.5 high? Show it on the map.", {"channel": "pm25", "show": "level"}),
        ("geographic overview of the traffic", {"channel": "flow"}),
        ("map of how the flow will change", {"channel": "flow", "show": "forecast_change"}),
        (
            "map how traffic will develop in the next hour",
            {"channel": "flow", "show": "forecast_change", "minutes": 60},
        ),
        ("how did speeds change over the last two hours, as a map?", {"show": "change", "minutes": 120}),
        ("where on the map has traffic risen?", {"channel": "flow", "show": "change"}),
        ("put the flow of yesterday morning on a map", {"minutes": 360, "until": "2025-10-21T12:00+01:00"}),
        ("map of the air quality at 6:00", {"channel": "pm25", "until": "2025-10-22T06:00+01:00"}),
        ("give me a street map with S096 marked", {"highlight": "S096"}),
        ("Show Castle Hill southbound on the map", {"highlight": "S096"}),
        ("map of Port Alder", {"show": "level"}),
    ],
)
def test_maps(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "render_map")

    assert expected.items() <= args.items()
    assert ("highlight" in args) == ("highlight" in expected)


# -- comparisons ------------------------------------------------------------------------------------

TODAY = {"hours": 7.6667}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("compare S039 and S096 today", {"node": "S039", "other": "S096", **TODAY}),
        ("S039 vs S096 yesterday", {"other": "S096", "hours": 24, "until": "2025-10-22T00:00+01:00"}),
        ("Is S039 slower than S096 this morning?", {"other": "S096", "channel": "speed", "hours": 1.6667}),
        ("what is the difference between S039 and S096 since midnight?", {"other": "S096", **TODAY}),
        ("put S039 next to S096 for the last 6 hours", {"node": "S039", "other": "S096", "hours": 6}),
        ("Which is busier today, S039 or S096?", {"node": "S039", "other": "S096", **TODAY}),
        ("is A01 dirtier than A02 today?", {"node": "A01", "other": "A02", "channel": "pm25"}),
        ("compare the speeds of S039 and S041 over the past 12 hours", {"channel": "speed", "hours": 12}),
        ("how does today compare with last Tuesday at S096", {"node": "S096", "back_days": 1, **TODAY}),
        ("this morning against yesterday morning at S039", {"node": "S039", "back_days": 1, "hours": 1.6667}),
        ("was Monday busier than Sunday at S096?", {"back_days": 1, "hours": 24, "until": "2025-10-21T00:00+01:00"}),
        ("Is Monday different from Tuesday at S096?", {"back_days": 1, "until": "2025-10-22T00:00+01:00"}),
        ("is S096 as busy as yesterday?", {"back_days": 1, **TODAY}),
        ("S096 today versus the same day last week", {"back_days": 7, **TODAY}),
        ("compare this week with last week at S096", {"back_days": 7, "hours": 55.6667}),
        ("contrast the speed at S096 from 6 to 7 with yesterday", {"channel": "speed", "hours": 1, "back_days": 1}),
        ("how much did Castle Hill southbound differ from a week ago?", {"node": "S096", "back_days": 7}),
        ("has S096 carried more today or yesterday?", {"back_days": 1, **TODAY}),
        ("is it quieter at S039 than an hour ago?", {"hours": 1, "back_days": 0.041667}),
        ("S039: now vs yesterday at this time", {"hours": 1, "back_days": 1}),
        ("how did yesterday evening compare to the evening before at S041?", {"hours": 4, "back_days": 1}),
        ("compare the flow at S096 on 20 October with 13 October", {"hours": 24, "back_days": 7}),
    ],
)
def test_comparisons(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "compare_series")

    assert expected.items() <= args.items()
    assert ("other" in args) != ("back_days" in args)


def test_a_comparison_without_a_time_says_how_it_is_now_too(plan: Plan) -> None:
    said = plan("compare S039 with S096")

    assert [args["other"] for args in _called(said, "compare_series")] == ["S096"]


def test_places_that_measure_nothing_in_common_are_told_one_by_one(plan: Plan) -> None:
    said = plan("compare S001 and A03 today")

    assert [args["node"] for args in _called(said, "query_series")] == ["S001", "A03"]


# -- patterns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what pattern does S096 follow?", {"node": "S096", "hours": 168}),
        ("Characterise the series of S096", {"node": "S096"}),
        ("what regularities do you see at S039?", {"node": "S039"}),
        ("is there a trend at S096?", {"node": "S096"}),
        ("Has the flow at S039 been drifting?", {"node": "S039", "channel": "flow"}),
        ("is the travel information service trending up over the last 10 days?", {"hours": 240}),
        ("any anomalies at S096 this week?", {"node": "S096", "hours": 168}),
        ("Any spikes or outliers at Castle Hill southbound?", {"node": "S096"}),
        ("did S096 behave oddly yesterday?", {"until": "2025-10-22T00:00+01:00"}),
        ("any anomalies at S039 on Saturday?", {"node": "S039", "until": "2025-10-19T00:00+01:00"}),
        ("when did the level change at S096?", {"node": "S096"}),
        ("when did traffic at S039 drop to a new level?", {"node": "S039"}),
        ("is the level at S041 stable or did it shift?", {"node": "S041"}),
        ("Does the speed at S096 switch between two states?", {"channel": "speed"}),
        ("how periodic is S096?", {"node": "S096"}),
        ("does S096 repeat itself every day?", {"node": "S096"}),
        ("what is the dominant period at S039?", {"node": "S039"}),
        ("is the load of the travel information service periodic?", {"channel": "requests"}),
        ("how volatile is the speed at S039?", {"node": "S039", "channel": "speed"}),
        ("Is S096 jumpy?", {"node": "S096"}),
        ("how much random noise is in S041?", {"node": "S041"}),
        ("does S039 lag behind S096?", {"node": "S039", "other": "S096"}),
        ("which one leads, S039 or S096?", {"node": "S039", "other": "S096"}),
        ("How strongly do S039 and S096 correlate?", {"node": "S039", "other": "S096"}),
        ("does S096 run ahead of S039?", {"other": "S039"}),
    ],
)
def test_patterns(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "detect_patterns")

    assert expected.items() <= args.items()
    assert ("other" in args) == ("other" in expected)


# -- pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("show me S096 as a spectrogram", {"method": "stft", "hours": 168}),
        ("show the readings of S096 as frequencies over time", {"method": "stft"}),
        ("show me S096 as a heatmap by day", {"method": "uvh"}),
        ("Daily heatmap of S039 for the last ten days", {"method": "uvh", "hours": 240}),
        ("fold S096 by day", {"method": "uvh", "node": "S096"}),
        ("Recurrence plot of Castle Hill southbound", {"method": "rp", "node": "S096"}),
        ("wavelet of S096", {"method": "cwt"}),
        ("a scalogram of the speed at S039, please", {"method": "cwt", "channel": "speed"}),
        ("I want the Gramian angular field of S039", {"method": "gasf"}),
        ("Gramian difference field for S039 over the last 3 days", {"method": "gadf", "hours": 72}),
        ("Draw S096 as a Markov transition field", {"method": "mtf"}),
        ("mel filter bank picture of S041", {"method": "filterbank"}),
        ("small multiples around S096", {"method": "multiples", "hours": 24}),
        ("heat map of S096 and its neighbours", {"method": "heatmap", "node": "S096"}),
        ("heatmap of PM2.5", {"method": "heatmap", "channel": "pm25"}),
        ("which picture shows most of S096?", {"method": "auto"}),
        ("what is the best way to look at S039?", {"method": "auto", "node": "S039"}),
        ("draw S096", {"method": "auto", "node": "S096"}),
        ("Visualise the flow at Castle Hill southbound", {"method": "auto", "channel": "flow"}),
        ("sketch S041 over the past two weeks", {"method": "auto", "hours": 336}),
        ("line chart of S096 yesterday", {"method": "line", "hours": 24}),
    ],
)
def test_pictures(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "render_series")

    assert expected.items() <= args.items()


# -- what is no such question -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("what is a recurrence plot?", [("retrieve_context", "note")]),
        ("explain seasonality", [("retrieve_context", "note")]),
        ("why is Monday different from Sunday?", [("retrieve_context", "note")]),
        ("draw me a cat", "outside of what I know"),
        ("map of the humidity", 'has no "humidity"'),
        ("this morning against yesterday morning", "Which station do you mean?"),
        ("how volatile is it over the last two years?", "Which station do you mean?"),
        ("show S096 as a spectrogram over the last month", "at most two weeks"),
        ("map of the last three weeks", "map at most a week"),
        ("is S096 correlated?", "Name two places"),
    ],
)
def test_other_answers(plan: Plan, question: str, said: str | list[tuple[str, str]]) -> None:
    answer = plan(question)

    if isinstance(said, str):
        if not isinstance(answer, str):
            ((_, asked),) = answer
            answer = asked["question"]  # the person is asked
        assert said in answer
    else:
        assert not isinstance(answer, str)
        assert [(name, args["kind"]) for name, args in answer] == said


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("Will the trend at S096 continue?", "forecast"),
        ("draw the forecast for S096", "forecast"),
        ("Is there anything unusual at S096 right now?", "query_series"),
        ("which stations are anomalous?", "rank_places"),
        ("is S096 or S041 faster now?", "query_series"),
    ],
)
def test_questions_that_keep_their_tool(plan: Plan, question: str, tool: str) -> None:
    said = plan(question)

    assert _called(said, tool)
    assert not _called(said, "detect_patterns")


def test_the_questions_are_not_the_examples() -> None:
    known = {example.text.casefold() for example in examples()}
    asked = {
        str(case[0]).casefold()
        for test in (test_maps, test_comparisons, test_patterns, test_pictures)
        for case in test.pytestmark[0].args[1]
    }

    assert len(asked) >= 60
    assert not asked & known


# -- whole answers ----------------------------------------------------------------------------------


def _ask(runtime: Runtime, question: str, **options: Any) -> Answer:
    answer = asyncio.run(runtime.ask(question, **options))
    assert [c.text for c in answer.claims if c.status != "verified"] == [], answer.answer
    assert all(Path(figure.path).read_bytes().startswith(b"\x89PNG") for figure in answer.figures)
    return answer


@pytest.mark.parametrize(
    ("question", "tool", "said"),
    [
        ("where is it slow - on a map", "render_map", ["124 road stations", "It was lowest at road station S096"]),
        ("Show S039 on a map of how the flow will change", "render_map", ["it is forecast to", "The ring marks"]),
        ("compare S039 and S096 today", "compare_series", ["was higher at **road station S039", "correlation is 0.9"]),
        ("how does today compare with last Tuesday at S096", "compare_series", ["less than earlier", "% of it"]),
        ("what pattern does S096 follow?", "detect_patterns", ["repeats every day", "no lasting trend", "a spike"]),
        ("how volatile and periodic is S039?", "detect_patterns", ["surprises by", "repeats every day"]),
        ("any anomalies at S039 on Saturday?", "detect_patterns", ["do not fit the rest", "Saturday 18 October"]),
        ("does S039 lag behind S096?", "detect_patterns", ["**Road station S039", "correlation"]),
        ("which picture shows most of S096?", "render_series", ["Why this picture: ", "% of the variance"]),
        ("show me S096 as a spectrogram", "render_series", ["as a spectrogram", "on average, between"]),
    ],
)
def test_answers_cite_the_numbers_beside_the_picture(
    runtime: Runtime, question: str, tool: str, said: list[str]
) -> None:
    answer = _ask(runtime, question)

    (entry,) = [entry for entry in answer.evidence if entry.tool == tool]
    assert [figure.evidence for figure in answer.figures] == [entry.id]
    assert all(words in answer.answer for words in said), answer.answer
    assert [c for c in answer.claims if c.kind == "number" and entry.id in c.evidence]


def test_the_aspect_that_is_asked_first_is_answered_first(runtime: Runtime) -> None:
    text = _ask(runtime, "how volatile and periodic is S039?").answer

    assert text.index("surprises by") < text.index("repeats every day")
    assert "trend" not in text.partition("without")[0]


def test_a_thread_goes_from_picture_to_picture(runtime: Runtime) -> None:
    thread, tools = None, []
    for question in (
        "How is S096?",
        "compare with yesterday",
        "and S039?",
        "as a wavelet",
        "any anomalies?",
        "show it on a map",
    ):
        answer = _ask(runtime, question, thread=thread)
        thread = answer.thread
        entry = answer.evidence[-1]
        tools.append((entry.tool, entry.args.get("node") or entry.args.get("highlight")))

    assert [tools[n] for n in (1, 2, 4, 5)] == [
        ("compare_series", "S096"),
        ("compare_series", "S039"),
        ("detect_patterns", "S039"),
        ("render_map", "S039"),
    ]


@pytest.mark.parametrize(
    ("question", "tool", "said"),
    [
        ("show me a map of the speeds", "render_map", "stations over the 30 minutes up to 07:30"),
        ("compare 1205330 and 1205320 today", "compare_series", "was higher at **station 1205320"),
        ("does 1205320 lag behind 1205330?", "detect_patterns", "correlation is"),
        ("1205330 as a recurrence plot", "render_series", "as a recurrence plot"),
    ],
)
def test_real_roads(runtime: Runtime, real_data: Path, question: str, tool: str, said: str) -> None:
    answer = _ask(runtime, question, dataset="pems-orange")

    assert said in answer.answer
    assert [f for f in answer.figures if any(e.id == f.evidence and e.tool == tool for e in answer.evidence)]
