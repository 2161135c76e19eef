"""`mm4st doctor` on this machine, and against servers that only say what they are told. A real vLLM: tests/vllm."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mm4st_agent.agent.backends.findings import Finding, examine
from mm4st_agent.agent.backends.server_checks import check_context, check_server, server_findings
from mm4st_agent.agent.backends.vllm import vllm_chat_model
from mm4st_agent.cli import local_checks, main
from mm4st_agent.cli.doctor import exit_code
from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings
from tools import ALL_TOOLS

# --- one check ------------------------------------------------------------------------------------------------


def test_a_check_keeps_its_finding_and_gets_its_time() -> None:
    found = examine("x", lambda: Finding("x", "ok", "fine"), limit_s=5)

    assert (found.status, found.said) == ("ok", "fine")
    assert 0 <= found.seconds < 5


def test_errors_become_failures_with_what_to_do() -> None:
    def broken() -> Finding:
        raise DataError("The file is gone.", "Get it.")

    def bug() -> Finding:
        raise ZeroDivisionError("oh")

    data, ours = examine("x", broken, limit_s=5), examine("y", bug, limit_s=5)

    assert (data.check, data.status, data.said, data.hint, data.exit_code) == (
        *("x", "failed", "The file is gone.", "Get it."),
        3,
    )
    assert (ours.status, ours.exit_code) == ("failed", 1)
    assert "oh" in ours.said


def test_a_check_that_hangs_is_left_behind() -> None:
    released = threading.Event()
    started = time.perf_counter()

    def hang() -> Finding:
        released.wait(60)
        return Finding("x", "ok", "late")

    found = examine("x", hang, limit_s=0.2)
    took = time.perf_counter() - started
    released.set()

    assert took < 30
    assert (found.status, found.exit_code) == ("failed", 1)
    assert "longer than 0.2 s" in found.said


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([3, 2], 3), ([2, 4], 4), ([1], 1)])
def test_the_exit_code_is_that_of_the_gravest(codes: list[int], code: int) -> None:
    fine = [Finding("x", "ok", ""), Finding("x", "warning", "")]

    assert exit_code([*fine, *(Finding("x", "failed", "", exit_code=each) for each in codes)]) == code


# --- this machine ---------------------------------------------------------------------------------------------


def test_a_machine_without_a_server_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--json"])

    report = json.loads(capsys.readouterr().out)
    said = {check["check"]: check for check in report["checks"]}
    assert caught.value.code == 0
    assert report["failed"] == 0
    assert report["ok"] + report["warning"] == len(report["checks"])
    assert {"python", "packages", "home", "disk", "embedded model", "knowledge", "data demo", "pictures drawn"} <= {
        *said
    }
    assert "checkpoint demo-flow" in said
    assert set(said["python"]) == {"check", "status", "said", "hint", "exit_code", "seconds"}
    assert "17,280 steps" in said["data demo"]["said"]
    assert list(said)[-1] == "server"


def test_lines_for_people(capsys: pytest.CaptureFixture[str], dead_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MM4ST_CHAT_MODEL", "vllm")
    monkeypatch.setenv("MM4ST_VLLM_URL", dead_url)

    with pytest.raises(SystemExit) as caught:
        main(["doctor"])

    lines = capsys.readouterr().out.splitlines()
    assert caught.value.code == 4
    assert f"FAILED  server: No chat model server answers at {dead_url}." in lines
    assert "make serve-vlm" in lines[lines.index(f"FAILED  server: No chat model server answers at {dead_url}.") + 1]
    assert lines[-1].endswith("1 failed")


def test_packages_are_held_against_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [
        "numpy>=1",
        "click<1",
        "no-such-package-of-ours",
        'pywin32; sys_platform == "win32"',
        'tables; extra == "dev"',
    ]
    monkeypatch.setattr(local_checks, "_needed", lambda: (">=99", needed))

    found = local_checks.check_packages()

    assert found.status == "failed"
    assert "click 8" in found.said
    assert "is not <1" in found.said
    assert "no-such-package-of-ours is missing" in found.said
    assert "numpy" not in found.said
    assert "pywin32" not in found.said
    assert local_checks.check_python().status == "failed"


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    found = examine("home", lambda: local_checks.check_home(Runtime(Settings(home=tmp_path / "file"))), limit_s=30)

    assert (found.status, found.exit_code) == ("failed", 2)
    assert "MM4ST_HOME" in found.hint


def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(gb: float) -> str:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, int(gb * 1e9)))
        return local_checks.check_disk(tmp_path / "not/yet").status

    assert [left(gb) for gb in (100, 1, 0.1)] == ["ok", "warning", "failed"]


def test_damaged_data_are_told(tmp_path: Path) -> None:
    runtime = Runtime(Settings(home=tmp_path))
    runtime.registry.add(_small(runtime, "my-city"))
    whole = examine("data", lambda: local_checks.check_data(runtime, "my-city"), limit_s=60)
    for chunk in (tmp_path / "data/my-city").rglob("*"):
        if chunk.is_file() and "c" in chunk.relative_to(tmp_path / "data/my-city").parts:
            chunk.write_bytes(b"garbage")

    broken = examine("data", lambda: local_checks.check_data(Runtime(Settings(home=tmp_path)), "my-city"), limit_s=60)

    assert whole.status == "ok"
    assert broken.status == "failed"


def test_a_changed_demo_city_is_told(tmp_path: Path) -> None:
    runtime = Runtime(Settings(home=tmp_path))
    panel = runtime.registry.open("demo")
    panel.data["speed"].values[5, 3] = 77.0

    with pytest.raises(DataError, match=r"demo_city/speed\."):
        local_checks.check_data(runtime, "demo")


def test_a_broken_checkpoint_is_told(tmp_path: Path) -> None:
    from mm4st_agent.forecaster.prediction import shipped_checkpoints

    folder = tmp_path / "checkpoints/demo-no2"
    shutil.copytree(shipped_checkpoints() / "demo-no2", folder)
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])

    with pytest.raises(DataError, match="cannot be read"):
        local_checks.check_checkpoint(Runtime(Settings(home=tmp_path)), folder)


def _small(runtime: Runtime, name: str) -> Any:
    """Two hours of the demo city under another name."""
    import dataclasses

    panel = runtime.registry.open("demo")
    card = panel.card.model_copy(update={"name": name, "files": {}})
    return dataclasses.replace(panel, card=card, data=panel.data.isel(time=slice(0, 24)), events=(), trajectories=None)


# --- servers --------------------------------------------------------------------------------------------------


@pytest.fixture
def dead_url() -> str:
    """An address where nobody answers: the port was ours and is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


