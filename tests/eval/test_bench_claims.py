"""The labelled sentences load, and the claim checker is held against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.bench.claims import CLAIMS, bench_claims, flagged, load_evidence, load_sentences
from eval.claims.adopt import adopt
from mm4st_agent.cli import main
from mm4st_agent.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of three sentences on the recorded evidence."""
    (tmp_path / "evidence.json").write_bytes((CLAIMS / "evidence.json").read_bytes())
    _write(
        tmp_path,
        _line("t1", "S039 moves at 45.9 km/h.", []),
        _line("t2", "S039 moves at 52.1 km/h.", ["52.1 km/h"]),
        _line("t3", "S039 is the pride of the city.", ["pride of the city"]),
    )
    return tmp_path


def _line(id_: str, text: str, unsupported: list[str], **more: Any) -> dict[str, Any]:
    kind = "wrong number" if unsupported else "right"
    return {
        "id": id_,
        "half": "test",
        "kind": kind,
        "text": text,
        "evidence": ["E1"],
        "unsupported": unsupported,
    } | more


def _write(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(("half", "fewest"), [("dev", 3000), ("test", 200)])
def test_every_sentence_points_to_recorded_evidence(half: Any, fewest: int) -> None:
    sentences, evidence = load_sentences(half), load_evidence()

    assert len(sentences) >= fewest
    assert len({sentence.id for sentence in sentences}) == len(sentences)
    assert {sentence.half for sentence in sentences} == {half}
    assert {id_ for sentence in sentences for id_ in sentence.evidence} <= set(evidence)


def test_no_sentence_of_the_test_half_is_in_the_other() -> None:
    texts = [{sentence.text for sentence in load_sentences(half)} for half in ("dev", "test")]

    assert texts[0].isdisjoint(texts[1])


def test_found_missed_and_false_claims_are_counted(folder: Path) -> None:
    report = bench_claims("test", failures=True, folder=folder)

    assert (report["sentences"], report["unsupported"]) == (3, 2)
    assert report["by"]["wrong number"] == {"sentences": 2, "found": 1, "missed": 1, "false": 0}
    assert [row["ours"] for row in report["rows"]] == [1.0, 0.5]
    assert report["failures"] == [
        {"id": "t3", "kind": "wrong number", "text": "S039 is the pride of the city.", "missed": ["pride of the city"],
         "false": []}
    ]  # fmt: skip


def test_positions_are_those_of_the_text_without_marks(folder: Path) -> None:
    sentence = load_sentences("test", folder)[1].model_copy(update={"text": "S039 moves at 52.1 km/h, not 61.7 km/h."})

    spans = flagged(sentence, load_evidence(folder))

    assert [sentence.text[slice(*span)] for span in spans] == ["52.1 km/h", "61.7 km/h"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (_line("t1", "5 and 5", ["5"]), "which its text holds 2 times"),
        (_line("t1", "5", ["6"]), "which its text holds 0 times"),
        (_line("t1", "5", [], mood="sad"), "is no sentence"),
    ],
)
def test_a_broken_line_is_named(folder: Path, line: dict[str, Any], named: str) -> None:
    _write(folder, _line("t0", "Fine.", []), line)

    with pytest.raises(DataError, match="Line 2") as raised:
        bench_claims("test", folder=folder)
    assert named in str(raised.value)


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no set of sentences .*test\.jsonl"):
        bench_claims("test", folder=tmp_path)


def test_a_new_test_half_sends_the_present_one_to_the_other(folder: Path) -> None:
    (folder / "dev.jsonl").write_text(json.dumps(_line("d1", "S039 is slow.", [], half="dev")) + "\n")
    present = [sentence.text for sentence in load_sentences("test", folder)]
    new = folder / "new.jsonl"
    new.write_text(json.dumps(_line("n1", "S039 moves at 46 km/h.", [])) + "\n")

    sizes = adopt(new, folder)

    assert sizes == (4, 1)
    assert [sentence.text for sentence in load_sentences("dev", folder)] == ["S039 is slow.", *present]
    assert [sentence.id for sentence in load_sentences("test", folder)] == ["n1"]
    with pytest.raises(DataError, match=r"has a text that is in use: n1\."):
        adopt(new, folder)


def test_a_new_test_half_must_be_one(folder: Path) -> None:
    (folder / "new.jsonl").write_text(json.dumps(_line("n1", "S039 is fast.", [], half="dev")) + "\n")

    with pytest.raises(DataError, match="of the dev half"):
        adopt(folder / "new.jsonl", folder)


def test_the_command_tells_that_the_checker_holds_its_level_on_the_development_half() -> None:
    done = CliRunner().invoke(main, ["bench", "claims", "--json"])

    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["half"] == "dev"
    rows = {row["name"]: row["ours"] for row in report["rows"]}
    assert rows["claims, precision of 'unsupported'"] > 0.965
    assert rows["claims, recall of 'unsupported'"] > 0.93


def test_the_command_refuses_what_it_does_not_read() -> None:
    refused = CliRunner().invoke(main, ["bench", "claims", "--limit", "3"])

    assert refused.exit_code == 2
    assert "takes no --limit" in refused.output
