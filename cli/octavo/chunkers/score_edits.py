"""How many chunks an edit changes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from octavo.text.chunk import Chunk
from octavo.text.document import Document, Heading
from octavo.text.span import Span

__all__ = ["SplitFunction", "measure_changed"]

SplitFunction = Callable[[Document], Awaitable[Sequence[Chunk]]]

_EDIT_COUNT = 8
_INSERTED_SENTENCE = " One more sentence stands here now, which was not there before."
_BREAK = re.compile(r"\n[ \t\r]*\n|\n|$")


async def measure_changed(
    document: Document, chunks: Sequence[Chunk], split: SplitFunction
) -> float | None:
    """Return the mean number of chunks of the edited text that the text did not have.

    A sentence is added at the end of each of a few paragraphs, evenly spread; None for a text that
    is one chunk.
    """
    if len(chunks) < 2:
        return None
    old = set(_slice_chunks(document, chunks))
    changed: list[int] = []
    for number in range(_EDIT_COUNT):
        place = _BREAK.search(document.text, len(document.text) * (2 * number + 1) // (2 * _EDIT_COUNT))
        assert place is not None
        after = _insert_text(document, place.start(), _INSERTED_SENTENCE)
        changed.append(sum(text not in old for text in _slice_chunks(after, await split(after))))
    return sum(changed) / len(changed)


def _slice_chunks(document: Document, chunks: Sequence[Chunk]) -> list[str]:
    return [document.text[chunk.span.start : chunk.span.end] for chunk in chunks]


def _insert_text(document: Document, place: int, words: str) -> Document:
    """Return a document with words put in; headings behind them move."""

    def move_heading(heading: Heading) -> Heading:
        start, end = heading.span
        by = len(words)
        return replace(heading, span=Span(start + by * (start >= place), end + by * (end > place)))

    text = f"{document.text[:place]}{words}{document.text[place:]}"
    return replace(document, text=text, outline=tuple(map(move_heading, document.outline)), pages=())
