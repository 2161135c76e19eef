"""`mm4st bench app`: what people ask, what they may be shown, the figures, and real sessions against real pages."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from eval.bench.app import Measured, Phase, bench_app, rows_of
from eval.bench.app_people import Person, faults_of, mixed_threads, plan, pool_of, strays_of
from eval.bench.served_app import served_app, stolen_between
from eval.bench.sessions import AskFailedError, PageSession, Reply
from mm4st_agent.cli import main
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime

STATIONS = [f"S{n:03}" for n in range(1, 125)]


def said(role: str, text: str, title: str | None = None) -> dict[str, Any]:
    metadata = None if title is None else {"title": title, "status": "pending"}
    return {"role": role, "metadata": metadata, "content": [{"type": "text", "text": text}]}


def reply(*chat: dict[str, Any], answer_s: float = 1.0) -> Reply:
    return Reply(chat, "0123456789ab", 0.02, 0.2, answer_s)


def person(*asked: str, threads: tuple[str, ...] = ()) -> Person:
    return Person(PageSession("http://127.0.0.1:1/"), list(asked), set(threads))


# -- the people -------------------------------------------------------------------------------


def test_everybody_asks_about_stations_of_their_own() -> None:
    pool = pool_of(STATIONS)
    own = [STATIONS[n::20] for n in range(20)]

    planned = plan(pool, 200, own)

    assert {len(questions) for questions in planned} == {10}
    assert len({question.topic for question, _ in pool}) > 15
    assert sum(station is not None for questions in planned for _, station in questions) > 50
    for mine, questions in zip(own, planned, strict=True):
        for text, station in questions:
            assert {name for name in STATIONS if name in text} == ({station} if station else set())
            assert station is None or station in mine
    assert plan(pool, 200, own) == planned


def test_what_belongs_to_another_person_is_seen() -> None:
    own = reply(said("user", '<p class="question">S001 &amp; now?</p>'), said("assistant", "S001 has 5, S002 more"))
    foreign = reply(said("user", "S001 now?"), said("assistant", "S002 has 5"))
    crossed = reply(said("user", "S001 now?"), said("user", "S002 now?"), said("assistant", "S001 has 5"))

    assert strays_of(own, person("S001 & now?"), "S001 & now?", "S001") == []
    assert strays_of(foreign, person("S001 now?"), "S001 now?", "S001") == ["the reply to 'S001 now?' is about S002"]
    assert len(strays_of(crossed, person("S001 now?"), "S001 now?", "S001")) == 2


def test_a_sentence_about_a_failure_is_no_answer() -> None:
    asking = person("hello")
    good = 'Good morning. <div class="footer">answered by embedded</div>'

    (fault,) = faults_of(reply(said("user", "hello"), said("assistant", "Sorry, that went wrong.")), asking, "hello")
    assert "Sorry, that went wrong." in fault
    assert faults_of(reply(said("user", "hello"), said("assistant", good)), asking, "hello") == []
    assert asking.threads == {"0123456789ab"}


def test_conversations_belong_to_one_person() -> None:
    apart = [person(threads=("a",)), person(threads=("b",)), person()]

    assert mixed_threads(apart) == []
    assert mixed_threads([*apart, person(threads=("a",))]) == ["conversation a is shown to the people [0, 3]"]
    assert mixed_threads([person(threads=("b", "a"))]) == ["person 0 is shown ['a', 'b']"]


# -- the figures ------------------------------------------------------------------------------


def test_rows_hold_the_figures_against_their_goals() -> None:
    alone = Phase([reply(answer_s=1.0)] * 20)
    together = Phase([reply(answer_s=2.0)] * 20, failures=["one"], cpu_s=8.0)
    memory = [1001.0 + n for n in range(40)]

    rows = {
        row["name"]: row for row in rows_of(Measured(6.0, alone, together, Phase(), memory, (1000.0, 1030.0)), 20, 15.0)
    }

    assert rows["cold start to the first page"]["ratio"] == 2.0
    assert rows["one person: first step, p50"]["ours"] == 200.0
    assert rows["one person: first step, p50"]["ratio"] == 1.5
    assert rows["20 people, 15 s between questions: answer, p95"]["ratio"] == 0.5
    assert rows["20 people without a pause: answer, p95"]["ours"] is None
    assert rows["20 people, 15 s between questions: processor time for an answer"]["ours"] == 0.4
    assert rows["p95 of 20 people"]["ratio"] == 2.0
    assert rows["questions without an answer"]["ours"] == 1
    assert rows["memory growth over 40 answers"]["ours"] == 30.0
    assert rows["highest memory meanwhile"]["ours"] == 1040.0
    assert rows["memory growth in the last half, for 100 answers"]["ours"] == pytest.approx(100.0)


def test_time_that_other_machines_got_is_a_share_of_what_was_wanted() -> None:
    before = {"user": 10.0, "system": 1.0, "idle": 50.0, "steal": 2.0}
    after = {"user": 15.0, "system": 2.0, "idle": 90.0, "steal": 4.0}

    assert stolen_between(before, after) == 25.0
    assert stolen_between({"user": 1.0, "idle": 0.0}, {"user": 2.0, "idle": 0.0}) is None
    assert stolen_between(before, before) is None


def test_more_people_than_stations_are_refused() -> None:
    with pytest.raises(UsageError, match="At most: 124"):
        bench_app(Runtime(), users=500, questions=2000)
    with pytest.raises(UsageError, match="40 or more"):
        bench_app(Runtime(), users=20, questions=39)


def test_the_command_refuses_what_it_does_not_read() -> None:
    other = CliRunner().invoke(main, ["bench", "app", "--seeds", "2"])
    elsewhere = CliRunner().invoke(main, ["bench", "latency", "--users", "2"])

    assert (other.exit_code, elsewhere.exit_code) == (2, 2)
    assert "'bench app' takes no --seeds." in other.stderr
    assert "'bench latency' takes no --users." in elsewhere.stderr


# -- sessions against small pages of Gradio ----------------------------------------------------


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """Where `gradio_pages.py` serves; in a process of its own, as Gradio leaves sockets open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("gradio_pages.py")), str(port)]
    with subprocess.Popen(command) as process:
        try:
            url = f"http://127.0.0.1:{port}/"
            deadline = time.monotonic() + 60
            while not answers(f"{url}chained/config"):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).is_success
    except httpx2.TransportError:
        return False


