"""Uploads over a real server: what arrives, how it is understood, corrected and stored, and that nothing stays."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import openpyxl
import pytest
import uvicorn
from fastapi import FastAPI, Request

from mm4st_agent.data.importing.inspect import draft_panel
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import MM4STError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import upload_jobs, uploads
from mm4st_agent.web.upload_files import settle
from mm4st_agent.web.upload_page import decision
from mm4st_agent.web.upload_reading import failure_of, review_of, understand
from mm4st_agent.web.upload_review import Corrections, Failure, in_form_words

PATIENCE_S = 60
HOURS = [datetime(2024, 3, 1) + timedelta(hours=i) for i in range(24 * 14)]


def reading(hour: int, place: int) -> float:
    return round(40 + 20 * math.sin(hour / 24 * 2 * math.pi + place), 1)


def wide(stamp: str = "%Y-%m-%dT%H:%M", first: str = "time", separator: str = ",", point: str = ".") -> str:
    rows = [
        separator.join([f"{t:{stamp}}", *(str(reading(i, k)).replace(".", point) for k in range(2))])
        for i, t in enumerate(HOURS)
    ]
    return "\n".join([separator.join([first, "S1", "S2"]), *rows]) + "\n"


@dataclass
class Site:
    """The routes as a server has them, for people with a home each."""

    home: Path
    port: int = 0
    limit_mb: int = 200
    _runtimes: dict[str, Runtime] = field(default_factory=dict)

    def runtime(self, user: str | None = "ann") -> Runtime:
        name = user or "nobody"
        if name not in self._runtimes:
            settings = load_settings(home=self.home / name, max_upload_mb=self.limit_mb)
            self._runtimes[name] = Runtime(settings)
        return self._runtimes[name]

    def uploads(self, user: str = "ann") -> Path:
        return self.home / user / "uploads"

    def call(self, method: str, path: str = "", body: Any = None, user: str = "ann", **headers: str) -> Any:
        """Status and JSON of a request that our own page sends."""
        path = path.replace("?name=", f"?id={secrets.token_hex(16)}&name=")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {"Origin": f"http://127.0.0.1:{self.port}", "X-User": user, **headers}
        data = json.dumps(body) if isinstance(body, dict) else body
        with contextlib.closing(connection):
            chunked = "Transfer-Encoding" in headers
            sent = {name: value for name, value in sent.items() if value}
            connection.request(method, f"/mm4st/uploads{path}", data, sent, encode_chunked=chunked)
            reply = connection.getresponse()
            text = reply.read()
        return reply.status, json.loads(text) if text else {}

    def send(self, name: str, data: bytes, user: str = "ann") -> dict[str, Any]:
        """Send a file and wait until it is read."""
        status, told = self.call("POST", f"?name={quote(name)}", data, user)
        assert status == 201, told
        return self.settled(told, user)

    def settled(self, told: dict[str, Any], user: str = "ann") -> dict[str, Any]:
        return self.until(told["id"], lambda now: not now["busy"], user)

    def until(self, upload: str, met: Callable[[dict[str, Any]], bool], user: str = "ann") -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status, now = self.call("GET", f"/{upload}", user=user)
            assert status == 200, now
            if met(now):
                return dict(now)
            time.sleep(0.02)
        raise AssertionError(now)

    def again(self, told: dict[str, Any], **stated: Any) -> dict[str, Any]:
        status, now = self.call("POST", f"/{told['id']}/inspect", stated)
        assert status == 202, now
        return self.settled(told)

    def store(self, told: dict[str, Any], name: str = "mine", **stated: Any) -> Any:
        """Store an upload; the stored panel."""
        status, now = self.call("POST", f"/{told['id']}/store", {"name": name, **stated})
        assert status == 202, now
        assert self.settled(told)["stage"] == "stored"
        return self.runtime().registry.open(name)


@pytest.fixture
def limit_mb() -> int:
    return 200


@pytest.fixture
def site(tmp_path: Path, limit_mb: int) -> Iterator[Site]:
    found = Site(tmp_path / "homes", limit_mb=limit_mb)
    app = FastAPI()

    @app.middleware("http")
    async def whose(request: Request, call_next: Any) -> Any:
        request.state.user = request.headers.get("x-user")
        return await call_next(request)

    app.include_router(uploads.router(found.runtime))
    listener = socket.create_server(("127.0.0.1", 0))
    found.port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    yield found
    server.should_exit = True
    thread.join()
    listener.close()


@dataclass
class Read:
    """What came of a file, read in this process as the server's does in one of its own."""

    folder: Path

    def __call__(self, name: str, data: bytes, **stated: Any) -> tuple[Panel, str]:
        """The panel, and what a person is shown of it.

        Raises:
            MM4STError: as the importers do.
        """
        arrived = self.folder / "arriving.part"
        arrived.write_bytes(data)
        path = self.path = settle(arrived, name)
        corrections = Corrections.of(stated)
        draft = understand(path, name, corrections, _silent)
        review = review_of(draft, path, name, corrections, _silent)
        status = upload_jobs.Status(stage="review", review=review, corrections=corrections)
        return draft_panel(draft), decision(status, name, "free")

    def failing(self, name: str, data: bytes, **stated: Any) -> Failure:
        """Why the file could not be read, in the words of the page."""
        with pytest.raises(MM4STError) as caught:
            self(name, data, **stated)
        return failure_of(caught.value, self.path, name)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


