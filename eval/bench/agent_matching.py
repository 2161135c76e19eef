"""Whether the tool calls that were made are those that a good answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy.optimize import linear_sum_assignment

SUPPORT = frozenset({"find_places", "describe_dataset", "retrieve_context", "query_series", "render_series"})
"""Calls of these beside the expected ones are free: they look up and show."""
TOLERANCE = 0.01
"""Numbers match within this share of the expected one."""
UNIT_S = {"minutes": 60, "start_in_minutes": 60, "hours": 3600, "days": 86400, "back_days": 86400}
"""Arguments that are a time span, and the seconds of their unit; they also match within one step of the data."""


@dataclass(frozen=True)
class Call:
    """One tool call, made or expected.

    Attributes:
        tool: Its name. An expected one may be `{"any": [...]}`.
        args: The arguments; of an expected call only those that matter.
    """

    tool: Any
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Meaning:
    """What the arguments of a data set's calls mean.

    Attributes:
        defaults: Argument defaults by tool, as its schema says.
        step_s: Seconds between readings.
        zone: Moments without an offset are local time here.
        now: The clock: what `until` means where it is left out.
        channel_of: The channel that is meant where none is given, by node id; None is no node.
    """

    defaults: Mapping[str, Mapping[str, Any]]
    step_s: int
    zone: ZoneInfo
    now: datetime
    channel_of: Callable[[str | None], str | None]

    def value(self, call: Call, name: str) -> Any:
        """An argument of a call that was made, its default where it was left out."""
        value = call.args.get(name, self.defaults.get(call.tool, {}).get(name))
        if value is None and name == "channel":
            node = call.args.get("node")
            return self.channel_of(node if isinstance(node, str) else None)
        return self.now if value is None and name == "until" else value


@dataclass(frozen=True)
class Judgement:
    """How the calls of one question compare with the expected ones.

    Attributes:
        slots: Arguments that the expected calls demand.
        right: Those that a call had right.
        wrong: What differs, in words; empty where the calls are as expected.
    """

    slots: int
    right: int
    wrong: tuple[str, ...]


def judge(expected: Sequence[Call], made: Sequence[Call], meaning: Meaning) -> Judgement:
    """Pair the expected calls with the made ones so that most arguments agree, and tell what differs.

    Each made call answers for one expected call at most. A made call that answers for none is wrong
    unless its tool only looks up or shows.
    """
    pairs = _pairs(expected, made, meaning)
    right, wrong = 0, []
    for n, call in enumerate(expected):
        if n not in pairs:
            wrong.append(f"no call of {' or '.join(call.tool['any']) if isinstance(call.tool, dict) else call.tool}")
            continue
        found = made[pairs[n]]
        missed = [name for name in call.args if not _agrees(call, found, name, meaning)]
        right += len(call.args) - len(missed)
        wrong += [f"{found.tool}.{name} is {meaning.value(found, name)}, not {call.args[name]}" for name in missed]
    paired = set(pairs.values())
    wrong += [
        f"a further call of {call.tool}" for n, call in enumerate(made) if n not in paired and call.tool not in SUPPORT
    ]
    return Judgement(sum(len(call.args) for call in expected), right, tuple(wrong))


def _pairs(expected: Sequence[Call], made: Sequence[Call], meaning: Meaning) -> dict[int, int]:
    """Positions of made calls by those of the expected ones: same tool, as many arguments right as can be."""
    if not expected or not made:
        return {}
    scores = np.zeros((len(expected), len(made)))
    for i, call in enumerate(expected):
        for j, found in enumerate(made):
            if _same(call.tool, found.tool):
                # A pair counts more than any argument: no expected call stays alone for the sake of another's.
                scores[i, j] = 1000 + sum(_agrees(call, found, name, meaning) for name in call.args)
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if scores[i, j]}


def _agrees(expected: Call, made: Call, name: str, meaning: Meaning) -> bool:
    return agrees(expected.args[name], meaning.value(made, name), name, meaning)


def agrees(expected: Any, found: Any, name: str, meaning: Meaning) -> bool:
    """Whether the value of an argument is the expected one, or one of several that are right.

    Args:
        expected: A value of JSON; `{"any": [...]}` holds several; a list's order is free, and an
            object may hold more than is expected of it.
        found: What the call had, or its default.
        name: The argument's name, which says what a number or a text means.
        meaning: Step and zone of the data.
    """
    if isinstance(expected, dict):
        if set(expected) == {"any"}:
            return any(agrees(one, found, name, meaning) for one in expected["any"])
        return isinstance(found, Mapping) and all(
            key in found and agrees(value, found[key], key, meaning) for key, value in expected.items()
        )
    if isinstance(expected, list):
        if not isinstance(found, Sequence) or isinstance(found, str) or len(found) != len(expected):
            return False
        orders = permutations(found)
        return any(all(agrees(e, f, name, meaning) for e, f in zip(expected, one, strict=True)) for one in orders)
    if name == "until":
        moments = (_moment(expected, meaning), _moment(found, meaning))
        if moments[0] is None or moments[1] is None:
            return moments[0] is moments[1]
        return abs(moments[0] - moments[1]) < timedelta(seconds=meaning.step_s)
    if _is_number(expected):
        step = meaning.step_s / UNIT_S[name] if name in UNIT_S else 0.0
        # The share of rounding that a division by 60 or 3600 leaves is not a difference.
        return _is_number(found) and abs(found - expected) <= max(TOLERANCE * abs(expected), step) + 1e-9
    return _same(expected, found)


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        return any(_same(one, found) for one in expected["any"])
    if isinstance(expected, str) and isinstance(found, str):
        return expected.casefold() == found.casefold()
    return bool(expected == found)


def _moment(value: Any, meaning: Meaning) -> datetime | None:
    """An instant; without an offset it is local time of the data. None: it is no moment."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=meaning.zone)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
