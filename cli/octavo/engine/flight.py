"""Calls under way: each key is sent once, whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from octavo.engine.embed import Batch, Embeddings, Vectors
from octavo.engine.journal import Journal
from octavo.engine.limit import Limit, Priority
from octavo.engine.packing import Packed, pack
from octavo.engine.patience import Patience
from octavo.errors import BudgetReached
from octavo.protocols import Backend, Embedding, Reply, Request, Transient
from octavo.text.note import Prediction
from octavo.text.quote import Quote

__all__ = ["Answers", "Flight", "Flights"]


class Flight:
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
        self.depth = 0
        self._claimed = False
        self._waiters = 0
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def landed(
        cls, reply: Reply, *, cached: bool = False, predicted: Prediction | None = None
    ) -> Flight:
        """Return a flight that needs no sending."""
        flight = cls(predicted=predicted)
        flight.cached = cached
        flight.land(reply)
        return flight

    def begin(self) -> None:
        """Note the reply's first token."""
        if not self.started.done():
            self.started.set_result(None)

    def land(self, reply: Reply) -> None:
        """Hand the reply to all who wait."""
        self.begin()
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Hand the error to all who wait."""
        for future in (self.started, self.reply):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits sees it; nobody waiting is no defect

    def ride(self, task: asyncio.Task[None]) -> None:
        """Name the task that sends this flight."""
        self._task = task

    def claim(self) -> int:
        """Return how often the call was sent, to the first who asks; 0 to all others."""
        if self._claimed:
            return 0
        self._claimed = True
        return self.sent

    async def wait(self) -> Reply:
        """Wait for the reply; the last one to give up drops a flight that was not sent."""
        if self.reply.done():
            return self.reply.result()
        self._waiters += 1
        try:
            return await asyncio.shield(self.reply)
        finally:
            self._waiters -= 1
            if not self._waiters and not self.sent and self._task:
                self._task.cancel()


class Answers(Vectors, Protocol):
    """Something that answers requests: the journal, then a backend or a prediction."""

    def answer(
        self, request: Request, key: bytes, *, quotes: Sequence[Quote], priority: Priority
    ) -> Flight:
        """Return the flight of a request; equal keys share one."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that is to be sent, and what the journal will need of it."""

    request: Request
    key: bytes
    packed: Packed
    priority: Priority


@dataclass
class Flights:
    """Answers from the journal, else from the backend under the run's limit and patience.

    `fits` is called before a request is sent and raises FitError when it cannot.
    """

    backend: Backend
    journal: Journal
    limit: Limit
    patience: Patience
    group: asyncio.TaskGroup
    fits: Callable[[Request], None]
    embedding: Embedding | None = None

    def __post_init__(self) -> None:
        self._flying: dict[bytes, Flight] = {}
        self._embeddings: Embeddings | None = None
        if self.embedding is not None:
            self._embeddings = Embeddings(
                self.embedding, self.journal, self.limit, self.patience, self.group
            )

    def embed(self, texts: Sequence[str], *, priority: Priority) -> Batch:
        """Return the batch of texts that fit one request."""
        assert self._embeddings is not None, "capabilities say so before anything is asked"
        return self._embeddings.embed(texts, priority=priority)

    def answer(
        self, request: Request, key: bytes, *, quotes: Sequence[Quote], priority: Priority
    ) -> Flight:
        """Return the flight of a request; equal keys share one."""
        if flight := self._flying.get(key):
            return flight
        if reply := self.journal.find(key):
            return Flight.landed(reply, cached=True)
        self.fits(request)
        flight = self._flying[key] = Flight()
        call = _Call(request, key, pack(request.messages, quotes), priority)
        flight.ride(self.group.create_task(self._fly(flight, call)))
        return flight

    async def _fly(self, flight: Flight, call: _Call) -> None:
        try:
            reply = await self._send(flight, call)
        except asyncio.CancelledError:
            flight.started.cancel()
            flight.reply.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            flight.fail(error)
        else:
            flight.land(reply)
        finally:
            del self._flying[call.key]

    async def _send(self, flight: Flight, call: _Call) -> Reply:
        while True:
            await self.limit.acquire(call.priority)
            try:
                self.journal.require()
                flight.sent += 1
                begun = self.patience.now()
                reply = await self.backend.send(call.request, flight.begin)
                seconds = self.patience.now() - begun
                # The journal commits at the end of this turn of the loop, and who comes next
                # sends in a later one: what is not yet durable and what is in flight are together
                # never more than the limit.
                kept = self.journal.keep(call.key, call.packed, reply, seconds=seconds)
            except BudgetReached:
                flight.sent -= 1
                raise
            except Transient as fault:
                if fault.kind in {"rate", "timeout"}:
                    self.limit.pushed_back()
                delay = self.patience.refuse_or_wait(fault, flight.sent)
            else:
                self.patience.succeeded()
                self.limit.succeeded()
                break
            finally:
                self.limit.release()
            await self.patience.sleep(delay)
        return await kept
