"""What the borders of chunks say by themselves: sizes, blocks, sentences and paragraphs."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from octavo.text.block import find_blocks
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.fence import find_fences
from octavo.text.span import Span

__all__ = ["BoundaryMeasures", "find_block_spans", "measure_boundaries"]

_SLACK: Final = 5
"""Characters that a border may be off the edge of a block."""

_SENTENCE_END: Final = re.compile(
    r"[.!?\u2026:\u3002\uff01\uff1f\uff61][\"'\u2019\u201d\u00bb)\]}*_\u300d\u300f\uff09]*\Z"
)


@dataclass(frozen=True, slots=True)
class BoundaryMeasures:
    """Shares of chunks, borders and blocks; see Scores."""

    size: float | None
    fill: float | None
    blocks: float | None
    sentences: float | None
    paragraphs: float | None


def measure_boundaries(document: Document, chunks: Sequence[Chunk], budget: int) -> BoundaryMeasures:
    """Return what can be told from the borders alone; without chunks, nothing."""
    if not chunks:
        return BoundaryMeasures(None, None, None, None, None)
    fitting = sum(budget / 10 <= chunk.tokens <= budget for chunk in chunks)
    text = document.text
    spans = find_block_spans(document)
    starts = {span.start for span in spans}
    borders = [chunk.span.start for chunk in chunks[1:]]
    ended = [
        border in starts or _SENTENCE_END.search(text[max(border - 64, 0) : border].rstrip()) is not None
        for border in borders
    ]
    return BoundaryMeasures(
        size=fitting / len(chunks),
        fill=sum(chunk.tokens for chunk in chunks) / (budget * len(chunks)),
        blocks=sum(_is_whole(span, borders) for span in spans) / len(spans),
        sentences=sum(ended) / len(ended) if ended else None,
        paragraphs=sum(border in starts for border in borders) / len(borders) if borders else None,
    )


def find_block_spans(document: Document) -> list[Span]:
    """Return the blocks of a text that is not empty; a code fence is one, blank lines or not."""
    fenced = find_fences(document.text)
    found = find_blocks(document.text, document.outline, fenced).starts
    inside = {
        start
        for fence in fenced
        for start in found[bisect_right(found, fence.start) : bisect_left(found, fence.end)]
    }
    starts = [start for start in found if start not in inside]
    return list(map(Span, starts, [*starts[1:], len(document.text)]))


def _is_whole(block: Span, borders: Sequence[int]) -> bool:
    """Say whether no border lies inside a block."""
    index = bisect_right(borders, block.start + _SLACK)
    return index == len(borders) or borders[index] >= block.end - _SLACK
