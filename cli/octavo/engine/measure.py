"""What scores of chunks ask a backend: vectors and log probabilities, each text once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from octavo.engine.embed import EmbeddingDispatcher, split_into_batches
from octavo.engine.failure import primary_error
from octavo.engine.journal import Journal
from octavo.engine.limit import ConcurrencyLimiter
from octavo.engine.patience import RetryPolicy
from octavo.engine.queue import CallPriority
from octavo.engine.storage import find_journal_path
from octavo.protocols import Backend, Capabilities, Embedding, Message, Request, Transient
from octavo.text.vector import Vector

__all__ = ["ModelScorer", "open_scorer"]

_DEFAULT_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class ModelScorer:
    """A backend as scores see it; `embeds` and `judges` tell what it can give."""

    backend: Backend
    known: Capabilities
    journal: Journal
    limit: ConcurrencyLimiter
    patience: RetryPolicy
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
        vectors = EmbeddingDispatcher(self.backend, self.journal, self.limit, self.patience, self.group)
        flying = [vectors.embed(batch, priority=CallPriority(0, 0)) for batch in split_into_batches(texts)]
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
        attempt = 0
        while True:
            await self.limit.acquire(CallPriority(0, 0))
            attempt += 1
            try:
                tokens = (await self.backend.send(request, _ignore_first_token)).logprobs
                break
            except Transient as fault:
                delay = self.patience.next_delay(fault, attempt)
            finally:
                self.limit.release()
            await self.patience.sleep(delay)
        if not tokens:
            return None
        mean = -sum(token.logprob for token in tokens) / len(tokens)
        self.journal.keep_table(key, repr(mean).encode())
        await self.journal.request_commit()
        return mean


def _ignore_first_token() -> None:
    """Take that a reply has begun."""


@asynccontextmanager
async def open_scorer(backend: Backend, *, private: bool) -> AsyncGenerator[ModelScorer]:
    """Give what a backend can measure, and close it in the end.

    Raises what the backend raises, one error of several.
    """
    try:
        with Journal(None if private else find_journal_path()) as journal:
            async with asyncio.TaskGroup() as group:
                known = await backend.contact()
                limit = ConcurrencyLimiter(known.parallel or _DEFAULT_PARALLEL)
                yield ModelScorer(backend, known, journal, limit, RetryPolicy(), group)
    except BaseExceptionGroup as errors:
        raise primary_error(errors) from errors
    finally:
        await backend.close()
