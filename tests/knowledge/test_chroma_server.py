"""The text index and the windows on a real Chroma server, by the settings alone."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from mm4st_agent.agent.backends.findings import examine
from mm4st_agent.agent.manifest import recorded_settings
from mm4st_agent.cli.local_checks import check_chroma, check_postgres
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import ServerError, UsageError
from mm4st_agent.knowledge import chroma
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.place import ChromaServer
from mm4st_agent.knowledge.store import Document, KnowledgeStore
from mm4st_agent.knowledge.windows import WindowIndex, WindowKey
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings, load_settings

WRITE = """
import sys
from pydantic import SecretStr
from mm4st_agent.knowledge.place import ChromaServer
from mm4st_agent.knowledge.store import Document, KnowledgeStore
store = KnowledgeStore(ChromaServer(SecretStr(sys.argv[1]), "writers"))
for n in range(5):
    store.upsert([Document(f"{sys.argv[2]}-{n}", "note", f"lane {n} is closed by {sys.argv[2]}", "test")])
    print(n, flush=True)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A Chroma server that answers."""
    command = [Path(sys.executable).parent / "chroma", "run", "--path", folder, "--port", str(port)]
    server = subprocess.Popen([*map(str, command), "--host", "127.0.0.1"], stdout=subprocess.DEVNULL)
    client = httpx.Client(transport=httpx.HTTPTransport(retries=20))  # each try waits a little longer
    with client:
        client.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=60).raise_for_status()
    return server


@pytest.fixture(scope="module", autouse=True)
def _connections_end() -> Iterator[None]:
    yield
    for place in [place for place in chroma._CLIENTS if isinstance(place, ChromaServer)]:
        chroma._CLIENTS.pop(place)._server._session.close()  # which Chroma's own close leaves open


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with started(tmp_path_factory.mktemp("chroma"), port) as server:
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_a_search_gives_the_same_as_in_a_folder(url: str, tmp_path: Path, panel: Panel) -> None:
    there, here = KnowledgeIndex(ChromaServer(SecretStr(url), "same")), KnowledgeIndex(tmp_path)

    for query in ("overturned tanker", "why do queues grow?", "roadworks on the right lane"):
        assert there.search(query, panel=panel) == here.search(query, panel=panel)
        assert there.search(query, panel=None) == here.search(query, panel=None)


def test_another_process_writes_at_the_same_time(url: str) -> None:
    store = KnowledgeStore(ChromaServer(SecretStr(url), "writers"))
    with subprocess.Popen([sys.executable, "-c", WRITE, url, "two"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"0\n"
        for n in range(5):
            store.upsert([Document(f"one-{n}", "note", f"lane {n} is closed by one", "test")])
    assert other.returncode == 0

    assert set(store.digests()) == {f"{name}-{n}" for name in ("one", "two") for n in range(5)}
    assert store.search("lane 3 is closed by two", limit=1)[0].doc_id == "two-3"


def test_nobody_finds_what_another_person_has(url: str) -> None:
    mine, yours = (KnowledgeStore(ChromaServer(SecretStr(url), name)) for name in ("jane..doe", "jo"))
    mine.upsert([Document("secret", "note", "the otter is called Otto", "diary")])

    assert mine.search("otter")
    assert not yours.search("otter")


def test_windows_come_back_exactly(url: str) -> None:
    index = WindowIndex(ChromaServer(SecretStr(url)))
    key = WindowKey(data="d" * 64, channel="flow", model="m", node="a")
    vectors = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    made: list[int] = []

    def embed(origins: Sequence[int]) -> np.ndarray:
        made.extend(origins)
        return vectors[[o // 300 for o in origins]]

    origins = [n * 300 for n in range(40)]
    assert np.array_equal(index.vectors(key, origins[:25], embed), vectors[:25])
    assert np.array_equal(index.vectors(key, origins, embed), vectors)
    assert made == origins


def test_the_setting_is_all_that_a_runtime_needs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"dataset": "demo", "query": "Why do queues grow?"}
    alone = Runtime().tool("retrieve_context", asked)
    monkeypatch.setenv("MM4ST_CHROMA_URL", url)
    monkeypatch.setenv("MM4ST_HOME", str(Settings().home) + "-2")
    runtime = Runtime()

    assert runtime.tool("retrieve_context", asked) == alone
    assert not (runtime.settings.home / "knowledge").exists()
    assert runtime.of_user("jane").knowledge.search("queue", panel=None)
    assert check_chroma(runtime).status == "ok"


def test_a_server_that_is_not_there_is_said_without_its_password() -> None:
    from mm4st_agent.cli import main

    port = free_port()
    url = f"http://jane:s3cret-word@127.0.0.1:{port}"

    reply = CliRunner(env={"MM4ST_CHROMA_URL": url}).invoke(
        main, ["tool", "run", "retrieve_context", "--args", '{"dataset": "demo", "query": "queue"}', "--json"]
    )

    assert reply.exit_code == 4
    error = json.loads(reply.stdout)["error"]
    assert error["kind"] == "server"
    assert f"Chroma server at http://127.0.0.1:{port} does not answer" in error["message"]
    assert "MM4ST_CHROMA_URL" in error["hint"]
    assert "s3cret" not in reply.output


def test_a_server_that_goes_away_is_said(tmp_path: Path) -> None:
    port = free_port()
    store = KnowledgeStore(ChromaServer(SecretStr(f"http://127.0.0.1:{port}")))
    with started(tmp_path, port) as server:
        store.upsert([Document("a", "note", "a text", "test")])
        server.kill()

    with pytest.raises(ServerError, match="does not answer as it should"):
        store.search("text")


class _Refusing(BaseHTTPRequestHandler):
    """A proxy that lets in nobody but jane, and has no Chroma server behind it."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Basic amFuZTpzM0BjcmV0"  # jane:s3@cret
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("login", "said"),
    [("jane:wrong", "401 Unauthorized"), ("jane:s3%40cret", "what answers there is no Chroma server")],
)
def test_a_password_goes_as_basic_authentication(login: str, said: str) -> None:
    with HTTPServer(("127.0.0.1", 0), _Refusing) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        url = f"http://{login}@127.0.0.1:{proxy.server_port}"
        with pytest.raises(ServerError, match=said) as refused:
            KnowledgeStore(ChromaServer(SecretStr(url))).digests()
        proxy.shutdown()
    assert login not in str(refused.value)


