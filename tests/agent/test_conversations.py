"""Conversations on disk: what is kept of each turn, many at once, killed processes, what is deleted."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.conversations import Conversations, Turn
from mm4st_agent.agent.manifest import read_manifest
from mm4st_agent.agent.run_events import Answered
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import AgentError, MM4STError, ServerError, UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import Settings, load_settings

FAST = "How fast is traffic at S003 now?"
FLOW = "How much traffic will station S002 carry over the next hour?"
UNCLEAR = "How much traffic will Old Town carry over the next hour?"

IN_ANOTHER_PROCESS = """
import asyncio, sys, threading
from pathlib import Path
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

async def main():
    async for event in Runtime(load_settings(home=Path(sys.argv[1]))).stream("What data do you have?", thread="t"):
        print(type(event).__name__, flush=True)
        threading.Event().wait(120)

asyncio.run(main())
"""

MANY_AT_ONCE = """
import sys
from pathlib import Path
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.conversations import Conversations

file, thread, answer = sys.argv[1:]
sys.stdin.readline()  # all begin together
for n in range(1, 21):
    kept = Conversations(Path(file))
    assert kept.begin(thread, f"{thread}: {n}", "demo") == n
    kept.finish(thread, n, Answer.model_validate_json(answer).model_copy(update={"thread": thread, "turn": n}))
"""

ON_A_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

runtime = Runtime(load_settings(home=Path(sys.argv[1])))
print(asyncio.run(runtime.ask("hello", thread="t")).turn)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # every file is full
try:
    asyncio.run(runtime.ask("hello", thread="t"))
except UsageError as err:
    print(err)
"""


@pytest.fixture
def kept(tmp_path: Path) -> Conversations:
    return Conversations(tmp_path / "conversations.sqlite")


@pytest.fixture
def opened(tmp_path: Path, city_of: Callable[..., Panel]) -> Callable[..., Runtime]:
    """A runtime of the small city on the same home, as after a restart."""
    city = city_of()

    def opened(settings: Settings | None = None) -> Runtime:
        runtime = Runtime(settings or load_settings(dataset="city"))
        runtime.registry = Registry(None, tmp_path / "data", {"city": lambda: city})
        return runtime

    return opened


@pytest.fixture
def runtime(opened: Callable[..., Runtime]) -> Runtime:
    return opened()


def _answer(thread: str = "t", **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "question": "?", "answer": "!", "claims": [], "evidence": [], "figures": [], "citations": [], "warnings": [],
        "chat_model": "embedded", "dataset": "demo", "as_of": "2025-10-22T07:40+01:00", "thread": thread,
        "seconds": 1.0,
    }  # fmt: skip
    return Answer(**(fields | changes))


def _ask(runtime: Runtime, question: str, thread: str = "t", **options: Any) -> Answer:
    return asyncio.run(runtime.ask(question, thread=thread, **options))


def _told(turn: Turn) -> tuple[int, str, str]:
    return turn.n, turn.question, turn.state


def _said(answer: Answer) -> list[str]:
    """What the person said in the thread, as its ledger has it."""
    return [said.text for said in read_manifest(Path(answer.manifest or "")).said]


def _opened_by(answer: Answer) -> str:
    """The ledger entry of an answer's question."""
    return [entry.id for entry in answer.evidence if entry.tool == "question"][-1]


# -- the store -----------------------------------------------------------------------------------


