"""`mm4st mcp` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mcp import StdioServerParameters

PROGRAM = (
    "from mm4st_agent.cli import main; from mm4st_agent.cli.mcp import mcp; main.add_command(mcp, 'mcp'); "
    "main(prog_name='mm4st')"
)


def environment(home: Path) -> dict[str, str]:
    """Ours, without the person's settings, and with a home for this server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MM4ST_")}
    return {**kept, "MM4ST_HOME": str(home)}


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "mcp", *args]


@pytest.fixture(scope="session")
def stdio(tmp_path_factory: pytest.TempPathFactory) -> StdioServerParameters:
    """How a host starts it."""
    program, *args = command()
    return StdioServerParameters(command=program, args=args, env=environment(tmp_path_factory.mktemp("stdio")))


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start it with these arguments; it ends with the module."""
    running: list[subprocess.Popen[str]] = []

    def begin(*args: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        server = subprocess.Popen(
            command(*args),
            env=environment(tmp_path_factory.mktemp("home")),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        running.append(server)
        return server

    yield begin
    for server in running:
        server.terminate()
        server.wait(timeout=30)
        for stream in (server.stdin, server.stdout, server.stderr):
            assert stream is not None
            stream.close()
