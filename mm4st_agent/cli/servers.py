"""`mm4st app` and `mm4st serve-vlm`: what runs until it is interrupted."""

from __future__ import annotations

from pathlib import Path

import click

from mm4st_agent.cli.common import open_runtime


@click.command()
def app() -> None:
    """Open the chat in a browser (loopback only by default)."""
    from app import launch

    launch(open_runtime())


@click.command("serve-vlm")
@click.option(
    "--model",
    default="HuggingFaceTB/SmolVLM-256M-Instruct",
    show_default=True,
    help="A folder with weights, or a name on the model hub.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--tool-parser", default="hermes", show_default=True, help="vLLM's parser of this model's tool calls.")
@click.option("--chat-template", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def serve_vlm(model: str, port: int, tool_parser: str, chat_template: Path | None) -> None:
    """Serve a vision-language model with vLLM, on loopback, until interrupted."""
    import os
    import signal
    import subprocess

    from mm4st_agent.agent.backends.serve import server_command, server_environment
    from mm4st_agent.errors import ServerError

    command = server_command(model, port=port, tool_parser=tool_parser, chat_template=chat_template)
    click.echo(f"Serving {model} at http://127.0.0.1:{port}/v1; ask with --chat-model vllm.", err=True)
    code = subprocess.run(command, env={**os.environ, **server_environment(model)}, check=False).returncode
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise ServerError(
            f"The server of {model!r} stopped with code {code}; its log above says why.",
            "Without access to the model hub, give a folder with weights: mm4st serve-vlm --model PATH.",
        )
