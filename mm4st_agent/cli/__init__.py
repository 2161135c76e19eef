"""`mm4st ...`: data to stdout, messages and progress to stderr, `--json` prints one JSON object.

Exit codes: 0 ok, 2 bad use, 3 bad data, 4 a server is unreachable, 1 a bug.
"""

from __future__ import annotations

import click

from mm4st_agent.cli.common import Commands
from mm4st_agent.cli.datasets import data
from mm4st_agent.cli.forecasting import backtest, bench, train
from mm4st_agent.cli.questions import ask
from mm4st_agent.cli.servers import app, serve_vlm
from mm4st_agent.cli.tools import tool


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mm4st")
def main() -> None:
    """Answer questions about spatio-temporal data; every number can be traced."""


for command in (ask, tool, data, train, backtest, bench, app, serve_vlm):
    main.add_command(command)
