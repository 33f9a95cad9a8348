"""Texts that share words are near each other."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.vectors import compute_cosine, to_spelling_vector, to_vector


def test_texts_that_share_words_are_nearer_than_others():
    ask = to_spelling_vector("How much did the white whale weigh?")
    near, far = to_spelling_vector("The whale was white."), to_spelling_vector("Norway taxes cod.")
    assert compute_cosine(ask, near) > 0.4 > 0.2 > compute_cosine(ask, far)


def test_scripts_without_spaces_and_compatible_forms():
    assert (
        compute_cosine(to_spelling_vector("白色的鲸鱼"), to_spelling_vector("那是白色的鲸鱼吗"))
        > 0.3
    )
    assert to_spelling_vector("Ｗhale  ONE") == to_spelling_vector("whale one")  # noqa: RUF001 - a full-width letter


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text):
    found = to_spelling_vector(text)
    length = math.sqrt(sum(each * each for each in found))
    assert len(found) == 256
    assert length == pytest.approx(1, abs=1e-5) or not any(found)


def test_the_cosine_is_bounded_and_refuses_other_lengths():
    assert compute_cosine(to_vector([3, 4]), to_vector([6, 8])) == 1
    assert compute_cosine(to_vector([1, 0]), to_vector([-2, 0])) == -1
    assert compute_cosine(to_vector([0, 0]), to_vector([1, 1])) == 0
    with pytest.raises(ValueError, match="1 and 2"):
        compute_cosine(to_vector([1]), to_vector([1, 2]))
