"""The command reference, made from the program: `python -m mm4st_agent.cli.reference docs/reference/commands.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

_HEAD = """# Commands

What `--help` says, for every command. Data go to stdout, messages and progress to stderr. `--json` prints one line of
JSON without NaN; an error is then `{"error": {"kind", "message", "hint"}}`.

| exit code | means |
|---|---|
| 0 | all went well; also when whoever reads the output, such as `head`, has seen enough |
| 1 | a bug, or the chat model did not come to an answer |
| 2 | bad use: an argument is unknown, out of range or contradicts another |
| 3 | bad data: missing, malformed, or too short for what was asked |
| 4 | a server is unreachable |
| 130 | interrupted |

<!-- Made by `python -m mm4st_agent.cli.reference docs/reference/commands.md`; a test compares it with the program. -->
"""
_WIDTH = 100


def reference(program: click.Group) -> str:
    """Every command in Markdown, in the order of its path."""
    return "\n".join([_HEAD, *(_section(context) for context in contexts(program))])


def contexts(program: click.Group) -> Iterator[click.Context]:
    """The context of the program and of each command in it that is not hidden, groups before what they hold."""
    yield from _below(_context(program, "mm4st", None))


def sample_lines(context: click.Context) -> list[str]:
    """The command lines of its `Example` block, as they can be typed."""
    return [line for line in _sample(context) if line.startswith("mm4st ")]


def _below(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name, command in sorted(context.command.commands.items()):
            if not command.hidden:
                yield from _below(_context(command, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(
        command,
        parent=parent,
        info_name=name,
        max_content_width=_WIDTH,
        terminal_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )


def _sample(context: click.Context) -> list[str]:
    """What stands below `Example:` in its help or epilog; nothing where there is no such block."""
    for text in (context.command.epilog, context.command.help):
        lines = inspect.cleandoc(text or "").replace("\b\n", "").splitlines()
        start = next((n for n, line in enumerate(lines, 1) if line.strip().startswith("Example")), None)
        if start is not None:
            return [line.strip() for line in lines[start:] if line.strip()]
    return []


def _section(context: click.Context) -> str:
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    return f"{level} {context.command_path}\n\n```text\n{context.get_help()}\n```\n"


def main(args: list[str]) -> None:
    """Write the reference to the file that is named, or to stdout."""
    from mm4st_agent.cli import main as program

    text = reference(program)
    if args:
        Path(args[0]).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main(sys.argv[1:])