def _silent(*_: object) -> None:
    pass


def wait_until(met: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not met() and time.monotonic() < deadline:
        time.sleep(0.02)
    return met()


def workers() -> list[int]:
    """Processes that this one started for uploads."""
    found = []
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in path.read_text().split():
            with contextlib.suppress(OSError):
                if b"upload_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


# -- good files --------------------------------------------------------------------------------


def test_a_file_is_sent_understood_stored_and_deleted(site: Site) -> None:
    told = site.send("My city.csv", wide().encode())

    assert told["stage"] == "review"
    html = told["html"]
    for said in (
        "2 (sensor S1, S2)",
        "2024-03-01 00:00 to 2024-03-14 23:00 UTC",
        "1 hour (336 steps)",
        "Time zone: UTC",
    ):
        assert said in html
    assert 'value="my-city"' in html
    folder = site.uploads() / told["id"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()} == {0o600}

    panel = site.store(told, "my-city")

    assert panel.values("value").shape == (336, 2)
    assert panel.values("value")[5, 1] == pytest.approx(reading(5, 1), abs=1e-4)
    assert panel.card.source == "uploaded file My city.csv"
    assert list(site.uploads().iterdir()) == []
    _, overview = site.call("GET")
    assert overview["limit_mb"] == 200
    assert 'data-use="my-city"' in overview["html"]
    assert "mm4st/quality/my-city" in overview["html"]

    status, left = site.call("DELETE", "/own/my-city")

    assert status == 200
    assert "None yet" in left["html"]
    assert not site.runtime().registry.stored("demo")
    assert list((site.home / "ann" / "data").iterdir()) == []


def _workbook(path: Path) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["time", "S1", "S2"])
    for i, t in enumerate(HOURS):
        sheet.append([t, reading(i, 0), reading(i, 1)])
    book.save(path)
    return path.read_bytes()


