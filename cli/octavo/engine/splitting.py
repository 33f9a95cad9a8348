"""Splitting and scoring without a run: for programs and for `octavo split`.

The scores of a model, vectors and log probabilities, are asked of a backend; each text is sent once
and then found in the journal.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from octavo.chunkers.structure import split
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.embeddings import EmbeddingDispatcher, split_into_batches
from octavo.engine.dispatch.lane import Lane
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.dispatch.run_limiter import DEFAULT_PARALLEL, RunLimiter
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.store import Journal
from octavo.engine.run.chunk_context import add_context
from octavo.engine.run.primary_error import primary_error
from octavo.errors import UsageError
from octavo.protocols import (
    Backend,
    Capabilities,
    ChunkerType,
    ContextOptions,
    Counter,
    Embedding,
    Message,
    Options,
    Reply,
    Request,
)
from octavo.scoring import Scores, score_chunks
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.vectors import Vector

__all__ = ["ModelScorer", "SplitMethod", "open_scorer", "score_methods"]


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

    async def score_document(
        self, document: Document, measure: ModelScorer | None = None
    ) -> Scores:
        """Return the scores of the document's chunks, those of a model too when there is one."""
        return await score_chunks(
            document,
            await self.split_document(document),
            self.tokens,
            split_document=self.split_document,
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


@dataclass(frozen=True, slots=True)
class ModelScorer:
    """A backend as scores see it; `can_embed` and `can_score` tell what it can give."""

    backend: Backend
    known: Capabilities
    journal: Journal
    lane: Lane
    embedding_lane: Lane
    group: asyncio.TaskGroup

    @property
    def can_embed(self) -> bool:
        """Whether it gives vectors."""
        return self.known.embeddings and isinstance(self.backend, Embedding)

    @property
    def can_score(self) -> bool:
        """Whether it gives the log probabilities of a text."""
        return self.known.prompt_logprobs

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector for each text."""
        assert isinstance(self.backend, Embedding)
        vectors = EmbeddingDispatcher(
            self.backend, self.journal, lambda: self.embedding_lane, self.group
        )
        flying = [
            vectors.embed(batch, priority=CallPriority(0, 0)) for batch in split_into_batches(texts)
        ]
        return [vector for batch in flying for vector in await batch.wait_for_vectors()]

    async def compute_surprise(self, text: str, given: str) -> float | None:
        """Return the mean negative log probability of a text behind another one, in nats a token.

        None when no token of it can be told.
        """
        digest = hashlib.sha256(b"surprise\0")
        for part in (self.backend.identity, self.backend.model, given, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        key = digest.digest()
        if (known := self.journal.find_table(key)) is not None:
            return float(known)
        messages = (Message("user", given), Message("assistant", text))
        request = Request(messages, max_tokens=1, scores=True)
        tokens = (await self.lane.retry(partial(self._send, request))).logprobs
        if not tokens:
            return None
        mean = -sum(token.logprob for token in tokens) / len(tokens)
        self.journal.keep_table(key, repr(mean).encode())
        await self.journal.request_commit()
        return mean

    async def _send(self, request: Request) -> Reply:
        async with self.lane.slot(request, CallPriority(0, 0)) as slot:
            reply = await self.backend.send(request, lambda: None)
            slot.answered(reply.usage, reply.limits)
        return reply


@asynccontextmanager
async def open_scorer(backend: Backend, *, private: bool) -> AsyncGenerator[ModelScorer]:
    """Give what a backend can measure, and close it in the end.

    Raises what the backend raises, one error of several.
    """
    try:
        with Journal(None if private else find_journal_path()) as journal:
            async with asyncio.TaskGroup() as group:
                known = await backend.contact()
                size, policy = known.parallel or DEFAULT_PARALLEL, RetryPolicy()
                run = RunLimiter(size)
                lane, embedding_lane = (
                    Lane(ConcurrencyLimiter(size, run=run), journal, policy) for _ in range(2)
                )
                yield ModelScorer(backend, known, journal, lane, embedding_lane, group)
    except BaseExceptionGroup as errors:
        raise primary_error(errors) from errors
    finally:
        await backend.close()
