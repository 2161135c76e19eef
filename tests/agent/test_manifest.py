"""Run manifests: what an answer writes, and what reading one refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import prompts
from mm4st_agent.agent.answer import Answer
from mm4st_agent.agent.ledger import Evidence
from mm4st_agent.agent.manifest import (
    Manifest,
    Said,
    read_manifest,
    record,
    used_forecaster,
    versions,
    write_manifest,
    write_whole,
)
from mm4st_agent.data.panel import Panel
from mm4st_agent.data.registry import Registry
from mm4st_agent.errors import DataError
from mm4st_agent.forecaster.prediction import TrainedForecaster, shipped_checkpoints
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

QUESTION = "How much traffic will station S002 carry over the next hour?"


@pytest.fixture
def runtime(tmp_path: Path, city_of: Callable[..., Panel]) -> Runtime:
    runtime = Runtime(load_settings(dataset="city"))
    city = city_of()
    runtime.registry = Registry(None, tmp_path / "data", {"city": lambda: city})
    return runtime


def _answer(thread: str = "t", **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "question": "?", "answer": "!", "claims": [], "evidence": [], "figures": [], "citations": [], "warnings": [],
        "chat_model": "embedded", "dataset": "demo", "as_of": "2025-10-22T07:40+01:00", "thread": thread,
        "seconds": 1.0,
    }  # fmt: skip
    return Answer(**(fields | changes))


def _manifest(thread: str = "t") -> Manifest:
    return Manifest(
        created=datetime(2026, 3, 1, 23, 30, tzinfo=UTC), said=[Said(text="?")], data_sha256=None,
        forecasters=[], prompts={}, settings={}, versions={}, commit=None, answer=_answer(thread),
    )  # fmt: skip


def test_an_answer_writes_what_a_replay_needs(runtime: Runtime) -> None:
    first = asyncio.run(runtime.ask(QUESTION, thread="mine"))
    second = asyncio.run(runtime.ask("How fast is traffic at S003 now?", thread="mine"))

    assert first.manifest is not None
    path = Path(first.manifest)
    assert path.parent.parent == runtime.settings.home / "runs"
    assert path.name == "mine-1.json"
    assert [file.name for file in sorted(path.parent.iterdir())] == ["mine-1.json", "mine-2.json"]
    found = read_manifest(path)
    assert found.answer == first.model_copy(update={"manifest": None})
    assert [entry.tool for entry in found.answer.evidence][:1] == ["question"]
    assert "forecast" in [entry.tool for entry in found.calls]
    assert "question" not in [entry.tool for entry in found.calls]
    assert [(f.dataset, f.channel, f.model) for f in found.forecasters] == [("city", "flow", "baseline")]
    assert found.prompts == {name: prompts.load(name).sha256 for name in prompts.names()}
    assert found.versions == versions()
    assert found.settings["seed"] == 0
    later = read_manifest(Path(second.manifest or ""))
    assert [said.text for said in later.said] == [QUESTION, "How fast is traffic at S003 now?"]


def test_a_manifest_holds_no_secret_and_no_path_of_the_settings(runtime: Runtime, tmp_path: Path) -> None:
    settings = load_settings(
        home=tmp_path / "home",
        data_dir=tmp_path,
        vllm_api_key="hunter2",
        vllm_url="http://me:letmein@127.0.0.1:8000/v1",
    )

    path = record(_answer(), [], {}, data_sha256=None, settings=settings).manifest

    assert path is not None
    text = Path(path).read_text()
    assert "hunter2" not in text
    assert "letmein" not in text
    assert str(tmp_path) not in text
    assert json.loads(text)["settings"]["vllm_url"] == "http://127.0.0.1:8000/v1"


def test_what_the_person_said_is_told_from_what_they_were_asked(runtime: Runtime) -> None:
    asked = Evidence(id="E1", tool="question", args={"question": "How is it?"}, as_of=None, seconds=0.0)
    reply = Evidence(id="E2", tool="clarify", args={"question": "Where?", "answer": "S001"}, as_of=None, seconds=0.0)
    unclear = reply.model_copy(update={"args": {"question": 3}, "error": "question: not a text"})

    answer = record(_answer(), [asked, reply, unclear], {}, data_sha256=None, settings=runtime.settings)

    found = read_manifest(Path(answer.manifest or ""))
    assert found.said == [Said(text="How is it?"), Said(text="S001", reply=True)]
    assert Path(answer.manifest or "").name == "t-2.json"


def test_an_answer_is_kept_where_its_manifest_cannot_be_written(runtime: Runtime) -> None:
    home = runtime.settings.ready_home()
    (home / "runs").write_text("a file where the folder should be")

    answer = asyncio.run(runtime.ask("What data do you have?"))

    assert answer.manifest is None
    assert answer.answer
    assert answer.warnings[-1].startswith("No run manifest could be written (")


def test_undefined_numbers_of_a_model_do_not_break_the_file(tmp_path: Path) -> None:
    entry = Evidence(id="E1", tool="forecast", args={"minutes": float("nan")}, as_of=None, seconds=0.0)
    manifest = _manifest().model_copy(update={"answer": _answer(evidence=[entry])})

    path = write_manifest(manifest, tmp_path)

    assert "NaN" not in path.read_text()
    assert read_manifest(path).answer.evidence[0].args == {"minutes": None}


@pytest.mark.parametrize("thread", ["../../outside", "a/b", "..", "", "Ünïcode und Leerzeichen", "x" * 300])
def test_a_thread_names_a_file_in_the_folder_of_the_day(thread: str, tmp_path: Path) -> None:
    path = write_manifest(_manifest(thread), tmp_path / "runs")

    assert path.parent == tmp_path / "runs" / "2026-03-01"
    assert not path.name.startswith(".")
    assert read_manifest(path).answer.thread == thread
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_an_older_manifest_is_never_replaced(tmp_path: Path) -> None:
    paths = [write_manifest(_manifest("t"), tmp_path) for _ in range(3)]
    others = [write_manifest(_manifest(thread), tmp_path) for thread in ("a/b", "a_b", "a?b")]

    assert [path.name for path in paths] == ["t-1.json", "t-2.json", "t-3.json"]
    assert len(set(others)) == 3


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "full").write_text("so that no file can replace it")

    with pytest.raises(OSError, match="directory"):
        write_whole(target, b"data")

    assert list(tmp_path.iterdir()) == [target]


def test_a_trained_forecaster_is_known_by_its_files() -> None:
    folder = shipped_checkpoints() / "demo-flow"

    found = used_forecaster("demo", "flow", TrainedForecaster(folder))

    assert found.checkpoint == "demo-flow"
    assert found.card_sha256 == hashlib.sha256((folder / "card.json").read_bytes()).hexdigest()
    assert found.weights_sha256 == hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no run manifest: the file: Invalid JSON"),
        (b"\xff\xfe\x00", "is no run manifest: the file: Invalid JSON"),
        (b"[]", "is no run manifest: the file: Input should be an object"),
        (b"{}", "is no run manifest: created: Field required"),
        (b'{"format": 2}', "has the manifest format 2, this version reads 1."),
        (b'{"rows": [], "commit": null}', "is no run manifest: created: Field required"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"x\.json") as caught:
        read_manifest(path)

    assert message in caught.value.message


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "none.json")
