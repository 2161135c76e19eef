"""The command line as a shell sees it: help, examples, reference, completion, pipes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mm4st_agent.cli import main
from mm4st_agent.cli.common import Commands
from mm4st_agent.cli.completion import completion, dataset_names, tool_names
from mm4st_agent.cli.reference import contexts, reference, sample_lines
from mm4st_agent.data.registry import Registry
from mm4st_agent.demo_city.panel import demo_panel
from tools import ALL_TOOLS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "commands.md"
ALL = list(contexts(main))
PROGRAM = str(Path(sys.executable).with_name("mm4st"))
NO_DATA = {"app", "serve-vlm", "mcp", "view", "completion", "add", "change", "remove"}
"""Commands that print no data of their own: they serve, ask for a password, or print a script."""


def test_the_reference_is_what_the_program_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(main), (
        "run: python -m mm4st_agent.cli.reference docs/reference/commands.md"
    )


def test_the_reference_can_be_written_by_its_command(tmp_path: Path) -> None:
    page = tmp_path / "commands.md"

    subprocess.run(
        [sys.executable, "-W", "error", "-m", "mm4st_agent.cli.reference", str(page)], check=True, timeout=60
    )

    assert page.read_text(encoding="utf-8") == reference(main)


@pytest.mark.parametrize("context", ALL, ids=lambda context: context.command_path)
def test_every_command_has_help_with_examples_that_parse(
    context: click.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert context.command.help
    lines = sample_lines(context)
    assert lines, f"the help of {context.command_path!r} has no Example block with a command"
    for line in lines:
        assert f"    {line}" in context.get_help().splitlines(), "the shell shows it on a line of its own"
        words = shlex.split(re.split(r" [|<>] ", line)[0])
        for name in re.findall(r"[\w-]+\.\w+", line):
            Path(name).touch()
        _parse(words[1:])
    if not isinstance(context.command, click.Group):
        assert any(line.startswith(context.command_path) for line in lines)


def _parse(words: list[str]) -> None:
    """All that click does before it calls the command."""
    command: click.Command = main
    context: click.Context | None = None
    while True:
        context = command.make_context(command.name, list(words), parent=context)
        if not isinstance(command, click.Group):
            return
        _, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found


def test_an_example_that_does_not_parse_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        _parse(["ask", "hi", "--as-of"])
    with pytest.raises(click.UsageError):
        _parse(["data", "lst"])


@pytest.mark.parametrize("context", ALL, ids=lambda context: context.command_path)
def test_what_prints_data_prints_json(context: click.Context) -> None:
    command = context.command
    if isinstance(command, click.Group) or (command.name in NO_DATA and context.command_path != "mm4st data remove"):
        return
    assert "--json" in [option for parameter in command.params for option in parameter.opts]


# -- completion -----------------------------------------------------------------------------------


@click.group(cls=Commands)
def program() -> None:
    """All commands, and the completion."""


for _command in (*main.commands.values(), completion):
    program.add_command(_command)


def _completed(line: str) -> list[str]:
    words = shlex.split(line)
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_MM4ST_COMPLETE": "bash_complete"}
    done = CliRunner().invoke(program, [], prog_name="mm4st", env=environment)
    assert done.exit_code == 0, done.output
    return [answer.split(",")[1] for answer in done.stdout.splitlines()]


def test_the_shell_completes_data_sets_and_tools(tmp_path: Path) -> None:
    (tmp_path / "home" / "data" / "pems-own").mkdir(parents=True)
    (tmp_path / "home" / "data" / "pems-own" / "card.yaml").touch()

    assert _completed("mm4st tool run rend") == ["render_map", "render_series"]
    assert _completed("mm4st backtest --dataset pems") == ["pems-orange", "pems-own"]
    assert _completed("mm4st ask --dataset dem") == ["demo"]
    assert _completed("mm4st data describe de") == ["demo"]
    assert "replay" in _completed("mm4st re")


def test_what_is_completed_is_what_there_is(tmp_path: Path) -> None:
    assert sorted(tool_names()) == sorted(spec.name for spec in ALL_TOOLS)
    registry = Registry(None, tmp_path / "home" / "data", {"demo": demo_panel})
    assert dataset_names() == sorted(registry.names())


def test_completion_offers_the_rest_where_the_settings_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MM4ST_PORT", "door")

    assert "demo" in dataset_names()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(shell: str) -> None:
    done = CliRunner().invoke(program, ["completion", shell])

    assert done.exit_code == 0, done.output
    assert f"_MM4ST_COMPLETE={shell}_complete" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True, timeout=30)


def test_completion_does_not_load_the_library() -> None:
    code = (
        "import os, sys, mm4st_agent.cli as cli\n"
        "os.environ.update(COMP_WORDS='mm4st tool run fo', COMP_CWORD='3', _MM4ST_COMPLETE='bash_complete')\n"
        "try: cli.main(prog_name='mm4st')\n"
        "finally: print(*{'pandas', 'xarray', 'torch'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["plain,forecast"]
    assert done.stderr.split() == []


# -- pipes ----------------------------------------------------------------------------------------

SERIES = 'tool run query_series --args \'{"dataset": "demo", "node": "S039"}\' --json'


def _shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{line}; echo \"codes ${{PIPESTATUS[@]}}\""],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip


def test_a_reply_can_be_cut_by_head() -> None:
    done = _shell(f"{PROGRAM} {SERIES} | head -c 10")

    assert done.stdout == '{"dataset"codes 0 0\n'
    assert done.stderr == ""


def test_a_reply_can_be_parsed_by_the_next_program() -> None:
    script = "import json, sys; print(json.load(sys.stdin)['unit'])"
    done = _shell(f"{PROGRAM} {SERIES} | {sys.executable} -c {shlex.quote(script)}")

    assert done.stdout == "vehicles/5 min\ncodes 0 0\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tool", "list", "--json"], 0),  # by click
        (["data", "quality", "demo", "--channel", "no2"], 0),  # by rich
        (["--help"], 0),
        (["tool", "run", "no_such_tool", "--json"], 2),
        (["data", "lst", "--json"], 2),
    ],
)
def test_nobody_reads_the_output(words: list[str], code: int) -> None:
    """Stdout is a pipe whose other end is closed before anything is written: the first write gets EPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [PROGRAM, *words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=200, check=False
        )
    finally:
        os.close(writer)

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_accounts_are_listed_as_json(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    for name in ("jane", "ada"):
        CliRunner().invoke(main, ["accounts", "add", str(file), name, "--stdin"], input="a long password of 2\n")

    done: Any = CliRunner().invoke(main, ["accounts", "list", str(file), "--json"])

    assert json.loads(done.stdout) == {"accounts": ["ada", "jane"]}