def ask(url: str, *questions: str) -> list[Reply]:
    async def visit() -> list[Reply]:
        async with PageSession.open(url) as session:
            return [await session.ask(question) for question in questions]

    return asyncio.run(visit())


def test_a_session_follows_steps_chains_updates_and_state(pages: str) -> None:
    first, second = ask(f"{pages}chained/", "one?", "two?")

    assert first.questions == ["one?"]
    assert first.answer == "km Faro seen Faro"
    assert second.questions == ["one?", "two?"]
    assert second.answer == "km Faro seen Faro"
    assert (first.thread, second.thread) == ("t1", "t2")
    for each in (first, second):
        assert 0 < each.sign_s < each.step_s < each.answer_s


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("failing", "out of paper"),
        ("silent", r"Nothing came below the question 'one\?'"),
        ("boxless", "no part called question, thread"),
        ("elsewhere", "404"),
    ],
)
def test_what_goes_wrong_is_told(pages: str, page: str, said: str) -> None:
    with pytest.raises(AskFailedError, match=said):
        ask(f"{pages}{page}/", "one?")


# -- the real app -----------------------------------------------------------------------------


def test_two_people_ask_the_real_app_and_stay_apart() -> None:
    async def visit(url: str) -> tuple[Reply, Reply, list[Person]]:
        async with PageSession.open(url) as one, PageSession.open(url) as other:
            people = [Person(one, ["How busy is station S039 now?"]), Person(other, ["Flow at S101 in an hour?"])]
            first, second = await asyncio.gather(*(each.session.ask(each.asked[0]) for each in people))
            return first, second, people

    with ExitStack() as stack:
        app = stack.enter_context(served_app())
        first, second, people = asyncio.run(visit(app.url))
        assert 0 < app.cold_start_s < 120
        assert app.memory_mb() > 200
        assert app.cpu_s() > 1
        pid = app.process.pid
        assert "Traceback" not in app.log.read_text()

    assert not app.process.is_running(), pid
    for answer, each, station in ((first, people[0], "S039"), (second, people[1], "S101")):
        assert faults_of(answer, each, each.asked[0]) == []
        assert strays_of(answer, each, each.asked[0], station) == []
        assert 0 < answer.sign_s < answer.step_s < answer.answer_s
    assert mixed_threads(people) == []
    assert people[0].threads != people[1].threads


@pytest.mark.slow
def test_the_whole_bench() -> None:
    arguments = ["bench", "app", "--users", "2", "--questions", "4", "--think", "0.1", "--json"]

    done = CliRunner().invoke(main, arguments, catch_exceptions=False)

    report = json.loads(done.stdout)
    assert report["failures"] == report["mixed"] == []
    assert len(report["memory_mb"]) == 4
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["one person: answer, p95"]["ours"] > 0
    assert rows["2 people without a pause: answer, p95"]["ratio"] > 0
    assert rows["memory after the warm-up"]["ours"] > 500
