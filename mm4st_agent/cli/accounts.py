"""`mm4st accounts`: who may use an app that is served with `--auth-file`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mm4st_agent.cli.common import examples, json_option, print_json
from mm4st_agent.errors import UsageError

if TYPE_CHECKING:
    from mm4st_agent.web.accounts import PasswordHash

_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
_name = click.argument("name")
_stdin = click.option("--stdin", is_flag=True, help="Read the password from the first line of stdin.")


@click.group(epilog=examples("mm4st accounts add people.json jane", "mm4st app --auth-file people.json"))
def accounts() -> None:
    """Who may use an app that is served with --auth-file FILE."""


@accounts.command(
    epilog=examples("mm4st accounts add people.json jane", "mm4st accounts add people.json jane --stdin < password.txt")
)
@_file
@_name
@_stdin
def add(file: Path, name: str, stdin: bool) -> None:
    """Let NAME in; FILE is made where there is none. The password is asked for."""
    from mm4st_agent.settings import checked_user_name

    people = _people(file) if file.exists() else {}
    if checked_user_name(name) in people:
        raise UsageError(f"{name!r} has an account already.", f"Another password: mm4st accounts change {file} {name}.")
    _store(file, {**people, name: _hashed(name, stdin)})
    click.echo(f"{name!r} can sign in.", err=True)


@accounts.command(epilog=examples("mm4st accounts change people.json jane"))
@_file
@_name
@_stdin
def change(file: Path, name: str, stdin: bool) -> None:
    """Give NAME another password. Whoever is signed in by this name has to sign in again."""
    people = _people(file)
    _check_known(name, people)
    _store(file, {**people, name: _hashed(name, stdin)})
    click.echo(f"{name!r} has another password.", err=True)


@accounts.command(epilog=examples("mm4st accounts remove people.json jane"))
@_file
@_name
def remove(file: Path, name: str) -> None:
    """Let NAME in no more, from this moment on. What the person stored stays."""
    people = _people(file)
    _check_known(name, people)
    _store(file, {other: people[other] for other in people if other != name})
    click.echo(f"{name!r} can sign in no more.", err=True)


@accounts.command("list", epilog=examples("mm4st accounts list people.json"))
@_file
@json_option
def list_(file: Path, as_json: bool) -> None:
    """Print who may come in, one name a line."""
    names = sorted(_people(file))
    if as_json:
        print_json({"accounts": names})
        return
    for name in names:
        click.echo(name)


def _people(file: Path) -> dict[str, PasswordHash]:
    from mm4st_agent.web.accounts import read_accounts

    return read_accounts(file)


def _store(file: Path, people: dict[str, PasswordHash]) -> None:
    from mm4st_agent.web.accounts import write_accounts

    write_accounts(file, people)


def _check_known(name: str, people: dict[str, PasswordHash]) -> None:
    if name not in people:
        raise UsageError(f"{name!r} has no account.", f"Known: {', '.join(sorted(people)) or 'nobody'}.")


def _hashed(name: str, stdin: bool) -> PasswordHash:
    """A hash of the password that is typed twice without being shown, or read from stdin."""
    from mm4st_agent.web.accounts import PasswordHash, checked_password

    if stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt="Again", err=True)
    else:
        raise UsageError("There is no terminal to type a password at.", "Give it on stdin, with --stdin.")
    return PasswordHash.of(checked_password(password))