def test_turns_are_kept_and_the_latest_conversation_comes_first(kept: Conversations) -> None:
    assert kept.list() == []
    assert kept.begin("a", "How\n much?", "demo") == 1
    kept.finish("a", 1, _answer("a", turn=1))
    assert kept.begin("b", "Why?", "city") == 1
    kept.fail("b", 1, "No server answers.")
    assert kept.begin("a", "And now?", "demo") == 2
    kept.stop("a", 2)

    again = Conversations(kept.file)

    assert [(c.thread, c.title, c.dataset, c.turns) for c in again.list()] == [
        ("a", "How much?", "demo", 2), ("b", "Why?", "city", 1),
    ]  # fmt: skip
    assert [c.thread for c in again.list(limit=1)] == ["a"]
    assert all(c.created <= c.updated and c.updated.utcoffset() is not None for c in again.list())
    answered, stopped = again.turns("a")
    assert (_told(answered), _told(stopped)) == ((1, "How\n much?", "answered"), (2, "And now?", "stopped"))
    assert answered.answer == _answer("a", turn=1)
    assert answered.asked_at < stopped.asked_at
    assert (again.turn("b", 1).state, again.turn("b", 1).message) == ("failed", "No server answers.")


def test_a_turn_may_take_the_place_of_the_last(kept: Conversations) -> None:
    assert kept.begin("t", "first", "demo", instead_of_last=True) == 1
    kept.finish("t", 1, _answer(turn=1))
    assert kept.begin("t", "second", "demo") == 2
    kept.finish("t", 2, _answer(turn=2))
    kept.rate("t", 2, "up")
    assert kept.begin("t", "another", "demo", instead_of_last=True) == 2
    kept.stop("t", 2)

    assert [_told(turn) for turn in kept.turns("t")] == [(1, "first", "answered"), (2, "another", "stopped")]
    assert (kept.turn("t", 2).answer, kept.turn("t", 2).rating) == (None, None)


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("How much?", "How much?"),
        (f"{'word ' * 11}and more, still more", f"{'word ' * 11}and..."),
        ("x" * 200, "x" * 60 + "..."),
    ],
)
def test_the_title_is_the_first_question_until_another_is_given(question: str, title: str, kept: Conversations) -> None:
    kept.begin("t", question, "demo")
    assert kept.list()[0].title == title
    kept.begin("t", "Edited?", "city", instead_of_last=True)
    assert (kept.list()[0].title, kept.list()[0].dataset) == ("Edited?", "city")

    kept.rename("t", "  Monday's\n jam ")
    kept.begin("t", "Edited again?", "demo", instead_of_last=True)

    assert kept.list()[0].title == "Monday's jam"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kept: kept.turns("x"), "no conversation 'x'"),
        (lambda kept: kept.turn("x", 1), "no conversation 'x'"),
        (lambda kept: kept.turn("t", 2), "has no question 2. Its last one is 1"),
        (lambda kept: kept.turn("t", 0), "has no question 0"),
        (lambda kept: kept.rename("x", "a title"), "no conversation 'x'"),
        (lambda kept: kept.rename("t", " \n"), "The title is empty"),
        (lambda kept: kept.rename("t", "x" * 121), "has 121 characters. Give one of 1 to 120"),
        (lambda kept: kept.delete("x"), "no conversation 'x'"),
        (lambda kept: kept.rate("x", 1, "up"), "no conversation 'x'"),
        (lambda kept: kept.rate("t", 1, "up"), "has no answer to rate"),
        (lambda kept: kept.rate("t", 1, "great"), "cannot be rated 'great'"),
    ],
)
def test_what_cannot_be_done_is_said(call: Callable[[Conversations], Any], message: str, kept: Conversations) -> None:
    kept.begin("t", "How much?", "demo")
    kept.stop("t", 1)

    with pytest.raises(UsageError) as caught:
        call(kept)

    assert message in str(caught.value)


def test_an_answer_of_another_version_spoils_no_conversation(kept: Conversations) -> None:
    for n in (1, 2):
        kept.begin("t", "How much?", "demo")
        kept.finish("t", n, _answer(turn=n))
    with sqlite3.connect(kept.file) as file:
        file.execute("UPDATE turns SET answer = ? WHERE n = 1", ('{"answer": 7}',))
    file.close()

    first, second = kept.turns("t")

    assert (first.state, first.answer, second.state) == ("failed", None, "answered")
    assert "another version" in (first.message or "")


