"""Boundaries that a model proposes, and chunks that begin at them.

A model chooses boundaries between sentences or between paragraphs; chunks then begin at the chosen
places. An unusable reply costs the proposal, never the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from octavo.chunkers._support.sentence_splitters import find_sentence_starts
from octavo.chunkers._support.subdocuments import build_chunks, extract_part, shift_spans
from octavo.chunkers.structure import split
from octavo.errors import ReplyError
from octavo.protocols import Answer, Asked
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.grapheme import is_inside_grapheme
from octavo.text.span import Span

__all__ = [
    "await_proposal",
    "find_paragraph_starts",
    "find_sentence_boundaries",
    "group_windows",
    "merge_small",
    "split_at_places",
    "split_into_spans",
]


_PARAGRAPH: Final = re.compile(r"\n[ \t\r]*\n\s*")


def find_paragraph_starts(document: Document) -> list[int]:
    """Return where paragraphs begin, but for the first: behind blank lines and at headings."""
    text = document.text
    starts = {match.end() for match in _PARAGRAPH.finditer(text)}
    starts.update(heading.span.start for heading in document.outline)
    return sorted(
        place for place in starts if 0 < place < len(text) and not is_inside_grapheme(text, place)
    )


def find_sentence_boundaries(document: Document) -> list[int]:
    """Return where sentences begin, but for the first; what is blank is no sentence of its own."""
    starts = find_sentence_starts(document.text, "nupunkt", "")
    bounds = pairwise([*starts, len(document.text)])
    return [start for start, end in bounds if not document.text[start:end].isspace()]


def split_into_spans(document: Document, starts: Sequence[int]) -> list[Span]:
    """Return the spans that ascending places divide a document into."""
    bounds = [0, *starts, len(document.text)]
    return [Span(start, end) for start, end in pairwise(bounds) if start < end]


def group_windows(counts: Sequence[int], room: int) -> list[Sequence[int]]:
    """Return runs of neighbours of together at most `room` tokens, by their numbers.

    One with more tokens is a run of its own.
    """
    runs: list[list[int]] = []
    pending_tokens = 0
    for number, tokens in enumerate(counts):
        if not runs or pending_tokens + tokens > room:
            runs.append([])
            pending_tokens = 0
        runs[-1].append(number)
        pending_tokens += tokens
    return list(runs)


def merge_small(
    document: Document, starts: Sequence[int], counter: Counter, *, least: int, most: int
) -> list[int]:
    """Return the places, without those after a part of fewer than `least` tokens.

    Such a part is joined with the next one where both fit `most` tokens: the dynamic merging of
    Meta-Chunking (Zhao et al. 2024, arXiv 2410.12788).
    """
    spans = split_into_spans(document, starts)
    counts = counter.count_batch([document.slice(span) for span in spans])
    boundaries: list[int] = []
    pending_tokens = 0
    for span, tokens in zip(spans, counts, strict=True):
        if span.start and (pending_tokens >= least or pending_tokens + tokens > most):
            boundaries.append(span.start)
            pending_tokens = 0
        pending_tokens += tokens
    return boundaries


def split_at_places(
    document: Document, starts: Sequence[int], budget: int, counter: Counter
) -> tuple[Chunk, ...]:
    """Return chunks that begin at the document's start and at places, none above the budget.

    What stands between two places and has more tokens is split by structure. Raises FitError when
    one character alone has more tokens than the budget.
    """
    spans = split_into_spans(
        document, [at for at in starts if not is_inside_grapheme(document.text, at)]
    )
    counts = counter.count_batch([document.slice(span) for span in spans])
    found: list[tuple[Span, int]] = []
    for span, tokens in zip(spans, counts, strict=True):
        if tokens <= budget:
            found.append((span, tokens))
        else:
            found += shift_spans(split(extract_part(document, span), budget, counter), span.start)
    return build_chunks(document, found)


async def await_proposal(call: Asked, work: Work, *, fallback: str) -> Answer | None:
    """Return the answer, or None if the reply is truncated, refused or not a valid record.

    What failed and the `fallback` are reported in a notice. Other errors, such as an unreachable
    server, are raised.
    """
    try:
        return await call.reply
    except ReplyError as error:
        work.notice(f"{error}; {fallback}")
        return None
