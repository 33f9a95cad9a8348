"""Splits parts of a document on their own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from octavo.text.chunk import Chunk
from octavo.text.document import Document, Heading, iter_heading_paths
from octavo.text.span import Span
from octavo.text.splitting.kernel import hash_boundaries

__all__ = ["build_chunks", "extract_part", "shift_spans"]


def extract_part(document: Document, span: Span) -> Document:
    """Return a part of a document as a document of its own, with the headings in it."""
    begin, end = span
    first = bisect_left(document.outline, begin, key=_get_start)
    last = bisect_left(document.outline, end, key=_get_start)
    outline = tuple(
        replace(heading, span=Span(heading.span.start - begin, heading.span.end - begin))
        for heading in document.outline[first:last]
    )
    return Document(document.text[begin:end], document.source, outline)


def shift_spans(chunks: Iterable[Chunk], start: int) -> list[tuple[Span, int]]:
    """Return the spans and tokens of a part's chunks in the document; the part starts here."""
    return [(Span(c.span.start + start, c.span.end + start), c.tokens) for c in chunks]


def build_chunks(document: Document, spans: Sequence[tuple[Span, int]]) -> tuple[Chunk, ...]:
    """Return chunks for spans and their tokens, with the headings above them."""
    starts = [span.start for span, _ in spans]
    paths = iter_heading_paths(document.outline, starts)
    return tuple(
        Chunk(span, tokens, path, border)
        for (span, tokens), path, border in zip(
            spans, paths, hash_boundaries(document.text, starts), strict=True
        )
    )


def _get_start(heading: Heading) -> int:
    return heading.span.start
