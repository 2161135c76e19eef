from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mm4st_agent.knowledge.chunking import chunk

TEXTS = st.text(alphabet=st.sampled_from("ab.!?A1 \n\t\u00a0é車"), max_size=300)


@given(TEXTS, st.integers(1, 40))
def test_spans_are_exact_and_only_white_space_is_lost(document: str, cap: int) -> None:
    pieces = chunk(document, cap)

    assert all(document[piece.start : piece.end] == piece.text for piece in pieces)
    assert all(0 < len(piece.text) <= cap and piece.text == piece.text.strip() for piece in pieces)
    ends = [0, *(piece.end for piece in pieces)]
    starts = [*(piece.start for piece in pieces), len(document)]
    assert all(not document[end:start].strip() for end, start in zip(ends, starts, strict=True))


def test_a_short_text_is_one_chunk() -> None:
    assert [piece.text for piece in chunk("  Flow fell. Speed fell.\n")] == ["Flow fell. Speed fell."]


def test_sentences_stay_whole_where_they_fit() -> None:
    pieces = chunk("It rained 14.8 mm. Roads were wet. Cars were slow.", max_characters=35)

    assert [piece.text for piece in pieces] == ["It rained 14.8 mm. Roads were wet.", "Cars were slow."]


def test_a_word_longer_than_the_cap_is_cut() -> None:
    assert [piece.text for piece in chunk("x" * 25, max_characters=10)] == ["x" * 10, "x" * 10, "x" * 5]
