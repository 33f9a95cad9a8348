"""Embedding texts: each text is sent once, several to a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from octavo.engine.dispatch.in_flight import EmbeddingBatch
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.journal.store import Journal
from octavo.engine.journal.vectors import compute_vector_key, find_vector, keep_vectors
from octavo.errors import BackendError
from octavo.protocols import Embedding, Message, Request
from octavo.text.vectors import Vector

if TYPE_CHECKING:
    from octavo.engine.dispatch.lane import Lane

__all__ = ["EmbeddingDispatcher", "split_into_batches"]


_MAX_TEXTS = 64
_MAX_CHARACTERS = 100_000
"""The most of a request: servers bound both the texts and their tokens."""


def split_into_batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in groups, each for one request."""
    start = held = 0
    for place, text in enumerate(texts):
        if place > start and (place - start == _MAX_TEXTS or held + len(text) > _MAX_CHARACTERS):
            yield texts[start:place]
            start, held = place, 0
        held += len(text)
    if start < len(texts):
        yield texts[start:]


@dataclass(eq=False, repr=False)
class EmbeddingDispatcher:
    """Embeds by the journal, else by the backend, in a lane of its own.

    What was queued is sent even when nobody waits any more: it is stored in the journal.
    """

    embedding: Embedding
    journal: Journal
    open_lane: Callable[[], Lane]
    group: asyncio.TaskGroup

    def __post_init__(self) -> None:
        self._in_flight: dict[bytes, asyncio.Future[Vector]] = {}

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return a batch under way; see TextEmbedder."""
        name = self.embedding.embedder
        batch = EmbeddingBatch(compute_vector_key(name, "\0".join(texts)))
        missing: dict[bytes, str] = {}
        for text in texts:
            key = compute_vector_key(name, text)
            future = self._in_flight.get(key)
            if future is None and (found := find_vector(self.journal, key)) is not None:
                batch.add(found)
                continue
            if future is None:
                future = self._in_flight[key] = asyncio.get_running_loop().create_future()
                missing[key] = text
            batch.add(future)
        if missing:
            self.group.create_task(self._run_batch(batch, missing, priority))
        return batch

    async def _run_batch(
        self, batch: EmbeddingBatch, missing: dict[bytes, str], priority: CallPriority
    ) -> None:
        futures = [self._in_flight[key] for key in missing]
        try:
            vectors = await self.open_lane().retry(partial(self._send, batch, missing, priority))
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            for future in futures:
                future.set_exception(error)
                future.exception()  # nobody waiting is no defect
        else:
            for future, each in zip(futures, vectors, strict=True):
                future.set_result(each)
        finally:
            for key in missing:
                del self._in_flight[key]

    async def _send(
        self, batch: EmbeddingBatch, missing: dict[bytes, str], priority: CallPriority
    ) -> Sequence[Vector]:
        request = Request(tuple(Message("user", text) for text in missing.values()), 0)
        async with self.open_lane().slot(request, priority) as slot:
            batch.sent += 1
            embedded = await self.embedding.embed(tuple(missing.values()))
            slot.answered(embedded.usage, embedded.limits)
            batch.usage = embedded.usage
            if len(embedded.vectors) != len(missing):
                raise BackendError(
                    f"the backend gave {len(embedded.vectors)} vectors for {len(missing)} texts"
                )
        return await keep_vectors(self.journal, zip(missing, embedded.vectors, strict=True))