ODD = {
    "semicolons and decimal commas.csv": wide("%d.%m.%Y %H:%M", "Datum", ";", ",").encode(),
    "day first.csv": wide("%d/%m/%Y %H:%M").encode(),
    "month first with AM.csv": wide("%m/%d/%Y %I:%M %p").encode(),
    "utf-16.csv": wide("%d.%m.%Y %H:%M", "Zeit", "\t").encode("utf-16"),
    "windows.csv": wide(first="Zeit über alles").encode("cp1252"),
    "no ending": wide().encode(),
    "long.csv": "".join(
        ["time,station,speed\n"]
        + [f"{t:%Y-%m-%d %H:%M},S{k + 1},{reading(i, k)}\n" for i, t in enumerate(HOURS) for k in (0, 1)]
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_files_of_real_people_hold_what_they_say(read: Read, name: str) -> None:
    panel, _ = read(name, ODD[name])

    assert f"{panel.start:%Y-%m-%dT%H:%M} {panel.end:%Y-%m-%dT%H:%M}" == "2024-03-01T00:00 2024-03-14T23:00"
    assert list(panel.node_ids) == ["S1", "S2"]
    expected = [[reading(i, 0), reading(i, 1)] for i in range(len(HOURS))]
    np.testing.assert_allclose(panel.values(panel.channel().name), expected, atol=1e-4)


def test_a_workbook_is_known_by_its_content(read: Read, tmp_path: Path) -> None:
    panel, _ = read("readings.csv", _workbook(tmp_path / "book.xlsx"))

    assert panel.values("value")[-1, 0] == pytest.approx(reading(335, 0), abs=1e-4)


def test_repeated_stamps_are_told_and_the_last_one_counts(read: Read) -> None:
    panel, html = read("twice.csv", (wide() + f"{HOURS[-1]:%Y-%m-%dT%H:%M},1.5,2.5\n").encode())

    assert "Duplicates: 2 readings" in html
    assert panel.values("value")[-1].tolist() == [1.5, 2.5]


# -- what a person can mend ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        (wide() + "Total,13000,12000\n", 338, "'Total' is not a time stamp"),
        (wide().replace("\n", "\n,km/h,km/h\n", 1), 2, "'' is not a time stamp"),
        ("Report of the city,,\n" + wide(), 1, "the column name ''"),
    ],
)
def test_a_row_that_is_no_reading_is_named_and_can_be_left_out(read: Read, file: str, row: int, said: str) -> None:
    failure = read.failing("report.csv", file.encode())

    assert failure.message.startswith(f"report.csv, row {row}")
    assert said in failure.message
    assert failure.row == row
    assert str(read.folder) not in failure.message + failure.hint

    panel, html = read("report.csv", file.encode(), left_out=str(row))

    assert f"Rows left out: {row}" in html
    assert panel.values("value")[:, 1] == pytest.approx([reading(i, 1) for i in range(336)], abs=1e-4)
    assert panel.card.source == f"uploaded file report.csv, without row {row}"


def test_a_row_left_out_is_a_record_not_a_line(read: Read) -> None:
    text = 'time,S1,"S2"\n2024-01-01,1,2\n"a note\nof two lines",,\n2024-01-02,3,4\n2024-01-03,5,6\n'

    panel, _ = read("note.csv", text.encode(), left_out="3")

    assert panel.values("value").tolist() == [[1, 2], [3, 4], [5, 6]]


def test_dates_that_could_be_either_are_asked_for(read: Read) -> None:
    data = "date,flow\n" + "".join(f"{t:%d/%m/%Y %H:%M},{i}\n" for i, t in enumerate(HOURS[: 24 * 9]))

    failure = read.failing("flows.csv", data.encode())

    assert [(choice.stamp, choice.means) for choice in failure.choices] == [
        ("01/03/2024 00:00", "1 March 2024"),
        ("01/03/2024 00:00", "3 January 2024"),
    ]
    panel, _ = read("flows.csv", data.encode(), time_format=failure.choices[0].time_format)
    assert f"{panel.start:%Y-%m-%d} {panel.end:%Y-%m-%d}" == "2024-03-01 2024-03-09"


def test_what_a_person_states_is_in_the_card(site: Site) -> None:
    told = site.send("x.csv", wide().encode())
    stated = {
        "time_zone": "Europe/Berlin",
        "time_label": "start",
        "measured": "flow",
        "unit": "vehicles/h",
        "unit_of": "value",
        "place_word": "loop",
    }

    told = site.again(told, **stated)
    assert "Europe/Berlin" in told["html"]
    assert "flow [vehicles/h]" in told["html"]
    card = site.store(told, **stated).card

    assert (card.time_zone, card.time_label, card.place_word) == ("Europe/Berlin", "start", "loop")
    assert [(c.name, c.unit) for c in card.channels] == [("flow", "vehicles/h")]


