"""Calls and embedding batches in flight."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from octavo.protocols import Reply, Usage
from octavo.text.note import Prediction
from octavo.text.vectors import Vector

__all__ = ["EmbeddingBatch", "InFlightCall"]


@dataclass
class EmbeddingBatch:
    """Texts being embedded: known already, waiting, or sent.

    `key` names them in the ledger, `sent` says how often a request was sent for them, and `depth`,
    in a plan, how many calls follow one another up to it.
    """

    key: bytes
    sent: int = 0
    usage: Usage = field(default_factory=Usage)
    predicted: Prediction | None = None
    depth: int = 0
    _vectors: list[Awaitable[Vector] | Vector] = field(
        default_factory=list["Awaitable[Vector] | Vector"]
    )

    def add(self, place: Awaitable[Vector] | Vector) -> None:
        """Add the next text's vector, or who will have it."""
        self._vectors.append(place)

    async def wait_for_vectors(self) -> tuple[Vector, ...]:
        """Wait for all vectors."""
        waited = [
            each if isinstance(each, array) else await asyncio.shield(each)
            for each in self._vectors
        ]
        return tuple(waited)


class InFlightCall:
    """One call: done in the journal, waiting for its turn, or sent.

    A flight that nobody waits for any more is dropped if it was not sent; a sent one lands in the
    journal, since it is paid for. In a plan `depth` is how many calls follow one another up to it.
    """

    def __init__(self, *, predicted: Prediction | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[None] = loop.create_future()
        self.reply: asyncio.Future[Reply] = loop.create_future()
        self.cached = False
        self.predicted = predicted
        self.sent = 0
        self.on_sent: Callable[[], None] | None = None
        """Told each time that the call is sent."""
        self.depth = 0
        self._accounted = 0
        self._waiters = 0
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_reply(
        cls, reply: Reply, *, cached: bool = False, predicted: Prediction | None = None
    ) -> InFlightCall:
        """Return a flight that needs no sending."""
        flight = cls(predicted=predicted)
        flight.cached = cached
        flight.resolve(reply)
        return flight

    def mark_started(self) -> None:
        """Note the reply's first token."""
        if not self.started.done():
            self.started.set_result(None)

    def mark_sent(self) -> None:
        """Count that the call is sent."""
        self.sent += 1
        if self.on_sent is not None:
            self.on_sent()

    def resolve(self, reply: Reply) -> None:
        """Hand the reply to all who wait."""
        self.mark_started()
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Hand the error to all who wait."""
        for future in (self.started, self.reply):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits sees it; nobody waiting is no defect

    def attach_task(self, task: asyncio.Task[None]) -> None:
        """Name the task that sends this flight."""
        self._task = task

    def take_unaccounted(self) -> int:
        """Return how often the call was sent since somebody last asked."""
        sent = self.sent - self._accounted
        self._accounted = self.sent
        return sent

    def add_waiter(self) -> None:
        """Count one more who wants the reply; each of them calls `leave` once."""
        self._waiters += 1

    def remove_waiter(self) -> None:
        """Count one less; the last to leave drops a flight that was not sent."""
        self._waiters -= 1
        if not self._waiters and not self.sent and self._task:
            self._task.cancel()

    async def wait(self) -> Reply:
        """Wait for the reply; whoever gives up does not end it for the others."""
        return await asyncio.shield(self.reply)
