"""Accounts: the file, passwords, sessions, delays, and what the server shows to whom."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mm4st_agent.errors import DataError, UsageError
from mm4st_agent.web.accounts import (
    Accounts,
    PasswordHash,
    checked_password,
    read_accounts,
    write_accounts,
)
from mm4st_agent.web.sign_in import (
    FORGET_S,
    FREE_BY_ADDRESS,
    FREE_BY_NAME,
    LONGEST_DELAY_S,
    SESSION_S,
    Attempts,
    Sessions,
)

PASSWORD = "a long enough sentence"
COOKIE = "mm4st-session"


@pytest.fixture(scope="module")
def hashed() -> PasswordHash:
    return PasswordHash.of(PASSWORD)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# -- passwords and the file -------------------------------------------------------------------


def test_a_hash_knows_its_password_only_and_survives_the_file(hashed: PasswordHash, tmp_path: Path) -> None:
    write_accounts(tmp_path / "people", {"ada": hashed})
    read = read_accounts(tmp_path / "people")["ada"]

    assert read == hashed
    assert read.matches(PASSWORD)
    assert not read.matches(PASSWORD + " ")
    assert PASSWORD not in (tmp_path / "people").read_text()
    assert PasswordHash.of(PASSWORD).key != hashed.key, "each has a salt of its own"


def test_one_password_typed_on_two_keyboards_is_one_password() -> None:
    assert PasswordHash.of("caf\u00e9 au lait").matches("cafe\u0301 au lait")


def test_the_file_is_its_owners_and_a_link_to_it_stays_one(hashed: PasswordHash, tmp_path: Path) -> None:
    file, link = tmp_path / "people", tmp_path / "link"
    file.write_text("")
    file.chmod(0o644)
    link.symlink_to(file)

    write_accounts(link, {"bob": hashed, "ada": hashed})

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert link.is_symlink()
    assert [line.split(":")[0] for line in file.read_text().splitlines()] == ["ada", "bob"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "people"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ada", "is not a scrypt hash"),
        ("ada:", "is not a scrypt hash"),
        ("ada:secret", "is not a scrypt hash"),
        ("Ada:{hash}", "does not start with a person's name"),
        ("../ada:{hash}", "does not start with a person's name"),
        (":{hash}", "does not start with a person's name"),
        ("bob:{hash}", "names a person that an earlier line names"),
        ("ada:{hash} # the boss", "is not a scrypt hash"),
        ("ada:scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA==${key}", "too weak or too costly"),
        ("ada:scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA==${key}", "too weak or too costly"),
        ("ada:scrypt$ln=15,r=8,p=3$c2FsdA==${key}", "too weak or too costly"),
        ("ada:scrypt$ln=15,r=8,p=3$abc${key}", "not base64"),
    ],
)
def test_a_malformed_line_is_named(hashed: PasswordHash, tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "people"
    file.write_text(f"bob:{hashed}\n\n{line.format(hash=hashed, key=str(hashed).rsplit('$', 1)[1])}\n")

    with pytest.raises(DataError, match=r"^Line 3 of the accounts file .*people ") as caught:
        read_accounts(file)

    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="No such file"):
        read_accounts(tmp_path / "none")
    with pytest.raises(DataError, match="not UTF-8"):
        read_accounts(tmp_path / "binary")
    with pytest.raises(UsageError, match="cannot be written"):
        write_accounts(tmp_path / "no" / "folder", {})


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(UsageError, match=f"has {len(password)} characters"):
        checked_password(password)


def test_a_name_that_nobody_has_is_checked_as_one_that_somebody_has(
    hashed: PasswordHash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived: list[tuple[int, int, int]] = []
    real = PasswordHash._derived

    def noted(self: PasswordHash, password: str) -> bytes:
        derived.append((self.ln, self.r, self.p))
        return real(self, password)

    monkeypatch.setattr(PasswordHash, "_derived", noted)
    write_accounts(tmp_path / "people", {"ada": hashed})
    accounts = Accounts(tmp_path / "people")

    assert accounts.check("nobody", PASSWORD) is None
    assert accounts.check("ada", "wrong password") is None
    assert accounts.check("ada", PASSWORD) == hashed
    assert derived[0] == derived[1] == derived[2], "the same work each time"


# -- sessions ---------------------------------------------------------------------------------


def test_a_session_ends_by_itself(hashed: PasswordHash, tmp_path: Path) -> None:
    write_accounts(tmp_path / "people", {"ada": hashed})
    clock = Clock()
    sessions = Sessions(Accounts(tmp_path / "people"), clock)
    token = sessions.start("ada", hashed)

    assert sessions.user(token) == "ada"
    assert sessions.user(token[:-1]) is None
    assert sessions.user("") is None
    clock.now += SESSION_S - 1
    assert sessions.user(token) == "ada"
    clock.now += 1
    assert sessions.user(token) is None


def test_a_session_ends_with_the_account_or_its_password(hashed: PasswordHash, tmp_path: Path) -> None:
    file = tmp_path / "people"
    write_accounts(file, {"ada": hashed, "bob": hashed})
    sessions = Sessions(Accounts(file))
    ada, bob = sessions.start("ada", hashed), sessions.start("bob", hashed)

    write_accounts(file, {"ada": PasswordHash.of("another password"), "bob": hashed})
    assert (sessions.user(ada), sessions.user(bob)) == (None, "bob")

    write_accounts(file, {})
    assert sessions.user(bob) is None


def test_a_broken_file_lets_nobody_in_until_it_is_mended(
    hashed: PasswordHash, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "people"
    write_accounts(file, {"ada": hashed})
    accounts = Accounts(file)
    sessions = Sessions(accounts)
    token = sessions.start("ada", hashed)

    file.write_text(f"ada:{hashed}\nbroken\n")
    assert sessions.user(token) is None
    assert sessions.user(token) is None
    with pytest.raises(DataError, match="Line 2"):
        accounts.check("ada", PASSWORD)
    assert len(caplog.records) == 1, "said once, not with each request"
    file.unlink()
    assert sessions.user(token) is None

    write_accounts(file, {"ada": hashed})
    assert sessions.user(token) == "ada"


def test_sessions_that_ended_are_forgotten(hashed: PasswordHash, tmp_path: Path) -> None:
    write_accounts(tmp_path / "people", {"ada": hashed})
    clock = Clock()
    sessions = Sessions(Accounts(tmp_path / "people"), clock)
    for _ in range(5):
        sessions.start("ada", hashed)
        clock.now += SESSION_S

    assert len(sessions._open) == 1


# -- delays -----------------------------------------------------------------------------------


def test_delays_double_and_end(hashed: PasswordHash) -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FREE_BY_NAME):
        assert attempts.begin("ada", "10.0.0.1") == 0
    waits = []
    for _ in range(16):
        waits.append(attempts.begin("ada", "10.0.0.1"))
        clock.now += waits[-1]
        assert attempts.begin("ada", "10.0.0.1") == 0

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == LONGEST_DELAY_S
    clock.now += FORGET_S + 1
    assert attempts.begin("ada", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.1") == 0, "forgotten"


def test_a_name_is_delayed_from_everywhere_and_an_address_for_every_name() -> None:
    attempts = Attempts(Clock())
    for number in range(FREE_BY_NAME):
        assert attempts.begin("ada", f"10.0.0.{number}") == 0
    assert attempts.begin("ada", "10.0.9.9") > 0
    assert attempts.begin("bob", "10.0.0.1") == 0

    for number in range(FREE_BY_ADDRESS):
        assert attempts.begin(f"name{number}", f"2001:db8::{number}") == 0
    assert attempts.begin("another", "2001:db8::ffff") > 0, "one connection has all addresses of a network"
    assert attempts.begin("another", "2001:db8:0:1::1") == 0


def test_a_success_forgets_the_name_but_not_the_address() -> None:
    attempts = Attempts(Clock())
    for number in range(FREE_BY_ADDRESS - 1):
        assert attempts.begin(f"name{number}", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.1") == 0
    attempts.succeeded("ada", "10.0.0.1")
    assert attempts.begin("bob", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.1") > 0


def test_attempts_at_the_same_time_gain_nothing() -> None:
    attempts = Attempts(Clock())
    allowed = []

    def attempt() -> None:
        if attempts.begin("ada", "10.0.0.1") == 0:
            allowed.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(allowed) == FREE_BY_NAME


def test_failures_take_no_more_memory_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mm4st_agent.web.sign_in.MOST_KEYS", 10)
    attempts = Attempts(Clock())
    for number in range(50):
        attempts.begin(f"name{number}", f"10.0.0.{number}")

    assert len(attempts._failed) == 10


# -- the server -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, hashed: PasswordHash) -> Path:
    file = tmp_path_factory.mktemp("accounts") / "people"
    write_accounts(file, dict.fromkeys(("ada", "bob", "eve"), hashed))
    return file


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, people: Path, small_page: Any) -> Iterator[Any]:
    with small_page(tmp_path_factory.mktemp("small") / "home", people) as running:
        yield running


def _sign_in(client: httpx2.Client, name: str, password: str = PASSWORD, **headers: str) -> httpx2.Response:
    return client.post("mm4st/sign-in", data={"name": name, "password": password}, headers=headers)


@pytest.fixture
def client(served: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=60) as opened:
        yield opened


def test_whoever_is_not_signed_in_gets_nothing_but_the_page_to_sign_in(client: httpx2.Client) -> None:
    data = [
        "", "config", "theme.css", "gradio_api/info", "gradio_api/app_id", "gradio_api/startup-events",
        "gradio_api/queue/data?session_hash=a", "gradio_api/heartbeat/a", f"gradio_api/file={__file__}",
        "gradio_api/user", "mm4st/who", "mm4st/sign-out", "mm4st/none", "assets/index.js", "login", "logout",
        "mm4st/sign-in/", "mm4st/SIGN-IN", "//mm4st/sign-in/../who", "mm4st/sign-in%2f..%2fwho",
    ]  # fmt: skip
    for path in data:
        for method in ("GET", "POST", "HEAD", "PUT", "DELETE"):
            reply = client.request(method, path)
            assert reply.status_code == 401, (method, path)
            assert method == "HEAD" or reply.json() == {"error": "Not signed in."}
        page = client.get(path, headers={"Accept": "text/html,*/*"})
        assert (page.status_code, page.headers["location"]) == (303, "/mm4st/sign-in"), path

    shown = client.get("mm4st/sign-in")
    assert shown.status_code == 200
    assert "<form" in shown.text
    assert "<script" not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "frame-ancestors" in shown.headers["content-security-policy"]
    for made_up in ("x", "x" * 10_000, '"', "ada"):
        assert client.get("mm4st/who", headers={"Cookie": f"{COOKIE}={made_up}"}).status_code == 401


def test_signing_in_leads_to_the_conversation_of_the_address_and_nowhere_else(client: httpx2.Client) -> None:
    page = {"Accept": "text/html"}
    asked = client.get("?thread=abc123&x=1", headers=page)
    assert asked.headers["location"] == "/mm4st/sign-in?thread=abc123"
    for elsewhere in ("//evil.example", "a/../..", "", "x" * 65):
        assert client.get("", params={"thread": elsewhere}, headers=page).headers["location"] == "/mm4st/sign-in"

    form = {"name": "ada", "password": PASSWORD}
    done = client.post("mm4st/sign-in?thread=abc123", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/?thread=abc123")


def test_a_person_signs_in_is_known_everywhere_and_signs_out(client: httpx2.Client) -> None:
    done = _sign_in(client, " Ada ")

    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "max-age=43200", "path=/"))
    assert "secure" not in cookie
    assert client.get("mm4st/who").json()["user"] == "ada"
    assert client.get("gradio_api/user").json() == "ada"
    assert client.get("").status_code == 200
    assert client.get("config").json()["username"] in ("ada", None)
    assert client.get("mm4st/sign-in").headers["location"] == "/"

    with httpx2.Client(base_url=client.base_url, cookies=dict(client.cookies)) as thief:
        assert thief.get("mm4st/who").json()["user"] == "ada"
        out = client.post("mm4st/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/mm4st/sign-in")
        assert client.get("mm4st/who").status_code == 401
        assert thief.get("mm4st/who").status_code == 401, "the session itself has ended"


def test_behind_a_proxy_that_speaks_tls_the_cookie_never_travels_in_the_open(client: httpx2.Client) -> None:
    done = _sign_in(client, "ada", **{"X-Forwarded-Proto": "https"})

    assert "secure" in done.headers["set-cookie"].lower()


def test_signing_in_again_ends_the_earlier_session(client: httpx2.Client) -> None:
    _sign_in(client, "ada")
    earlier = client.cookies[COOKIE]
    _sign_in(client, "bob")

    assert client.get("mm4st/who").json()["user"] == "bob"
    assert httpx2.get(f"{client.base_url}mm4st/who", headers={"Cookie": f"{COOKIE}={earlier}"}).status_code == 401


def test_another_sites_page_signs_nobody_in_or_out(client: httpx2.Client) -> None:
    assert _sign_in(client, "ada", Origin="https://attacker.example").status_code == 403
    _sign_in(client, "ada")
    assert client.post("mm4st/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get("mm4st/who").status_code == 200


def test_what_is_wrong_is_said_without_telling_who_has_an_account(client: httpx2.Client) -> None:
    wrong_password, wrong_name = _sign_in(client, "bob", "wrong password"), _sign_in(client, "bib")

    assert wrong_password.status_code == wrong_name.status_code == 401
    assert wrong_password.text.replace("bob", "bib") == wrong_name.text
    assert "The name or the password is wrong." in wrong_name.text
    assert "set-cookie" not in wrong_name.headers
    assert 'value="&lt;b&gt;&quot;"' in _sign_in(client, '<b>"').text
    for body in (b"", b"name=ada", b"\xff=%ff", b"name=ada&password=" + b"x" * 100_000, b"&".join([b"a=1"] * 50)):
        empty = client.post("mm4st/sign-in", content=body)
        assert empty.status_code == 400
        assert "Type your name and your password." in empty.text


def test_too_many_failures_wait_even_with_the_right_password(client: httpx2.Client) -> None:
    for _ in range(FREE_BY_NAME):
        assert _sign_in(client, "eve", "wrong password").status_code == 401
    delayed = _sign_in(client, "eve", "wrong password")
    while delayed.status_code == 401:  # each check took longer than the delay, which doubles
        delayed = _sign_in(client, "eve", "wrong password")

    assert delayed.status_code == 429
    assert int(delayed.headers["retry-after"]) >= 1
    assert "There were too many attempts. Try again in" in delayed.text
    assert _sign_in(client, "ada").status_code == 303, "others are not delayed"


def test_a_person_who_is_removed_is_out_at_once(client: httpx2.Client, people: Path, hashed: PasswordHash) -> None:
    before = people.read_bytes()
    _sign_in(client, "bob")
    assert client.get("mm4st/who").json()["user"] == "bob"
    try:
        write_accounts(people, {"ada": hashed})
        assert client.get("mm4st/who").status_code == 401
        assert client.get("config").status_code == 401
        people.write_text("broken\n")
        assert _sign_in(client, "ada").status_code == 503
    finally:
        people.write_bytes(before)
        os.utime(people)
