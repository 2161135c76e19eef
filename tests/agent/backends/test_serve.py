"""Starting a server: its command line, and the life of its process. vLLM itself starts in tests/vllm."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mm4st_agent.agent.backends import serve
from mm4st_agent.agent.backends.profiles import GENERIC, profile_named
from mm4st_agent.agent.backends.serve import running_server, server_command, server_environment
from mm4st_agent.cli import main
from mm4st_agent.errors import ServerError, UsageError


@pytest.fixture
def dead_url() -> str:
    """An address where nobody answers: the port was ours and is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.fixture
def vllm_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter where vLLM's is looked for."""
    (tmp_path / "vllm/bin").mkdir(parents=True)
    (tmp_path / "vllm/bin/python").symlink_to(sys.executable)
    monkeypatch.setattr(serve, "ENVIRONMENT", tmp_path / "vllm")
    return tmp_path / "vllm/bin/python"


def test_the_command_is_closed_by_default(vllm_environment: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "my-model"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text('{"model_type": "idefics3", "max_position_embeddings": 4096}')

    command = server_command(checkpoint, profile_named("smolvlm"), port=8123, max_images=3, more=["--seed", "1"])

    assert command[0] == str(vllm_environment)
    line = " ".join(command[1:])
    assert f"--model {checkpoint} --served-model-name my-model --host 127.0.0.1 --port 8123" in line
    assert "--allowed-media-domains media.invalid" in line
    assert '--limit-mm-per-prompt {"image": 3, "video": 0}' in line
    assert "--max-model-len 4096" in line
    assert line.endswith("--seed 1")
    assert server_environment(checkpoint)["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert server_environment(checkpoint)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in server_environment("org/model")


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ENVIRONMENT", tmp_path / "none")

    with pytest.raises(UsageError, match="make serve-vlm"):
        server_command("org/model", GENERIC)
    with pytest.raises(SystemExit) as caught:
        main(["serve-vlm", "--model", "Qwen/Qwen2.5-VL-7B-Instruct"])
    assert caught.value.code == 2


@pytest.mark.usefixtures("vllm_environment")
@pytest.mark.parametrize("model", ["./gone", "/gone", Path("gone")])
def test_a_missing_checkpoint_is_refused(model: str | Path) -> None:
    with pytest.raises(UsageError, match="gone"):
        server_command(model, GENERIC)


@pytest.mark.usefixtures("vllm_environment")
def test_a_missing_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jinja"):
        server_command("org/model", GENERIC, chat_template=tmp_path / "none.jinja")


def test_a_dry_run_prints_what_would_run_and_needs_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "ENVIRONMENT", tmp_path / "no such")

    main(["serve-vlm", "--model", "Qwen/Qwen2.5-VL-7B-Instruct", "--dry-run", "--port", "81", "--", "--seed", "1"])

    printed = capsys.readouterr()
    words = shlex.split(printed.out)
    environment = server_environment("Qwen/Qwen2.5-VL-7B-Instruct")
    assert words[: 1 + len(environment)] == ["env", *(f"{name}={value}" for name, value in environment.items())]
    assert words[1 + len(environment) :] == server_command(
        "Qwen/Qwen2.5-VL-7B-Instruct",
        profile_named("qwen2.5-vl"),
        python=tmp_path / "no such/bin/python",
        port=81,
        more=["--seed", "1"],
    )
    assert printed.err == ""


def test_an_unknown_model_gets_generic_flags_and_a_word_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve-vlm", "--model", "org/unheard-of", "--dry-run"])

    printed = capsys.readouterr()
    assert "No profile knows 'org/unheard-of'" in printed.err
    assert "--profile: qwen3-vl, " in printed.err
    assert "--chat-template" not in printed.out

    main(["serve-vlm", "--model", "org/unheard-of", "--profile", "qwen2.5-vl", "--dry-run"])

    printed = capsys.readouterr()
    assert printed.err == ""
    assert "chatml.jinja" in printed.out


def test_the_server_is_started_with_the_profile_and_its_failure_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "vllm/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$VLLM_CPU_KVCACHE_SPACE $*"\nexit 7\n')
    python.chmod(0o755)
    monkeypatch.setattr(serve, "ENVIRONMENT", tmp_path / "vllm")

    with pytest.raises(SystemExit) as caught:
        main(["serve-vlm", "--model", "google/gemma-3-4b-it", "--kv-cache-gib", "2"])

    printed = capfd.readouterr()
    assert caught.value.code == 4
    assert "code 7" in printed.err
    assert printed.out.startswith("2 -m vllm.entrypoints.openai.api_server --model google/gemma-3-4b-it")
    assert "gemma3.jinja" in printed.out
    assert "mm4st doctor" in printed.err


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_command_that_started_it(tmp_path: Path, sent: signal.Signals) -> None:
    python = tmp_path / "vllm/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho $$\nexec sleep 600\n")
    python.chmod(0o755)
    code = (
        "import pathlib, sys; from mm4st_agent.agent.backends import serve; from mm4st_agent.cli import main;"
        "serve.ENVIRONMENT = pathlib.Path(sys.argv[1]); main(['serve-vlm'])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "vllm")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        server = int(started.stdout.readline())
        if sent is signal.SIGINT:
            os.killpg(started.pid, sent)  # as a terminal does
        else:
            started.send_signal(sent)
        status = started.wait(timeout=60)

    assert status == (130 if sent is signal.SIGINT else 0)
    deadline = time.monotonic() + 20
    while _runs(server):
        assert time.monotonic() < deadline, "the server outlived its command"
        time.sleep(0.05)


def test_a_signal_while_the_server_is_being_started_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def start_and_be_told(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = start(*args, **options)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(serve.subprocess, "Popen", start_and_be_told)

    assert serve.serve_until_stopped(["sleep", "600"], {}) == -signal.SIGTERM


def _runs(pid: int) -> bool:
    """Whether a process exists that has not ended; one whose parent has gone may wait for ever to be counted out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_runs_for_the_block_and_no_longer(dead_url: str, tmp_path: Path) -> None:
    (tmp_path / "health").write_text("ok")
    port = urlsplit(dead_url).port
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]

    with running_server(command, {}, url=dead_url, log=tmp_path / "log"):
        socket.create_connection(("127.0.0.1", port)).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_server_that_dies_shows_its_last_words(dead_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print('no memory for', os.environ['WHAT']); raise SystemExit(3)"]

    with (
        pytest.raises(ServerError, match="ended with status 3") as caught,
        running_server(command, {"WHAT": "weights"}, url=dead_url, log=tmp_path / "log"),
    ):
        pytest.fail("it never answered")

    assert "no memory for weights" in caught.value.hint


def test_a_server_that_never_answers_is_given_up(dead_url: str, tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$; exec sleep 600"]

    with (
        pytest.raises(ServerError, match=r"did not answer within 1\.5 s") as caught,
        running_server(command, {}, url=dead_url, log=tmp_path / "log", start_timeout_s=1.5),
    ):
        pytest.fail("it never answered")

    assert dead_url in caught.value.message
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "log").read_text()), 0)
