from __future__ import annotations

import pytest

from mm4st_agent.knowledge.ranking import bm25, ranks, reciprocal_rank_fusion


def test_bm25_is_zero_exactly_where_no_word_is_shared() -> None:
    scores = bm25("code 1179", ["1179-Trfc Collision", "1125-Traffic Hazard", "", "the 1179 and the 1179"])

    assert scores[0] > 0
    assert scores[1] == scores[2] == 0
    assert scores[3] > 0


def test_a_rare_word_counts_more_and_a_common_one_still_counts() -> None:
    scores = bm25("tanker road", ["road road", "road tanker", "road", "road"])

    assert scores.argmax() == 1
    assert (scores > 0).all()


def test_texts_without_words_do_not_break_bm25() -> None:
    assert bm25("anything", ["", "..."]).tolist() == [0, 0]
    assert bm25("the", ["a road"]).tolist() == [0]


def test_equal_scores_share_a_rank() -> None:
    assert ranks({"a": 1.0, "b": 3.0, "c": 1.0, "d": 0.5}) == {"b": 1, "a": 2, "c": 2, "d": 4}


def test_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    fused = reciprocal_rank_fusion({"a": 1, "b": 2}, {"b": 1})

    assert fused["a"] == pytest.approx(1 / 61)
    assert fused["b"] == pytest.approx(1 / 62 + 1 / 61)
