"""`what_if`: changed inputs, the same forecaster, and the difference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import DataError, ToolError
from mm4st_agent.forecaster.checkpoint import read_card
from mm4st_agent.forecaster.effect_scores import EffectScores, read_scores, write_scores
from mm4st_agent.forecaster.prediction import shipped_checkpoints
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from tools.context import ToolContext
from tools.forecast import FORECAST
from tools.what_if import WHAT_IF, WhatIfOut

AS_OF = "2025-10-22T07:40"
SENSOR = {"kind": "remove_sensor", "node": "S038"}
ROAD = {"kind": "remove_road", "source": "S038", "target": "S039"}
RAIN = {"kind": "set_covariate", "name": "rain_mm_h", "value": 5.0}
EVENT = {"kind": "remove_event", "event": "rain-28"}
FIRE = {"kind": "add_event", "node": "S039", "text": "A lorry burns at Central Park.", "event_kind": "bulletin"}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(load_settings(home=tmp_path_factory.mktemp("home")))


def run(runtime: Runtime, *changes: dict[str, object], as_of: str = AS_OF, **args: object) -> WhatIfOut:
    whole = {"dataset": "demo", "node": "S039", "changes": list(changes), **args}
    return WHAT_IF.run(whole, runtime.tool_context(as_of))


def test_before_is_what_forecast_says(runtime: Runtime) -> None:
    reply = run(runtime, SENSOR)

    told = FORECAST.run({"dataset": "demo", "node": "S039"}, runtime.tool_context(AS_OF))
    assert (reply.before.low, reply.before.median, reply.before.high, reply.before.unit) == (
        told.total.low, told.total.median, told.total.high, "vehicles",
    )  # fmt: skip
    assert [step.before for step in reply.steps] == [step.median for step in told.steps]
    assert [step.time for step in reply.steps] == [step.time for step in told.steps]
    assert (reply.covers_from, reply.covers_until, reply.model) == (told.covers_from, told.covers_until, told.model)


def test_the_numbers_agree(runtime: Runtime) -> None:
    reply = run(runtime, SENSOR, minutes=30)

    shift = reply.difference
    assert len(reply.steps) == 6
    assert shift.median == pytest.approx(reply.after.median - reply.before.median, abs=0.2)
    ends = [reply.after.low - reply.before.low, shift.median, reply.after.high - reply.before.high]
    assert (shift.low, shift.high) == pytest.approx((min(ends), max(ends)), abs=0.2)
    assert shift.percent == pytest.approx(100 * shift.median / reply.before.median, rel=1e-2)
    for step in reply.steps:
        assert step.difference == pytest.approx(step.after - step.before, abs=0.02)
        assert step.difference_low <= step.difference <= step.difference_high
    assert abs(reply.largest.difference) == max(abs(step.difference) for step in reply.steps)
    assert reply.changes[0].alone == shift.median
    assert reply.changes[0].moved
    values = reply.quantities()
    assert values["difference.low"].unit == values["changes[0].alone"].unit == "vehicles"
    assert values["steps[2].difference"].unit == "vehicles/5 min"


def test_each_change_is_told_alone_and_all_together(runtime: Runtime) -> None:
    reply = run(runtime, SENSOR, {"kind": "remove_sensor", "node": "S102"})

    one, two = (run(runtime, {"kind": "remove_sensor", "node": node}) for node in ("S038", "S102"))
    assert [change.alone for change in reply.changes] == [one.difference.median, two.difference.median]
    assert reply.difference.median not in (one.difference.median, two.difference.median)
    assert reply.changes[0].said == "without the readings of road station S038 (Reservoir southbound)"


def test_the_node_itself_may_lose_its_sensor(runtime: Runtime) -> None:
    reply = run(runtime, {"kind": "remove_sensor", "node": "S039"})

    assert abs(reply.difference.median) > abs(run(runtime, SENSOR).difference.median)


def test_a_road_less_is_less_of_a_change_than_a_sensor_less(runtime: Runtime) -> None:
    road, sensor = run(runtime, ROAD).difference, run(runtime, SENSOR).difference

    assert 0 < abs(road.median) < 2 * abs(sensor.median)


@pytest.mark.parametrize("change", [FIRE, RAIN])
def test_a_network_that_reads_the_log_and_the_weather_can_tell(runtime: Runtime, change: dict[str, object]) -> None:
    reply = run(runtime, change)

    assert reply.model == "st-vlm"
    assert reply.changes[0].moved
    assert reply.difference.median != 0
    assert not any("reads neither the log" in warning for warning in reply.warnings)


@pytest.mark.parametrize("change", [EVENT, FIRE, RAIN])
def test_the_numeric_branch_says_that_it_cannot_tell(runtime: Runtime, change: dict[str, object]) -> None:
    reply = run(runtime, change, node="A03", channel="no2")

    assert reply.after == reply.before
    assert not reply.changes[0].moved
    assert (reply.difference.low, reply.difference.median, reply.difference.high) == (0, 0, 0)
    assert any("reads neither the log nor the weather" in warning for warning in reply.warnings)
    assert "nothing changes" in reply.figure.alt


def test_a_change_that_is_not_used_is_told(runtime: Runtime) -> None:
    # The numeric branch reads the node and its neighbours, and A09 is none of A03's.
    own, other = ({"kind": "remove_sensor", "node": node} for node in ("A03", "A09"))
    reply = run(runtime, own, other, node="A03", channel="no2")

    assert [change.moved for change in reply.changes] == [True, False]
    assert any("the same without the readings of air station A09" in warning for warning in reply.warnings)


def test_removed_entries_are_quoted_and_what_they_did_stays(runtime: Runtime) -> None:
    reply = run(runtime, EVENT)

    assert next(passage.doc_id for passage in reply.passages()) == "demo/rain-28"
    assert any(warning.startswith("rain-28 began at 2025-10-15 06:38") for warning in reply.warnings)


def test_what_is_published_later_is_unknown(runtime: Runtime) -> None:
    later = next(event for event in runtime.registry.open("demo").events if f"{event.published_at}" > "2025-10-23")

    with pytest.raises(ToolError, match=f"no entry '{later.id}' by 2025-10-22 07:40") as caught:
        run(runtime, {"kind": "remove_event", "event": later.id})

    assert later.id not in caught.value.hint


def test_the_same_question_has_the_same_answer_and_the_data_stay(runtime: Runtime) -> None:
    panel = runtime.registry.open("demo")
    flow, edges, events = panel.values("flow").copy(), panel.edges.copy(), panel.events
    rain = panel.covariates["rain_mm_h"].to_numpy().copy()

    assert run(runtime, SENSOR, ROAD, RAIN, EVENT) == run(runtime, SENSOR, ROAD, RAIN, EVENT)

    assert np.array_equal(panel.values("flow"), flow, equal_nan=True)
    assert panel.edges.equals(edges)
    assert panel.events == events
    assert np.array_equal(panel.covariates["rain_mm_h"].to_numpy(), rain, equal_nan=True)


def test_an_event_at_a_node_of_another_kind_is_allowed(runtime: Runtime) -> None:
    reply = run(runtime, {**FIRE, "node": "A01"})

    assert reply.changes[0].said.startswith("with 'A lorry burns at Central Park.' in the log, at air station A01")


def test_the_picture(runtime: Runtime) -> None:
    reply = run(runtime, SENSOR)

    assert runtime.images.get(reply.figure.image_id).startswith(b"\x89PNG")
    assert "without the readings of road station S038" in reply.figure.alt
    assert "largest difference" in reply.figure.alt


@pytest.mark.parametrize(
    ("changes", "args", "message", "hint"),
    [
        ([], {}, "There is no change", "remove_sensor"),
        ([{"kind": "remove_event", "event": "incident-999"}], {}, "no entry 'incident-999'", "such as incident-0"),
        ([{"kind": "set_covariate", "name": "snow", "value": 1}], {}, "no covariate 'snow'", "rain_mm_h"),
        ([{**ROAD, "target": "S001"}], {}, "no edge from S038 to S001", "S038 to S039"),
        ([{"kind": "remove_sensor", "node": "A01"}], {}, "does not measure traffic flow", "nearest"),
        ([{"kind": "remove_sensor", "node": "X9"}], {}, "'X9'", "find_places"),
        ([{**FIRE, "node": "X9"}], {}, "'X9'", "find_places"),
        ([{"kind": "set_covariate", "name": "rain_mm_h", "value": "inf"}], {}, "finite", "It takes"),
        ([{"kind": "explode"}], {}, "explode", "It takes"),
        ([SENSOR] * 9, {}, "at most 8", "It takes"),
        ([SENSOR], {"minutes": 90}, "too far", "at most 1 hour"),
        ([SENSOR], {"node": "X9"}, "'X9'", "find_places"),
    ],
)  # fmt: skip
def test_plain_refusals(
    runtime: Runtime, changes: list[dict[str, object]], args: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        run(runtime, *changes, **args)

    assert hint in caught.value.hint


def test_too_little_past(runtime: Runtime) -> None:
    with pytest.raises(ToolError, match="a forecast needs 12") as caught:
        run(runtime, SENSOR, as_of="2025-09-01T00:30")

    assert caught.value.hint == "Choose a time from 2025-09-01T01:00 on."


def test_without_a_trained_model(mixed: Panel, context_of: Callable[..., ToolContext], tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="No model was trained for traffic flow of 'mixed'") as caught:
        WHAT_IF.run(
            {"dataset": "mixed", "node": "S001", "changes": [{"kind": "remove_sensor", "node": "S002"}]},
            context_of(mixed),
        )

    assert "mm4st train --dataset mixed --channel flow" in caught.value.hint


def test_how_such_claims_scored_comes_from_the_record_beside_the_checkpoint(runtime: Runtime) -> None:
    reply = run(runtime, RAIN, channel="speed")
    record = read_scores(shipped_checkpoints() / "demo-speed", read_card(shipped_checkpoints() / "demo-speed").created)

    assert record is not None
    assert [one.kind for one in reply.scored] == [one.kind for one in record.scores]
    rain = next(one for one in reply.scored if one.kind == "rain")
    assert rain.useful
    assert rain.error is not None
    assert rain.nothing_error is not None
    assert rain.error < rain.nothing_error
    assert any("clearly closer than claiming no effect for rain." in warning for warning in reply.warnings)
    assert any("not clearly closer than claiming no effect for" in warning for warning in reply.warnings)


def test_what_was_never_scored_is_said(runtime: Runtime) -> None:
    for reply in (
        run(runtime, {"kind": "remove_sensor", "node": "S038"}, channel="speed"),
        run(runtime, RAIN, node="A03", channel="pm25"),
    ):
        assert reply.scored == []
        assert "Such claims of this model were never scored against a known truth." in reply.warnings


def test_the_record_of_another_training_is_not_taken(tmp_path: Path) -> None:
    scores = EffectScores(
        trained=datetime(2025, 1, 1, tzinfo=UTC), unit="km/h", minutes=60, truth="the truth", scores=()
    )
    write_scores(tmp_path, scores)

    assert read_scores(tmp_path, scores.trained) == scores
    assert read_scores(tmp_path, datetime(2025, 1, 2, tzinfo=UTC)) is None
    (tmp_path / "what_if.json").write_text("{}")
    with pytest.raises(DataError, match="no record of what-if scores"):
        read_scores(tmp_path, scores.trained)