def test_fifty_threads_and_four_processes_write_at_once(kept: Conversations) -> None:
    def one(number: int) -> None:
        thread, own = f"t{number}", Conversations(kept.file) if number % 2 else kept
        for n in (1, 2, 3):
            assert own.begin(thread, f"{thread}: {n}", "demo") == n
            own.finish(thread, n, _answer(thread, turn=n))
            own.rate(thread, n, "up")
            assert own.turn(thread, n).question == f"{thread}: {n}"

    others = [
        subprocess.Popen(
            [sys.executable, "-c", MANY_AT_ONCE, str(kept.file), f"p{n}", _answer().model_dump_json()],
            stdin=subprocess.PIPE,
        )
        for n in range(4)
    ]
    for process in others:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(one, range(50)))
    for process in others:
        process.communicate()
        assert process.returncode == 0

    assert {c.thread: c.turns for c in kept.list()} == {f"t{n}": 3 for n in range(50)} | {f"p{n}": 20 for n in range(4)}
    for thread in ("t0", "t49", "p3"):
        assert [(t.question, t.answer.thread, t.answer.turn) for t in kept.turns(thread) if t.answer] == [
            (f"{thread}: {t.n}", thread, t.n) for t in kept.turns(thread)
        ]


# -- what an answer keeps ------------------------------------------------------------------------


def test_answers_are_kept_with_the_number_of_their_question(opened: Callable[..., Runtime]) -> None:
    first, second = (_ask(opened(), question) for question in (FLOW, FAST))

    assert (first.turn, second.turn) == (1, 2)
    turns = opened().conversations.turns("t")
    assert [turn.answer for turn in turns] == [first, second]
    assert [_told(turn) for turn in turns] == [(1, FLOW, "answered"), (2, FAST, "answered")]
    assert read_manifest(Path(second.manifest or "")).answer.turn == 2


def test_a_question_that_is_refused_leaves_nothing(runtime: Runtime) -> None:
    for question, options in (
        (" ", {}),
        ("x" * 5000, {}),
        (FAST, {"dataset": "none"}),
        (FAST, {"as_of": "2031-01-01"}),
    ):
        with pytest.raises(UsageError):
            _ask(runtime, question, **options)

    assert runtime.conversations.list() == []


