"""`mm4st ...`: data to stdout, messages and progress to stderr, `--json` prints one JSON object.

Exit codes: 0 ok, 2 bad use, 3 bad data, 4 a server is unreachable, 1 a bug.
"""

from __future__ import annotations

import click

from mm4st_agent.cli.accounts import accounts
from mm4st_agent.cli.batch import forecast
from mm4st_agent.cli.common import Commands, examples, with_short_help
from mm4st_agent.cli.completion import completion
from mm4st_agent.cli.datasets import data
from mm4st_agent.cli.doctor import doctor
from mm4st_agent.cli.evaluation import evaluation
from mm4st_agent.cli.forecasting import backtest, bench, train
from mm4st_agent.cli.mcp import mcp
from mm4st_agent.cli.questions import ask
from mm4st_agent.cli.replay import replay
from mm4st_agent.cli.servers import app, serve_vlm
from mm4st_agent.cli.tools import tool


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples('mm4st ask "How much traffic will S039 carry in the next hour?"', "mm4st data list", "mm4st app"),
)
@click.version_option(package_name="mm4st")
def main() -> None:
    """Answer questions about spatio-temporal data; every number can be traced."""


for command in (
    ask,
    tool,
    data,
    forecast,
    train,
    backtest,
    bench,
    evaluation,
    app,
    mcp,
    accounts,
    serve_vlm,
    doctor,
    replay,
    completion,
):
    main.add_command(command)
    with_short_help(command)
