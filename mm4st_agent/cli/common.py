"""What the commands share: errors and exit codes, options, streams, progress."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mm4st_agent.cli.completion import complete_dataset
from mm4st_agent.errors import MM4STError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

LINE_EVERY_S = 2.0
"""How often progress is said where there is no terminal to draw a bar on."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
as_of_option = click.option("--as-of", metavar="T", help="The clock, e.g. 2022-01-25T07:30; nothing later is visible.")
dataset_option = click.option(
    "--dataset", metavar="D", required=True, shell_complete=complete_dataset, help="A registered data set."
)
chat_model_option = click.option(
    "--chat-model", type=click.Choice(["embedded", "vllm"]), help="Which chat model answers."
)


def examples(*lines: str) -> str:
    """The epilog of a command: lines that can be typed as they stand."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def with_short_help(command: click.Command) -> None:
    """Let a command and those below it take -h, also where they are called by themselves."""
    command.context_settings.setdefault("help_option_names", ["-h", "--help"])
    if isinstance(command, click.Group):
        for each in command.commands.values():
            with_short_help(each)


class Commands(click.Group):
    """Turns every error into one sentence (or one JSON object) and the exit code of its kind."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            return super().main(given, *rest, **{**options, "standalone_mode": False})
        except click.exceptions.Abort:
            _leave(130)
        except click.ClickException as err:
            _fail(UsageError(err.format_message()).to_json() if as_json else None, err.show, err.exit_code)
        except MM4STError as err:
            told = f"Error: {err}"
            _fail(err.to_json() if as_json else None, lambda: click.echo(told, err=True), err.exit_code)
        except Exception as err:  # noqa: BLE001 - the last resort: a bug, shown whole
            traceback.print_exc()
            _fail(bug_json(err) if as_json else None, lambda: None, 1)

    # Click itself would exit with 1, the code of a bug, where the reader of our output has seen enough.

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _reader_may_leave():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)


def bug_json(err: Exception) -> dict[str, dict[str, str]]:
    """The JSON form of what is no error of ours."""
    return {"error": {"kind": "bug", "message": repr(err), "hint": "Please report it."}}


def _leave(code: int) -> NoReturn:
    """Exit; at once where a tool still computes: its native code would abort the process while Python ends."""
    from mm4st_agent.agent.tool_threads import NAME

    if any(thread.name == NAME for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _fail(told: dict[str, Any] | None, say: Callable[[], None], code: int) -> NoReturn:
    """Exit with `code` after the JSON object, or the words where there is none."""
    try:
        say() if told is None else print_json(told)
    except BrokenPipeError:
        _write_to_nobody()
    sys.exit(code)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Exit with 0 where stdout is a pipe that nobody reads any more, as with `| head`."""
    try:
        yield
    except BrokenPipeError:
        _write_to_nobody()
        sys.exit(0)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich has turned it into this
            sys.exit(0)
        raise


def _write_to_nobody() -> None:
    """What is still buffered goes nowhere, so that the end of the process cannot fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_runtime(**overrides: Any) -> Runtime:
    """The runtime of the person's settings; None among `overrides` leaves a setting as it is."""
    import gc

    from mm4st_agent.runtime import Runtime
    from mm4st_agent.settings import load_settings

    # Importing torch and its kin makes objects that stay; looking through them again and again
    # for garbage took a fifth of the time to the first answer.
    gc.set_threshold(100_000, 50, 50)
    return Runtime(load_settings(**overrides))


def print_json(value: Any, indent: int | None = None) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent))


def confirm(question: str, otherwise: str) -> None:
    """Go on only when the person says yes.

    Args:
        question: Answered with y or n, from stdin.
        otherwise: What did not happen where the answer is not yes, as the start of a sentence.

    Raises:
        UsageError: the answer is not yes, or nobody is there to answer.
    """
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    try:
        answer = sys.stdin.readline().strip() if sys.stdin is not None else ""
    except (OSError, ValueError):  # a closed stdin
        answer = ""
    if answer.lower() in ("y", "yes"):
        return
    if not answer:
        click.echo(err=True)
    said = f"was answered with {answer!r}" if answer else "was not answered"
    raise UsageError(f"{otherwise}: the question {question!r} {said}.", "Answer y, or give --yes to skip the question.")


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr, or a line now and then where stderr is no terminal.

    Yields:
        A function of how much is done, and how much there is (None: unknown).
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(label)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(label: str) -> Callable[[int, int | None], None]:
    last = time.monotonic()

    def say(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            click.echo(f"{label}: {100 * done // total} %" if total else f"{label}: {done:,}", err=True)

    return say
