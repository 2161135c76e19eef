"""`mm4st doctor` against real servers: one that is well, one whose template drops pictures."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm4st_agent.agent.backends.profiles import profile_for
from mm4st_agent.agent.backends.serve import running_server, server_command, server_environment
from mm4st_agent.cli import main

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]


def _doctor(url: str, images: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("MM4ST_CHAT_MODEL", "vllm")
    monkeypatch.setenv("MM4ST_VLLM_URL", url)
    monkeypatch.setenv("MM4ST_VLLM_MAX_IMAGES", str(images))
    monkeypatch.setenv("MM4ST_VLLM_MAX_TOKENS", "512")
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    return caught.value.code, {check["check"]: check for check in report["checks"]}


def test_a_served_model_is_well(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = _doctor(served.url, served.max_images, monkeypatch, capsys)

    assert code == 0, found
    assert f"{served.model} at {served.url}, vLLM 0.32" in found["server"]["said"]
    # Random weights call nothing of their own accord; all else is the server's doing.
    assert found.pop("tool calls by choice")["status"] == "warning"
    server = ["server", "chat template", "pictures", "tool calls", "pictures with tools", "context"]
    assert {name: found[name]["status"] for name in server} == dict.fromkeys(server, "ok"), found
    assert f"{served.max_images} pictures (placement 'user')" in found["pictures with tools"]["said"]


@pytest.fixture
def blind_url(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[str]:
    """A server whose chat template leaves out pictures, and nothing else."""
    profile = profile_for(tiny_checkpoint)
    assert profile is not None
    assert profile.template_path is not None
    template = tmp_path / "blind.jinja"
    seeing = profile.template_path.read_text(encoding="utf-8")
    template.write_text(seeing.replace("{{- '<image>' -}}", ""), encoding="utf-8")
    assert template.read_text(encoding="utf-8") != seeing
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    command = server_command(tiny_checkpoint, profile, port=port, chat_template=template, max_model_len=16384)
    environment = server_environment(tiny_checkpoint, kv_cache_gib=1)
    with running_server(command, environment, url=url, log=tmp_path / "server.log"):
        yield url


def test_a_template_that_drops_pictures_is_found_out(
    blind_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = _doctor(blind_url, 2, monkeypatch, capsys)

    assert code == 2
    assert found["chat template"]["status"] == "ok"
    assert found["tool calls"]["status"] == "ok"
    for check in ("pictures", "pictures with tools"):
        assert found[check]["status"] == "failed"
        assert "picture" in found[check]["said"]
        assert "chat template" in found[check]["hint"]
