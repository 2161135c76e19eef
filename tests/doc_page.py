"""What the documentation's pages hold, and a way to run one page: `python tests/doc_page.py PAGE [--slow]`.

Every fenced block says what it is. These run, in the order of the page, in one process with a home and a folder of its
own; the blocks of a page go on from one another:

- `python`: all blocks of a page share their names.
- `sh`: each line is a command.
- `console`: lines that begin with `$ ` are commands, the others what they print (not compared).

A comment on the line before a block changes that:

- `<!-- not run: REASON -->`: it needs what is not here.
- `<!-- slow: REASON -->`: it runs with the tests marked `slow` only.
- `<!-- fails: N -->`: its last command ends with the exit code N.

`text`, `json`, `yaml`, `toml` and `csv` blocks are not code of ours.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shlex
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unittest import mock

RUN = ("python", "sh", "console")
SHOWN = ("text", "json", "yaml", "toml", "csv", "jsonl")
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[a-z ]+): (?P<said>.+?) -->\n\n?)?"
    r"(?P<fence>```+)(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_SETTING = re.compile(r"\w+=")
_SHELL = re.compile(r"[$`]|^[|<>;&()]+$")
"""A word that only a shell understands."""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: Of its first line of code in the page.
        mark: Of the comment before it, with what it says.
    """

    line: int
    language: str
    code: str
    mark: Literal["", "not run", "slow", "fails"]
    said: str

    @property
    def commands(self) -> list[str]:
        """The command lines; one that ends with a backslash goes on in the next."""
        lines = self.code.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("code")) + 1, found["language"].strip(), found["code"],
              found["mark"] or "", found["said"] or "")
        for found in _BLOCK.finditer(text)
    ]  # fmt: skip


def runs(block: Block, slow: bool) -> bool:
    """Whether the block is run; `slow` runs what is slow, too."""
    return block.language in RUN and block.mark != "not run" and (slow or block.mark != "slow")


class FailedError(Exception):
    """A block did not do what the page says."""


def run_page(page: Path, slow: bool) -> None:
    """Run the blocks of a page in the current folder.

    Raises:
        FailedError: one of them failed; the message names the line.
    """
    names: dict[str, object] = {"__name__": "__page__"}
    for block in blocks_of(page):
        if not runs(block, slow):
            continue
        where = f"{page.name}, line {block.line}"
        if block.language == "python":
            try:
                exec(compile(block.code, where, "exec", dont_inherit=True), names)
            except BaseException as err:
                raise FailedError(f"{where}: {block.code}\n{traceback.format_exc()}") from err
            continue
        expected = int(block.said) if block.mark == "fails" else 0
        for number, command in enumerate(block.commands, 1):
            code, said = _command(command)
            if code != (expected if number == len(block.commands) else 0):
                raise FailedError(f"{where}: `{command}` ended with {code}:\n{said}")


def _command(line: str) -> tuple[int, str]:
    """Exit code and output. A plain `mm4st` runs in this process, which saves its imports each time."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    given = dict(word.split("=", 1) for word in itertools.takewhile(_SETTING.match, words))
    words, target = words[len(given) :], None
    if words[-2:-1] == [">"]:
        words, target = words[:-2], Path(words[-1])
    if words[0] != "mm4st" or any(_SHELL.search(word) for word in words):
        done = subprocess.run(
            ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout
    with mock.patch.dict(os.environ, given):
        code, printed, said = _mm4st(words[1:])
    if target is not None:
        target.write_text(printed, encoding="utf-8")
    return code, printed + said


def _mm4st(words: list[str]) -> tuple[int, str, str]:
    from mm4st_agent.cli import main

    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as err:
            return int(err.code or 0), printed.getvalue(), said.getvalue()
    return 0, printed.getvalue(), said.getvalue()


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        run_page(Path(sys.argv[1]), "--slow" in sys.argv[2:])
    except FailedError as err:
        sys.exit(str(err))
