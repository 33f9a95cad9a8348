"""How well texts match words: BM25 over scripts with and without blanks."""

from __future__ import annotations

import math

import pytest

from octavo.text.bm25 import iter_words, score_bm25


def test_words_of_many_scripts_are_found_however_they_are_written():
    assert list(iter_words("The \uff37hale's Straße")) == ["the", "whale", "s", "strasse"]
    assert list(iter_words("捕鲸船 a")) == ["捕鲸", "鲸船", "a"]
    assert list(iter_words("船")) == ["船"]
    scores = score_bm25(["他住在北京市。", "船长在甲板上。", "天气很好。"], "船长在哪里?")
    assert scores[1] == max(scores) > scores[0] == scores[2] == 0


def test_a_rare_word_weighs_more_than_a_common_one_and_no_word_weighs_against_a_text():
    scores = score_bm25(["the ship", "the whale", "the mate", "a crew"], "the whale")
    assert scores[1] > scores[0] == scores[2] > scores[3] == 0


def test_scores_are_those_of_the_formula():
    (first, second) = score_bm25(["ship ship sea", "sea"], "ship")
    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
    assert first == pytest.approx(idf * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / 2)))
    assert second == 0


@pytest.mark.parametrize("texts", [[], [""], ["", "!"]])
def test_no_words_are_no_match(texts):
    assert score_bm25(texts, "whale") == [0] * len(texts)
