"""What is asked of the forecaster itself: which tool a question gets, with what arguments, and what is said then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

import prompts
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.backends.examples import examples
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.probes import Probe, probe
from mm4st_agent.agent.backends.suppositions import supposed
from mm4st_agent.agent.backends.turns import Exchange, Result
from mm4st_agent.agent.claims import check
from mm4st_agent.agent.ledger import from_reply
from mm4st_agent.runtime import Runtime
from mm4st_agent.toolspec import Passage
from tools.explain_forecast import DriverOut, ExplainForecastOut, ModalityShares

Plan = Callable[..., list[Step] | str]
LOOKED_UP = {"find_places", "describe_dataset", "retrieve_context"}
"""What is called to learn which place, covariate or event is meant."""
ABOUT_S096 = Exchange("How is S096?", [Result("query_series", {"node": "S096"}, {"evidence": "E1"})])


@pytest.fixture(scope="module")
def plan(planner: Callable[[Collection[str]], Plan]) -> Plan:
    return planner(LOOKED_UP)


def _called(said: list[Step] | str, tool: str) -> list[dict[str, Any]]:
    assert not isinstance(said, str), said
    assert {name for name, _ in said} == {tool}
    return [args for _, args in said]


# -- explanations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what drives the forecast for S039?", {"node": "S039", "minutes": 60}),
        ("What is driving your prediction for Castle Hill southbound?", {"node": "S096"}),
        ("which sensors matter for S096?", {"node": "S096"}),
        ("Which neighbours influence the forecast at S039 most?", {"node": "S039"}),
        ("does the incident matter for S096?", {"node": "S096"}),
        ("Do the neighbouring stations play a role at S041?", {"node": "S041"}),
        ("explain the forecast for S096", {"node": "S096"}),
        ("Explain your speed prediction for S039 in the next 30 minutes", {"channel": "speed", "minutes": 30}),
        ("what is the forecast for S096 based on?", {"node": "S096"}),
        ("Which inputs does the model use for S096?", {"node": "S096"}),
        ("what factors push the forecast of S039?", {"node": "S039"}),
        ("how did you come up with the forecast for S096?", {"node": "S096"}),
        ("What share do text and pictures have in the forecast for S096?", {"node": "S096"}),
        ("what moved the PM2.5 forecast at A03?", {"node": "A03", "channel": "pm25"}),
        ("what does the model look at for S096?", {"node": "S096"}),
    ],
)
def test_explanations(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "explain_forecast")

    assert expected.items() <= args.items()


# -- what if ----------------------------------------------------------------------------------------

RAIN = {"kind": "set_covariate", "name": "rain_mm_h"}
GONE = {"kind": "remove_event", "event": "incident-086"}


@pytest.mark.parametrize(
    ("question", "node", "change"),
    [
        ("what if incident-086 had not happened?", "S096", GONE),
        ("What would S095 look like if incident-086 had never happened?", "S095", GONE),
        ("what if the incident at S096 had not happened?", "S096", GONE),
        ("What would S096 carry without the collision?", "S096", GONE),
        ("had the accident at S096 not happened, how busy would it be?", "S096", GONE),
        ("suppose the crash at Castle Hill southbound were cleared", "S096", GONE),
        ("what if it rained 5 mm/h at S096?", "S096", {**RAIN, "value": 5.0}),
        ("What if the rain stopped at S039?", "S039", None),
        ("How would S039 be if there was no rain?", "S039", {**RAIN, "value": 0.0}),
        ("forecast for S096 if it were dry", "S096", {**RAIN, "value": 0.0}),
        ("what would happen at S096 if it rained 12.5 mm per hour?", "S096", {**RAIN, "value": 12.5}),
        ("Imagine it is minus 5 degrees at S096", "S096", {"name": "temperature", "value": -5.0}),
        ("what if the wind blew at 36 km/h at A03?", "A03", {"name": "wind_speed", "value": 10.0}),
        ("what if it were a school holiday at S096?", "S096", {"name": "school_holiday", "value": 1.0}),
        ("what if sensor S095 fails?", "S095", {"kind": "remove_sensor", "node": "S095"}),
        ("how would S096 look if sensor S095 broke down?", "S096", {"kind": "remove_sensor", "node": "S095"}),
        ("What would you forecast for S096 without S095?", "S096", {"kind": "remove_sensor", "node": "S095"}),
        ("what happens to S096 if the detector S095 goes offline?", "S096", {"kind": "remove_sensor", "node": "S095"}),
        (
            "what if the road from S095 to S096 were closed?",
            "S096",
            {"kind": "remove_road", "source": "S095", "target": "S096"},
        ),
        (
            "how would S039 change if the link between S095 and S096 was cut?",
            "S039",
            {"kind": "remove_road", "source": "S095", "target": "S096"},
        ),
        (
            "What if there was an accident at S095?",
            "S095",
            {"kind": "add_event", "node": "S095", "text": "An accident at S095"},
        ),
        (
            "what would happen at S096 if there were a collision at S095?",
            "S096",
            {"kind": "add_event", "node": "S095", "text": "A collision at S095"},
        ),
        ("what if one lane were blocked at S039?", "S039", {"kind": "add_event", "node": "S039"}),
    ],
)
def test_what_if(plan: Plan, question: str, node: str, change: dict[str, Any] | None) -> None:
    said = plan(question)

    if change is None:
        assert isinstance(said, str)
        assert "Which value do you suppose?" in said
        return
    (args,) = _called(said, "what_if")
    (made,) = args["changes"]
    assert args["node"] == node
    assert change.items() <= made.items()


@pytest.mark.parametrize(
    ("question", "change"),
    [
        ("what if it rained 5 mm/h?", {**RAIN, "value": 5.0}),
        ("and if the incident had not happened?", GONE),
        ("what if S095 failed?", {"kind": "remove_sensor", "node": "S095"}),
        ("What if incident-085 had not happened?", {"kind": "remove_event", "event": "incident-085"}),
    ],
)
def test_what_if_stays_at_the_place_of_the_thread(plan: Plan, question: str, change: dict[str, Any]) -> None:
    (args,) = _called(plan(question, ABOUT_S096), "what_if")

    assert args["node"] == "S096"
    assert change.items() <= args["changes"][0].items()


# -- analogs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("similar days to now at S096", {"node": "S096", "k": 5}),
        ("when was it like this before at S039?", {"node": "S039"}),
        ("Has this happened at S096 before?", {"node": "S096"}),
        ("Were there moments like this at S096?", {"node": "S096"}),
        ("find past situations similar to now at Castle Hill southbound", {"node": "S096"}),
        ("when was S096 as slow as now before?", {"node": "S096", "channel": "speed"}),
        ("show me comparable mornings at S039", {"node": "S039"}),
        ("Is there a precedent for this at S096?", {"node": "S096"}),
        ("analogs of the present at A03", {"node": "A03"}),
        ("Have you seen anything like this at S041 before?", {"node": "S041"}),
    ],
)
def test_analogs(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "find_analogs")

    assert expected.items() <= args.items()


# -- backtests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("how good were you last week?", {"days": 7.0}),
        ("how accurate are the forecasts for S096?", {"node": "S096", "days": 7}),
        ("can I trust this?", {"days": 7}),
        ("How reliable are your speed forecasts?", {"channel": "speed"}),
        ("how well did you predict S039 yesterday?", {"node": "S039", "days": 1.3194}),
        ("Is the model any good at S096?", {"node": "S096"}),
        ("how often were you right over the last 3 days?", {"days": 3}),
        ("what is your track record at Castle Hill southbound?", {"node": "S096"}),
        ("Does your model beat the baselines?", {"minutes": 60}),
        ("how wrong were your forecasts for A03 since Monday?", {"node": "A03", "days": 2.3194}),
        ("Backtest S096", {"node": "S096"}),
        ("how large are the forecast errors at S041?", {"node": "S041"}),
        ("do your intervals hold?", {"minutes": 60}),
        ("how accurate are the forecasts for the next 15 minutes?", {"minutes": 15}),
    ],
)
def test_backtests(plan: Plan, question: str, expected: dict[str, Any]) -> None:
    (args,) = _called(plan(question), "backtest")

    assert expected.items() <= args.items()
    assert ("node" in args) == ("node" in expected)


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("can I trust this?", "backtest"),
        ("which sensors matter?", "explain_forecast"),
        ("does the incident matter?", "explain_forecast"),
        ("when was it like this before?", "find_analogs"),
    ],
)
def test_questions_go_on_from_the_place_before(plan: Plan, question: str, tool: str) -> None:
    (args,) = _called(plan(question, ABOUT_S096), tool)

    assert args["node"] == "S096"


# -- what is no such question -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("what if pigs could fly?", "I do not see which of these you mean"),
        ("what if it rained 5 mm/h?", "Which station do you mean?"),
        ("what if it snowed 3 mm/h at S096?", "These data know no snow"),
        ("what if there was no accident at S001?", "there is no event to take away"),
        ("what if the wind blew at 3 % at A03?", "Which value do you suppose? Give it in m/s"),
        ("which sensors matter?", "Which station do you mean?"),
        ("What is a backtest?", "The notes"),
    ],
)
def test_other_answers(plan: Plan, question: str, said: str) -> None:
    answer = plan(question)

    if not isinstance(answer, str):
        ((_, asked),) = answer
        answer = asked["question"]  # the person is asked
    assert said in answer


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("why is the forecast so high at S096?", "explain_forecast"),
        ("How sure are you about the next hour at S096?", "forecast"),
        ("is S096 as busy as yesterday?", "compare_series"),
        ("tell me if there was an accident at S096", "retrieve_context"),
        ("which stations are rising fastest?", "rank_places"),
        ("does S039 follow S096?", "detect_patterns"),
    ],
)
def test_questions_that_keep_their_tool(runtime: Runtime, plan: Plan, question: str, tool: str) -> None:
    said = plan(question)

    assert tool == "retrieve_context" if isinstance(said, str) else tool in {name for name, _ in said}


@pytest.mark.parametrize(
    ("kind", "questions"),
    [
        (
            "explanation",
            [
                "What's behind the number for S096?", "Give me the reasons for your forecast at S039",
                "Is the collision the reason for the low forecast at S096?", "Break down the forecast for S096 for me",
                "Which station has the biggest influence on the S096 forecast?", "Where does the forecast come from?",
                "What made the model predict so few vehicles at S096?", "On which data does the forecast rely?",
                "What is making the forecast go down at S096?", "Show me the drivers of the forecast at S041",
                "Is the picture important for the forecast?", "Which modality counts most at S039?",
            ],
        ),
        (
            "what_if",
            [
                "Would S096 be faster if the accident were gone?", "Could you redo the forecast for S096 without rain?",
                "What difference would 10 mm/h of rain make at S096?", "Take away sensor S095, what then?",
                "How much would S096 change if we lost sensor S095?", "What if S096 had no collision?",
                "Let's pretend it never rained; what about S096?", "What if the concert were cancelled?",
                "How busy would S096 be had there been no crash?", "Simulate S096 without the incident",
            ],
        ),
        (
            "analogs",
            [
                "Did we ever have a morning like this one at S096?", "Which earlier days resemble today at S039?",
                "When did S096 last look like this?", "Has S039 ever been this busy?",
                "What happened the last time it was this slow at S096?", "Find me a comparable situation for S096",
                "Any day in the past that looked like today?", "When have we seen such a level at S096 before?",
            ],
        ),
        (
            "backtest",
            [
                "Were your predictions any good recently?", "How much can I rely on the forecast for S096?",
                "What was your average error last week?", "How close were yesterday's forecasts at S039?",
                "Show the performance of the model", "Did your forecasts come true yesterday?",
                "How big is the MAE at S096?", "Are you better than a naive forecast?",
                "Should I believe this forecast?",
                "How well calibrated are the intervals?", "How many of your intervals contained the truth?",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_asked_is_told_by_many_words(kind: str, questions: list[str]) -> None:
    assert [(question, probe(question).kind) for question in questions] == [(question, kind) for question in questions]


@pytest.mark.parametrize(
    "question",
    [
        "Why is the flow so high since last week?", "What number of vehicles uses the road?", "Which model do you use?",
        "Was there something like an accident at S096?", "Can you show S096 and similar stations?",
        "What does it look like now?", "How good is the air at A03?", "What did it look like today?",
        "Is the station S096 reliable?", "Show the last hours as if on a map",
        "How reliable are the sensors?", "What happened at S096?", "Tell me whether it is jammed", "Will S096 be busy?",
        "Is it slower than usual?", "Which picture shows most of S096?", "I wonder if S096 is closed",
    ],
)  # fmt: skip
def test_nothing_is_read_into_other_questions(question: str) -> None:
    assert probe(question) == Probe()


def test_the_questions_are_not_the_examples() -> None:
    known = {example.text.casefold() for example in examples()}
    tests = (test_explanations, test_what_if, test_analogs, test_backtests)
    asked = {str(case[0]).casefold() for test in tests for case in test.pytestmark[0].args[1]}

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
        (
            "what drives the forecast for S039?",
            "explain_forecast",
            ["taken away alone", "the usual course", "The test "],
        ),
        ("what if sensor S095 fails?", "what_if", ["without the readings of road station S095", "As things are"]),
        ("what if the road from S095 to S096 were closed?", "what_if", ["without the edge from S095 to S096"]),
        ("what if incident-086 had not happened?", "what_if", ["about incident-086", "Taken out of what the model"]),
        ("what if it rained 5 mm/h at S096?", "what_if", ["at 5 mm/h"]),
        ("similar days to now at S096", "find_analogs", ["earlier moments", "similarity 0.", "ranged from"]),
        ("how good were you last week?", "backtest", ["at all 124 road stations", "the better one", "- 60 minutes: "]),
        ("how accurate are the PM2.5 forecasts at A03?", "backtest", ["air station A03", "held the truth in"]),
    ],
)
def test_answers_cite_the_evidence(runtime: Runtime, question: str, tool: str, said: list[str]) -> None:
    answer = _ask(runtime, question)

    (entry,) = [entry for entry in answer.evidence if entry.tool == tool]
    assert [figure.evidence for figure in answer.figures] == [entry.id]
    assert all(words in answer.answer for words in said), answer.answer
    assert [c for c in answer.claims if c.kind == "number" and entry.id in c.evidence]


def test_each_step_is_told_where_it_is_asked_for(runtime: Runtime) -> None:
    answer = _ask(runtime, "Give me a table of the speed forecast for S096 for the next half hour.")

    (forecast,) = [entry for entry in answer.evidence if entry.tool == "forecast"]
    rows = [line for line in answer.answer.splitlines() if line.startswith("| 0")]
    assert [row[2:7] for row in rows] == ["07:40", "07:45", "07:50", "07:55", "08:00", "08:05"]
    assert f"| 07:50 | {forecast.values['steps[2].median'].value:.3g} |" in rows[2]
    in_the_table = [
        c for c in answer.claims if answer.answer.index(rows[0]) <= c.span[0] < answer.answer.index("**What")
    ]
    assert len(in_the_table) == 5 * len(rows)  # the time, three quantiles and the baseline
    for question in ("How fast will S096 be over the next half hour?", "How many requests per minute come next hour?"):
        assert "| 07:40" not in _ask(runtime, question).answer


@pytest.mark.parametrize("node", ["S039", "S096"])
def test_why_names_the_drivers_only_where_the_test_supports_them(runtime: Runtime, node: str) -> None:
    answer = _ask(runtime, f"What will {node} carry in the next hour, and why?")

    (explained,) = [entry for entry in answer.evidence if entry.tool == "explain_forecast"]
    why = answer.answer.partition("**Why.**")[2].partition("**How far to trust it.**")[0]
    below = explained.values["test.random_below_percent"].value
    assert isinstance(below, float)
    if below < 90:
        assert "What moved the forecast itself cannot be told" in why
        assert f"only {below:.3g} % of" in why
        assert "taken away" not in why
        return
    assert "taken away alone: the usual course for this time of the week" in why
    largest = explained.values["drivers[0].effect"].value
    assert isinstance(largest, float)
    assert f"{'raised' if largest > 0 else 'lowered'} it by" in why
    assert "not what causes" in why
    assert "The test supports this choice" in why


def test_a_plain_forecast_is_not_explained(runtime: Runtime) -> None:
    answer = _ask(runtime, "Forecast S039 for the next hour")

    assert "explain_forecast" not in {entry.tool for entry in answer.evidence}


def test_a_thread_of_questions_about_the_forecast(runtime: Runtime) -> None:
    thread, tools = None, []
    for question in (
        "How is S096?", "what if it rained 5 mm/h?", "and S039?", "can I trust this?", "when was it like this before?",
    ):  # fmt: skip
        answer = _ask(runtime, question, thread=thread)
        thread = answer.thread
        tools.append((answer.evidence[-1].tool, answer.evidence[-1].args.get("node")))

    assert tools[1:] == [("what_if", "S096"), ("what_if", "S039"), ("backtest", "S039"), ("find_analogs", "S039")]


def test_the_place_may_come_with_the_next_answer(plan: Plan) -> None:
    (args,) = _called(plan("S096", Exchange("what if it rained 5 mm/h?")), "what_if")

    assert args["node"] == "S096"
    assert args["changes"] == [{"kind": "set_covariate", "name": "rain_mm_h", "value": 5.0}]


def test_a_number_that_is_an_id_is_no_value() -> None:
    question = "what if at 1205330 it rained 5 mm/h?"
    found = probe(question).supposition
    assert found is not None

    (change,) = supposed(question, found, ["1205330"])
    assert (change.covariate, change.value, change.unit) == ("rain", 5.0, "mm/h")
    assert [question[slice(*span)] for span in found.at] == ["rained", "5 mm/h"]


@pytest.mark.parametrize(
    ("question", "change"),
    [
        ("With the wind down to 1 m/s, how much NO2 at A12?", ("set_covariate", "wind", 1.0, "m/s")),
        ("S039 flow in five mm of rain?", ("set_covariate", "rain", 5.0, "mm/h")),
        ("speed at S039 with 3 mm/h?", ("set_covariate", "rain", 3.0, "mm/h")),
        ("what if it poured, say 15 mm/h, from 8 on: S039 speed?", ("set_covariate", "rain", 15.0, "mm/h")),
        ("no rain at all: what would S039's flow be?", ("set_covariate", "rain", 0.0, None)),
        ("what if it snowed 3 mm/h?", ("set_covariate", "snow", 3.0, "mm/h")),
        ("we must unplug the detector S038 - what does that do to your forecast?", ("remove_sensor", None, None, None)),
    ],
)
def test_what_is_supposed(question: str, change: tuple[str, str | None, float | None, str | None]) -> None:
    found = probe(question).supposition
    assert found is not None

    (read,) = supposed(question, found, ["S038"])
    assert (read.kind, read.covariate, read.value, read.unit) == change


@pytest.mark.parametrize(
    "question", ["the flow in 5 minutes at S039", "remove S039 from the list", "is the wind at 5 m/s?"]
)
def test_what_supposes_nothing(question: str) -> None:
    assert probe(question).supposition is None


@pytest.mark.parametrize(
    ("question", "minutes", "days"),
    [
        ("how far off was your flow forecast an hour ahead over the past two weeks?", 60, 14),
        ("backtest speed with a horizon of 45 minutes, past five days", 45, 5),
        ("how good were your speed forecasts 15 minutes ahead?", 15, 7),
    ],
)
def test_how_far_ahead_and_over_how_long_forecasts_are_tested(
    plan: Plan, question: str, minutes: int, days: int
) -> None:
    (args,) = _called(plan(question), "backtest")

    assert (args["minutes"], args["days"]) == (minutes, days)


def test_real_roads(runtime: Runtime, real_data: Path) -> None:
    answer = _ask(runtime, "how accurate are the forecasts for 1205330?", dataset="pems-orange")

    assert "at station 1205330" in answer.answer
    assert [f for f in answer.figures if f.evidence == answer.evidence[-1].id]


def test_an_explanation_that_names_events_and_shares_is_verified_too(runtime: Runtime) -> None:
    """As a model with text and pictures gives it."""
    args = {"dataset": "demo", "node": "S096"}
    reply = runtime.tool("explain_forecast", args)
    assert isinstance(reply, ExplainForecastOut)
    entry = next(event for event in runtime.registry.open("demo").events if event.id == "incident-086")
    passage = Passage(doc_id=entry.id, text=entry.text, source=entry.source, span=(0, len(entry.text)))
    told = DriverOut(
        kind="event", id=entry.id, label="the bulletin at road station S096 (Castle Hill), published 2025-10-22 07:18",
        removed="left out of the prompt", effect=-41.3, effect_percent=-8.2, passage=passage,
    )  # fmt: skip
    shares = ModalityShares(text_percent=12.5, vision_percent=30.2, series_percent=57.3)
    reply = reply.model_copy(update={"drivers": [told, *reply.drivers], "shares": shares})
    ledger = [from_reply("E1", "explain_forecast", args, None, reply, 0.1)]
    found = {"reply": reply.model_dump(mode="json"), "evidence": "E1"}
    place = {"word": "road station", "label": "S096 (Castle Hill southbound)"}

    text = prompts.load("answer_explanation").render(
        held=0, session={}, place=place, found=found, about_events=True, about_sensors=False
    )

    checked = check(text, ledger)
    assert [c.text for c in checked.claims if c.status != "verified"] == [], checked.text
    assert "published 2025-10-22 07:18: lowered it by 41.3 vehicles (8.20 %) [E1]" in text
    assert "read 12.5 % from the text, 30.2 % from the picture and 57.3 % from the readings" in text
    assert "No entry of the log" not in text
