"""Counts by toktok are those of OpenAI's encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.tokens.toktok import ENCODINGS, Toktok

O200K = Toktok("o200k_base")


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("o200k_base", "", 0),
        ("o200k_base", "hello world", 2),
        ("cl100k_base", "how many tokens?", 4),
        ("o200k_base", "naïve café\r\n\r\n", 5),
        ("o200k_harmony", "hello world", 2),
    ],
)
def test_counts_are_known(name, text, tokens):
    assert Toktok(name).count(text) == tokens


def test_special_tokens_in_a_text_are_plain_text():
    assert O200K.count("<|endoftext|>") == O200K.count_batch(["<|endoftext|>"] * 50)[0] == 7


@given(st.lists(st.text(st.characters(codec=None)), max_size=60))
def test_a_batch_counts_as_one_by_one(texts):
    assert O200K.count_batch(texts) == [O200K.count(text) for text in texts]


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_half_characters_are_counted(name):
    counter = Toktok(name)
    assert counter.count("a\ud800b") == counter.count("a\ufffdb")
    assert counter.count("\ud83d\ude00") == counter.count("\U0001f600")
    assert counter.count_batch(["\udfff"] * 40) == [counter.count("\ufffd")] * 40


LINES = st.from_regex(r"[A-Za-z][A-Za-z ,.'-]{0,30}\r?\n", fullmatch=True)


@given(st.lists(LINES, min_size=1, max_size=20))
def test_counts_add_up_over_lines_that_start_with_a_letter(lines):
    """What the chunker builds on: such borders lie between words in all of these encodings."""
    for name in ENCODINGS:
        counter = Toktok(name)
        assert sum(counter.count_batch(lines)) == counter.count("".join(lines))
