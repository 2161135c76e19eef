"""Questions that cannot be answered as asked: what no data tell, what is taken for granted, what is general."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from mm4st_agent.agent.backends.generalities import general
from mm4st_agent.agent.backends.placing import Step
from mm4st_agent.agent.backends.premises import course, premise
from mm4st_agent.agent.backends.unknowables import unknowable

Plan = Callable[..., list[Step] | str]
READ = {"find_places", "query_series", "render_series", "retrieve_context"}


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who drove past S039 last?", "identity"),
        ("How many of the vehicles at S039 were electric?", "identity"),
        ("What are the names of the drivers at S039?", "identity"),
        ("How many drivers were angry at S039 today?", "feelings"),
        ("Are the commuters at S039 happy?", "feelings"),
        ("How many people at S039 are on their way to the beach?", "purposes"),
        ("Whose fault was the crash at S096?", "blame"),
        ("Who caused the crash at S096?", "blame"),
        ("How many cars passed S039 today?", None),
        ("Name the three slowest places for drivers", None),
        ("Do people usually drive faster at S039?", None),
        ("What caused the jam at S096?", None),
    ],
)
def test_what_no_measurement_tells(question: str, kind: str | None) -> None:
    assert unknowable(question) == kind


@pytest.mark.parametrize(
    ("question", "taken"),
    [
        ("Why did the flow at S039 drop between 5 and 7 today?", "fell"),
        ("What made PM2.5 at A09 climb last night?", "rose"),
        ("Why is it so slow at S039?", "low"),
        ("Why was S039 so busy yesterday?", "high"),
        ("Why did Harbour Bridge close yesterday?", "closed"),
        ("Since the sensor at S099 broke, what has the flow been?", "broken"),
        ("Did the flow at S039 drop between 5 and 7?", None),
        ("How busy has S039 been since the crash?", None),
    ],
)
def test_what_is_taken_for_granted(question: str, taken: str | None) -> None:
    assert premise(question) == taken


def test_the_halves_of_a_window_tell_how_it_went() -> None:
    def half(mean: float | None, evidence: str) -> dict[str, object]:
        return {"mean": mean, "evidence": evidence}

    fallen, level = (
        course("rose", half(50.0, "E1"), half(30.0, "E2")),
        course("rose", half(50.0, "E1"), half(51.0, "E2")),
    )

    assert fallen is not None
    assert (fallen.did, fallen.wrong, fallen.evidence) == ("fell", True, ("E1", "E2"))
    assert level is not None
    assert (level.did, level.wrong) == ("stayed", True)
    assert course("rose", half(None, "E1"), half(30.0, "E2")) is None


@pytest.mark.parametrize(
    ("question", "is_general"),
    [
        ("How does an autoscaler decide how many replicas to run?", True),
        ("Why do queues grow so long near full load?", True),
        ("What does MASE stand for?", True),
        ("Is there a law that ties flow to density?", True),
        ("How many replicas do we need for the next hour?", False),
        ("Why is the station so slow?", False),
        ("How are things at the station?", False),
        ("What does that mean?", False),
    ],
)
def test_questions_in_general(question: str, is_general: bool) -> None:
    assert general(question) == is_general


def test_a_wrong_premise_is_corrected(planner: Callable[[Collection[str]], Plan]) -> None:
    ask = planner(READ)

    wrong = ask("Why did the traffic flow at S106 fall so sharply between 05:00 and 07:00 today?")
    right = ask("Why did the traffic flow at S106 rise so sharply between 05:00 and 07:00 today?")

    assert isinstance(wrong, str)
    assert isinstance(right, str)
    assert wrong.startswith("It did not fall in that time: the mean traffic flow was 1.17 vehicles/5 min")
    assert "did not" not in right


def test_a_closure_and_a_failure_that_were_not_are_denied(planner: Callable[[Collection[str]], Plan]) -> None:
    ask = planner(READ)

    closed = ask("Why did Harbour Tunnel northbound close yesterday?")
    broken = ask("Since the sensor at S099 broke this morning, what has the flow been there?")

    assert isinstance(closed, str)
    assert isinstance(broken, str)
    assert closed.startswith("The log has no closure near S079")
    assert broken.startswith("Nothing in the readings says that it failed: 100 % of those in this time were measured")


def test_what_cannot_be_told_is_declined_with_what_would_help(planner: Callable[[Collection[str]], Plan]) -> None:
    said = planner(())("Who caused the accident at S096?")

    assert isinstance(said, str)
    assert said.startswith("These data cannot tell that.")
    assert "The report of the police or the operator would help." in said


def test_coming_rain_is_looked_up_in_the_log_and_beside_the_readings(
    planner: Callable[[Collection[str]], Plan],
) -> None:
    calls = planner(())("Is rain expected today?")
    then = planner({"retrieve_context"})("Is rain expected today?")
    said = planner({"retrieve_context", "describe_dataset"})("Is rain expected today?")

    assert isinstance(calls, list)
    assert [(name, args["kind"]) for name, args in calls] == [("retrieve_context", "event")]
    assert then == [("describe_dataset", {"dataset": "demo"})]
    assert isinstance(said, str)
    assert "\n- rain: 0 mm/h at 07:35 on Wednesday 22 October 2025 [E" in said
    assert "The log of the day before 07:40 on Wednesday 22 October 2025 does not speak of it [E" in said


def test_weather_that_no_place_measures_is_told_where_the_data_hold_it(
    planner: Callable[[Collection[str]], Plan],
) -> None:
    ask = planner({"describe_dataset"})

    assert "\n- air temperature: 16.9 °C at 07:35 on " in str(ask("What is the temperature right now?"))
    assert "\n- wind speed: 3.50 m/s at 07:35 on " in str(ask("How strong is the wind?"))
    assert str(ask("How high is the humidity at S039 now?")).startswith('This data set has no "humidity".')
    for question in ("What is the CPU temperature of the servers?", "What is the water temperature?"):
        assert "16.9" not in str(ask(question))


def test_how_things_are_in_general_is_asked_of_the_notes(planner: Callable[[Collection[str]], Plan]) -> None:
    ask = planner(())

    for question in ("How does an autoscaler decide how many replicas to run?", "What does code 1183 mean in the log?"):
        calls = ask(question)

        assert isinstance(calls, list)
        assert [(name, args["kind"]) for name, args in calls] == [("retrieve_context", "note")]
