"""Splitting and scoring without a run: for programs and for `octavo split`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.chunkers.context import add_context
from octavo.chunkers.score import Scores, score_chunks
from octavo.chunkers.structure import split
from octavo.engine.measure import ModelScorer, open_scorer
from octavo.errors import UsageError
from octavo.protocols import Backend, ChunkerType, ContextOptions, Counter, Options
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["SplitMethod", "score_methods"]


@dataclass(frozen=True, slots=True)
class SplitMethod:
    """One way to split: a chunker with its options, who counts, and what else is asked for.

    `previous` are the chunks of an earlier version, whose borders are a hint to the chunker
    `structure`. Raises UsageError for a chunker that asks a model, and for a hint to another one.
    """

    chunker: ChunkerType
    options: Options
    tokens: int
    counter: Counter
    context: ContextOptions | None = None
    previous: Sequence[Chunk] | None = None

    def __post_init__(self) -> None:
        """Refuse what only a run can do."""
        name = self.chunker.name
        if self.chunker.asks(self.options):
            raise UsageError(
                f"the chunker {name!r} asks a model", hint="put it into a pipeline, and run that"
            )
        if self.previous is not None and name != "structure":
            raise UsageError(
                f"the chunker {name!r} takes no earlier version as a hint",
                hint="split by structure",
            )

    async def split_document(self, document: Document) -> tuple[Chunk, ...]:
        """Return the document's chunks."""
        if self.previous is not None:
            hint = [(chunk.span.start, chunk.border) for chunk in self.previous]
            chunks = split(document, self.tokens, self.counter, hint)
        else:
            chunks = await self.chunker.run(document, self.options, self.counter, None)
        if self.context is None:
            return chunks
        return add_context(document, chunks, self.context, self.counter)

    async def score_document(self, document: Document, measure: ModelScorer | None = None) -> Scores:
        """Return the scores of the document's chunks, those of a model too when there is one."""
        return await score_chunks(
            document,
            await self.split_document(document),
            self.tokens,
            split=self.split_document,
            embed=measure.embed if measure and measure.can_embed else None,
            surprise=measure.compute_surprise if measure and measure.can_score else None,
        )


async def score_methods(
    ways: Sequence[SplitMethod], document: Document, backend: Backend, *, private: bool
) -> list[Scores]:
    """Return the scores of a document by several ways to split it, with what a backend can tell.

    Closes the backend. Raises BackendError when it is unusable.
    """
    async with open_scorer(backend, private=private) as measure:
        return [await way.score_document(document, measure) for way in ways]
