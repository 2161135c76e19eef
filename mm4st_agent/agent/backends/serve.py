"""Start vLLM, which lives in an environment of its own (`.venv-vllm`), as a process of this machine.

vLLM pins other versions of shared libraries than the rest, so it is never imported here.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from mm4st_agent.agent.backends.profiles import Profile, fitted
from mm4st_agent.errors import ServerError, UsageError

ENVIRONMENT = Path(__file__).resolve().parents[3] / ".venv-vllm"
"""The virtual environment that `make serve-vlm` builds beside the checkout's own."""

_LOG_TAIL_LINES = 15
_POLL_S = 0.5
_STOP_S = 30.0


def server_python(*, must_exist: bool = True) -> Path:
    """The interpreter of the environment that has vLLM.

    Args:
        must_exist: False gives the path also where the environment has not been made.

    Raises:
        UsageError: the environment has not been made.
    """
    python = ENVIRONMENT / "bin" / "python"
    if must_exist and not python.exists():
        raise UsageError(f"vLLM's environment {ENVIRONMENT} does not exist.", "`make serve-vlm` makes it and serves.")
    return python


def server_command(
    model: str | Path,
    profile: Profile,
    *,
    python: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    served_name: str | None = None,
    chat_template: Path | None = None,
    tool_parser: str | None = None,
    max_images: int | None = None,
    max_model_len: int | None = None,
    more: Sequence[str] = (),
) -> list[str]:
    """The command that serves `model` with tool calls and pictures over the OpenAI protocol.

    Pictures come as data URIs only: the one allowed download domain cannot exist (an empty
    list would allow all). Keep the loopback `host` or put a proxy in front: some of vLLM's
    administrative routes have no key.

    Args:
        model: A model name, or the folder of a checkpoint.
        profile: What the family of the model needs; the arguments below that are not None take its place.
        python: The interpreter that has vLLM; None is `server_python()`.
        host: Address to listen on.
        port: TCP port to listen on.
        served_name: What clients call it; None is the folder's name or the model name.
        chat_template: Jinja file that replaces the checkpoint's own or the profile's.
        tool_parser: How the model writes tool calls, in vLLM's words.
        max_images: Pictures in one request; more is an error of the request.
        max_model_len: Context in tokens.
        more: Further flags of vLLM, which win over all others.

    Raises:
        UsageError: `model` or `chat_template` is a path that does not exist, or vLLM's environment is missing.
    """
    # vLLM's own `vllm` command asks for a distribution of that name, which its CPU build is not.
    command = [str(python or server_python()), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model), "--served-model-name", served_name or _default_name(model)]
    command += ["--host", host, "--port", str(port), "--allowed-media-domains", "media.invalid"]
    command += fitted(profile, model).flags(
        chat_template=chat_template, tool_parser=tool_parser, max_images=max_images, max_model_len=max_model_len
    )
    return [*command, *more]


def server_environment(model: str | Path, *, kv_cache_gib: int = 4) -> dict[str, str]:
    """Variables to add to the server's environment.

    Args:
        model: As for `server_command`; the hub is off limits when it is a folder.
        kv_cache_gib: Memory for the key-value cache in GiB where vLLM runs on a CPU; a GPU build ignores it.
    """
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gib),
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if Path(model).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


def serve_until_stopped(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server in the foreground, for this process's main thread; it never outlives this process's end in order.

    Args:
        command: As `server_command` makes it.
        environment: Added to this process's own environment.

    Returns:
        Its exit code; that of a server which was told to end is 0 or negative.

    Raises:
        KeyboardInterrupt: the person interrupted it; the server has ended.
    """
    started: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def end(signum: int, _: object) -> None:
        told.append(signum)
        for process in started:
            process.terminate()

    before = signal.signal(signal.SIGTERM, end)  # first: the signal may come while the server is being started
    try:
        started.append(process := subprocess.Popen(command, env={**os.environ, **environment}))
        if told:
            process.terminate()
        return process.wait()
    except KeyboardInterrupt:  # the terminal sent the server the same signal
        with suppress(subprocess.TimeoutExpired):
            for process in started:
                process.wait(_STOP_S)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def running_server(
    command: Sequence[str], environment: Mapping[str, str], *, url: str, log: Path, start_timeout_s: float = 300.0
) -> Iterator[None]:
    """Run a server for the time of the `with` block; it answers `/health` when the block begins.

    Args:
        command: As `server_command` makes it.
        environment: Added to this process's own environment.
        url: Where the server listens, such as `http://127.0.0.1:8000/v1`.
        log: File for all that the server prints.
        start_timeout_s: How long loading may take.

    Raises:
        ServerError: the server ended, or did not answer in time; the log's last lines are in the hint.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, url, log, start_timeout_s)
        yield
    finally:
        _stop(process)


def _default_name(model: str | Path) -> str:
    folder = Path(model)
    if folder.is_dir():
        return folder.resolve().name
    if isinstance(model, Path) or model.startswith((".", "/", "~")):
        raise UsageError(f"There is no checkpoint folder {str(model)!r}.", "Give a model name or an existing folder.")
    return model


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not _is_healthy(url):
        try:
            status = process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"The server at {url} did not answer within {timeout_s:g} s.", f"Its log ends:\n{_tail(log)}"
                ) from None
        else:
            raise ServerError(
                f"The server for {url} ended with status {status} before it answered.", f"Its log ends:\n{_tail(log)}"
            )


def _is_healthy(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return "".join(deque(lines, maxlen=_LOG_TAIL_LINES)).rstrip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server politely, then whatever is left of its process group."""
    process.terminate()
    try:
        process.wait(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
