"""How good the chunks of a document are, by what can be measured without a task.

Size, cohesion, coherence and integrity of blocks are those of Adaptive Chunking (LREC 2026,
arXiv:2603.25333); clarity of boundaries and stickiness of chunks those of MoC (2025,
arXiv:2503.09600), by the paper's definitions.

The boundaries alone give sizes, blocks, sentences and paragraphs. Splitting edited versions gives
how many chunks an edit changes. Embeddings give how near chunks are to their parts and to their
neighbours. A model's likelihood of chunks after one another gives whether chunks stand alone.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from octavo.errors import ContextError
from octavo.text.chunk import Chunk
from octavo.text.document import Document, Heading
from octavo.text.span import Span
from octavo.text.splitting.blocks import find_blocks, find_fences
from octavo.text.vectors import Vector, compute_cosine

__all__ = [
    "BoundaryMeasures",
    "EmbedFunction",
    "Scores",
    "SplitFunction",
    "SurpriseFunction",
    "find_block_spans",
    "measure_boundaries",
    "measure_changed",
    "measure_clarity",
    "measure_coherence",
    "measure_cohesion",
    "measure_stickiness",
    "score_chunks",
]


SplitFunction = Callable[[Document], Awaitable[Sequence[Chunk]]]
"""Splits a document as another one was split."""

EmbedFunction = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
"""Returns an embedding for each text."""

SurpriseFunction = Callable[[str, str], Awaitable[float | None]]
"""Returns the mean negative log probability, in nats per token, of a text after another one, which
may be empty; None if no token of the text has one."""

_SLACK: Final = 5
"""Characters that a border may be off the edge of a block."""

_SENTENCE_END: Final = re.compile(
    r"[.!?\u2026:\u3002\uff01\uff1f\uff61][\"'\u2019\u201d\u00bb)\]}*_\u300d\u300f\uff09]*\Z"
)

_EDIT_COUNT = 8
_INSERTED_SENTENCE = " One more sentence stands here now, which was not there before."
_BREAK = re.compile(r"\n[ \t\r]*\n|\n|$")

_NEIGHBOUR_TOKENS = 3000
"""Tokens of the neighbours that a chunk is compared with, as in the paper."""

_MAX_BOUNDARIES = 24
"""Borders that are measured, evenly spread: each asks the model twice."""

_MAX_GRAPH_CHUNKS = 10
"""Chunks whose graph is measured, evenly spread: each pair asks the model twice."""

_EDGE_THRESHOLD = 0.8
"""How much of a chunk's perplexity another one must take away for an edge between them."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one document's chunks; None where nothing can be measured.

    From 0 to 1, higher is better:
    `size` is the share of chunks with at least a tenth of the budget and not more than it; `fill`
    their mean share of it; `blocks` the share of paragraphs, lists, tables and code blocks that
    are whole; `sentences` and `paragraphs` the shares of borders at the end of one; `cohesion` how
    near the blocks of a chunk are to it, and `coherence` how near chunks are to those around them,
    as cosines of embeddings.

    `changed` is the mean number of chunks that an edit changes: 1 is the least. `clarity` is the
    mean perplexity of chunks behind those before them, as a share of that alone: near 1, chunks
    do without each other. `stickiness` is the structural entropy of the graph of chunks that
    explain one another: 0 is the least, and the best.
    """

    chunks: int
    size: float | None = None
    fill: float | None = None
    blocks: float | None = None
    sentences: float | None = None
    paragraphs: float | None = None
    changed: float | None = None
    cohesion: float | None = None
    coherence: float | None = None
    clarity: float | None = None
    stickiness: float | None = None

    @property
    def mean(self) -> float | None:
        """The mean of those that are known of `size`, `blocks`, `cohesion` and `coherence`.

        It is by what `split: {by: adaptive}` chooses, as in the paper.
        """
        chosen = (self.size, self.blocks, self.cohesion, self.coherence)
        known = [each for each in chosen if each is not None]
        return sum(known) / len(known) if known else None

    def as_dict(self) -> dict[str, float | None]:
        """Return all scores by name, `mean` last."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"mean": self.mean}


