"""`mm4st accounts` and the options of `mm4st app`."""

from __future__ import annotations

import os
import pty
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner, Result

from mm4st_agent.cli import main
from mm4st_agent.web.accounts import read_accounts

PASSWORD = "a long enough sentence"
MM4ST = str(Path(sys.executable).with_name("mm4st"))
PATIENCE_S = 120


def _run(*args: object, password: str | None = None) -> Result:
    stdin = [] if password is None else ["--stdin"]
    return CliRunner().invoke(main, [*map(str, args), *stdin], input=None if password is None else f"{password}\n")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people"
    assert _run("accounts", "add", file, "ada", password=PASSWORD).exit_code == 0
    return file


# -- accounts ---------------------------------------------------------------------------------


def test_people_are_added_changed_listed_and_removed(people: Path) -> None:
    added = _run("accounts", "add", people, "bob", password=PASSWORD)
    assert added.stderr == "'bob' can sign in.\n"
    assert _run("accounts", "list", people).stdout == "ada\nbob\n"
    assert stat.S_IMODE(people.stat().st_mode) == 0o600

    before = read_accounts(people)
    changed = _run("accounts", "change", people, "bob", password="another sentence")
    assert changed.stderr == "'bob' has another password.\n"
    after = read_accounts(people)
    assert after["ada"] == before["ada"]
    assert after["bob"].matches("another sentence")
    assert not after["bob"].matches(PASSWORD)

    assert _run("accounts", "remove", people, "ada").exit_code == 0
    assert _run("accounts", "list", people).stdout == "bob\n"


@pytest.mark.parametrize(
    ("args", "password", "code", "said"),
    [
        (["add", "{file}", "ada"], PASSWORD, 2, "'ada' has an account already."),
        (["add", "{file}", "Bob"], PASSWORD, 2, "'Bob' cannot be a person's name."),
        (["add", "{file}", "../x"], PASSWORD, 2, "'../x' cannot be a person's name."),
        (["add", "{file}", "bob"], "short", 2, "The password has 5 characters."),
        (["add", "{file}", "bob"], "", 2, "The password has 0 characters."),
        (["add", "{file}", "bob"], None, 2, "There is no terminal to type a password at."),
        (["change", "{file}", "bob"], PASSWORD, 2, "'bob' has no account. Known: ada."),
        (["remove", "{file}", "bob"], None, 2, "'bob' has no account. Known: ada."),
        (["list", "{file}.none"], None, 3, "cannot be read: No such file or directory."),
    ],
)
def test_bad_use_is_said_and_changes_nothing(
    people: Path, args: list[str], password: str | None, code: int, said: str
) -> None:
    before = people.read_bytes()

    done = _run("accounts", *(part.format(file=people) for part in args), password=password)

    assert (done.exit_code, said in done.stderr, done.stdout) == (code, True, ""), done.stderr
    assert people.read_bytes() == before


def test_a_broken_file_is_not_written_over(people: Path) -> None:
    people.write_text(people.read_text() + "broken\n")

    done = _run("accounts", "add", people, "bob", password=PASSWORD)

    assert done.exit_code == 3
    assert "Line 2 of the accounts file" in done.stderr
    assert people.read_text().endswith("broken\n")


def test_a_typed_password_is_asked_twice_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "people"
    shown = _typed([MM4ST, "accounts", "add", str(file), "ada"], [PASSWORD, "not the same", PASSWORD, PASSWORD])

    assert shown.count("Password of ada: ") == 2
    assert shown.count("Again: ") == 2
    assert "do not match" in shown
    assert PASSWORD not in shown
    assert read_accounts(file)["ada"].matches(PASSWORD)


def _typed(command: list[str], lines: list[str]) -> str:
    """Run a command at a terminal, typing a line at each prompt; what the terminal showed."""
    terminal, end = pty.openpty()
    shown = b""
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True) as process:
        os.close(end)
        try:
            while True:
                shown += os.read(terminal, 1024)
                if lines and shown.endswith(b": "):
                    os.write(terminal, lines.pop(0).encode() + b"\n")
                    shown += b"\n"
        except OSError:  # the command has ended
            pass
        finally:
            os.close(terminal)
        assert process.wait(PATIENCE_S) == 0, shown
    return shown.decode()


# -- the app ----------------------------------------------------------------------------------


@contextmanager
def _served(tmp_path: Path, *options: str) -> Iterator[tuple[str, Path]]:
    """The address of `mm4st app`, and its log."""
    log = tmp_path / "app.log"
    command = [MM4ST, "app", "--port", "0", *options]
    with log.open("w") as stderr, subprocess.Popen(command, stdout=stderr, stderr=stderr, cwd=tmp_path) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not (found := re.search(r"The chat is at (http://\S+/) ", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield found[1].replace("0.0.0.0", "127.0.0.1"), log
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def test_serving_other_machines_without_accounts_warns(tmp_path: Path) -> None:
    with _served(tmp_path, "--host", "0.0.0.0") as (url, log):
        assert httpx2.get(url, timeout=60).status_code == 200
        said = log.read_text()

    assert said.startswith("Warning: this is served to other machines, and nobody has to sign in.")
    assert "--auth-file FILE" in said


def test_with_accounts_nobody_else_gets_in_and_tls_is_named(tmp_path: Path, people: Path) -> None:
    people.chmod(0o644)
    with _served(tmp_path, "--host", "0.0.0.0", "--auth-file", str(people)) as (url, log):
        with httpx2.Client(base_url=url, timeout=60) as client:
            assert client.get("").status_code == 401
            assert client.get("config").status_code == 401
            client.post("mm4st/sign-in", data={"name": "ada", "password": PASSWORD})
            assert client.get("").status_code == 200
        said = log.read_text()

    assert "Warning: other users of this machine can read" in said
    assert "Note: this is served to other machines without encryption" in said
    assert "nobody has to sign in" not in said


def test_the_default_warns_of_nothing(tmp_path: Path) -> None:
    with _served(tmp_path) as (url, log):
        assert url.startswith("http://127.0.0.1:")
        assert log.read_text() == f"The chat is at {url} (Ctrl-C stops it).\n"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, 3, "cannot be read: No such file or directory."),
        ("", 2, "names nobody."),
        ("ada:secret\n", 3, "Line 1 of the accounts file"),
    ],
)
def test_an_accounts_file_that_lets_nobody_in_is_refused_at_once(
    tmp_path: Path, text: str | None, code: int, said: str
) -> None:
    file = tmp_path / "people"
    if text is not None:
        file.write_text(text)

    done = _run("app", "--auth-file", file)

    assert done.exit_code == code
    assert said in done.stderr
