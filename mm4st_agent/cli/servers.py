"""`mm4st app` and `mm4st serve-vlm`: what runs until it is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mm4st_agent.cli.common import examples, open_runtime
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.agent.backends.profiles import Profile


@click.command(epilog=examples("mm4st app", "mm4st app --host 0.0.0.0 --port 8080 --auth-file people.json"))
@click.option("--host", metavar="ADDRESS", help="Where to serve it: an address of this machine, or 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--auth-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Let in only whom this file names, as `mm4st accounts` writes it; each person has threads and data apart.",
)
@click.option(
    "--public-host", metavar="NAME", help="The name that people reach the app by, where a proxy here stands before it."
)
def app(host: str | None, port: int | None, auth_file: Path | None, public_host: str | None) -> None:
    """Open the chat in a browser (loopback only by default)."""
    from mm4st_agent.memory import settle

    settle()
    from mm4st_agent.settings import is_loopback

    runtime = open_runtime(host=host, port=port, auth_file=auth_file, public_host=public_host)
    settings = runtime.settings
    if settings.auth_file is not None:
        _check_accounts(settings.auth_file)
    if not is_loopback(settings.host):
        click.echo(_OPEN_WITH_ACCOUNTS if settings.auth_file else _OPEN_TO_ALL, err=True)

    from app import launch

    launch(runtime)


_OPEN_TO_ALL = (
    "Warning: this is served to other machines, and nobody has to sign in. Whoever reaches the port can read every "
    "conversation and data set, and add or delete some. Let in only people you name: --auth-file FILE, made by "
    "`mm4st accounts add FILE NAME`."
)
_OPEN_WITH_ACCOUNTS = (
    "Note: this is served to other machines without encryption, so put a proxy that speaks TLS before it. Without "
    "one, passwords can be read on the way."
)


def _check_accounts(file: Path) -> None:
    """Find a fault of the file before minutes are spent on starting."""
    from mm4st_agent.web.accounts import read_accounts

    people = read_accounts(file)
    if not people:
        raise UsageError(f"The accounts file {file} names nobody.", f"Add someone: mm4st accounts add {file} NAME.")
    if file.stat().st_mode & 0o077:
        click.echo(f"Warning: other users of this machine can read {file}. Mend it: chmod 600 {file}", err=True)


@click.command(
    "serve-vlm",
    epilog=examples(
        "mm4st serve-vlm",
        "mm4st serve-vlm --model Qwen/Qwen2.5-VL-7B-Instruct --max-model-len 16384 -- --tensor-parallel-size 2",
        "mm4st serve-vlm --dry-run",
    ),
)
@click.option(
    "--model",
    default="HuggingFaceTB/SmolVLM-256M-Instruct",
    show_default=True,
    help="A folder with weights, or a name on the model hub.",
)
@click.option("--profile", "profile_name", metavar="NAME", help="How to serve it; by default its name or config says.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--tool-parser", metavar="NAME", help="vLLM's parser of this model's tool calls.")
@click.option("--chat-template", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--max-images", type=click.IntRange(1, 64), help="Pictures in one request.")
@click.option("--max-model-len", type=click.IntRange(min=512), help="Context in tokens.")
@click.option(
    "--kv-cache-gib",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Memory for the key-value cache; vLLM on a CPU only.",
)
@click.option("--dry-run", is_flag=True, help="Print the command, and start nothing.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- VLLM_FLAG...]")
def serve_vlm(
    model: str,
    profile_name: str | None,
    port: int,
    tool_parser: str | None,
    chat_template: Path | None,
    max_images: int | None,
    max_model_len: int | None,
    kv_cache_gib: int,
    dry_run: bool,
    more: tuple[str, ...],
) -> None:
    """Serve a vision-language model with vLLM, on loopback, until interrupted."""
    import shlex
    import signal

    from mm4st_agent.agent.backends.serve import (
        serve_until_stopped,
        server_command,
        server_environment,
        server_python,
    )
    from mm4st_agent.errors import ServerError

    profile = _profile(model, profile_name)
    command = server_command(
        model,
        profile,
        python=server_python(must_exist=not dry_run),
        port=port,
        tool_parser=tool_parser,
        chat_template=chat_template,
        max_images=max_images,
        max_model_len=max_model_len,
        more=more,
    )
    environment = server_environment(model, kv_cache_gib=kv_cache_gib)
    if dry_run:
        click.echo(shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command]))
        return
    click.echo(
        f"Serving {model} ({profile.title}) at http://127.0.0.1:{port}/v1; ask with --chat-model vllm. Once it runs, "
        f"check it: MM4ST_CHAT_MODEL=vllm MM4ST_VLLM_URL=http://127.0.0.1:{port}/v1 "
        f"MM4ST_VLLM_TOOL_IMAGES={profile.tool_images} mm4st doctor",
        err=True,
    )
    code = serve_until_stopped(command, environment)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise ServerError(
            f"The server of {model!r} stopped with code {code}; its log above says why.",
            "Without access to the model hub, give a folder with weights: mm4st serve-vlm --model PATH.",
        )


def _profile(model: str, name: str | None) -> Profile:
    from mm4st_agent.agent.backends.profiles import GENERIC, PROFILES, profile_for, profile_named

    if name is not None:
        return profile_named(name)
    found = profile_for(model)
    if found is not None:
        return found
    click.echo(
        f"No profile knows {model!r}; it is served with generic flags, which may lose pictures or tool calls. "
        f"Where it is of one of these families, say so with --profile: {', '.join(p.name for p in PROFILES)}. "
        "Else ask `mm4st doctor` once it runs, and see --tool-parser and --chat-template.",
        err=True,
    )
    return GENERIC
