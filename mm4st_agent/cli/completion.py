"""`mm4st completion`, and what the shell offers for names of data sets and tools."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import click
from click.shell_completion import get_completion_class

_CARDS = Path(__file__).parents[1] / "data" / "cards"
_PROGRAM, _VARIABLE = "mm4st", "_MM4ST_COMPLETE"


@click.command(
    epilog="""\b
Examples:
  mm4st completion bash > ~/.local/share/bash-completion/completions/mm4st
  mm4st completion zsh > ~/.zfunc/_mm4st
  mm4st completion fish > ~/.config/fish/completions/mm4st.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, data sets and tools."""
    found = get_completion_class(shell)
    assert found is not None, "the choices are shells that click knows"
    click.echo(found(ctx.find_root().command, {}, _PROGRAM, _VARIABLE).source())


def complete_dataset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The data sets whose names begin so."""
    return [name for name in dataset_names() if name.startswith(incomplete)]


def complete_tool(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The tools whose names begin so."""
    return [name for name in tool_names() if name.startswith(incomplete)]


def dataset_names() -> list[str]:
    """What `Registry.names` gives, read off the files: importing pandas would take longer than a person waits."""
    from mm4st_agent.errors import MM4STError
    from mm4st_agent.settings import load_settings

    known = {card.stem for card in _CARDS.glob("*.yaml")}
    try:
        own = {card.parent.name for card in load_settings().home.glob("data/*/card.yaml")}
    except (MM4STError, OSError):  # the command itself will say what is wrong
        own = set()
    return sorted({"demo"} | own | known)


def tool_names() -> list[str]:
    """The names in `ALL_TOOLS`, each of a module of its own, without importing what the tools need."""
    spec = find_spec("tools")
    assert spec is not None, "it is installed with this package"
    assert spec.origin is not None, "it is a package with an __init__.py"
    return re.findall(r"^from tools\.(\w+) import", Path(spec.origin).read_text(encoding="utf-8"), re.MULTILINE)
