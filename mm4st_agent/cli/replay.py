"""`mm4st replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mm4st_agent.cli.common import chat_model_option, examples, json_option, open_runtime, print_json, progress_bar
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.agent.manifest import Manifest
    from mm4st_agent.runtime import Runtime


@click.command(
    epilog=examples(
        "mm4st replay run.json",
        "mm4st replay run.json --days 7 --every 6h --out week.png",
        "mm4st replay run.json --as-of 2025-10-01..2025-10-08 --json",
    )
)
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-of", metavar="FROM..TO", help="Ask again at moments of this span, and look up what came.")
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="The same over the N days before the answer.")
@click.option(
    "--every", default="6h", show_default=True, metavar="LENGTH", help="From moment to moment: 30min, 6h, 1d."
)
@chat_model_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the picture of the backtest goes.  [default: beside MANIFEST]",
)
@json_option
def replay(
    manifest: Path,
    as_of: str | None,
    days: int | None,
    every: str,
    chat_model: Any,
    out: Path | None,
    as_json: bool,
) -> None:
    """Repeat the tool calls of an answer, and report what changed; with --as-of or --days, backtest the answer.

    MANIFEST is the file that the answer wrote; `mm4st ask --json` names it.
    """
    if as_of is None and days is None:
        _refuse_without_span()
    if as_of is not None and days is not None:
        raise UsageError("--as-of and --days contradict each other.", "Give one of them.")

    from mm4st_agent.agent.manifest import read_manifest

    recorded = read_manifest(manifest)
    runtime = open_runtime()
    if as_of is None and days is None:
        _again(recorded, manifest, runtime, as_json)
    else:
        picture = out or manifest.with_name(f"{manifest.stem}-replay.png")
        _rolled(recorded, manifest, runtime, as_of, days, every, chat_model or "embedded", picture, as_json)


def _again(recorded: Manifest, path: Path, runtime: Runtime, as_json: bool) -> None:
    from eval.replay.again import replay as call_again
    from eval.replay.shown import print_replay

    with progress_bar("Replaying") as report:
        found = call_again(recorded, str(path), runtime, report)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_replay(found)


def _rolled(
    recorded: Manifest,
    path: Path,
    runtime: Runtime,
    as_of: str | None,
    days: int | None,
    every: str,
    chat_model: Any,
    out: Path,
    as_json: bool,
) -> None:
    from eval.replay.again import open_data
    from eval.replay.moments import interval, last_days, moments, span
    from eval.replay.rolled import roll
    from eval.replay.shown import picture_of, print_rolled
    from mm4st_agent.agent.manifest import write_whole

    if not out.parent.is_dir():
        raise UsageError(f"The folder {out.parent} of --out does not exist.", "Make it first.")
    panel = open_data(recorded, runtime)
    if as_of is not None:
        first, last = span(panel, as_of)
    else:
        assert days is not None, "one of the two was given"
        first, last = last_days(panel, recorded.answer.as_of, days)
    when = moments(first, last, interval(every))
    with progress_bar("Asking at past moments") as report:
        found = roll(recorded, str(path), runtime, panel, when, chat_model, report)
    picture = picture_of(found, panel)
    try:
        write_whole(out, picture.png, mode=0o644)
    except OSError as err:
        raise UsageError(
            f"The picture cannot be written to {out}: {err.strerror or err}.", "Choose another place with --out."
        ) from err
    found = found.model_copy(update={"picture": str(out)})
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_rolled(found)


def _refuse_without_span() -> None:
    """Options that only the backtest reads must not be dropped in silence.

    Raises:
        UsageError: one of them was given.
    """
    context = click.get_current_context()
    for name in ("every", "chat_model", "out"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} needs a span of past moments.", f"Add --days 7, or --as-of FROM..TO, to {option}."
            )
