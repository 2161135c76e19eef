"""`mm4st mcp`: the tools for other agents."""

from __future__ import annotations

from pathlib import Path

import click

from mm4st_agent.cli.common import examples, open_runtime
from mm4st_agent.errors import UsageError

PORT = 7861


@click.command(epilog=examples("mm4st mcp", "mm4st mcp --http --port 7861"))
@click.option("--http", "over_http", is_flag=True, help="Serve streamable HTTP on this machine instead of stdio.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"With --http; {PORT} by default, 0 takes a free one.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --http: holds the bearer token; without, a new one is made and shown.",
)
def mcp(over_http: bool, port: int | None, token_file: Path | None) -> None:
    """Serve the tools to other agents over the Model Context Protocol, on stdio or on loopback."""
    import asyncio
    import logging

    if not over_http and (port is not None or token_file is not None):
        raise UsageError("--port and --token-file are for --http.", "Add --http, or leave them out.")
    logging.basicConfig(level=logging.WARNING)  # to stderr: stdout is the protocol's
    if over_http:
        _serve_http(PORT if port is None else port, token_file)
    else:
        asyncio.run(_serve_stdio())


async def _serve_stdio() -> None:
    from mm4st_agent.mcp.server import mcp_server
    from mm4st_agent.mcp.stdio import bounded_stdio

    async with bounded_stdio() as (incoming, outgoing):  # from here on, what else is printed goes to stderr
        server = mcp_server(open_runtime())
        await server.run(incoming, outgoing, server.create_initialization_options())


def _serve_http(port: int, token_file: Path | None) -> None:
    import asyncio

    from mm4st_agent.mcp import http

    token = http.new_token() if token_file is None else http.read_token(token_file)
    if token_file is not None and token_file.stat().st_mode & 0o077:
        click.echo(
            f"Warning: other users of this machine can read {token_file}. Mend it: chmod 600 {token_file}", err=True
        )
    with http.listen(port) as listening:
        from mm4st_agent.mcp.server import mcp_server

        app = http.http_app(mcp_server(open_runtime()), token)
        url = f"http://{http.HOST}:{listening.getsockname()[1]}{http.PATH}"
        click.echo(f"Serving MCP at {url} (Ctrl-C stops it).", err=True)
        if token_file is None:
            click.echo(f"Header: Authorization: Bearer {token}", err=True)
        asyncio.run(http.serve(app, listening))
