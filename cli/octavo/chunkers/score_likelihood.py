"""Whether chunks stand alone, by how likely a model finds them behind one another."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["SurpriseFunction", "measure_clarity", "measure_stickiness"]

SurpriseFunction = Callable[[str, str], Awaitable[float | None]]
"""Gives the mean negative log probability, in nats a token, of a text behind another one, which may
be empty; None when the text has no token that it could be told of."""

_MAX_BOUNDARIES = 24
"""Borders that are measured, evenly spread: each asks the model twice."""

_MAX_GRAPH_CHUNKS = 10
"""Chunks whose graph is measured, evenly spread: each pair asks the model twice."""

_EDGE_THRESHOLD = 0.8
"""How much of a chunk's perplexity another one must take away for an edge between them."""


async def measure_clarity(document: Document, chunks: Sequence[Chunk], surprise: SurpriseFunction) -> float | None:
    """Return the mean, over borders, of the perplexity of the chunk behind, given that before.

    As a share of its perplexity alone. None for a single chunk.
    """
    ratios: list[float] = []
    for index in _spread_evenly(range(1, len(chunks)), _MAX_BOUNDARIES):
        before, text = (document.slice(chunks[at].span) for at in (index - 1, index))
        alone, behind = await surprise(text, ""), await surprise(text, before)
        if alone is not None and behind is not None:
            ratios.append(math.exp(behind - alone))
    return sum(ratios) / len(ratios) if ratios else None


async def measure_stickiness(
    document: Document, chunks: Sequence[Chunk], surprise: SurpriseFunction
) -> float | None:
    """Return the structural entropy, in bits, of the graph of chunks that explain one another.

    Chunk p has an edge to chunk q when (ppl(q) - ppl(q|p)) / ppl(q) is above 0.8, by the paper's
    definition; its code keeps the pairs that depend little on each other instead. Of many chunks
    ten are taken. None for fewer than two; 0 where there is no edge.
    """
    texts = [document.slice(chunks[at].span) for at in _spread_evenly(range(len(chunks)), _MAX_GRAPH_CHUNKS)]
    if len(texts) < 2:
        return None
    alone = [await surprise(text, "") for text in texts]
    degrees = [0] * len(texts)
    for p, given in enumerate(texts):
        for q, text in enumerate(texts):
            own = alone[q]
            if p == q or own is None or (behind := await surprise(text, given)) is None:
                continue
            if 1 - math.exp(behind - own) > _EDGE_THRESHOLD:
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
