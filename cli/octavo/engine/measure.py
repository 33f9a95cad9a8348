"""What scores of chunks ask a backend: vectors and log probabilities, each text once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from octavo.engine.embed import Embeddings, batches
from octavo.engine.failure import blamed
from octavo.engine.journal import Journal
from octavo.engine.limit import Limit
from octavo.engine.patience import Patience
from octavo.engine.queue import Priority
from octavo.engine.storage import journal_path
from octavo.protocols import Backend, Capabilities, Embedding, Message, Request, Transient
from octavo.text.vector import Vector

__all__ = ["Measure", "measuring"]

_FLYING = 8


@dataclass(frozen=True, slots=True)
class Measure:
    """A backend as scores see it; `embeds` and `judges` tell what it can give."""

    backend: Backend
    known: Capabilities
    journal: Journal
    limit: Limit
    patience: Patience
    group: asyncio.TaskGroup

    @property
    def embeds(self) -> bool:
        """Whether it gives vectors."""
        return self.known.embeddings and isinstance(self.backend, Embedding)

    @property
    def judges(self) -> bool:
        """Whether it gives the log probabilities of a text."""
        return self.known.prompt_logprobs

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector for each text."""
        assert isinstance(self.backend, Embedding)
        vectors = Embeddings(self.backend, self.journal, self.limit, self.patience, self.group)
        flying = [vectors.embed(batch, priority=Priority(0, 0)) for batch in batches(texts)]
        return [vector for batch in flying for vector in await batch.vectors()]

    async def surprise(self, text: str, given: str) -> float | None:
        """Return the mean negative log probability of a text behind another one, in nats a token.

        None when no token of it can be told.
        """
        digest = hashlib.sha256(b"surprise\0")
        for part in (self.backend.identity, self.backend.model, given, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        key = digest.digest()
        if (known := self.journal.table(key)) is not None:
            return float(known)
        messages = (Message("user", given), Message("assistant", text))
        request = Request(messages, max_tokens=1, scores=True)
        attempt = 0
        while True:
            await self.limit.acquire(Priority(0, 0))
            attempt += 1
            try:
                tokens = (await self.backend.send(request, _unheard)).logprobs
                break
            except Transient as fault:
                delay = self.patience.refuse_or_wait(fault, attempt)
            finally:
                self.limit.release()
            await self.patience.sleep(delay)
        if not tokens:
            return None
        mean = -sum(token.logprob for token in tokens) / len(tokens)
        self.journal.keep_table(key, repr(mean).encode())
        await self.journal.committed()
        return mean


def _unheard() -> None:
    """Take that a reply has begun."""


@asynccontextmanager
async def measuring(backend: Backend, *, private: bool) -> AsyncGenerator[Measure]:
    """Give what a backend can measure, and close it in the end.

    Raises what the backend raises, one error of several.
    """
    try:
        with Journal(None if private else journal_path()) as journal:
            async with asyncio.TaskGroup() as group:
                known = await backend.contact()
                limit = Limit(known.parallel or _FLYING)
                yield Measure(backend, known, journal, limit, Patience(), group)
    except BaseExceptionGroup as errors:
        raise blamed(errors) from errors
    finally:
        await backend.close()
