"""The server around the page: its guards, what of Gradio it leaves closed, its start and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import is_loopback, load_settings
from mm4st_agent.web.accounts import Accounts, write_accounts
from mm4st_agent.web.server import runtimes
from mm4st_agent.web.sign_in import Gate


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, small_page: Any) -> Iterator[Any]:
    with small_page(tmp_path_factory.mktemp("small") / "home", public_host="st.example.org") as running:
        yield running


def test_the_page_and_our_routes_are_one_application_that_loads_nothing_from_elsewhere(served: Any) -> None:
    page = httpx2.get(served.url)
    ours = httpx2.get(f"{served.url}mm4st/who")

    assert page.status_code == ours.status_code == 200
    assert '"title":"small"' in page.text
    assert httpx2.get(f"{served.url}config").json()["head"] == '<meta name="of-the-page" content="yes">'
    assert ours.json() == {"user": None, "scheme": "http"}
    for reply in (page, ours, httpx2.get(f"{served.url}no-such-page")):
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval';")
        assert {"base-uri 'self'", "object-src 'none'", "frame-ancestors 'self'"} < set(policy.split("; "))
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert "server" not in reply.headers
    assert httpx2.get(f"{served.url}mm4st/own-policy").headers["content-security-policy"] == "sandbox"


def test_a_page_of_the_internet_that_points_its_name_here_reads_nothing(served: Any) -> None:
    def status(host: str, path: str) -> int:
        return httpx2.get(served.url + path, headers={"Host": host}).status_code

    port = httpx2.URL(served.url).port
    for path in ("", "mm4st/who", "config"):
        assert status(f"attacker.example:{port}", path) == 400
        for name in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
            assert status(f"{name}:{port}", path) == 200
        assert status("st.example.org", path) == 200


@pytest.mark.parametrize("path", ["mm4st/who", "gradio_api/queue/join", "gradio_api/upload"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_changes_nothing(served: Any, path: str, headers: dict[str, str]) -> None:
    refused = httpx2.post(served.url + path, headers=headers, json={})

    assert refused.status_code == 403
    assert refused.text == "This request came from another site's page."


def test_our_own_page_and_programs_may_change_things(served: Any) -> None:
    own = served.url.rstrip("/")
    for headers in ({}, {"Origin": own}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert httpx2.post(f"{served.url}mm4st/who", headers=headers).status_code == 200
    assert httpx2.get(f"{served.url}mm4st/who", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_what_gradio_offers_by_itself_stays_closed(served: Any) -> None:
    config = httpx2.get(f"{served.url}config").json()
    upload = httpx2.post(f"{served.url}gradio_api/upload", files={"files": ("a.txt", b"two bytes and more")})
    past_the_queue = httpx2.post(f"{served.url}gradio_api/run/greet", json={"data": ["hello"]})
    foreign_file = httpx2.get(f"{served.url}gradio_api/file={Path(__file__).resolve()}")

    assert config["footer_links"] == []
    assert not config["enable_queue"] or all(dep["api_visibility"] == "private" for dep in config["dependencies"])
    assert upload.status_code == 413
    assert past_the_queue.status_code in (404, 422)
    assert foreign_file.status_code == 403
    assert httpx2.get(f"{served.url}gradio_api/runs").status_code == 404
    assert httpx2.get(f"{served.url}monitoring").status_code in (403, 404)
    assert httpx2.get(f"{served.url}gradio_api/mcp/").status_code == 404
    assert httpx2.get(f"{served.url}docs").json() != {}  # Gradio's page or a refusal, but no list of our routes
    assert "/mm4st/who" not in httpx2.get(f"{served.url}openapi.json").text


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_order_and_soon_however_many_pages_are_open(
    tmp_path: Path, small_page: Any, sent: signal.Signals
) -> None:
    streams = ("gradio_api/heartbeat/one", "gradio_api/heartbeat/two", "mm4st/ticks")
    opened, ended = threading.Semaphore(0), []

    def watch(url: str) -> None:
        with httpx2.stream("GET", url, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            opened.release()
            for _ in lines:
                pass
        ended.append(url)

    with small_page(tmp_path / "home") as served:
        watchers = [threading.Thread(target=watch, args=[served.url + path], daemon=True) for path in streams]
        for watcher in watchers:
            watcher.start()
        assert all(opened.acquire(timeout=60) for _ in streams)
        began = time.monotonic()
        served.process.send_signal(sent)
        said = served.process.stdout.read()
        code = served.process.wait(60)
        took_s = time.monotonic() - began
        for watcher in watchers:
            watcher.join(60)

    assert said == "ended in order\n"
    assert code == 0
    assert len(ended) == len(streams)
    assert took_s < 5, "the time that a request under way is given"
    assert served.log.read_text() == f"The chat is at {served.url} (Ctrl-C stops it).\n"


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        script = Path(__file__).with_name("small_page.py")
        env = {"MM4ST_PORT": str(port), "MM4ST_HOME": str(tmp_path), "PATH": ""}
        done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=90)

    assert done.returncode == 1
    assert f"The chat cannot be served at 127.0.0.1, port {port}: Address already in use." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_for_other_machines_is_reached_by_any_name(tmp_path: Path, small_page: Any) -> None:
    with small_page(tmp_path / "home", host="0.0.0.0") as served:
        port = httpx2.URL(served.url).port
        reply = httpx2.get(f"http://127.0.0.1:{port}/mm4st/who", headers={"Host": "st.example.org"})

    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("host", "is_one"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.7", False), ("st.example.org", False)],
)  # fmt: skip
def test_loopback_addresses(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


def test_with_accounts_a_request_without_a_name_opens_nothing(tmp_path: Path) -> None:
    runtime = Runtime(load_settings(home=tmp_path / "home"))
    write_accounts(tmp_path / "people", {})
    with_accounts = runtimes(runtime, Gate(Accounts(tmp_path / "people")))

    assert runtimes(runtime, None)(None) is runtime
    assert with_accounts("ada") is runtime.of_user("ada")
    with pytest.raises(UsageError, match="Nobody is signed in"):
        with_accounts(None)
