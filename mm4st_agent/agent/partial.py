"""The answer of a question whose budget is spent: what was found so far, and what would help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import prompts
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.state import AgentState
from mm4st_agent.toolspec import ToolSpec

_MOST_VALUES = 6
_MOST_ENTRIES = 12
_MOST_PASSAGES = 2
_BESIDE = ("question", "clarify")
"""Entries that hold what the person said."""


def found(state: AgentState) -> list[Evidence]:
    """This question's entries that hold something."""
    entries = state["ledger"][state["first_evidence"] :]
    return [e for e in entries if e.tool not in _BESIDE and e.error is None and (e.values or e.texts)]


def answer(state: AgentState, reason: str, tools: Mapping[str, ToolSpec[Any, Any, Any]]) -> str:
    """List the evidence of this question as text with marks.

    Args:
        state: When the run was ended.
        reason: Why it was.
        tools: By name; their titles name the steps.
    """
    entries = found(state)[-_MOST_ENTRIES:]
    steps = [
        {
            "id": entry.id,
            "title": tools[entry.tool].title or entry.tool,
            "values": _values(entry),
            "passages": entry.texts[:_MOST_PASSAGES],
        }
        for entry in entries
    ]
    return prompts.load("graph_partial").render(reason=reason, steps=steps)


def _values(entry: Evidence) -> list[dict[str, Any]]:
    """A few values, those of the reply itself before those of a list's first item; no times, names in words."""
    paths = [path for path, value in entry.values.items() if value.unit != "time"]
    plain = [path for path in paths if not re.search(r"\d", path)]
    first = [path for path in paths if re.findall(r"\d+", path) == ["0"]]
    return [
        {
            "name": re.sub(r"[._]", " ", path.replace("[0]", "")),
            "value": entry.values[path].value,
            "unit": entry.values[path].unit,
        }
        for path in [*plain, *first][:_MOST_VALUES]
    ]
