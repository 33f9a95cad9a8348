"""The structure chunker: nothing lost, nothing over budget, borders that survive edits."""

from __future__ import annotations

import asyncio
import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.corpus import chinese, markdown, prose

from octavo.chunkers.structure import CHUNKER, Structure, split
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.text.document import Document
from octavo.text.splitting.blocks import find_blocks
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")
ESTIMATE = get_counter("estimate")


class Letters:
    """A counter of characters, for budgets that bite; counts what it was asked to count."""

    name = "letters"
    exact = True

    def __init__(self):
        self.counted = 0

    def count(self, text):
        self.counted += len(text)
        return len(text)

    def count_batch(self, texts):
        return [self.count(text) for text in texts]


def check(text, budget, tokens=TOKTOK, outline=()):
    document = Document(text, "t", outline)
    chunks = split(document, budget, tokens)
    assert "".join(document.slice(chunk.span) for chunk in chunks) == text
    for chunk in chunks:
        assert chunk.span.length > 0
        assert chunk.tokens == tokens.count(document.slice(chunk.span))
        assert chunk.tokens <= budget
    assert split(document, budget, tokens) == chunks
    return chunks


PIECES = st.sampled_from(
    [
        *("word ", "Sentence one. ", "\n", "\n\n", "\r\n", "# Head\n", "- item\n", "| a | b |\n"),
        *(
            "```\n",
            "日本語。",
            "e\u0301",
            "👩\u200d👩\u200d👧\u200d👦",
            "\u200b",
            "\t",
            "a" * 50,
            "x.y ",
        ),
        *('"Quote!" ', "    code\n"),
    ]
)


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=120).map("".join), st.integers(16, 60))
def test_any_text_is_covered_within_the_budget(text, budget):
    check(text, budget)
    check(text, budget, ESTIMATE)
    check(text, budget, Letters())


@settings(max_examples=100)
@given(st.text(max_size=400), st.integers(16, 40))
def test_any_unicode_is_covered_within_the_budget(text, budget):
    check(text, budget)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000,
        "\n" * 50_000,
        "词" * 20_000,
        "= " * 20_000,
        "👍" * 10_000,
        "\ud800" * 100,
        "x\r\n" * 9000,
    ],
    ids=["one word", "newlines", "Chinese", "signs", "emoji", "surrogates", "CRLF"],
)
def test_texts_without_any_structure_are_covered(text):
    check(text, 200)


def test_no_chunk_parts_a_carriage_return_from_its_newline():
    text = "line of some words\r\n" * 500
    for chunk in check(text, 50):
        assert not text[chunk.span.start :].startswith("\n")


