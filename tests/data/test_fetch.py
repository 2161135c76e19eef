"""Original files are found, copied or downloaded; a transfer that broke off goes on, a wrong file is refused."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.fetch import fetch, missing_originals
from mm4st_agent.errors import DataError, UsageError

CONTENT = np.random.default_rng(5).bytes(300_000)
TABLE = b"id,lat\n1,2\n"


@dataclass
class Server:
    """A file server that can be told to hang up, and remembers what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    hang_up_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers ends."""
    knows_ranges: bool = True
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(files={"/set/data.npz": CONTENT, "/set/places.csv": TABLE})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            whole = state.files.get(self.path)
            if whole is None:
                self.send_error(404)
                return
            first = int(re.findall(r"\d+", asked)[0]) if asked and state.knows_ranges else 0
            if first and first >= len(whole):
                self.send_error(416)
                return
            body = whole[first:]
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.hang_up_after.pop(0)] if state.hang_up_after else body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def _card(base: str | None) -> DataCard:
    files = {"set/data.npz": CONTENT, "set/places.csv": TABLE}
    return DataCard(
        name="known",
        title="A known set",
        source="a test",
        licence="CC0-1.0",
        channels=(Channel(name="speed", unit="mph"),),
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        urls={name: f"{base}/{name}" for name in files} if base else {},
        where="Take the folder set of the archive.",
    )


def _write(folder: Path, **contents: bytes) -> Path:
    (folder / "set").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / "set" / name.replace("_", ".")).write_bytes(content)
    return folder


def test_files_of_the_data_directory_are_used_where_they_are(tmp_path: Path) -> None:
    data_dir = _write(tmp_path / "data", data_npz=CONTENT, places_csv=TABLE)

    assert fetch(_card(None), data_dir, tmp_path / "downloads") == data_dir
    assert not (tmp_path / "downloads").exists()


def test_everything_is_downloaded_with_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []

    folder = fetch(_card(server.url), None, tmp_path / "new", lambda *step: seen.append(step))

    assert (folder / "set" / "data.npz").read_bytes() == CONTENT
    assert (folder / "set" / "places.csv").read_bytes() == TABLE
    assert sorted(path.name for path in (folder / "set").iterdir()) == ["data.npz", "places.csv"]
    assert ("set/data.npz", len(CONTENT), len(CONTENT)) in seen
    assert [done for name, done, _ in seen if name == "set/data.npz"] == sorted(
        done for name, done, _ in seen if name == "set/data.npz"
    )
    server.files.clear()
    assert fetch(_card(server.url), None, tmp_path / "new") == folder  # nothing is asked for again


def test_only_what_the_data_directory_lacks_is_downloaded(server: Server, tmp_path: Path) -> None:
    data_dir = _write(tmp_path / "data", places_csv=TABLE)
    del server.files["/set/places.csv"]

    folder = fetch(_card(server.url), data_dir, tmp_path / "downloads")

    assert folder == tmp_path / "downloads"
    assert (folder / "set" / "places.csv").read_bytes() == TABLE
    assert [path.name for path in (data_dir / "set").iterdir()] == ["places.csv"]  # only read


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.hang_up_after = [100_000, 50_000]

    folder = fetch(_card(server.url), None, tmp_path)

    assert (folder / "set" / "data.npz").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-", None]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server: Server, tmp_path: Path) -> None:
    server.hang_up_after = [100_000, 0]
    with pytest.raises(DataError, match=r"100,000 bytes that came are kept"):
        fetch(_card(server.url), None, tmp_path)
    assert not (tmp_path / "set" / "data.npz").exists()

    fetch(_card(server.url), None, tmp_path)

    assert (tmp_path / "set" / "data.npz").read_bytes() == CONTENT
    assert server.ranges[2] == "bytes=100000-"


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.npz.part").write_bytes(CONTENT[:1000])

    fetch(_card(server.url), None, tmp_path)

    assert (tmp_path / "set" / "data.npz").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_part_that_is_complete_or_too_long_is_checked(server: Server, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.npz.part").write_bytes(part)

    if part == CONTENT:
        fetch(_card(server.url), None, tmp_path)
    else:
        with pytest.raises(DataError, match="sha256"):
            fetch(_card(server.url), None, tmp_path)
        fetch(_card(server.url), None, tmp_path)

    assert (tmp_path / "set" / "data.npz").read_bytes() == CONTENT


def test_another_file_than_the_cards_is_deleted(server: Server, tmp_path: Path) -> None:
    server.files["/set/data.npz"] = b"<html>please log in</html>"

    with pytest.raises(DataError, match=r"/set/data.npz sent is not the file set/data.npz .* sha256") as caught:
        fetch(_card(server.url), None, tmp_path)

    assert "Take the folder set of the archive." in caught.value.hint
    assert list((tmp_path / "set").iterdir()) == []


def test_a_wrong_file_in_the_data_directory_is_named_and_not_copied(server: Server, tmp_path: Path) -> None:
    data_dir = _write(tmp_path / "data", places_csv=b"id,lat\n1,3\n")

    with pytest.raises(DataError, match=re.escape(f"{data_dir / 'set' / 'places.csv'} is not the file")):
        fetch(_card(server.url), data_dir, tmp_path / "downloads")

    assert not (tmp_path / "downloads" / "set" / "places.csv").exists()


def test_a_missing_page_says_where_to_get_the_file(server: Server, tmp_path: Path) -> None:
    server.files.clear()

    with pytest.raises(DataError, match="the server answers 404 Not Found") as caught:
        fetch(_card(server.url), None, tmp_path)

    assert caught.value.message.startswith("'known' lacks set/data.npz: http://127.0.0.1:")
    assert caught.value.hint == (
        f"Take the folder set of the archive. Put it under {tmp_path}, by this name, and run the command again."
    )


def test_an_unreachable_host_says_what_is_missing_and_where_to_put_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"

    with pytest.raises(DataError, match=r"lacks set/data.npz: .* cannot be read: .*refused") as caught:
        fetch(_card(address), tmp_path / "data", tmp_path / "downloads")

    assert f"Put it under {tmp_path / 'data'}" in caught.value.hint


def test_files_that_nobody_offers_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks set/data.npz, set/places.csv\.") as caught:
        fetch(_card(None), None, tmp_path / "downloads")

    assert caught.value.hint == (
        f"Take the folder set of the archive. Put them under {tmp_path / 'downloads'}, by these names, "
        "and run the command again."
    )
    assert missing_originals(_card(None), None, tmp_path) == ["set/data.npz", "set/places.csv"]
    assert missing_originals(_card(None), _write(tmp_path / "d", data_npz=CONTENT), tmp_path) == ["set/places.csv"]


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot be used"):
        fetch(_card(server.url), None, tmp_path / "file" / "downloads")
