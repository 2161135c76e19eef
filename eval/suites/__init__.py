"""Evaluation suites: what an agent is asked, what is expected, and how far it can be trusted.

A suite is a module here with a constant `SUITE`; it is found by its name below.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from eval.suites.suite import Suite

NAMES = ("planning", "seeing", "forecasting", "knowledge", "explaining", "deciding", "honesty", "safety")
"""In the order of reports."""


def suite_names() -> list[str]:
    """The suites that this version has."""
    return [name for name in NAMES if find_spec(f"{__name__}.{name}") is not None]


def load_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in suite_names():
        raise UsageError(f"There is no suite {name!r}.", f"Known: all, {', '.join(suite_names())}; or a .jsonl file.")
    suite: Suite = import_module(f"{__name__}.{name}").SUITE
    return suite
