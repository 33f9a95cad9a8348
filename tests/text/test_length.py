from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.sentences import count_words, has_sentence_end


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("One two  three.", 3),
        ("\u6f22\u5b57\u6587\u5b57", 2),
        ("\u6f22", 1),
        ("GPT \u3068\u306f", 2),
        ("\uc138 \ub2e8\uc5b4\ub2e4", 2),  # Korean has blanks
    ],
)
def test_words_are_counted_with_and_without_blanks(text, words):
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("It ends.", True),
        ("It ends.\n\n", True),
        ('She said: "It ends."', True),
        ("**It ends.**", True),
        ("It goes on", False),
        ("It goes on,", False),
        ("", False),
        ("\u5b8c\u3002", True),
        ("\u5b8c\u3002\u300d", True),
        ("\u5b8c", False),
        ("\u0939\u0948\u0964", True),
        ("\u0e08\u0e1a", True),  # Thai has no such mark
    ],
)
def test_the_end_of_a_sentence_is_seen_in_its_script(text, ends):
    assert has_sentence_end(text) is ends


@given(st.text(), st.text())
def test_two_texts_have_the_words_of_both(one, other):
    assert abs(count_words(f"{one} {other}") - count_words(one) - count_words(other)) <= 1
