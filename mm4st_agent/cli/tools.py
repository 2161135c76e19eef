"""`mm4st tool ...`: the agent's tools by hand."""

from __future__ import annotations

import json

import click

from mm4st_agent.cli.common import as_of_option, examples, json_option, open_runtime, print_json
from mm4st_agent.cli.completion import complete_tool
from mm4st_agent.errors import UsageError


@click.group(epilog=examples("mm4st tool list", 'mm4st tool run describe_dataset --args \'{"dataset": "demo"}\''))
def tool() -> None:
    """The tools that the agent calls."""


@tool.command("list", epilog=examples("mm4st tool list", "mm4st tool list --json | jq '.[].name'"))
@json_option
def tool_list(as_json: bool) -> None:
    """Show every tool; with --json also what it takes and gives, as JSON schemas."""
    specs = open_runtime().tools.values()
    if as_json:
        print_json([spec.to_json() for spec in specs])
        return
    for spec in specs:
        click.echo(f"{spec.name:18} {spec.description}")


@tool.command(
    "run",
    epilog=examples(
        'mm4st tool run query_series --args \'{"dataset": "demo", "node": "S039"}\'',
        'mm4st tool run forecast --args \'{"dataset": "demo", "node": "S039"}\' --as-of 2025-09-20T12:00',
        "mm4st tool run rank_places --args '{\"dataset\": \"demo\"}' --json | jq '.ranking[0].id'",
    ),
)
@click.argument("name", shell_complete=complete_tool)
@click.option("--args", "args_json", default="{}", metavar="JSON", help="The tool's arguments as a JSON object.")
@as_of_option
@json_option
def tool_run(name: str, args_json: str, as_of: str | None, as_json: bool) -> None:
    """Call the tool NAME and print its reply: JSON, on one line with --json."""
    try:
        args = json.loads(args_json)
    except ValueError as err:
        raise UsageError(f"--args is not JSON: {err}.", 'Write it as \'{"dataset": "demo"}\'.') from err
    if not isinstance(args, dict):
        raise UsageError(f"--args is {args_json}, not a JSON object.", 'Write it as \'{"dataset": "demo"}\'.')
    reply = open_runtime().tool(name, args, as_of).model_dump(mode="json")
    print_json(reply, indent=None if as_json else 2)
