"""Two processes, as two app workers are, asked at the same time on one home."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

WORKER = """
import asyncio, json, sys
from mm4st_agent.errors import UsageError
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

runtime = Runtime(load_settings())
name, rounds = sys.argv[1], int(sys.argv[2])

async def ask(thread):
    try:
        answer = await runtime.ask("What data do you have?", thread=thread)
    except UsageError as err:
        return {"thread": thread, "refused": str(err)}
    return {"thread": thread, "turn": answer.turn, "text": answer.answer}

async def crowd():
    return await asyncio.gather(*(ask(f"{name}-{number}") for number in range(2)), ask("shared"))

print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([said for _ in range(rounds) for said in asyncio.run(crowd())]))
"""
ROUNDS = 2


def test_two_processes_asked_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    conversations = Runtime(load_settings(home=home)).conversations
    assert conversations.list() == []
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, name, str(ROUNDS)],
            env={**os.environ, "MM4ST_HOME": str(home)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    replies = [worker.communicate(timeout=240) for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0], replies
    said = [answer for out, _ in replies for answer in json.loads(out)]
    own = [answer for answer in said if answer["thread"] != "shared"]
    shared = [answer for answer in said if answer["thread"] == "shared"]
    for thread in {answer["thread"] for answer in own}:
        assert [answer["turn"] for answer in own if answer["thread"] == thread] == [1, 2]
    turns = sorted(answer["turn"] for answer in shared if "turn" in answer)
    assert turns == list(range(1, len(turns) + 1))
    assert turns
    assert all("is still under way" in answer["refused"] for answer in shared if "turn" not in answer)
    assert {conversation.thread for conversation in conversations.list()} == {answer["thread"] for answer in said}
    for answer in said:
        if "turn" in answer:
            turn = conversations.turn(answer["thread"], answer["turn"])
            assert turn.answer is not None
            assert turn.answer.answer == answer["text"]
    for file in home.glob("*.sqlite"):
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
