"""Chunks that end where the text's meaning turns, by embeddings.

The vectors of a few sentences on each side of every sentence end are compared; where they differ
most, a chunk ends. Each sentence is embedded once, so an edit costs its own sentences. Whether this
beats splitting by structure depends on the texts (Qu, Tu, Bao 2024, arXiv 2410.13070, found no
steady gain), so measure it on yours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil

from pydantic import Field

from octavo.chunkers._support.model_boundaries import (
    find_sentence_boundaries,
    merge_small,
    split_at_places,
    split_into_spans,
)
from octavo.errors import UsageError
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.vectors import Vector, average_vectors, compute_cosine

__all__ = ["CHUNKER", "Semantic"]


class Semantic(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    least: int = Field(
        200, ge=0, description="chunks below so many tokens are joined on, if both fit"
    )
    around: int = Field(3, ge=1, description="how many sentences on each side are compared")
    percentile: float = Field(
        85, ge=0, le=100, description="the share of sentence ends, in percent, that are no border"
    )


async def _run(
    document: Document, options: Semantic, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'semantic' embeds texts", hint="put it into a pipeline")
    if not document.text:
        return ()
    places = await asyncio.to_thread(find_sentence_boundaries, document)
    spans = split_into_spans(document, places)
    texts = [document.slice(span) for span in spans]
    embedded = await work.ask.embed(texts, node="the sentences")
    if embedded.predicted is Prediction.SHORT:
        chosen: Sequence[int] = ()
    elif embedded.predicted is Prediction.LONG:
        chosen = places
    else:
        drops = _measure_drops(embedded.vectors, options.around)
        chosen = _pick_largest(places, drops, options.percentile)
    chosen = merge_small(document, chosen, counter, least=options.least, most=options.tokens)
    return split_at_places(document, chosen, options.tokens, counter)


def _measure_drops(vectors: Sequence[Vector], around: int) -> list[float]:
    """Return how much what stands before each border differs from what stands behind it."""
    return [
        1
        - compute_cosine(
            average_vectors(vectors[max(at - around, 0) : at]),
            average_vectors(vectors[at : at + around]),
        )
        for at in range(1, len(vectors))
    ]


def _pick_largest(places: Sequence[int], drops: Sequence[float], percentile: float) -> list[int]:
    """Return the places with the largest drops, in order; of equal ones the earlier."""
    count = ceil(len(places) * (100 - percentile) / 100)
    ranked = sorted(range(len(places)), key=lambda at: (-drops[at], at))
    return [places[at] for at in sorted(ranked[:count])]


CHUNKER = ChunkerType(
    name="semantic",
    about="ends where the meaning of neighbouring sentences differs most, by embeddings",
    version=1,
    options=Semantic,
    run=_run,
    asks=lambda _: True,
)