def test_what_stops_an_answer_is_kept(runtime: Runtime) -> None:
    async def leave() -> None:
        stream = runtime.stream(FLOW, thread="left")
        await anext(stream)
        assert [t.state for t in runtime.conversations.turns("left")] == ["running"]
        await stream.aclose()

    async def cancel() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(runtime.ask(FLOW, thread="cancelled", on_event=lambda _: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    asyncio.run(cancel())

    for thread in ("left", "cancelled"):
        with sqlite3.connect(runtime.conversations.file) as file:  # as written, not as guessed from the lock
            assert file.execute("SELECT state FROM turns WHERE thread = ?", (thread,)).fetchall() == [("stopped",)]
        file.close()


def test_why_an_answer_failed_is_kept_in_the_persons_words(runtime: Runtime, opened: Callable[..., Runtime]) -> None:
    short = opened(load_settings(dataset="city", recursion_limit=4))
    dead = opened(load_settings(dataset="city", vllm_url="http://127.0.0.1:9/v1"))
    with pytest.raises(AgentError) as lost:
        _ask(short, FLOW, "t")
    with pytest.raises(ServerError) as unreachable:
        _ask(dead, FLOW, "t", chat_model="vllm")

    turns = runtime.conversations.turns("t")
    assert [turn.message for turn in turns] == [str(lost.value), str(unreachable.value)]
    assert "make serve-vlm" in (turns[1].message or "")
    assert {turn.state for turn in turns} == {"failed"}


def test_a_bug_is_kept_as_a_neutral_sentence_and_is_raised(runtime: Runtime) -> None:
    runtime.images = None  # type: ignore[assignment]

    with pytest.raises(AttributeError, match="no attribute 'put'"):
        _ask(runtime, FLOW)

    [turn] = runtime.conversations.turns("t")
    assert (turn.state, turn.message) == ("failed", "Something went wrong inside mm4st. Ask again, or in other words.")


def test_a_killed_answer_is_stopped_and_the_thread_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ToolStarted\n"
        kept = Conversations(home / "conversations.sqlite")
        assert [turn.state for turn in kept.turns("t")] == ["running"]
        with pytest.raises(UsageError, match="'t' is still under way"):
            kept.delete("t")
        os.kill(process.pid, signal.SIGKILL)
    assert [turn.state for turn in kept.turns("t")] == ["stopped"]
    assert kept.turn("t", 1).state == "stopped"

    runtime = Runtime(load_settings(home=home))
    answer = _ask(runtime, "What data do you have?", instead_of_last=True)

    assert [entry.id for entry in answer.evidence] == ["E1", "E2"]
    assert [_told(turn) for turn in runtime.conversations.turns("t")] == [(1, "What data do you have?", "answered")]


def test_an_answer_is_given_where_it_cannot_be_kept(runtime: Runtime) -> None:
    (runtime.settings.ready_home() / "conversations.sqlite").mkdir()

    first, second = _ask(runtime, FLOW), _ask(runtime, FAST, instead_of_last=True)

    assert (first.turn, second.turn) == (0, 0)
    assert first.warnings[-1].startswith("This answer is not kept in the conversation: ")
    assert "conversations.sqlite cannot be read or written: unable to open database file" in first.warnings[-1]
    assert _said(second) == [FAST]


def test_an_answer_is_given_where_the_file_breaks_meanwhile(runtime: Runtime) -> None:
    def spoil(event: Any) -> None:
        if not isinstance(event, Answered):
            with sqlite3.connect(runtime.conversations.file) as file:
                file.execute("DROP TABLE IF EXISTS turns")
            file.close()

    answer = _ask(runtime, FLOW, on_event=spoil)

    assert answer.answer
    assert "no such table" in answer.warnings[-1]


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1\n")
    assert "threads.sqlite cannot be read or written" in done.stdout
    assert "Set MM4ST_HOME to a folder of your own, on a disk with room." in done.stdout


# -- asking the last question again --------------------------------------------------------------


def test_the_last_question_may_be_asked_again(opened: Callable[..., Runtime]) -> None:
    _ask(opened(), FLOW)
    second = _ask(opened(), FAST)
    again = _ask(opened(), "What about S005?", instead_of_last=True)
    after = _ask(opened(), "And S001?")

    assert _said(again) == [FLOW, "What about S005?"]
    assert _opened_by(again) == _opened_by(second)
    assert (again.turn, after.turn) == (2, 3)
    assert _said(after) == [FLOW, "What about S005?", "And S001?"]
    turns = opened().conversations.turns("t")
    assert [turn.question for turn in turns] == [FLOW, "What about S005?", "And S001?"]
    assert [turn.answer for turn in turns][1:] == [again, after]
    assert Path(second.manifest or "").exists()


def test_the_same_question_may_be_asked_again_and_again(runtime: Runtime) -> None:
    answers = [_ask(runtime, FLOW, instead_of_last=True) for _ in range(3)]

    assert {answer.turn for answer in answers} == {1}
    assert [_said(answer) for answer in answers] == [[FLOW]] * 3
    assert len({answer.answer for answer in answers}) == 1
    assert len({answer.manifest for answer in answers}) == 3
    assert [_told(turn) for turn in runtime.conversations.turns("t")] == [(1, FLOW, "answered")]


def test_a_failed_question_that_never_reached_the_thread_takes_nothing_along(opened: Callable[..., Runtime]) -> None:
    _ask(opened(), FLOW)
    dead = opened(load_settings(dataset="city", vllm_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ServerError):
        _ask(dead, FAST, chat_model="vllm")

    again = _ask(opened(), FAST, instead_of_last=True)

    assert _said(again) == [FLOW, FAST]
    assert [_told(t) for t in opened().conversations.turns("t")] == [(1, FLOW, "answered"), (2, FAST, "answered")]


@pytest.mark.parametrize("broken", ["stopped", "failed"])
def test_a_question_that_came_to_no_answer_may_be_asked_again(broken: str, opened: Callable[..., Runtime]) -> None:
    _ask(opened(), FLOW)

    async def stop() -> None:
        stream = opened().stream(FLOW, thread="t")
        await anext(stream)
        await stream.aclose()

    if broken == "stopped":
        asyncio.run(stop())
    else:
        with pytest.raises(MM4STError):
            _ask(opened(load_settings(dataset="city", recursion_limit=4)), FLOW)
    assert [turn.state for turn in opened().conversations.turns("t")] == ["answered", broken]

    again = _ask(opened(), FAST, instead_of_last=True)

    assert _said(again) == [FLOW, FAST]
    assert [_told(t) for t in opened().conversations.turns("t")] == [(1, FLOW, "answered"), (2, FAST, "answered")]


def test_a_reply_and_the_question_before_it_may_be_put_otherwise(opened: Callable[..., Runtime]) -> None:
    asked = _ask(opened(), UNCLEAR)
    assert len(asked.choices) == 2
    first = _ask(opened(), "1")
    second = _ask(opened(), "2", instead_of_last=True)

    assert [entry.args["answer"] for a in (first, second) for entry in a.evidence if entry.tool == "clarify"] == (
        asked.choices
    )
    assert (asked.turn, first.turn, second.turn) == (1, 2, 2)
    assert [turn.question for turn in opened().conversations.turns("t")] == [UNCLEAR, "2"]

    _ask(opened(), UNCLEAR, "u")
    other = _ask(opened(), FAST, "u", instead_of_last=True)
    assert (other.question, other.turn, other.choices) == (FAST, 1, [])
    assert _said(other) == [FAST]


# -- rating and deleting -------------------------------------------------------------------------


def test_a_rating_is_kept_here_and_with_the_manifest(opened: Callable[..., Runtime]) -> None:
    answer = _ask(opened(), FLOW)
    path = Path(answer.manifest or "")
    before = read_manifest(path)

    for rating in ("up", "down", None):
        opened().conversations.rate("t", 1, rating)

        assert opened().conversations.turn("t", 1).rating == rating
        assert read_manifest(path) == before.model_copy(update={"rating": rating})
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    path.unlink()
    opened().conversations.rate("t", 1, "up")
    assert opened().conversations.turn("t", 1).rating == "up"
    assert not path.exists()


def test_deleting_leaves_the_pictures_and_the_other_conversations(runtime: Runtime) -> None:
    home = runtime.settings.home
    answers = [_ask(runtime, FLOW), _ask(runtime, FAST, instead_of_last=True), _ask(runtime, FLOW)]
    other = _ask(runtime, FLOW, "t-1")
    pictures = sorted((home / "images").rglob("*.png"))

    runtime.conversations.delete("t")

    assert [c.thread for c in runtime.conversations.list()] == ["t-1"]
    with pytest.raises(UsageError, match="no conversation 't'"):
        runtime.conversations.turns("t")
    assert not any(Path(answer.manifest or "").exists() for answer in answers)
    assert Path(other.manifest or "").exists()
    assert sorted((home / "images").rglob("*.png")) == pictures != []
    assert len(list((home / "threads").iterdir())) == 1
    with sqlite3.connect(home / "threads.sqlite") as file:
        for table in ("checkpoints", "writes", "begun"):
            assert {row[0] for row in file.execute(f"SELECT thread_id FROM {table}")} <= {"t-1"}
    file.close()

    fresh = _ask(runtime, FAST)
    assert (fresh.turn, _said(fresh)) == (1, [FAST])
    assert _said(_ask(runtime, FAST, "t-1")) == [FLOW, FAST]
