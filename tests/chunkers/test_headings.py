"""Sections are chunks; small ones can be joined, large ones are split."""

from __future__ import annotations

import asyncio

from tests.support.corpus import prose

from octavo.chunkers.headings import CHUNKER
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")
TEXT = """Before.

# One

## Deep

Some text.

## Deeper

More text here.

# Two

Short.
"""


def split(text, **options):
    document = MARKDOWN.load(text.encode(), "t.md", None)
    chunks = asyncio.run(CHUNKER.run(document, CHUNKER.options(**options), TOKTOK, None))
    parts = [text[chunk.span.start : chunk.span.end] for chunk in chunks]
    assert "".join(parts) == text
    return chunks, [part.split("\n")[0] for part in parts]


def test_each_section_is_a_chunk_and_a_bare_heading_goes_with_the_next():
    chunks, heads = split(TEXT, tokens=100)
    assert heads == ["Before.", "# One", "## Deeper", "# Two"]
    assert [chunk.headings for chunk in chunks] == [(), ("One",), ("One", "Deeper"), ("Two",)]


def test_deeper_headings_can_be_passed_over():
    assert split(TEXT, tokens=100, level=1)[1] == ["Before.", "# One", "# Two"]


def test_small_sections_can_be_joined():
    chunks, heads = split(TEXT, tokens=100, least=12)
    assert heads == ["Before.", "# Two"]
    assert all(chunk.tokens <= 100 for chunk in chunks)


def test_a_section_above_the_budget_is_split_under_its_headings():
    text = f"# One\n\n{prose(3000)}\n# Two\n\nEnd.\n"
    chunks, heads = split(text, tokens=100)
    assert len(chunks) > 5
    assert {chunk.headings for chunk in chunks[:-1]} == {("One",)}
    assert heads[-1] == "# Two"


def test_a_text_without_headings_is_one_section():
    assert len(split("Only text.\n", tokens=100)[0]) == 1
    assert split("", tokens=100)[0] == ()