def test_columns_can_be_sorted_anew(read: Read) -> None:
    roles = {"S1": "measured", "Total": "beside"}

    panel, _ = read("x.csv", wide().replace("S2", "Total", 1).encode(), roles=roles, sorted_as="wide")

    assert list(panel.node_ids) == ["S1"]
    assert "Total" in panel.covariates


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"time_zone": "Mars/Base"}, "There is no time zone 'Mars/Base'."),
        ({"time_column": "when"}, "x.csv has no column 'when'."),
        ({"units": {"speed": "km/h"}}, "There is no channel or covariate 'speed' to have a unit."),
    ],
)
def test_a_wrong_correction_is_told(read: Read, stated: dict[str, Any], said: str) -> None:
    assert read.failing("x.csv", wide().encode(), **stated).message == said


def test_a_file_that_failed_can_be_corrected(site: Site) -> None:
    told = site.send("x.csv", (wide() + "Total,1,2\n").encode())
    assert told["stage"] == "failed"
    assert 'data-leave-out="338"' in told["html"]

    told = site.again(told, left_out="338")

    assert told["stage"] == "review"
    assert site.store(told, left_out="338").values("value").shape == (336, 2)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"step": "soon"}, "Time step: 'soon' cannot be used."),
        ({"missing": "x"}, "Numbers that mean 'no reading': 'x' cannot be used."),
        ({"start": "noon"}, "First stamp: 'noon' cannot be used."),
        ({"left_out": "2-4"}, "Rows to leave out: '2-4' cannot be used."),
        ({"nodes": "/etc/passwd"}, "The form: '/etc/passwd' cannot be used."),
        ({"static": {"a": "/etc/passwd"}}, "The form"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Corrections.of(stated)

    assert caught.value.message.startswith(said)


def test_an_array_without_stamps_needs_a_start_and_a_step(read: Read, tmp_path: Path) -> None:
    np.savez(tmp_path / "source.npz", data=np.arange(40, dtype=np.float32).reshape(20, 2))
    data = (tmp_path / "source.npz").read_bytes()
    failure = read.failing("a.npz", data)
    assert "“First stamp”" in failure.hint
    assert "--" not in failure.hint

    panel, _ = read("a.npz", data, start="2024-01-01T00:00", step="5 min", measured="speed")

    assert panel.step_s == 300
    assert panel.values("speed")[19].tolist() == [38, 39]


# -- files of a wrong kind ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.csv", b"", "'empty.csv' is empty: it has no bytes."),
        ("blank.csv", b"\n \n", "'blank.csv' is empty: it holds blanks only."),
        ("report.csv", b"%PDF-1.7\n", "'report.csv' is a PDF"),
        ("photo.csv", b"\x89PNG\r\n\x1a\n" + bytes(50), "'photo.csv' is a picture"),
        ("page.csv", b"<!DOCTYPE html><html>Sign in</html>", "'page.csv' is a web page (HTML)"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "'old.xls' is in the old Office format"),
        ("a.json", b'{"a": 1}', "'a.json' is JSON"),
        ("a.bin", bytes(range(256)) * 9, "'a.bin' is a binary file of no kind"),
        ("cut.xlsx", b"PK\x03\x04" + bytes(200), "'cut.xlsx' is a damaged zip or Excel file"),
        ("mac.csv", wide().replace("\n", "\r").encode(), "'mac.csv' has lines that end with a carriage return alone"),
        ("a.tar.gz", b"\x1f\x8b" + bytes(100), "'a.tar.gz' is packed with gzip"),
    ],
)
def test_a_file_of_a_wrong_kind_is_told_so_and_not_kept(site: Site, name: str, data: bytes, said: str) -> None:
    status, answer = site.call("POST", f"?name={quote(name)}", data)

    assert status == 422
    assert answer["message"].startswith(said)
    assert answer["hint"]
    assert list(site.uploads().iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,a\n", "x.csv has no rows below its header."),
        ("time\n2024-01-01\n2024-01-02\n", "x.csv has only the column 'time'."),
        ("time,a\n2024-01-01,3\n", "x.csv has one time stamp"),
        ("name,comment\nbob,hello\nann,bye\n", "x.csv has no time column; its columns are name, comment."),
        (wide().replace(f",{reading(5, 1)}\n", ",broken\n", 1), "column 'S2': 'broken' is not a number."),
        ("time,a\n2024-01-01,1,9\n2024-01-02,2\n", "x.csv, row 2: it has 3 fields, where the header has 2."),
    ],
)
def test_a_table_that_cannot_be_used_is_told_why(read: Read, text: str, said: str) -> None:
    assert said in read.failing("x.csv", text.encode()).message