@settings(max_examples=60)
@given(st.lists(PIECES, max_size=200).map("".join), st.integers(16, 60), st.integers(1, 200))
def test_where_a_stretch_ends_changes_no_border(text, budget, length):
    document = MARKDOWN.load(text.encode(), "m.md", None)
    whole = split(document, budget, TOKTOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("octavo.chunkers._support.streaming._STRETCH", length)
        assert split(document, budget, TOKTOK) == whole


def test_a_stretch_may_end_anywhere_in_blank_lines(monkeypatch):
    blank = ["\n\n", "\n \n", "\n\t\n  \n", "\r\n\r\n \r\n", "\n\n\n \n\n", "\n# Head\n\n \n"]
    text = " \n\n" + "".join(f"{'word ' * (n % 5 + 1)}{each}" for n in range(9) for each in blank)
    document = MARKDOWN.load(text.encode(), "m.md", None)
    whole = split(document, 120, TOKTOK)
    for length in range(1, len(text)):
        monkeypatch.setattr("octavo.chunkers._support.streaming._STRETCH", length)
        assert split(document, 120, TOKTOK) == whole


def test_a_block_longer_than_a_stretch_is_looked_for_a_few_times_only(monkeypatch):
    monkeypatch.setattr("octavo.chunkers._support.streaming._STRETCH", 50)
    looked = []

    def spy(*args):
        looked.append(args)
        return find_blocks(*args)

    monkeypatch.setattr("octavo.chunkers._support.streaming.find_blocks", spy)
    check("a word " * 10_000 + "\n\nThe end.", 100)
    assert len(looked) < 50


@pytest.mark.parametrize("make", [prose, markdown])
def test_where_a_stretch_ends_changes_no_border_of_a_long_text(make, monkeypatch):
    document = MARKDOWN.load(make(150_000).encode(), "m.md", None)
    whole = split(document, 400, TOKTOK)
    for length in (3_000, 20_000):
        monkeypatch.setattr("octavo.chunkers._support.streaming._STRETCH", length)
        assert split(document, 400, TOKTOK) == whole


def test_memory_does_not_grow_with_the_text(monkeypatch):
    """Beside the text and the chunks themselves, of which a large budget makes few."""
    monkeypatch.setattr("octavo.chunkers._support.streaming._STRETCH", 50_000)
    text = prose(1_600_000)
    peaks = []
    for length in (200_000, 1_600_000):
        document = Document(text[:length], "t")
        tracemalloc.start()
        split(document, 20_000, ESTIMATE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_chunks_of_prose_end_at_paragraphs_and_are_well_filled():
    text = prose(150_000)
    chunks = check(text, 500)
    assert sum(chunk.tokens for chunk in chunks) / (500 * len(chunks)) > 0.7
    ends = [text[: chunk.span.end].endswith("\n") for chunk in chunks]
    assert sum(ends) / len(ends) > 0.95


def test_headings_are_followed_and_code_is_not_taken_for_them():
    document = MARKDOWN.load(markdown(60_000).encode(), "m.md", None)
    chunks = check(document.text, 300, outline=document.outline)
    starts = {heading.span.start for heading in document.outline}
    assert sum(chunk.span.start in starts for chunk in chunks) > len(chunks) / 6
    titles = {heading.title for heading in document.outline}
    assert {title for chunk in chunks for title in chunk.headings} <= titles
    assert "not a heading" not in titles


class Plain:
    """Toktok's counts, without its word on where they add up."""

    name = TOKTOK.name
    exact = True
    count = staticmethod(TOKTOK.count)
    count_batch = staticmethod(TOKTOK.count_batch)


@pytest.mark.parametrize(
    "text",
    [
        chinese(60_000),
        prose(60_000),
        # The beginning has a token a character, the rest fewer; and a path may join its line end.
        "字词句 " * 3000 + "\n\n" + prose(30_000).replace("\n\n", "!\n\n/a "),
        ("\n\n".join("不能合并的标题" * n for n in range(1, 40)) + "\n\n//\n\n") * 6,
        # Runs of short paragraphs, with fewer tokens than the rare signs before let expect.
        "\U00020bb7" * 3000
        + "\n\n"
        + "\n\n".join("the words " * (n * n % 11 + 1) for n in range(900)),
    ],
    ids=["Chinese", "prose", "mixed", "slashes", "short"],
)
@pytest.mark.parametrize("budget", [60, 400, 1000])
def test_counts_that_add_up_save_time_and_change_no_border(text, budget):
    document = Document(text, "t")
    assert split(document, budget, TOKTOK) == split(document, budget, Plain())


def test_an_edit_changes_few_chunks():
    text = prose(200_000)
    before = texts(text)
    order = random.Random(7)
    paragraphs = text.split("\n\n")
    changed = []
    for _ in range(12):
        edited = list(paragraphs)
        edited[order.randrange(len(edited))] += " One sentence more, which was not there."
        after = texts("\n\n".join(edited))
        changed.append(len(set(after) - set(before)))
    assert sorted(changed)[6] <= 2
    assert max(changed) <= 10


def texts(text):
    return [text[c.span.start : c.span.end] for c in split(Document(text, "t"), 500, TOKTOK)]


@pytest.mark.parametrize("kind", ["word", "line", "paragraph"])
def test_what_is_counted_grows_with_the_text_and_not_faster(kind):
    """The characters counted for a text eight times as long are about eight times as many."""
    unit = {"word": "word ", "line": "a line of words\n", "paragraph": "Some words.\n\n"}[kind]
    counted = []
    for times in (2_000, 16_000):
        letters = Letters()
        split(Document(unit * times, "t"), 100, letters)
        counted.append(letters.counted)
    assert counted[1] < 10 * counted[0]


def test_the_registered_chunker_is_this_one():
    chunks = asyncio.run(CHUNKER.run(Document("Hello there.", "t"), Structure(), TOKTOK, None))
    assert [chunk.tokens for chunk in chunks] == [TOKTOK.count("Hello there.")]
    assert asyncio.run(CHUNKER.run(Document("", "t"), Structure(), TOKTOK, None)) == ()
    assert sys.getrecursionlimit() <= 1000
