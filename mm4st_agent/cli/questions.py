"""`mm4st ask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mm4st_agent.cli.common import as_of_option, chat_model_option, json_option, open_runtime, print_json

if TYPE_CHECKING:
    from mm4st_agent.agent.answer import Answer


@click.command()
@click.argument("question")
@click.option("--dataset", metavar="D", help="A registered data set; the demo by default.")
@as_of_option
@chat_model_option
@click.option("--thread", metavar="ID", help="Go on with an earlier conversation.")
@json_option
def ask(
    question: str, dataset: str | None, as_of: str | None, chat_model: Any, thread: str | None, as_json: bool
) -> None:
    """Answer QUESTION."""
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