def test_a_label_is_only_ever_a_label(site: Site) -> None:
    told = site.send("../../<img src=x onerror=alert(1)>/..\\evil.csv", wide().encode())

    assert "<img" not in told["html"]
    folder = site.uploads() / told["id"]
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["evil.csv"]
    assert [path.name for path in site.home.iterdir()] == ["ann"]


# -- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit_mb", [1])
def test_a_file_that_says_it_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE_S) as connection:
        head = (
            f"POST /mm4st/uploads?id={'0' * 32}&name=big.csv HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nX-User: ann\r\n"
            f"Origin: http://127.0.0.1:{site.port}\r\nContent-Length: {300 * 2**20}\r\n\r\n"
        )
        connection.sendall(head.encode())
        answer = ""
        while not answer.endswith("}") and (part := connection.recv(65536)):  # not a byte of the body was sent
            answer += part.decode()

    assert answer.startswith("HTTP/1.1 413")
    assert "The file has 300.0 MB; at most 1 MB are taken." in answer
    assert list(site.uploads().iterdir()) == []


@pytest.mark.parametrize("limit_mb", [1])
def test_a_file_that_does_not_say_its_size_is_cut_off_at_the_limit(site: Site) -> None:
    parts = iter([b"x" * 2**19] * 3)

    status, answer = site.call("POST", "?name=big.csv", parts, **{"Transfer-Encoding": "chunked"})

    assert status == 413
    assert answer["message"] == "The file has more than 1 MB; at most 1 MB are taken."
    assert list(site.uploads().iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A home on a real disk of 2 MB."""
    disk = tmp_path / "homes" / "ann"
    disk.mkdir(parents=True)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_nothing_half_written_stays(small_disk: Path, site: Site) -> None:
    for headers in ({}, {"Transfer-Encoding": "chunked"}):  # known beforehand, and met while writing
        body = iter([b"time,a\n" * 2**16] * 8) if headers else b"time,a\n" * 2**19
        status, answer = site.call("POST", "?name=a.csv", body, **headers)
        assert status == 507
        assert answer["message"].startswith("There is no room left on the server's disk")
        assert list(site.uploads().iterdir()) == []

    told = site.send("a.csv", wide().encode())
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    site.call("POST", f"/{told['id']}/store", {"name": "mine"})
    told = site.settled(told)
    assert told["stage"] == "failed"
    assert "There is no room left" in told["html"]
    assert not any((small_disk / "data").glob("*")), list((small_disk / "data").glob("*"))

    filler.unlink()
    assert site.store(told).values("value").shape == (336, 2)


# -- cancelling -----------------------------------------------------------------------------------


def test_a_connection_that_breaks_leaves_nothing(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        head = (
            f"POST /mm4st/uploads?id={'0' * 32}&name=a.csv HTTP/1.1\r\nHost: x\r\nX-User: ann\r\n"
            "Sec-Fetch-Site: same-origin\r\n"
            f"Content-Length: {8 * 2**20}\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 2**21)
        assert wait_until(lambda: any(site.uploads().glob("*/*")))

    assert wait_until(lambda: not any(site.uploads().iterdir()))


def test_what_is_cancelled_before_it_has_arrived_is_not_kept(site: Site) -> None:
    key = "0123456789abcdef" * 2
    assert site.call("DELETE", f"/{key}")[0] == 204

    status, _ = site.call("POST", f"?id={key}&name=a.csv", wide().encode())

    assert status == 400
    assert list(site.uploads().iterdir()) == []


@pytest.mark.parametrize("key", ["", "..", "../../../../tmp/x", "A" * 32, "0" * 31])
def test_an_upload_cannot_be_called_anything_else(site: Site, key: str) -> None:
    status, _ = site.call("POST", f"?id={quote(key, safe='')}&name=a.csv", b"time,a\n")

    assert status == 409
    assert not site.uploads().exists()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A table that takes some seconds to read and to store."""
    stamps = np.datetime_as_string(np.datetime64("2024-01-01T00:00") + np.arange(60_000) * np.timedelta64(5, "m"))
    rows = np.random.default_rng(0).normal(50, 10, (97, 60)).round(2).astype(str)
    lines = [",".join(row) for row in rows]
    header = ",".join(["time", *(f"S{k}" for k in range(60))])
    return "\n".join([header, *(f"{stamp},{lines[i % 97]}" for i, stamp in enumerate(stamps))]).encode() + b"\n"


@pytest.mark.parametrize("at", ["reading", "checking", "storing"])
def test_cancelling_ends_the_process_and_leaves_nothing(site: Site, large: bytes, at: str) -> None:
    status, told = site.call("POST", "?name=large.csv", large)
    assert status == 201
    if at == "storing":
        assert site.settled(told)["stage"] == "review"
        status, _ = site.call("POST", f"/{told['id']}/store", {"name": "mine"})
        assert status == 202
    site.until(told["id"], lambda now: now["stage"] == at)
    (worker,) = workers()

    began = time.monotonic()
    status, _ = site.call("DELETE", f"/{told['id']}")

    assert status == 204
    assert time.monotonic() - began < 10
    assert not Path(f"/proc/{worker}").exists()
    assert list(site.uploads().iterdir()) == []
    # A process that had to be killed leaves the file of its lock, which holds nobody.
    assert [left for left in (site.home / "ann" / "data").glob("**/*") if left.suffix != ".lock"] == []
    assert site.call("GET", f"/{told['id']}")[0] == 404


def test_a_process_that_is_killed_is_told_in_plain_words(site: Site, large: bytes) -> None:
    _, told = site.call("POST", "?name=large.csv", large)
    site.until(told["id"], lambda now: now["stage"] in ("reading", "checking"))
    (worker,) = workers()

    os.kill(worker, signal.SIGKILL)

    told = site.settled(told)
    assert told["stage"] == "failed"
    assert "took more memory than the server has" in told["html"]


def test_uploads_wait_for_their_turn(site: Site, large: bytes) -> None:
    first = [site.call("POST", "?name=large.csv", large, user=f"user{i}")[1] for i in range(upload_jobs.AT_ONCE)]
    last = site.call("POST", "?name=a.csv", wide().encode(), user="late")[1]

    assert wait_until(lambda: len(workers()) == upload_jobs.AT_ONCE)
    assert site.call("GET", f"/{last['id']}", user="late")[1]["stage"] == "waiting"
    for i, told in enumerate(first):
        site.call("DELETE", f"/{told['id']}", user=f"user{i}")
    assert site.settled(last, "late")["stage"] == "review"


def test_old_uploads_are_swept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told = site.send("a.csv", wide().encode())
    left = site.uploads() / "left-by-a-killed-server"
    left.mkdir()
    (left / "arriving.part").write_bytes(b"x")
    site.call("GET")
    assert left.exists()  # somebody may still be sending it

    hours_ago = time.time() - 2 * upload_jobs.ABANDONED_S
    for path in (left / "arriving.part", left):
        os.utime(path, (hours_ago, hours_ago))
    site.call("GET")
    assert [path.name for path in site.uploads().iterdir()] == [told["id"]]

    monkeypatch.setattr(upload_jobs, "ABANDONED_S", -1.0)
    site.call("GET")
    assert list(site.uploads().iterdir()) == []


def test_a_fourth_upload_takes_the_place_of_the_oldest(site: Site) -> None:
    sent = [site.send(f"{i}.csv", wide().encode())["id"] for i in range(upload_jobs.MOST + 1)]

    assert site.call("GET", f"/{sent[0]}")[0] == 404
    assert sorted(path.name for path in site.uploads().iterdir()) == sorted(sent[1:])


# -- who may --------------------------------------------------------------------------------------


def test_another_site_changes_nothing(site: Site) -> None:
    site.store(site.send("b.csv", wide().encode()))
    told = site.send("a.csv", wide().encode())
    foreign = [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]

    for headers in foreign:
        for method, path in (
            ("POST", "?name=a.csv"),
            ("POST", f"/{told['id']}/store"),
            ("DELETE", f"/{told['id']}"),
            ("DELETE", "/own/mine"),
        ):
            status, answer = site.call(method, path, b"{}", **headers)
            assert status == 403, (headers, method, path)
            assert answer["message"] == "Only the page of mm4st itself may send this."
    assert site.call("GET", f"/{told['id']}")[0] == 200
    assert site.runtime().registry.stored("mine")


def test_people_do_not_see_each_other(site: Site) -> None:
    told = site.send("a.csv", wide().encode())

    for method, path in (("GET", ""), ("POST", "/inspect"), ("POST", "/store")):
        assert site.call(method, f"/{told['id']}{path}", {"name": "stolen"}, user="eve")[0] == 404
    site.call("DELETE", f"/{told['id']}", user="eve")
    site.store(told)

    assert "mine" not in site.runtime("eve").registry.names()
    assert site.call("DELETE", "/own/mine", user="eve")[0] == 409
    assert site.runtime().registry.stored("mine")


def test_a_name_that_is_taken_or_no_name_is_refused(site: Site) -> None:
    site.store(site.send("a.csv", wide().encode()), "mine")
    told = site.send("a.csv", wide().encode())

    for name in ("demo", "Demo", "mine", "los-loop", "", "../x", "two words"):
        status, answer = site.call("POST", f"/{told['id']}/store", {"name": name})
        assert status == 409, name
        assert answer["hint"]


def test_only_own_data_sets_can_be_deleted(site: Site) -> None:
    status, answer = site.call("DELETE", "/own/demo")

    assert status == 409
    assert answer["message"] == "'demo' is not an imported data set."


def test_two_looks_at_once_are_refused(site: Site, large: bytes) -> None:
    _, told = site.call("POST", "?name=large.csv", large)

    status, answer = site.call("POST", f"/{told['id']}/inspect", {})

    assert status == 409
    assert answer["message"] == "This file is being read already."


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Nothing says it; state it with --unit speed=UNIT.", "Nothing says it; state it in “Unit of speed”."),
        ("State it with step_s, such as --step 300.", "State it in “Time step”, such as 300 s."),
        ("or name it: --time-column NAME.", "or name it: “Time column”."),
        ("Say which one with --member.", "Say which one with “Sheet, file or array”."),
        ("or pass time_format such as '%d/%m/%Y %H:%M'.", "or state “Dates are written”."),
    ],
)
def test_hints_speak_of_the_form(said: str, meant: str) -> None:
    assert in_form_words(said) == meant


def test_empty_corrections_state_nothing() -> None:
    stated = Corrections().options("x.csv").model_dump(exclude_defaults=True)

    assert stated == {"source": "uploaded file x.csv"}
