"""How near chunks are to their parts and to their neighbours, by embeddings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from octavo.chunkers.score_form import find_block_spans
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.vector import Vector, compute_cosine

__all__ = ["EmbedFunction", "measure_coherence", "measure_cohesion"]

EmbedFunction = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]

_NEIGHBOUR_TOKENS = 3000
"""Tokens of the neighbours that a chunk is compared with, as in the paper."""


async def measure_cohesion(document: Document, chunks: Sequence[Chunk], embed: EmbedFunction) -> float | None:
    """Return the mean, over chunks of two blocks or more, of how near these are to the chunk.

    None when no chunk has two.
    """
    spans = find_block_spans(document) if document.text else []
    starts = [span.start for span in spans]
    inside: list[tuple[str, list[str]]] = []
    for chunk in chunks:
        first = bisect_right(starts, chunk.span.start - 1)
        last = bisect_right(starts, chunk.span.end - 1)
        whole = [document.slice(span) for span in spans[first:last] if span.end <= chunk.span.end]
        if len(whole) > 1:
            inside.append((document.slice(chunk.span), list(whole)))
    vectors = iter(await embed([each for text, parts in inside for each in (text, *parts)]))
    means: list[float] = []
    for _, parts in inside:
        own = next(vectors)
        near = [compute_cosine(own, next(vectors)) for _ in parts]
        means.append(sum(near) / len(near))
    return _average_cosines(means)


async def measure_coherence(document: Document, chunks: Sequence[Chunk], embed: EmbedFunction) -> float | None:
    """Return the mean of how near chunks are to the windows of neighbours that they are in.

    A window has two chunks or more and 3,000 tokens at most; each begins one chunk later, unless
    it would lie inside the one before. None when no two chunks fit.
    """
    windows: list[tuple[int, int]] = []
    last = 0
    for first in range(len(chunks)):
        end, tokens = first, 0
        while end < len(chunks) and tokens + chunks[end].tokens <= _NEIGHBOUR_TOKENS:
            tokens += chunks[end].tokens
            end += 1
        if end - first > 1 and end > last:
            windows.append((first, end))
            last = end
    if not windows:
        return None
    alone = await embed([document.slice(chunk.span) for chunk in chunks])
    together = await embed(
        [
            document.slice(Span(chunks[first].span.start, chunks[end - 1].span.end))
            for first, end in windows
        ]
    )
    near = [
        compute_cosine(alone[index], window)
        for (first, end), window in zip(windows, together, strict=True)
        for index in range(first, end)
    ]
    return _average_cosines(near)


def _average_cosines(cosines: Sequence[float]) -> float | None:
    return max(sum(cosines) / len(cosines), 0.0) if cosines else None
