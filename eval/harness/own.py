"""Own suites: questions with expectations, one JSON object a line; `docs/evaluation.md` says what each field means."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.suites.honesty import asks_back, declines
from eval.suites.suite import Half, Item, Scored, latest_calls
from mm4st_agent.agent.answer import Answer
from mm4st_agent.errors import DataError, MM4STError, UsageError
from mm4st_agent.runtime import Runtime


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Number(_Line):
    """A number that the answer must state.

    Attributes:
        value: What it is; or
        tool: it is what this tool's reply has
        path: at this path, such as `total.median`.
        unit: As the answer writes it; None takes any.
        tolerance: Share of the number that the answer may be off.
    """

    value: float | None = None
    tool: str | None = None
    path: str | None = None
    unit: str | None = None
    tolerance: float = Field(0.02, ge=0)

    @model_validator(mode="after")
    def _one_truth(self) -> Number:
        if (self.value is None) == (self.tool is None) or (self.tool is None) != (self.path is None):
            raise ValueError("give either value, or tool and path")
        return self


class Expect(_Line):
    """What is expected of the last answer; the score is the share of these that hold.

    Attributes:
        tools: Each of them is called.
        no_tools: None is called at all.
        number: A number is stated.
        contains: Words in it, whatever their case.
        lacks: Words that must not be in it.
        abstains: Whether it says that there is no answer.
        asks: Whether it asks back.
        supported: Whether no claim is without support.
    """

    tools: list[str] = []
    no_tools: bool = False
    number: Number | None = None
    contains: list[str] = []
    lacks: list[str] = []
    abstains: bool | None = None
    asks: bool | None = None
    supported: bool = False

    @model_validator(mode="after")
    def _something(self) -> Expect:
        if not self.model_fields_set:
            raise ValueError("nothing is expected")
        if self.tools and self.no_tools:
            raise ValueError("tools and no_tools contradict each other")
        return self


class OwnItem(_Line):
    """One line."""

    id: str | None = None
    question: str | None = Field(None, min_length=1)
    questions: list[str] = []
    dataset: str = "demo"
    as_of: str | None = None
    kind: str = "own"
    expect: Expect

    @model_validator(mode="after")
    def _asks_something(self) -> OwnItem:
        if (self.question is None) == (not self.questions):
            raise ValueError("give either question or questions")
        return self


class OwnSuite:
    """A suite from a file.

    Raises:
        UsageError: there is no such file.
        DataError: a line of it is wrong; the message names the line.
    """

    measures = "Share of what is expected of each answer that holds."
    baseline_name = "none"

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._lines = read_own(path)

    def items(self, half: Half, runtime: Runtime) -> list[Item]:
        """All lines; an own suite has one half.

        Raises:
            DataError: a line names a data set, a clock or a tool that there is not.
        """
        for n, line in self._lines.items():
            try:
                if runtime.registry.available(line.dataset) and line.as_of is not None:
                    runtime.registry.open(line.dataset).moment(line.as_of)
            except MM4STError as err:
                raise DataError(f"Line {n} of {self._path.name} cannot be asked: {err.message}", err.hint) from err
            number = line.expect.number
            named = [*line.expect.tools, *([number.tool] if number is not None and number.tool else [])]
            for tool in named:
                if tool not in runtime.tools:
                    known = ", ".join(runtime.tools)
                    raise DataError(f"Line {n} of {self._path.name}: there is no tool {tool!r}.", f"Known: {known}.")
        return [
            Item(
                id=line.id or f"line-{n}",
                questions=tuple(line.questions or [line.question or ""]),
                dataset=line.dataset,
                as_of=line.as_of,
                family="own",
                kind=line.kind,
                expect=line.expect.model_dump(exclude_unset=True),
            )
            for n, line in self._lines.items()
        ]

    def score(self, item: Item, answers: Sequence[Answer], runtime: Runtime) -> Scored | None:
        """The share of the expectations that hold."""
        channels = runtime.registry.card(item.dataset).channels
        units = [unit for channel in channels for unit in (channel.unit, channel.total_unit) if unit]
        checks = list(_checks(Expect.model_validate(item.expect), answers[-1], units))
        missed = [words for words, holds in checks if not holds]
        return Scored(value=1 - len(missed) / len(checks), why="; ".join(missed) or "as expected")

    def baseline(self, item: Item, runtime: Runtime) -> Scored | None:
        """None: nobody knows what would be simple here."""
        return None


def read_own(path: Path) -> dict[int, OwnItem]:
    """The items by line number; empty lines are passed over.

    Raises:
        UsageError: there is no such file.
        DataError: a line is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror or err}.", "Give a .jsonl file.") from err
    except UnicodeDecodeError as err:
        raise DataError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from err
    found: dict[int, OwnItem] = {}
    ids: dict[str, int] = {}
    for n, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            found[n] = OwnItem.model_validate(json.loads(text))
        except json.JSONDecodeError as err:
            raise DataError(f"Line {n} of {path.name} is not JSON: {err.msg} at character {err.pos + 1}.") from err
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            reason = first["msg"].removeprefix("Value error, ")
            raise DataError(f"Line {n} of {path.name} is wrong: {where}: {reason}.", _HINT) from err
        own = found[n].id or f"line-{n}"
        if own in ids:
            raise DataError(f"Line {n} of {path.name} has the id {own!r} of line {ids[own]}.")
        ids[own] = n
    if not found:
        raise DataError(f"{path.name} holds no question.", _HINT)
    return found


