"""What holds for every way to split that needs no model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.pipeline.registry import Registry
from octavo.text.document import Document, Heading
from octavo.text.span import Span
from octavo.tokens.choose import get_counter

EXAMPLES = Path(__file__).parents[2] / "examples"
REGISTRY = Registry()
METHODS = [
    name
    for name in REGISTRY.list_names("chunker")
    if not (chunker := REGISTRY.get_chunker(name)).asks(chunker.options())
]
TOKTOK = get_counter("o200k_base")
SOURCE = {"code": "t.py", "rows": "t.csv"}

PARTS = st.sampled_from(
    [
        *("word ", "Sentence one. ", "\n", "\n\n", "\r\n", "\r", "# Head\n", "- item\n"),
        *(
            "| a | b |\n",
            "| - | - |\n",
            "a,b\n",
            '"x,\n""y"""',
            '"',
            "```\n",
            "def f(x):\n",
            "    ",
        ),
        *(
            "日本語。",
            "e\u0301",
            "👩\u200d👩\u200d👧\u200d👦",
            "\u200b",
            "\t",
            "x" * 60,
            "x.y ",
            "{",
            "}",
        ),
        *("🇩🇪", "\ud800", "\u0301", "\x00", "\u2028", "Dr. ", '"Quote!" ', "١٢", "x.y ", "{"),
    ]
)
TEXTS = st.one_of(
    st.lists(PARTS, max_size=80).map("".join),
    st.text(max_size=200),
    st.sampled_from(["", "\n" * 300, "\r\n" * 90, " " * 500, "x" * 700, "词" * 400, "a b " * 300]),
)


def split(name, text, source=None, outline=(), **options):
    chunker = REGISTRY.get_chunker(name)
    document = Document(text, source or SOURCE.get(name, "t.txt"), outline)
    checked = chunker.options.model_validate(options)
    return asyncio.run(chunker.run(document, checked, TOKTOK, None))


def check(name, text, budget, outline=(), **options):
    chunks = split(name, text, outline=outline, tokens=budget, **options)
    parts = [text[chunk.span.start : chunk.span.end] for chunk in chunks]
    assert "".join(parts) == text
    assert all(parts)
    assert [chunk.tokens for chunk in chunks] == TOKTOK.count_batch(parts)
    assert all(chunk.tokens <= budget for chunk in chunks)
    assert split(name, text, outline=outline, tokens=budget, **options) == chunks
    return chunks


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=60)
@given(TEXTS, st.integers(16, 60), st.data())
def test_any_text_is_covered_within_the_budget_and_always_alike(name, text, budget, data):
    places = sorted(data.draw(st.sets(st.integers(0, max(len(text) - 1, 0)), max_size=4)))
    outline = tuple(Heading(1 + place % 3, "H", Span(place, place + 1)) for place in places if text)
    check(name, text, budget, outline)


@pytest.mark.parametrize(("name", "option"), [("rows", "rows"), ("sentences", "sentences")])
@settings(max_examples=60)
@given(TEXTS, st.integers(16, 60), st.integers(1, 3))
def test_the_same_holds_where_each_chunk_has_few(name, option, text, budget, most):
    check(name, text, budget, **{option: most})


class Letters:
    """Counts characters, and what it was asked to count."""

    name = "letters"
    exact = True

    def __init__(self):
        self.counted = 0

    def count(self, text):
        self.counted += len(text) + 1
        return len(text)

    def count_batch(self, texts):
        return [self.count(text) for text in texts]


UNITS = {
    "newlines": "\n",
    "one line": "word ",
    "one word": "x",
    "sentences": "It is so. ",
    "Chinese": "这是一句话。",
    "CRLF": "line\r\n",
    "code": "def f():\n    pass\n",
    "table": "a,b,c\n",
}


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("name", METHODS)
def test_what_is_counted_grows_with_the_text_and_not_faster(name, unit):
    """A text four times as long is counted about four times as much, n log n at most."""
    chunker = REGISTRY.get_chunker(name)
    counted = []
    for times in (6_000, 24_000):
        letters = Letters()
        document = Document(unit * (times // len(unit)), SOURCE.get(name, "t.txt"))
        asyncio.run(chunker.run(document, chunker.options(tokens=64), letters, None))
        counted.append(letters.counted)
    assert counted[1] < 5 * counted[0]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_splits_an_example(name):
    path = EXAMPLES / {"code": "docs/balance.py", "rows": "crossings.csv"}.get(name, "story.md")
    document = Document(path.read_text("utf-8"), path.name)
    if path.suffix == ".md":
        document = MARKDOWN.load(path.read_bytes(), path.name, None)
    chunker = REGISTRY.get_chunker(name)
    chunks = asyncio.run(chunker.run(document, chunker.options(tokens=150), TOKTOK, None))
    assert len(chunks) > 2
    assert "".join(document.slice(chunk.span) for chunk in chunks) == document.text
