"""`mm4st ask --batch`: many questions from a file, one result a line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from mm4st_agent.cli import main
from mm4st_agent.cli.batch_questions import read_questions
from mm4st_agent.errors import DataError
from mm4st_agent.runtime import Runtime

PROGRAM = str(Path(sys.executable).with_name("mm4st"))
ABOUT = "What data do you have?"
SPEED = "How fast is traffic at {}?"


def _questions(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def _run(*args: object, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["ask", *map(str, args)], input=answer)


def _lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_each_line_is_answered_by_a_line_whoever_is_first(tmp_path: Path) -> None:
    nodes = ["S005", "S006", "S022", "S039"]
    asked = [{"id": node, "question": SPEED.format(node)} for node in nodes]
    batch = _questions(
        tmp_path / "q.jsonl", *asked, "", {"question": SPEED.format("S038"), "as_of": "2025-09-20T12:00"}
    )
    out = tmp_path / "a.jsonl"

    done = _run("--batch", batch, "--out", out, "--workers", 3)

    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    found = {line["id"]: line for line in _lines(out)}
    assert set(found) == {*nodes, 6}  # a line without an id goes by its number
    for node in nodes:
        assert node in found[node]["answer"]
        assert found[node]["question"] == SPEED.format(node)
    assert found[6]["as_of"].startswith("2025-09-20T12:00")
    alone = json.loads(_run(SPEED.format("S038"), "--as-of", "2025-09-20T12:00", "--json").stdout)
    assert list(found[6]) == ["id", *alone]
    for name in ("answer", "claims", "citations", "warnings", "dataset", "as_of"):
        assert found[6][name] == alone[name]


def test_what_is_answered_already_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Runtime.ask

    async def watched(self: Runtime, question: str, **options: Any) -> Any:
        asked.append(question)
        return await ask(self, question, **options)

    monkeypatch.setattr(Runtime, "ask", watched)
    out = tmp_path / "a.jsonl"
    first, *_ = lines = [{"id": n, "question": SPEED.format(f"S{n:03d}")} for n in (5, 6, 22)]
    assert _run("--batch", _questions(tmp_path / "q1.jsonl", first), "--out", out).exit_code == 0
    before = out.read_bytes()
    with out.open("ab") as file:
        file.write(b'{"id": 6, "question": "How fast')  # the machine went down

    done = _run("--batch", _questions(tmp_path / "q.jsonl", *lines), "--out", out)

    assert done.exit_code == 0, done.output
    assert "half a line at its end was taken off" in done.stderr
    assert "1 of 3 are answered already" in done.stderr
    assert out.read_bytes().startswith(before)
    assert sorted(line["id"] for line in _lines(out)) == [5, 6, 22]
    assert sorted(asked) == sorted(line["question"] for line in lines)
    assert _run("--batch", tmp_path / "q.jsonl", "--out", out).exit_code == 0
    assert len(asked) == 3


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    out.write_text(f'{{"id": 1, "question": "{ABOUT}", "answer": "x"}}')

    assert _run("--batch", _questions(tmp_path / "q.jsonl", {"question": ABOUT}), "--out", out).exit_code == 0
    assert [line["answer"] for line in _lines(out)] == ["x"]


def test_a_failed_question_says_so_on_its_line_and_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    lines = [{"id": "bad", "question": "How fast?", "dataset": "dmo"}, {"id": "good", "question": ABOUT}]
    batch = _questions(tmp_path / "q.jsonl", *lines)

    done = _run("--batch", batch, "--out", out)

    assert done.exit_code == 2
    assert "1 of 2 questions failed" in done.stderr
    found = {line["id"]: line for line in _lines(out)}
    assert list(found["bad"]) == ["id", "question", "error"]
    assert found["bad"]["error"]["kind"] == "usage"
    assert "149 stations" in found["good"]["answer"]
    assert _run("--batch", batch, "--out", out).exit_code == 0  # it is held, so it is not asked again

    good = json.dumps(found["good"], ensure_ascii=False)
    assert _run("--batch", batch, "--out", out, "--retry-failed").exit_code == 2
    assert sorted(line["id"] for line in _lines(out)) == ["bad", "good"]
    assert good in out.read_text().splitlines()  # untouched


def test_a_server_that_is_down_and_a_bug_have_their_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MM4ST_VLLM_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    served = {"question": ABOUT, "chat_model": "vllm"}
    batch = _questions(tmp_path / "q.jsonl", {"question": "hi", "dataset": "dmo"}, served)

    done = _run("--batch", batch)

    assert done.exit_code == 4
    assert sorted(json.loads(line)["error"]["kind"] for line in done.stdout.splitlines()) == ["server", "usage"]

    async def broken(self: Runtime, question: str, **options: Any) -> Any:
        raise ZeroDivisionError(question)

    monkeypatch.setattr(Runtime, "ask", broken)
    done = _run("--batch", _questions(tmp_path / "bug.jsonl", {"question": ABOUT}))
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"]["kind"] == "bug"
    assert "Traceback" in done.stderr


def test_questions_of_a_thread_are_asked_in_order(tmp_path: Path) -> None:
    lines = [
        {"id": "first", "question": SPEED.format("S005"), "thread": "t"},
        {"id": "other", "question": ABOUT},
        {"id": "second", "question": "And at S006?", "thread": "t"},
    ]
    done = _run("--batch", _questions(tmp_path / "q.jsonl", *lines), "--workers", 3)

    assert done.exit_code == 0, done.output
    found = {line["id"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found["second"]["turn"] == 2
    assert "S006" in found["second"]["answer"]


def test_questions_come_from_stdin_too() -> None:
    done = _run("--batch", "-", "--as-of", "2025-09-20T12:00", answer=json.dumps({"id": 1, "question": ABOUT}))

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["as_of"].startswith("2025-09-20T12:00")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"id": "a"}', "question: Field required"),
        ('{"question": "hi", "when": "now"}', "when: Extra inputs"),
        ('{"question": "hi", "chat_model": "gpt"}', "chat_model: "),
        ('{"question": "hi", "id": 1.5}', "id"),
        ('["hi"]', "should be an object"),
        ('{"question": "hi", "id": "x"}', "line 1 has the id 'x' already"),
        ('{"question": "hi", "id": 1}', None),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, line: str, said: str | None) -> None:
    batch = _questions(tmp_path / "q.jsonl", {"id": "x", "question": "hi"}, "", line)
    if said is None:
        assert [question.id for question in read_questions(batch)] == ["x", 1]
        return
    with pytest.raises(DataError, match=r"q\.jsonl, line 3: ") as error:
        read_questions(batch)
    assert said in str(error.value)
    assert _run("--batch", batch, "--json").exit_code == 3


def test_an_id_may_not_be_another_lines_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: line 1 has the id 1 already"):
        read_questions(_questions(tmp_path / "q.jsonl", {"question": "a"}, {"question": "b", "id": 1}))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    batch = tmp_path / "q.jsonl"
    batch.write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(batch)


def test_results_of_other_questions_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    batch = _questions(tmp_path / "q.jsonl", {"id": "a", "question": ABOUT})
    _questions(out, {"id": "a", "question": "Something else?", "answer": ""})

    done = _run("--batch", batch, "--out", out)
    assert done.exit_code == 2
    assert "of another question: 'Something else?'" in done.stderr

    _questions(out, {"question": "no id"})
    done = _run("--batch", batch, "--out", out)
    assert done.exit_code == 3
    assert "a.jsonl, line 1 is no result of a batch" in done.stderr


def test_two_runs_do_not_write_to_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with FileLock(tmp_path / ".a.jsonl.lock"):
        done = _run("--batch", _questions(tmp_path / "q.jsonl", {"question": ABOUT}), "--out", out)

    assert done.exit_code == 2
    assert "Another run writes to" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "There is no question"),
        (["hi", "--batch", "{batch}"], "exclude each other"),
        (["--batch", "{batch}", "--thread", "t"], "takes no --thread"),
        (["--batch", "{batch}", "--retry-failed"], "needs --out"),
        (["hi", "--out", "x"], "--out needs --batch"),
        (["hi", "--workers", "2"], "--workers needs --batch"),
        (["hi", "--retry-failed"], "--retry-failed needs --batch"),
        (["--batch", "{batch}", "--out", "{batch}/x"], "cannot be used"),
        (["--batch", "nowhere.jsonl"], "does not exist"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, args: list[str], said: str) -> None:
    batch = _questions(tmp_path / "q.jsonl", {"question": ABOUT})

    done = _run(*(arg.format(batch=batch) for arg in args))

    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_an_interrupt_leaves_whole_lines_and_the_run_goes_on(tmp_path: Path) -> None:
    lines = [{"id": n, "question": SPEED.format(f"S{n:03d}")} for n in range(1, 31)]
    batch, out = _questions(tmp_path / "q.jsonl", *lines), tmp_path / "a.jsonl"
    command = [PROGRAM, "ask", "--batch", str(batch), "--out", str(out), "--workers", "2"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        while not (out.exists() and out.stat().st_size) and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.1)
                break
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()

    assert running.returncode == 130, said
    assert "Traceback" not in said
    held = [line["id"] for line in _lines(out)]
    assert 1 <= len(held) < 30
    few = [line for line in lines if line["id"] in {*held, max(set(range(1, 31)) - set(held))}]
    done = _run("--batch", _questions(tmp_path / "few.jsonl", *few), "--out", out)
    assert done.exit_code == 0, done.output
    assert len(_lines(out)) == len(held) + 1


def test_a_batch_whose_reader_has_left_ends_quietly(tmp_path: Path) -> None:
    batch = _questions(tmp_path / "q.jsonl", *({"id": n, "question": ABOUT} for n in range(2)))
    reader, writer = os.pipe()
    os.close(reader)  # the first write gets EPIPE
    try:
        done = subprocess.run(
            [PROGRAM, "ask", "--batch", str(batch)],
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=200, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
