"""`mm4st ask --batch`: a file of questions, answered side by side, one JSON object a line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mm4st_agent.cli.common import bug_json
from mm4st_agent.errors import DataError, MM4STError, UsageError
from mm4st_agent.settings import ChatModelName

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

Json = dict[str, Any]
STDIN = Path("-")
_EXAMPLE = 'A line is such as {"id": "q1", "question": "How fast is traffic at S005?", "dataset": "demo"}.'


class Question(BaseModel):
    """One line of the questions; what it leaves out is as the command's options say.

    Attributes:
        id: Names the line in the results; the number of the line where it has none.
        thread: Questions of one thread are asked one after the other, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    question: str
    id: str | int | None = Field(default=None, union_mode="left_to_right")
    dataset: str | None = None
    as_of: str | None = None
    chat_model: ChatModelName | None = None
    thread: str | None = None

    @property
    def name(self) -> str | int:
        """Its id."""
        assert self.id is not None, "whoever reads a file gives each line one"
        return self.id

    def options(self, defaults: Json) -> Json:
        """What `Runtime.ask` takes beside the question."""
        given = self.model_dump(exclude={"id", "question"}, exclude_none=True)
        return {**defaults, **given}


def read_questions(path: Path) -> list[Question]:
    """Read all questions; empty lines are passed over.

    Args:
        path: One JSON object a line, or `-` for stdin.

    Raises:
        DataError: the file cannot be read, a line is no question, or an id comes twice; the line is named.
    """
    where = "stdin" if path == STDIN else str(path)
    try:
        text = sys.stdin.read() if path == STDIN else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"{where} cannot be read: {err}.", "Give a UTF-8 file with one JSON object a line.") from err
    lines: dict[str | int, int] = {}
    questions = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        question = _question(line, f"{where}, line {number}")
        id_ = number if question.id is None else question.id
        if (first := lines.setdefault(id_, number)) != number:
            raise DataError(f"{where}, line {number}: line {first} has the id {id_!r} already.", "Give each its own.")
        questions.append(question.model_copy(update={"id": id_}))
    return questions


def _question(line: str, where: str) -> Question:
    try:
        return Question.model_validate_json(line)
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}: {field}{': ' if field else ''}{first['msg']}.", _EXAMPLE) from err


class Held(NamedTuple):
    """What a file of results says about one question."""

    question: str
    failed: bool


class Results:
    """The file of results: whole lines, each written at once.

    Args:
        path: An earlier run's file is gone on with; half a line at its end is taken off.

    Raises:
        DataError: a line of it is no result.
        UsageError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.held: dict[str | int, Held] = {}
        if not path.exists():
            return
        try:
            with path.open("rb+") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n") and not _ended(file, line, path):
                        break
                    id_, held = _held(line, path, number)
                    self.held[id_] = held
        except OSError as err:
            raise _unwritable(path, err) from err

    def forget_failed(self) -> None:
        """Take the lines with errors out, so that their questions are asked again.

        Raises:
            UsageError: the file cannot be written.
        """
        if not any(held.failed for held in self.held.values()):
            return
        try:
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".", suffix=".tmp")
            with os.fdopen(handle, "wb") as file, self._path.open("rb") as old:
                file.writelines(
                    line for number, line in enumerate(old, 1) if not _held(line, self._path, number)[1].failed
                )
            Path(temporary).chmod(self._path.stat().st_mode & 0o777)
            Path(temporary).replace(self._path)
        except OSError as err:
            raise _unwritable(self._path, err) from err
        self.held = {id_: held for id_, held in self.held.items() if not held.failed}

    def check(self, questions: Iterable[Question]) -> None:
        """Make sure that the results which are there are of these questions.

        Raises:
            UsageError: one is of another question.
        """
        for question in questions:
            held = self.held.get(question.name)
            if held is not None and held.question.strip() != question.question.strip():
                raise UsageError(
                    f"{self._path} holds a result for {question.name!r}, but of another question: {held.question!r}.",
                    "Give the line another id, or --out a new file.",
                )

    def append(self, result: Json) -> None:
        """Add a line.

        Raises:
            UsageError: the file cannot be written.
        """
        line = json.dumps(result, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        try:
            with self._path.open("ab", buffering=0) as file:
                while line:
                    line = line[file.write(line) :]
        except OSError as err:
            raise _unwritable(self._path, err) from err


@contextmanager
def results_at(path: Path) -> Iterator[Results]:
    """The results in a file, which no other run touches meanwhile.

    Raises:
        DataError: as for `Results`.
        UsageError: as for `Results`, or another run writes to the file.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as err:
        raise UsageError(f"Another run writes to {path}.", "Wait for it, or give another --out.") from err
    except OSError as err:
        raise _unwritable(path, err) from err
    with lock:
        yield Results(path)