def test_the_doctor_tells_of_servers_that_are_not_there() -> None:
    at = f"127.0.0.1:{free_port()}/x"
    runtime = Runtime(load_settings(chroma_url=f"http://{at}", postgres_url=f"postgresql://jane:s3cret@{at}"))

    for check in (check_chroma, check_postgres):
        found = examine("server", partial(check, runtime), limit_s=60)
        assert (found.status, found.exit_code) == ("failed", 4)
        assert at.removesuffix("/x") in found.said
        assert "s3cret" not in str(found)


@pytest.mark.parametrize("name", ["chroma_url", "postgres_url"])
def test_secrets_are_shown_nowhere(name: str) -> None:
    scheme = {"chroma_url": "https", "postgres_url": "postgresql"}[name]
    settings = load_settings(**{name: f"{scheme}://jane:s3cret@db.example/x?password=s3cret"})

    assert "s3cret" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert "s3cret" not in json.dumps(recorded_settings(settings), default=str)
    with pytest.raises(UsageError, match=f"MM4ST_{name.upper()}. cannot be what was given") as refused:
        load_settings(**{name: "ftp://jane:s3cret@db"})
    assert "s3cret" not in str(refused.value)
    with pytest.raises(ValueError, match="must look like") as raised:
        Settings(**{name: "s3cret"})
    assert "s3cret" not in str(raised.value)
