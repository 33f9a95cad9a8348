"""Counts by toktok are those of OpenAI's encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.corpus import chinese, prose

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


@pytest.mark.parametrize("half", ["", "\ud800"])
@pytest.mark.parametrize("text", [chinese(200_000), prose(100_000)], ids=["Chinese", "prose"])
def test_long_batches_count_the_same_on_several_cores(text, half, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    texts = [part + half for part in text.split("\n")]
    assert O200K.count_batch(texts) == [O200K.count(text) for text in texts]


class Threads:
    """An encoding that says on how many threads it counted a batch; one by one is none."""

    def __init__(self):
        self.used = []

    def count(self, text):
        return 1

    def count_batch(self, texts, threads):
        self.used.append(threads)
        return [1] * len(texts)


@pytest.mark.parametrize(
    ("text", "used"),
    [("词语" * 20_000, [3]), ("词语" * 12_000, [2]), ("词" * 9_999, []), ("word " * 20_000, [])],
    ids=["Chinese", "less of it", "little of it", "English"],
)
def test_only_scripts_without_blanks_are_worth_several_cores(text, used, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    counter, threads = Toktok("o200k_base"), Threads()
    counter._encoding = threads
    counter.count_batch([text[:500], text[500:]])
    assert threads.used == used


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_half_characters_are_counted(name):
    counter = Toktok(name)
    assert counter.count("a\ud800b") == counter.count("a\ufffdb")
    assert counter.count("\ud83d\ude00") == counter.count("\U0001f600")
    assert counter.count_batch(["\udfff"] * 40) == [counter.count("\ufffd")] * 40


LINE_PARTS = st.sampled_from(
    [
        *("\n", "\n\n", "\r\n", "\r", " ", "  ", "\t", "\x0b", "\x1c", "\x85", "\xa0", "\u2028"),
        *("/", "//", "!", "?!", "```", "|", "- ", "#", "=", "'s", "'S", "\u2019", '"', "_", "\x00"),
        *(
            "a",
            "Word",
            "LL",
            "1",
            "1234",
            "词",
            "。",
            "\u0301",
            "👩\u200d",
            "ß",
            "ǅ",
            "٣",
            "\ufeff",
        ),
    ]
)
LINES = st.lists(LINE_PARTS, max_size=8).map("".join)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
@given(st.lists(LINES.map(lambda line: line + "\n"), max_size=4).map("".join), LINES)
def test_counts_add_up_over_lines_that_nothing_joins_to_the_line_before(name, before, after):
    """What the chunker builds on to count each text once."""
    counter = Toktok(name)
    if not before or not counter.crossing.match(after):
        assert counter.count(before) + counter.count(after) == counter.count(before + after)


def test_lines_that_join_the_line_before_are_known():
    assert O200K.count("```\n") + O200K.count("/items") != O200K.count("```\n/items")
    assert O200K.crossing.match("/items")
    assert O200K.crossing.match("  \nnext")
    assert not O200K.crossing.match("  next")