def ask_all(
    runtime: Runtime,
    questions: Sequence[Question],
    defaults: Json,
    *,
    workers: int,
    write: Callable[[Json], None],
    progress: Callable[[int, int | None], None],
) -> list[int]:
    """Ask them, `workers` at a time, and write each result as soon as it is there.

    Returns:
        The exit codes of those that failed.
    """
    codes: list[int] = []
    done = 0

    async def ask(question: Question) -> Json:
        said: Json = {"id": question.id, "question": question.question}
        try:
            answer = await runtime.ask(question.question, **question.options(defaults))
        except MM4STError as err:
            codes.append(err.exit_code)
            return {**said, **err.to_json()}
        except Exception as err:  # noqa: BLE001 - the other questions are answered, and this one says so
            traceback.print_exc()
            codes.append(1)
            return {**said, **bug_json(err)}
        return {"id": question.id, **answer.to_json()}

    async def work(chains: Iterator[Sequence[Question]]) -> None:
        nonlocal done
        for chain in chains:
            for question in chain:
                write(await ask(question))
                done += 1
                progress(done, len(questions))

    async def all_of_them() -> None:
        me, loop = asyncio.current_task(), asyncio.get_running_loop()

        def complain(_: asyncio.AbstractEventLoop, context: Json) -> None:
            # An interrupt leaves tasks of LangGraph that nobody waits for.
            if me is None or not (me.cancelling() or me.cancelled()):
                loop.default_exception_handler(context)

        loop.set_exception_handler(complain)
        chains = iter(_chains(questions))
        await asyncio.gather(*(work(chains) for _ in range(workers)))

    asyncio.run(all_of_them())
    return codes


def exit_code(codes: Sequence[int]) -> int:
    """4 when a server did not answer, else the code of the first that failed; 0 when none did."""
    return 4 if 4 in codes else next(iter(codes), 0)


def _ended(file: BinaryIO, line: bytes, path: Path) -> bool:
    """End the last line, which lacks its end: with a line feed where it is whole, else by taking it off."""
    try:
        json.loads(line)
    except ValueError:
        click.echo(f"{path}: half a line at its end was taken off.", err=True)
        file.truncate(file.tell() - len(line))
        return False
    file.write(b"\n")
    return True


def _held(line: bytes, path: Path, number: int) -> tuple[str | int, Held]:
    try:
        result = json.loads(line)
        return result["id"], Held(result["question"], "error" in result)
    except (ValueError, TypeError, KeyError) as err:
        raise DataError(
            f"{path}, line {number} is no result of a batch.", "Give --out a new file, or one of this batch."
        ) from err


def _chains(questions: Sequence[Question]) -> list[list[Question]]:
    """Those of one thread together, in order; any other by itself."""
    chains: dict[tuple[str, str | int], list[Question]] = {}
    for question in questions:
        key = ("id", question.name) if question.thread is None else ("thread", question.thread)
        chains.setdefault(key, []).append(question)
    return list(chains.values())


def _unwritable(path: Path, err: OSError) -> UsageError:
    return UsageError(f"{path} cannot be used: {err.strerror or err}.", "Choose a file in a folder of yours.")