_HINT = 'Such as {"question": "How busy is S039 now?", "dataset": "demo", "expect": {"tools": ["query_series"]}}.'


def _checks(expect: Expect, answer: Answer, units: Sequence[str]) -> Sequence[tuple[str, bool]]:
    """What is wrong where a check does not hold, and whether it holds."""
    text = answer.answer.casefold()
    made = [entry.tool for entry in latest_calls(answer)]
    checks = [(f"{tool} was not called", tool in made) for tool in expect.tools]
    if expect.no_tools:
        checks.append((f"it called {', '.join(made)}", not made))
    if expect.number is not None:
        checks.append(_number(expect.number, answer))
    checks += [(f"{words!r} is not in it", words.casefold() in text) for words in expect.contains]
    checks += [(f"{words!r} is in it", words.casefold() not in text) for words in expect.lacks]
    ways: list[tuple[bool | None, str, Callable[[], bool]]] = [
        (expect.abstains, "abstain", lambda: declines(answer, units)),
        (expect.asks, "ask back", lambda: asks_back(answer)),
    ]
    for wanted, verb, did in ways:
        if wanted is not None:
            checks.append((f"it should {'' if wanted else 'not '}{verb}", did() == wanted))
    if expect.supported:
        loose = [claim.text for claim in answer.claims if claim.status == "unsupported"]
        checks.append((f"without support: {', '.join(loose)}", not loose))
    return checks


def _number(number: Number, answer: Answer) -> tuple[str, bool]:
    truth = number.value
    if truth is None:
        values = [entry.values[number.path] for entry in answer.evidence
                  if entry.tool == number.tool and number.path in entry.values]  # fmt: skip
        if not values or isinstance(values[-1].value, str):
            return f"no reply of {number.tool} has a number at {number.path}", False
        truth = float(values[-1].value)
    said = [
        float(claim.value)
        for claim in answer.claims
        if claim.kind == "number"
        and isinstance(claim.value, (int, float))
        and (number.unit is None or (claim.unit or "").casefold() == number.unit.casefold())
    ]
    unit = f" {number.unit}" if number.unit else ""
    holds = any(math.isclose(one, truth, rel_tol=number.tolerance, abs_tol=1e-9) for one in said)
    return f"{truth:g}{unit} (within {number.tolerance:.0%}) is not stated", holds
