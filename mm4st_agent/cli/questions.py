"""`mm4st ask`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mm4st_agent.cli.common import (
    as_of_option,
    chat_model_option,
    examples,
    json_option,
    open_runtime,
    print_json,
    progress_bar,
)
from mm4st_agent.cli.completion import complete_dataset
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mm4st_agent.agent.answer import Answer
    from mm4st_agent.cli.batch_questions import Question

WORKERS = 2


@click.command(
    epilog=examples(
        'mm4st ask "How much traffic will S039 carry in the next hour?"',
        'mm4st ask "Why?" --thread 3f0a --json',
        'mm4st ask "What happened at noon?" --dataset pems-orange --as-of 2022-01-25T13:00',
        "mm4st ask --batch questions.jsonl --out answers.jsonl --workers 4",
    )
)
@click.argument("question", required=False)
@click.option(
    "--dataset", metavar="D", shell_complete=complete_dataset, help="A registered data set; the demo by default."
)
@as_of_option
@chat_model_option
@click.option("--thread", metavar="ID", help="Go on with an earlier conversation.")
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help='Answer each line of FILE, such as {"id": "q1", "question": "...", "dataset": "demo"}, by a line of JSON.',
    metavar="FILE",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the lines of --batch go; what is there already is not asked again.  [default: stdout]",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help=f"Questions of --batch at the same time.  [default: {WORKERS}]"
)
@click.option("--retry-failed", is_flag=True, help="Ask again what failed in an earlier run of --batch into --out.")
@json_option
def ask(
    question: str | None,
    dataset: str | None,
    as_of: str | None,
    chat_model: Any,
    thread: str | None,
    batch: Path | None,
    out: Path | None,
    workers: int | None,
    retry_failed: bool,
    as_json: bool,
) -> None:
    """Answer QUESTION, or take it as the reply to what the thread's last answer asked.

    With --batch, answer many: a line of the results is what --json prints, with the line's id first, or
    {"id", "question", "error"}. Questions of one thread are asked in order.
    """
    if batch is not None:
        _refuse(question is not None, "--batch and a QUESTION exclude each other.", "Leave one of them out.")
        _refuse(
            thread is not None,
            "--batch takes no --thread.",
            'Name it on the lines: {"question": "...", "thread": "t1"}.',
        )
        _refuse(retry_failed and out is None, "--retry-failed needs --out.", "Name the file of the earlier run.")
        _ask_batch(batch, out, workers or WORKERS, retry_failed, dataset=dataset, as_of=as_of, chat_model=chat_model)
        return
    for given, option in ((out, "--out"), (workers, "--workers"), (retry_failed or None, "--retry-failed")):
        _refuse(given is not None, f"{option} needs --batch.", "Add --batch FILE, or leave it out.")
    if question is None:
        raise UsageError("There is no question.", 'Ask one, such as: mm4st ask "How fast is traffic at S005?"')

    import asyncio

    runtime = open_runtime()
    answer = asyncio.run(
        runtime.ask(
            question,
            dataset=dataset,
            as_of=as_of,
            chat_model=chat_model,
            thread=thread,
            on_event=_show_step,
        )
    )
    if as_json:
        print_json(answer.to_json())
    else:
        _print_answer(answer)


def _refuse(wrong: bool, message: str, hint: str) -> None:
    if wrong:
        raise UsageError(message, hint)


def _ask_batch(batch: Path, out: Path | None, workers: int, retry_failed: bool, **defaults: Any) -> None:
    import sys

    from mm4st_agent.cli.batch_questions import ask_all, exit_code, read_questions, results_at

    questions = read_questions(batch)

    def answer(left: Sequence[Question], write: Callable[[dict[str, Any]], None]) -> None:
        if len(left) < len(questions):
            click.echo(f"{len(questions) - len(left)} of {len(questions)} are answered already.", err=True)
        if not left:
            return
        runtime = open_runtime()
        with progress_bar("Asking") as bar:
            codes = ask_all(runtime, left, defaults, workers=workers, write=write, progress=bar)
        if codes:
            click.echo(f"{len(codes)} of {len(left)} questions failed; their lines say why.", err=True)
            sys.exit(exit_code(codes))

    if out is None:
        answer(questions, print_json)
        return
    with results_at(out) as results:
        results.check(questions)
        if retry_failed:
            results.forget_failed()
        answer([question for question in questions if question.name not in results.held], results.append)


def _show_step(event: Any) -> None:
    from mm4st_agent.agent.run_events import ToolFinished

    if isinstance(event, ToolFinished):
        entry = event.evidence
        click.echo(
            f"  {entry.id}  {entry.tool}  {entry.seconds:.2f} s{'  ' + entry.error if entry.error else ''}", err=True
        )


def _print_answer(answer: Answer) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(answer.answer))
    for number, choice in enumerate(answer.choices, 1):
        console.print(f"  {number}. {choice}", highlight=False, markup=False)
    if answer.choices:
        console.print(f"Answer it with: mm4st ask NUMBER --thread {answer.thread}", highlight=False, markup=False)
    for figure in answer.figures:
        console.print(f"Figure: {figure.path}", soft_wrap=True, highlight=False)
    for citation in answer.citations:
        when = f", {citation.published_at:%Y-%m-%d %H:%M}" if citation.published_at else ""
        console.print(f"Source \\[{citation.evidence}]: {citation.source}{when}", highlight=False)
    for warning in answer.warnings:
        console.print(f"Note: {warning}", highlight=False, markup=False)
    console.print(
        f"Answered by {answer.chat_model}; data {answer.dataset} as of {answer.as_of}; thread {answer.thread}; "
        f"{answer.seconds:.1f} s",
        style="dim",
        highlight=False,
    )
