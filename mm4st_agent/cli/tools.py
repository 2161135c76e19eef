"""`mm4st tool ...`: the agent's tools by hand."""

from __future__ import annotations

import json

import click

from mm4st_agent.cli.common import as_of_option, json_option, open_runtime, print_json
from mm4st_agent.errors import UsageError


@click.group()
def tool() -> None:
    """The tools that the agent calls."""


@tool.command("list")
@json_option
def tool_list(as_json: bool) -> None:
    """Show every tool."""
    specs = open_runtime().tools.values()
    if as_json:
        print_json([spec.to_json() for spec in specs])
        return
    for spec in specs:
        click.echo(f"{spec.name:18} {spec.description}")


@tool.command("run")
@click.argument("name")
@click.option("--args", "args_json", default="{}", metavar="JSON", help="The tool's arguments as a JSON object.")
@as_of_option
@json_option
def tool_run(name: str, args_json: str, as_of: str | None, as_json: bool) -> None:
    """Call the tool NAME."""
    try:
        args = json.loads(args_json)
    except ValueError as err:
        raise UsageError(f"--args is not JSON: {err}.", 'Write it as \'{"dataset": "demo"}\'.') from err
    if not isinstance(args, dict):
        raise UsageError(f"--args is {args_json}, not a JSON object.", 'Write it as \'{"dataset": "demo"}\'.')
    reply = open_runtime().tool(name, args, as_of).model_dump(mode="json")
    print_json(reply, indent=None if as_json else 2)