async def score_chunks(
    document: Document,
    chunks: Sequence[Chunk],
    budget: int,
    *,
    split_document: SplitFunction | None = None,
    embed: EmbedFunction | None = None,
    surprise: SurpriseFunction | None = None,
) -> Scores:
    """Return the scores of a document's chunks, whose budget was so many tokens.

    `split_document` splits a document as this one was: with it, some edits are tried. `embed`
    gives vectors for texts, and `surprise` how unlikely a text is after another one.
    """
    measures = measure_boundaries(document, chunks, budget)
    return Scores(
        chunks=len(chunks),
        size=measures.size,
        fill=measures.fill,
        blocks=measures.blocks,
        sentences=measures.sentences,
        paragraphs=measures.paragraphs,
        changed=await measure_changed(document, chunks, split_document) if split_document else None,
        cohesion=await _try_score(measure_cohesion(document, chunks, embed)) if embed else None,
        coherence=await _try_score(measure_coherence(document, chunks, embed)) if embed else None,
        clarity=await _try_score(measure_clarity(document, chunks, surprise)) if surprise else None,
        stickiness=await _try_score(measure_stickiness(document, chunks, surprise))
        if surprise
        else None,
    )


async def _try_score(score: Awaitable[float | None]) -> float | None:
    """Return a score, or None where a text is too long for the model."""
    try:
        return await score
    except ContextError:
        return None


@dataclass(frozen=True, slots=True)
class BoundaryMeasures:
    """Shares of chunks, borders and blocks; see Scores."""

    size: float | None
    fill: float | None
    blocks: float | None
    sentences: float | None
    paragraphs: float | None


def measure_boundaries(
    document: Document, chunks: Sequence[Chunk], budget: int
) -> BoundaryMeasures:
    """Return what can be told from the borders alone; without chunks, nothing."""
    if not chunks:
        return BoundaryMeasures(None, None, None, None, None)
    fitting = sum(budget / 10 <= chunk.tokens <= budget for chunk in chunks)
    text = document.text
    spans = find_block_spans(document)
    starts = {span.start for span in spans}
    borders = [chunk.span.start for chunk in chunks[1:]]
    ended = [
        border in starts
        or _SENTENCE_END.search(text[max(border - 64, 0) : border].rstrip()) is not None
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


async def measure_changed(
    document: Document, chunks: Sequence[Chunk], split_document: SplitFunction
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
        place = _BREAK.search(
            document.text, len(document.text) * (2 * number + 1) // (2 * _EDIT_COUNT)
        )
        assert place is not None
        edited = _insert_text(document, place.start(), _INSERTED_SENTENCE)
        changed.append(
            sum(text not in old for text in _slice_chunks(edited, await split_document(edited)))
        )
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
    return replace(
        document, text=text, outline=tuple(map(move_heading, document.outline)), pages=()
    )


async def measure_cohesion(
    document: Document, chunks: Sequence[Chunk], embed: EmbedFunction
) -> float | None:
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


async def measure_coherence(
    document: Document, chunks: Sequence[Chunk], embed: EmbedFunction
) -> float | None:
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


async def measure_clarity(
    document: Document, chunks: Sequence[Chunk], surprise: SurpriseFunction
) -> float | None:
    """Return the mean, over borders, of the perplexity of the chunk behind, given that before.

    As a share of its perplexity alone. None for a single chunk.
    """
    ratios: list[float] = []
    for index in _spread_evenly(range(1, len(chunks)), _MAX_BOUNDARIES):
        before, text = (document.slice(chunks[at].span) for at in (index - 1, index))
        alone, given_previous = await surprise(text, ""), await surprise(text, before)
        if alone is not None and given_previous is not None:
            ratios.append(math.exp(given_previous - alone))
    return sum(ratios) / len(ratios) if ratios else None


async def measure_stickiness(
    document: Document, chunks: Sequence[Chunk], surprise: SurpriseFunction
) -> float | None:
    """Return the structural entropy, in bits, of the graph of chunks that explain one another.

    Chunk p has an edge to chunk q when (ppl(q) - ppl(q|p)) / ppl(q) is above 0.8, by the paper's
    definition; its code keeps the pairs that depend little on each other instead. Of many chunks
    ten are taken. None for fewer than two; 0 where there is no edge.
    """
    texts = [
        document.slice(chunks[at].span)
        for at in _spread_evenly(range(len(chunks)), _MAX_GRAPH_CHUNKS)
    ]
    if len(texts) < 2:
        return None
    alone = [await surprise(text, "") for text in texts]
    degrees = [0] * len(texts)
    for p, given in enumerate(texts):
        for q, text in enumerate(texts):
            own = alone[q]
            if p == q or own is None or (given_previous := await surprise(text, given)) is None:
                continue
            if 1 - math.exp(given_previous - own) > _EDGE_THRESHOLD:
                degrees[p] += 1
                degrees[q] += 1
    total = sum(degrees)
    shares = [degree / total for degree in degrees if degree]
    return -sum(share * math.log2(share) for share in shares) + 0.0


def _spread_evenly(places: range, most: int) -> list[int]:
    """Return at most so many of the places, evenly spread, the first one among them."""
    if len(places) <= most:
        return list(places)
    return [places[number * len(places) // most] for number in range(most)]
