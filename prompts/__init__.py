"""Text templates. `load(name)` gives one; rendering fails on a missing variable."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, UndefinedError

from mm4st_agent.errors import UsageError

_FOLDER = Path(__file__).parent


class Prompt:
    """One template of this folder, and the hash that a run manifest records."""

    def __init__(self, name: str, source: str, template: Template) -> None:
        self.name = name
        self.sha256 = hashlib.sha256(source.encode()).hexdigest()
        self._template = template

    def render(self, **variables: Any) -> str:
        """Fill the template.

        Raises:
            UsageError: the template uses a variable that was not given.
        """
        try:
            return self._template.render(**variables).strip()
        except UndefinedError as err:
            raise UsageError(f"Prompt {self.name!r} lacks a variable: {err}.") from err


def names() -> list[str]:
    """The templates in this folder, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.j2"))


@cache
def load(name: str) -> Prompt:
    """Read the template `name`.

    Raises:
        UsageError: there is no such template.
    """
    path = _FOLDER / f"{name}.j2"
    if not path.is_file():
        raise UsageError(f"No prompt {name!r}.", f"Known: {', '.join(names())}.")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    source = path.read_text(encoding="utf-8")
    return Prompt(name, source, environment.from_string(source))
