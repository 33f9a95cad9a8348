"""A chunk for each section: from its heading to the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from pydantic import Field

from octavo.chunkers._support.subdocuments import build_chunks, extract_part, shift_spans
from octavo.chunkers.structure import split as split_by_structure
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.grapheme import is_inside_grapheme
from octavo.text.span import Span

__all__ = ["CHUNKER", "Headings", "split"]


class Headings(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    level: int | None = Field(
        None, ge=1, description="the deepest level of headings that start a chunk; unsaid, all do"
    )
    least: int = Field(
        0, ge=0, description="sections below so many tokens are joined with the next, if both fit"
    )


def split(document: Document, options: Headings, counter: Counter) -> tuple[Chunk, ...]:
    """Return a chunk for each section, in order; they join to the document's text.

    What stands before the first heading is a section too, and a heading without text belongs to
    the next one. A section above the budget is split by structure. Raises FitError when one
    character alone has more tokens than the budget.
    """
    spans: list[tuple[Span, int]] = []
    for section, count in _iter_sections(document, options, counter):
        if count <= options.tokens:
            spans.append((section, count))
        else:
            parts = split_by_structure(extract_part(document, section), options.tokens, counter)
            spans += shift_spans(parts, section.start)
    return build_chunks(document, spans)


def _iter_sections(
    document: Document, options: Headings, counter: Counter
) -> Iterator[tuple[Span, int]]:
    """Yield the sections, small ones joined, with their tokens."""
    text = document.text
    starts, titles = _find_section_starts(document, options.level)
    spans = list(map(Span, starts, [*starts[1:], len(text)]))
    counts = counter.count_batch([document.slice(span) for span in spans])
    pending, tokens, is_empty = Span(0, 0), 0, True
    for span, count in zip(spans, counts, strict=True):
        joined = Span(pending.start, span.end)
        if is_empty or tokens < options.least:
            joined_tokens = counter.count(document.slice(joined)) if pending.length else count
            if joined_tokens <= options.tokens or not pending.length:
                pending, tokens = joined, joined_tokens
                is_empty = not text[titles.get(span.start, span.start) : span.end].strip()
                continue
        yield pending, tokens
        pending, tokens = span, count
        is_empty = not text[titles.get(span.start, span.start) : span.end].strip()
    if pending.length:
        yield pending, tokens


def _find_section_starts(document: Document, level: int | None) -> tuple[list[int], dict[int, int]]:
    """Return where sections start, and where the heading at each ends."""
    text = document.text
    titles = {
        heading.span.start: heading.span.end
        for heading in document.outline
        if (level is None or heading.level <= level)
        and not is_inside_grapheme(text, heading.span.start)
    }
    return sorted({*titles, 0} if text else ()), titles


async def _run(
    document: Document, options: Headings, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options, counter)


CHUNKER = ChunkerType(
    name="headings",
    about="a chunk for each section, split by structure where it is too long",
    version=1,
    options=Headings,
    run=_run,
)
