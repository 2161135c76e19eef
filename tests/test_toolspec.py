"""What a reply tells the ledger, and how bad arguments fail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from mm4st_agent.errors import DataError, ToolError
from mm4st_agent.toolspec import Measured, Quantity, ToolIn, ToolOut, ToolSpec, Unit


class _In(ToolIn):
    """Say how it is."""

    node: str
    hours: int = Field(24, ge=1, le=48)


class _Step(ToolOut):
    median: Measured
    at: datetime


class _Out(ToolOut):
    node: Annotated[str, Unit("id")]
    unit: str
    mean: Measured
    undefined: Measured
    share: Annotated[float, Unit("%")]
    count: int
    quiet: bool
    steps: list[_Step]


def _say(args: _In, ctx: None) -> _Out:
    if args.node == "lost":
        raise DataError("The file of 'lost' is gone.", "Put it back.")
    if args.node == "bug":
        raise KeyError("a bug")
    at = datetime(2022, 1, 25, 7, 30, tzinfo=UTC)
    return _Out(
        node=args.node, unit="mph", mean=61.5, undefined=None, share=4.0, count=3, quiet=True,
        steps=[_Step(median=60.0, at=at)],
    )  # fmt: skip


SPEC = ToolSpec("say", _In, _Out, _say)


def test_quantities_carry_their_units() -> None:
    assert SPEC.run({"node": "17"}, None).quantities() == {
        "node": Quantity("17", "id"),
        "mean": Quantity(61.5, "mph"),
        "share": Quantity(4.0, "%"),
        "count": Quantity(3, ""),
        "steps[0].median": Quantity(60.0, "mph"),
        "steps[0].at": Quantity("2022-01-25T07:30+00:00", "time"),
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "node: Field required"),
        ({"node": "17", "hours": 99}, r"hours: .*48 \(got 99\)"),
        ({"node": "17", "colour": "red"}, r"colour: Extra inputs are not permitted"),
    ],
)
def test_bad_arguments_name_themselves(args: dict[str, object], message: str) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        SPEC.run(args, None)

    assert caught.value.hint == "It takes node, hours?."


def test_a_known_failure_keeps_its_kind_and_exit_code() -> None:
    with pytest.raises(ToolError, match="is gone") as caught:
        SPEC.run({"node": "lost"}, None)

    assert (caught.value.kind, caught.value.exit_code) == ("data", 3)


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError):
        SPEC.run({"node": "bug"}, None)


def test_nan_is_no_number() -> None:
    with pytest.raises(ValidationError):
        _Step(median=float("nan"), at=datetime(2022, 1, 1, tzinfo=UTC))


def test_the_description_is_the_docstring() -> None:
    described = SPEC.to_json()

    assert described["description"] == "Say how it is."
    assert set(described["input_schema"]["properties"]) == {"node", "hours"}
