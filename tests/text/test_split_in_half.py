"""A text is cut in two where it breaks best."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.sentences import split_in_half

WORDS = "one two three four five six seven eight nine ten eleven twelve"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"{WORDS}.\n\n{WORDS}. And more.\n{WORDS}", f"{WORDS}.\n\n"),
        (f"{WORDS}. {WORDS}\n{WORDS}", f"{WORDS}. {WORDS}\n"),
        (f"{WORDS}. One {WORDS}", f"{WORDS}."),
        (f"{WORDS} {WORDS}", f"{WORDS} "),
        ("船" * 60, "船" * 30),
        # A border far from the middle is none.
        (f"a\n\n{WORDS}, {WORDS}", f"a\n\n{WORDS}, "),
    ],
)
def test_the_best_border_near_the_middle(text, left):
    assert text[: split_in_half(text)] == left


@pytest.mark.parametrize("text", ["", "   ", "short", " " * 200 + "short"])
def test_a_short_text_is_not_cut(text):
    assert split_in_half(text) is None


@given(st.text(alphabet="ab .\n\u5317\u0301\u200d\U0001f468", max_size=200))
def test_both_halves_have_something(text):
    at = split_in_half(text)
    assert at is None or 0 < at < len(text)
