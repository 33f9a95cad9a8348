"""Counting by the tokenizer inside a GGUF file."""

from __future__ import annotations

import itertools
import random

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from tests.support.vocabulary import byte_level, sentence_piece, write_gguf

from octavo.errors import UsageError
from octavo.tokens.choose import get_counter
from octavo.tokens.gguf import word_patterns as words
from octavo.tokens.gguf.byte_level import BYTE_LETTERS, merge_pairs
from octavo.tokens.gguf.metadata import read_metadata

SPACE = BYTE_LETTERS[ord(" ")]
MERGES = ["t h", "th e", f"{SPACE} the", "1 2", "e r"]


@pytest.mark.parametrize(
    ("pre", "text", "tokens"),
    [
        ("smollm", "the the", 2),  # "the", " the"
        ("smollm", "12", 2),  # digits stand alone
        ("gpt-2", "12", 1),
        ("qwen2", "12", 2),
        ("llama-bpe", "1212", 3),  # "121", "2"
        ("smollm", "other", 3),  # o, the, r: the lower rank first
        ("smollm", "é", 2),
        ("smollm", "\ud800", 3),
        ("smollm", "", 0),
    ],
)
def test_byte_level_vocabularies_merge_inside_words(tmp_path, pre, text, tokens):
    counting = get_counter(str(byte_level(tmp_path / "m.gguf", MERGES, pre=pre)))
    assert counting.count(text) == tokens
    assert counting.exact


def test_some_take_a_known_word_whole(tmp_path):
    """Where a token has no way to be merged, only those that look words up have it."""
    merges = ["a b", "b c", "ab c"]  # "abc" merges as ab+c; "bca" never becomes one token
    paths = [
        byte_level(tmp_path / f"{pre}.gguf", merges, pre=pre) for pre in ("gpt-2", "llama-bpe")
    ]
    assert [get_counter(str(path)).count("abc") for path in paths] == [1, 1]
    merges = ["a b", "b c", "a bc"]  # a+b comes first and hides a+bc
    paths = [
        byte_level(tmp_path / f"{pre}.gguf", merges, pre=pre) for pre in ("gpt-2", "llama-bpe")
    ]
    assert [get_counter(str(path)).count("abc") for path in paths] == [2, 1]


def test_user_defined_tokens_are_one_each(tmp_path):
    path = byte_level(tmp_path / "m.gguf", MERGES, extra=("<think>", "<think>>"))
    assert get_counter(str(path)).count("the<think>>the<think>") == 4


def test_sentence_piece_merges_by_score(tmp_path):
    pieces = ["▁the", "the", "he", "th", "▁", "t", "h", "e", "▁t"]
    path = sentence_piece(tmp_path / "m.gguf", pieces)
    counting = get_counter(str(path))
    assert counting.count("the the") == 2
    assert counting.count("th") == 2  # ▁, th: the space in front is the model's own
    assert counting.count("é") == 3  # ▁ and two bytes
    assert counting.count("") == 0
    bare = sentence_piece(tmp_path / "n.gguf", pieces, prefix=False)
    assert get_counter(str(bare)).count("th") == 1


def test_tokens_that_reach_over_words_are_found(tmp_path):
    path = sentence_piece(tmp_path / "m.gguf", ["a▁b", "▁b", "▁", "a", "b"], prefix=False)
    assert get_counter(str(path)).count("a b") == 1


def test_its_name_is_of_the_tokenizer_alone(tmp_path):
    one = get_counter(str(byte_level(tmp_path / "a.gguf", MERGES)))
    heavier = get_counter(str(byte_level(tmp_path / "b.gguf", MERGES, weights=b"12345")))
    other = get_counter(str(byte_level(tmp_path / "c.gguf", MERGES[:-1])))
    assert one.name == heavier.name != other.name
    assert one.name.startswith("gguf:")


def test_what_is_not_known_is_estimated_and_says_so(tmp_path):
    path = byte_level(tmp_path / "m.gguf", MERGES, pre="of-tomorrow")
    assert (get_counter(str(path)).name, get_counter(str(path)).exact) == ("estimate-1", False)
    path = write_gguf(tmp_path / "n.gguf", {"tokenizer.ggml.model": "bert"})
    assert not get_counter(str(path)).exact


@pytest.mark.parametrize("data", [b"", b"GGUF", b"not a model at all, whatever its name", None])
def test_a_file_that_is_none_is_a_usage_error(tmp_path, data):
    path = tmp_path / "m.gguf"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=r"m\.gguf"):
        get_counter(str(path))


def test_a_cut_file_is_a_usage_error(tmp_path):
    path = byte_level(tmp_path / "m.gguf", MERGES)
    data = path.read_bytes()
    for end in (30, 100, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:end])
        with pytest.raises(UsageError):
            get_counter(str(path))


def test_scalars_are_read_with_the_lists_left(tmp_path):
    path = write_gguf(
        tmp_path / "m.gguf", {"a.length": 8192, "a.name": "é", "a.on": True, "l": [1]}
    )
    metadata = read_metadata(path)
    assert metadata.scalars == {"a.length": 8192, "a.name": "é", "a.on": True}
    assert metadata.read_numbers("l") == (1,)
    assert metadata.read_strings("none") == []


PATTERNS = sorted({found.pattern for found in words._BY_NAME.values()})


@given(st.text(), st.sampled_from(PATTERNS))
def test_words_join_to_the_text(text, pattern):
    assert "".join(regex.findall(pattern, text)) == text


@given(st.text(alphabet="abc", max_size=120), st.integers(0, 2**32))
def test_long_words_merge_as_short_ones_do(word, seed):
    """The heap gives what looking at all pairs again and again gives."""
    random.seed(seed)
    parts = ["".join(p) for n in (1, 2, 3) for p in itertools.product("abc", repeat=n)]
    pairs = random.sample(list(itertools.product(parts, parts)), 60)
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    assert list(merge_pairs(word, ranks)) == slowly_merged(word, ranks)


def slowly_merged(word, ranks):
    """Do what the definition says, and no more."""
    parts = list(word)
    while True:
        known = [
            (ranks[pair], at) for at, pair in enumerate(itertools.pairwise(parts)) if pair in ranks
        ]
        if not known:
            return parts
        at = min(known)[1]
        parts[at : at + 2] = ["".join(parts[at : at + 2])]
