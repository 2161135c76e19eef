"""What the methods of a session share: names, and how a call is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm4st_agent.api.results import Result

Moment = str | datetime
"""A point in time; without a zone it is local time of the data."""

ARGUMENTS: Mapping[str, str] = {
    "horizon_min": "minutes",
    "start_in_min": "start_in_minutes",
    "window_min": "minutes",
}
"""Parameter of a method to the argument of its tool, where they differ: a parameter's name carries its unit."""
METHODS: Mapping[str, str] = {
    "compare_series": "compare",
    "describe_dataset": "describe",
    "explain_forecast": "explain",
    "query_series": "query",
    "render_series": "render",
    "retrieve_context": "retrieve",
}
"""Tool to the method that calls it, where the names differ."""
PLACES = frozenset({"node", "other", "beside", "highlight", "source", "target", "origin", "destination"})
"""Arguments that are a place, at any depth."""


class Calls(ABC):
    """A session as its methods see it."""

    @abstractmethod
    def _run(self, tool: str, **given: Any) -> Result[Any]:
        """Call a tool with a method's parameters.

        Raises:
            UsageError: a place that is none, or may be several.
            ToolError: a bad argument, or a known failure inside the tool.
        """
