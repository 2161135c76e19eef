"""Prints `docs/reference/settings.md`: every setting with its default and what `settings.py` says of it."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from pathlib import Path
from typing import get_args

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from mm4st_agent import settings
from mm4st_agent.settings import PREFIX, Settings

HEAD = """# Settings

Every setting is an environment variable. An argument of a command wins over the variable, the variable over the
default. A variable that begins with `MM4ST_` and names no setting is refused, with the nearest name as a hint.

This page is made from `mm4st_agent/settings.py` by `python tests/doc_settings.py > docs/reference/settings.md`.

| variable | default | what it is |
|---|---|---|
"""


def main() -> str:
    """The page."""
    said = _docstrings()
    rows = (
        f"| `{PREFIX}{name.upper()}` | {_default(name)} | {said.get(name) or _plain(name)} |"
        for name in Settings.model_fields
    )
    return HEAD + "\n".join(rows) + "\n"


def _docstrings() -> dict[str, str]:
    """What stands below each field in the source."""
    tree = ast.parse(Path(inspect.getsourcefile(settings) or "").read_text(encoding="utf-8"))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = ast.literal_eval(below.value)
            found[field.target.id] = " ".join(str(text).split()).replace("|", "\\|")
    return found


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None or field.default is PydanticUndefined:
        return "a folder of the person's" if name == "home" else "-"
    if field.default is None:
        return "-"
    return f"`{field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default}`"


def _plain(name: str) -> str:
    """Of the few whose name and choices say it."""
    choices = get_args(Settings.model_fields[name].annotation)
    if all(isinstance(choice, str) for choice in choices) and choices:
        return "One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    words = name.replace("_", " ").replace("vllm api key", "key that the served chat model asks for")
    return words[:1].upper() + words[1:] + "."


if __name__ == "__main__":
    sys.stdout.write(main())
