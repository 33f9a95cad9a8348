"""Splits each document in the way that scores best for it.

Which borders are good depends on the document, and can be told without a task (Adaptive Chunking,
LREC 2026, arXiv:2603.25333): each of a few chunkers splits it, and the chunks with the best mean
score are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from octavo.chunkers import headings, rows, sentences, structure, tokens
from octavo.chunkers.code import chunker as code
from octavo.errors import UsageError
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.scoring import EmbedFunction, score_chunks
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.vectors import Vector

__all__ = ["CHUNKER", "Adaptive"]


_CHUNKERS: Final = {
    part.CHUNKER.name: part.CHUNKER for part in (structure, headings, sentences, rows, code, tokens)
}


class Adaptive(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    among: list[Literal["structure", "headings", "sentences", "rows", "code", "tokens"]] = Field(
        ["structure", "headings", "sentences"],
        min_length=1,
        description="the chunkers to choose from; of equal ones, the first",
    )
    embeddings: bool = Field(
        False, description="whether chunks are compared by their embeddings too, which asks a model"
    )


async def _run(
    document: Document, options: Adaptive, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    """Return the chunks of the best chunker; one that refuses the document is passed over."""
    embed = _build_embedder(work) if options.embeddings else None
    best: tuple[Chunk, ...] | None = None
    most = -1.0
    refused: list[UsageError] = []
    for name in options.among:
        chunker = _CHUNKERS[name]
        try:
            own = chunker.options.model_validate({"tokens": options.tokens})
            chunks = await chunker.run(document, own, counter, None)
        except UsageError as error:
            refused.append(error)
            continue
        scores = await score_chunks(document, chunks, options.tokens, embed=embed)
        mean = scores.mean or 0.0
        if best is None or mean > most:
            best, most = chunks, mean
    if best is None:
        raise refused[0]
    return best


def _build_embedder(work: Work | None) -> EmbedFunction:
    if work is None:
        raise UsageError(
            "`embeddings` of the chunker 'adaptive' asks a model",
            hint="put it into a pipeline, and run that",
        )

    async def embed(texts: Sequence[str]) -> Sequence[Vector]:
        embedded = await work.ask.embed(texts, node="the scores of chunks", levels=work.after)
        return embedded.vectors

    return embed


def _asks(options: Adaptive) -> bool:
    return options.embeddings


CHUNKER = ChunkerType(
    name="adaptive",
    about="for each document, the chunker that scores best",
    version=sum(each.version for each in _CHUNKERS.values()),  # whose borders these are
    options=Adaptive,
    run=_run,
    asks=_asks,
)
