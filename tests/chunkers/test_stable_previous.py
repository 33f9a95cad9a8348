"""`stable: previous`: borders stay where the version before had them."""

from __future__ import annotations

import random

from tests.support.corpus import markdown, prose
from tests.support.kit import Kit

import octavo
from octavo.chunkers.structure import split
from octavo.text.document import Document
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")
BUDGET = 300


def chunked(text, previous):
    hint = [(chunk.span.start, chunk.border) for chunk in previous]
    document = Document(text, "t")
    chunks = split(document, BUDGET, TOKTOK, hint)
    assert "".join(document.slice(chunk.span) for chunk in chunks) == text
    assert all(chunk.tokens <= BUDGET for chunk in chunks)
    return chunks


def texts(text, chunks):
    return [text[chunk.span.start : chunk.span.end] for chunk in chunks]


def fill(chunks):
    return sum(chunk.tokens for chunk in chunks) / (BUDGET * len(chunks))


def edited(text, order):
    paragraphs = text.split("\n\n")
    at = order.randrange(len(paragraphs))
    match order.randrange(3):
        case 0:
            paragraphs[at] += " One sentence more, which was not there."
        case 1:
            paragraphs.insert(at, "A paragraph more. " * order.randint(1, 9))
        case _:
            del paragraphs[at]
    return "\n\n".join(paragraphs)


def test_an_unchanged_text_keeps_its_borders():
    for text in (prose(60_000), markdown(60_000), "The same line.\n\n" * 900):
        chunks = chunked(text, ())
        assert chunked(text, chunks) == chunks


def test_an_edit_changes_three_chunks_at_most_in_nearly_all_cases():
    text = prose(100_000)
    before = chunked(text, ())
    order = random.Random(3)
    changed = sorted(
        len({*texts(after := edited(text, order), chunked(after, before))} - {*texts(text, before)})
        for _ in range(40)
    )
    assert changed[20] <= 1
    assert changed[38] <= 3


def test_many_edits_in_a_row_leave_chunks_nearly_as_full_as_drawn_anew():
    text = prose(50_000)
    chunks = chunked(text, ())
    order = random.Random(5)
    for _ in range(60):
        text = edited(text, order)
        chunks = chunked(text, chunks)
        assert fill(chunks) >= fill(chunked(text, ())) - 0.06


PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 300, stable: previous}
  - map: {prompt: {user: "{{ text }}"}, tokens: 50}
"""


def test_the_borders_are_recorded_with_the_run_and_used_by_the_next(tmp_path, empty_home):
    kit = Kit(PIPELINE, lambda request: "noted", tmp_path)
    text = prose(60_000)
    kit.run(text)
    whole = len(kit.requests)
    assert whole > 40
    order = random.Random(11)
    asked = []
    for _ in range(6):
        text = edited(text, order)
        planned = kit.plan(text)
        kit.run(text)
        asked.append(len(kit.requests))
        assert sum(step.calls_high - step.cached for step in planned.steps) == asked[-1]
    assert max(asked) <= 4
    kit.run(text)
    assert kit.requests == []


def test_the_command_takes_an_earlier_split_as_a_hint(tmp_path):
    before = octavo.split(Document("One.\n\nTwo.", "t"), tokens=20)
    assert octavo.split(Document("One.\n\nTwo.", "t"), tokens=20, previous=before) == before