Reply = Callable[[str, dict[str, Any]], Any]


@contextmanager
def _serving(reply: Reply) -> Iterator[str]:
    """A server whose JSON reply is a function of path and body; yields its root."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = reply(self.path, json.loads(body) if body else {})
            status, said = said if isinstance(said, tuple) else (200, said)
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        worker.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            worker.join()


def _model(
    *, lose: tuple[str, ...] = (), calls: str = '{"colour": "green"}', limit: int = 4, context: int = 32768
) -> Reply:
    """A server of one model that counts words as tokens, and may lose parts of a prompt."""

    def tokens(body: dict[str, Any]) -> int:
        kept = [m for m in body["messages"] if m["role"] not in lose]
        count = 0
        for message in kept:
            content = message.get("content") or ""
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            count += sum(len(part["text"].split()) + 1 for part in parts if part["type"] == "text")
            count += sum(64 for part in parts if part["type"] == "image_url" and "image" not in lose)
            if "calls" not in lose:
                count += sum(len(call["function"]["arguments"].split()) for call in message.get("tool_calls") or [])
        return count + (0 if "tools" in lose else len(json.dumps(body.get("tools") or "").split()))

    def answer(path: str, body: dict[str, Any]) -> Any:
        if path == "/v1/models":
            return {"data": [{"id": "words", "max_model_len": context}]}
        if path == "/version":
            return {"version": "0.32.0"}
        if json.dumps(body["messages"]).count('image_url"') // 2 > limit:
            return 400, {"error": {"message": f"At most {limit} image(s) may be provided in one prompt."}}
        said = tokens(body)
        message: dict[str, Any] = {"role": "assistant", "content": "ok"}
        if body.get("tools") and body.get("max_tokens", body.get("max_completion_tokens")) != 1 and calls:
            call = {"id": "1", "type": "function", "function": {"name": "note_colour", "arguments": calls}}
            message |= {"content": None, "tool_calls": [call]}
        usage = {"prompt_tokens": said, "completion_tokens": 1, "total_tokens": said + 1}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "1", "object": "chat.completion", "model": "words", "choices": [choice], "usage": usage}

    return answer


def _findings(reply: Reply, **more: Any) -> dict[str, Finding]:
    with _serving(reply) as url:
        return {found.check: found for found in server_findings(Settings(vllm_url=url, **more), ALL_TOOLS)}


def test_a_server_that_loses_nothing_is_well() -> None:
    found = _findings(_model())

    assert [*found] == [
        *("server", "chat template", "pictures", "tool calls"),
        *("tool calls by choice", "pictures with tools", "context"),
    ]
    assert {each.status for each in found.values()} == {"ok"}, found
    assert "words" in found["server"].said
    assert "vLLM 0.32.0, a context of 32,768 tokens" in found["server"].said
    assert "64 tokens a picture" in found["pictures with tools"].said


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("tools", "the tools"),
        ("system", "the system text"),
        ("calls", "earlier tool calls"),
        ("tool", "the replies of tools"),
    ],
)
def test_a_template_that_drops_something_is_found_out(lost: str, words: str) -> None:
    found = _findings(_model(lose=(lost,)))["chat template"]

    assert (found.status, found.exit_code) == ("failed", 2)
    assert f"drops {words}:" in found.said
    assert "--chat-template" in found.hint


def test_a_template_that_drops_pictures_is_found_out() -> None:
    found = _findings(_model(lose=("image",)))

    for check in ("pictures", "pictures with tools"):
        assert (found[check].status, found[check].exit_code) == ("failed", 2)
        assert "ignores pictures" in found[check].said
    assert found["chat template"].status == "ok"


def test_a_picture_without_a_mark_is_no_passing_fault() -> None:
    """What vLLM says where the template wrote no mark for a picture."""

    def markless(path: str, body: dict[str, Any]) -> Any:
        if "image_url" in json.dumps(body):
            return 500, {"error": {"message": "Failed to apply prompt replacement for mm_items['image'][0]."}}
        return _model()(path, body)

    found = _findings(markless)

    for check in ("pictures", "pictures with tools"):
        assert (found[check].status, found[check].exit_code) == ("failed", 2)
        assert "takes no pictures" in found[check].said
        assert "chat template shows pictures" in found[check].hint
    assert found["context"].status == "ok"


def test_no_pictures_are_asked_for_where_the_agent_shows_none() -> None:
    found = _findings(_model(lose=("image",), limit=0), vllm_max_images=0)

    assert "pictures" not in found
    assert {each.status for each in found.values()} == {"ok"}, found


def test_a_server_that_takes_fewer_pictures_than_the_agent_shows() -> None:
    found = _findings(_model(limit=2), vllm_max_images=3)["pictures with tools"]

    assert found.status == "failed"
    assert "At most 2 image" in found.said
    assert "--max-images" in found.hint


@pytest.mark.parametrize("calls", ["", '{"colour": "blue"}', '{"shade": "grey"}'])
def test_calls_that_do_not_come_or_break_the_schema(calls: str) -> None:
    found = _findings(_model(calls=calls))

    assert (found["tool calls"].status, found["tool calls"].exit_code) == ("failed", 2)
    assert found["tool calls by choice"].status == "warning"


@pytest.mark.parametrize(("context", "status"), [(32768, "ok"), (4500, "failed")])
def test_the_agent_needs_room(context: int, status: str) -> None:
    found = _findings(_model(context=context))["context"]

    assert found.status == status
    assert (found.hint == "") == (status == "ok")


def test_little_room_is_a_warning() -> None:
    settings = Settings(vllm_max_images=0, vllm_max_tokens=100)
    with _serving(_model()) as url:
        chat = vllm_chat_model(settings.model_copy(update={"vllm_url": url, "vllm_model": "words"}))
        found = check_context(chat, [ALL_TOOLS[0].to_json()], settings, None, 1000)

    assert found.status == "warning"
    assert "--max-model-len" in found.hint


def test_a_dead_server_fails_only_where_it_is_chosen(dead_url: str) -> None:
    chosen = check_server(Settings(vllm_url=dead_url, chat_model="vllm"))
    named = check_server(Settings(vllm_url=dead_url))

    assert (chosen.status, chosen.exit_code) == ("failed", 4)
    assert "make serve-vlm" in chosen.hint
    assert (named.status, named.exit_code) == ("warning", 0)
    assert dead_url in named.said


def test_a_server_that_nobody_set_up_is_no_failure(dead_url: str) -> None:
    """Whoever else listens at the usual address, and nobody."""
    with _serving(lambda path, body: ["hello"]) as foreign:
        for url in (dead_url, foreign):
            usual = Settings(vllm_url=url)
            found = check_server(Settings.model_construct(_fields_set=set(), **dict(usual)))
            assert (found.status, found.said) == ("ok", "Not set up: the embedded chat model answers.")


def test_another_version_of_vllm_is_told() -> None:
    def older(path: str, body: dict[str, Any]) -> Any:
        return {"version": "0.19.1"} if path == "/version" else _model()(path, body)

    found = _findings(older)["server"]

    assert found.status == "warning"
    assert "vLLM 0.32" in found.hint


def test_a_model_that_is_not_served_is_named() -> None:
    with _serving(_model()) as url:
        settings = Settings(vllm_url=url, vllm_model="another", chat_model="vllm")
        [found] = [*server_findings(settings, ALL_TOOLS)]

    assert (found.status, found.exit_code) == ("failed", 2)
    assert "['words']" in found.hint


def test_a_server_that_dies_between_checks_is_a_failure_of_the_rest() -> None:
    asked: list[str] = []

    def dying(path: str, body: dict[str, Any]) -> Any:
        asked.append(path)
        return _model()(path, body) if len(asked) < 4 else (500, {"error": {"message": "the engine died"}})

    found = _findings(dying)

    assert found["chat template"].exit_code == 4
    assert "the engine died" in found["pictures"].said


def test_errors_of_ours_in_a_check_keep_their_kind() -> None:
    def refused() -> Finding:
        raise UsageError("No.", "Yes.")

    assert examine("x", refused, limit_s=5).exit_code == 2
