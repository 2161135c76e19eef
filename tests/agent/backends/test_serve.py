"""Starting a server: its command line, and the life of its process. vLLM itself starts in tests/vllm."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mm4st_agent.agent.backends import serve
from mm4st_agent.agent.backends.serve import running_server, server_command, server_environment
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

    command = server_command(checkpoint, port=8123, max_images=3)

    assert command[0] == str(vllm_environment)
    line = " ".join(command[1:])
    assert f"--model {checkpoint} --served-model-name my-model --host 127.0.0.1 --port 8123" in line
    assert '--limit-mm-per-prompt {"image": 3} --allowed-media-domains media.invalid' in line
    assert server_environment(checkpoint)["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert server_environment(checkpoint)["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in server_environment("org/model")


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ENVIRONMENT", tmp_path / "none")

    with pytest.raises(UsageError, match="make serve-vlm"):
        server_command("org/model")


@pytest.mark.usefixtures("vllm_environment")
@pytest.mark.parametrize("model", ["./gone", "/gone", Path("gone")])
def test_a_missing_checkpoint_is_refused(model: str | Path) -> None:
    with pytest.raises(UsageError, match="gone"):
        server_command(model)


@pytest.mark.usefixtures("vllm_environment")
def test_a_missing_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jinja"):
        server_command("org/model", chat_template=tmp_path / "none.jinja")


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
