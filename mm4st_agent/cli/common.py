"""What the commands share: errors and exit codes, options, streams, progress."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mm4st_agent.errors import MM4STError, UsageError

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

LINE_EVERY_S = 2.0
"""How often progress is said where there is no terminal to draw a bar on."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
as_of_option = click.option("--as-of", metavar="T", help="The clock, e.g. 2022-01-25T07:30; nothing later is visible.")
dataset_option = click.option("--dataset", metavar="D", required=True, help="A registered data set.")
chat_model_option = click.option(
    "--chat-model", type=click.Choice(["embedded", "vllm"]), help="Which chat model answers."
)


class Commands(click.Group):
    """Turns every error into one sentence (or one JSON object) and the exit code of its kind."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            return super().main(given, *rest, **{**options, "standalone_mode": False})
        except click.exceptions.Abort:
            sys.exit(130)
        except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
            sys.stdout = None
            sys.exit(0)
        except click.ClickException as err:
            if as_json:
                print_json(UsageError(err.format_message()).to_json())
            else:
                err.show()
            sys.exit(err.exit_code)
        except MM4STError as err:
            if as_json:
                print_json(err.to_json())
            else:
                click.echo(f"Error: {err}", err=True)
            sys.exit(err.exit_code)
        except Exception as err:  # noqa: BLE001 - the last resort: a bug, shown whole
            traceback.print_exc()
            if as_json:
                print_json({"error": {"kind": "bug", "message": repr(err), "hint": "Please report it."}})
            sys.exit(1)


def open_runtime() -> Runtime:
    """The runtime of the person's settings."""
    import gc

    from mm4st_agent.runtime import Runtime

    # Importing torch and its kin makes objects that stay; looking through them again and again
    # for garbage took a fifth of the time to the first answer.
    gc.set_threshold(100_000, 50, 50)
    return Runtime()


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
