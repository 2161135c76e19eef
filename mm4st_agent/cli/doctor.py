"""`mm4st doctor`: checks that all works here, and says what to do where it does not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mm4st_agent.cli.common import examples, json_option, open_runtime, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mm4st_agent.agent.backends.findings import Finding
    from mm4st_agent.runtime import Runtime

_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command(epilog=examples("mm4st doctor", "mm4st doctor --json | jq '.checks[] | select(.status != \"ok\")'"))
@json_option
def doctor(as_json: bool) -> None:
    """Check the environment, models, data, pictures and the chat model's server; say what to do."""
    runtime = open_runtime()
    findings = []
    for finding in examined(runtime):
        findings.append(finding)
        if not as_json:
            _print(finding)
    counts = {status: sum(finding.status == status for finding in findings) for status in _MARKS}
    if as_json:
        print_json({"checks": [finding.to_json() for finding in findings], **counts})
    else:
        click.echo(f"{counts['ok']} ok, {counts['warning']} warning, {counts['failed']} failed")
    sys.exit(exit_code(findings))


def examined(runtime: Runtime) -> Iterator[Finding]:
    """Every check, this machine first."""
    from mm4st_agent.agent.backends.server_checks import server_findings
    from mm4st_agent.agent.chat import Session
    from mm4st_agent.cli.local_checks import local_findings
    from mm4st_agent.errors import MM4STError

    yield from local_findings(runtime)
    try:
        panel = runtime.registry.open(runtime.settings.dataset)
        system = Session.of(panel.until(panel.now)).message()
    except MM4STError:  # a finding above says so
        system = None
    yield from server_findings(runtime.settings, runtime.callable(), system)


def exit_code(findings: Sequence[Finding]) -> int:
    """0 when nothing failed, 4 when the chosen chat model's server is unreachable, else the first failure's code."""
    codes = [finding.exit_code for finding in findings if finding.status == "failed"]
    return 4 if 4 in codes else next(iter(codes), 0)


def _print(finding: Finding) -> None:
    mark = click.style(_MARKS[finding.status], fg=_STYLES[finding.status])
    click.echo(f"{mark} {finding.check}: {finding.said}")
    if finding.hint:
        click.echo(f"        {finding.hint}")
