"""Texts that share words are near each other."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.ngrams import spelt
from octavo.text.vector import cosine, vector


def test_texts_that_share_words_are_nearer_than_others():
    ask = spelt("How much did the white whale weigh?")
    near, far = spelt("The whale was white."), spelt("Norway taxes cod.")
    assert cosine(ask, near) > 0.4 > 0.2 > cosine(ask, far)


def test_scripts_without_spaces_and_compatible_forms():
    assert cosine(spelt("白色的鲸鱼"), spelt("那是白色的鲸鱼吗")) > 0.3
    assert spelt("Ｗhale  ONE") == spelt("whale one")  # noqa: RUF001 - a full-width letter


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text):
    found = spelt(text)
    length = math.sqrt(sum(each * each for each in found))
    assert len(found) == 256
    assert length == pytest.approx(1, abs=1e-5) or not any(found)


def test_the_cosine_is_bounded_and_refuses_other_lengths():
    assert cosine(vector([3, 4]), vector([6, 8])) == 1
    assert cosine(vector([1, 0]), vector([-2, 0])) == -1
    assert cosine(vector([0, 0]), vector([1, 1])) == 0
    with pytest.raises(ValueError, match="1 and 2"):
        cosine(vector([1]), vector([1, 2]))
