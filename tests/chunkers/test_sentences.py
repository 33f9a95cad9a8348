"""Sentences stay whole, whoever finds them."""

from __future__ import annotations

import asyncio
import re
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from tests.support.corpus import prose

from octavo.chunkers.sentences import CHUNKER
from octavo.errors import UsageError
from octavo.text.document import Document
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")


def split(text, **options):
    chunks = asyncio.run(
        CHUNKER.run(Document(text, "t.txt"), CHUNKER.options(**options), TOKTOK, None)
    )
    parts = [text[chunk.span.start : chunk.span.end] for chunk in chunks]
    assert "".join(parts) == text
    return parts


TEXT = "Dr. Smith came at 3 p.m. on Friday. He left soon! Why?  Nobody knows.\n\nA new paragraph."
SENTENCES = [
    "Dr. Smith came at 3 p.m. on Friday.",
    " He left soon!",
    " Why?",
    "  Nobody knows.\n\n",
    "A new paragraph.",
]


@pytest.mark.parametrize("splitter", ["nupunkt", "rules"])
def test_each_sentence_can_have_a_chunk_of_its_own(splitter):
    assert split(TEXT, tokens=50, sentences=1, splitter=splitter) == SENTENCES


@pytest.mark.parametrize("splitter", ["nupunkt", "rules"])
def test_sentences_without_white_space_between_them_are_found(splitter):
    parts = ["他来了。", "她走了\uff01", "为什么\uff1f"]
    assert split("".join(parts), tokens=50, sentences=1, splitter=splitter) == parts


def test_chunks_end_at_sentences_and_are_well_filled():
    text = prose(60_000)
    parts = split(text, tokens=200)
    assert all(re.search(r"[.!?]\"?\s*$|^CHAPTER[^\n]*\s*$", part) for part in parts)
    counts = TOKTOK.count_batch(parts)
    assert sum(counts) / (200 * len(counts)) > 0.75


def test_a_sentence_above_the_budget_is_cut_between_words():
    parts = split("word " * 200 + "end. Next one.", tokens=40)
    assert all(re.match(r" ?\w+", part) for part in parts)


class Sat:
    """Stands for wtpsplit's class: cuts after each line end and semicolon."""

    def __init__(self, model):
        if model != "sat-1l":
            raise OSError("not there")

    def split(self, text):
        return re.findall(r"[^;]*;|[^;]+$", text)


@pytest.fixture
def wtpsplit(monkeypatch):
    package = ModuleType("wtpsplit")
    package.SaT = Sat
    package.__spec__ = ModuleSpec("wtpsplit", None)
    monkeypatch.setitem(sys.modules, "wtpsplit", package)


def test_a_model_of_wtpsplit_finds_sentences(wtpsplit):
    text = "one; two; three"
    parts = split(text, tokens=50, sentences=1, splitter="sat", model="sat-1l")
    assert parts == ["one;", " two;", " three"]


def test_a_model_that_is_not_there_is_said(wtpsplit):
    with pytest.raises(UsageError, match="sat-9l") as told:
        split("one", tokens=50, splitter="sat", model="sat-9l")
    assert "fetch" in told.value.hint


def test_without_wtpsplit_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("octavo.chunkers._support.sentence_splitters.find_spec", lambda _: None)
    with pytest.raises(UsageError) as told:
        split("one", tokens=50, splitter="sat")
    assert "wtpsplit-lite" in told.value.hint
