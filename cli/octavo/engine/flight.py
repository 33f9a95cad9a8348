"""Calls under way: each key is sent once, whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from octavo.engine.embed import Batch, Embeddings, Vectors
from octavo.engine.hedge import Hedge
from octavo.engine.journal import Journal
from octavo.engine.limit import Limit
from octavo.engine.pace import Ticket
from octavo.engine.packing import Packed, pack
from octavo.engine.patience import Patience
from octavo.engine.queue import Priority
from octavo.engine.samples import may_join, prompt_key, together
from octavo.errors import BackendError, BudgetReached, JournalError
from octavo.protocols import Backend, Embedding, Reply, Request, Sampling, Transient
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.quote import Quote

__all__ = ["Answers", "Flight", "Flights"]

Sent = TypeVar("Sent")
_FINAL = (BackendError, BudgetReached, JournalError)
"""What ends the whole run."""

_PREFIX = 2_000
"""Characters that tell whether two prompts begin alike, for a server's prefix cache."""


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
        self.told: Callable[[], None] | None = None
        """Told each time that the call is sent."""
        self.depth = 0
        self._claimed = 0
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

    def take_off(self) -> None:
        """Count that the call is sent."""
        self.sent += 1
        if self.told is not None:
            self.told()

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
        """Return how often the call was sent since somebody last asked."""
        sent = self.sent - self._claimed
        self._claimed = self.sent
        return sent

    def board(self) -> None:
        """Count one more who wants the reply; each of them calls `leave` once."""
        self._waiters += 1

    def leave(self) -> None:
        """Count one less; the last to leave drops a flight that was not sent."""
        self._waiters -= 1
        if not self._waiters and not self.sent and self._task:
            self._task.cancel()

    async def wait(self) -> Reply:
        """Wait for the reply; whoever gives up does not end it for the others."""
        return await asyncio.shield(self.reply)


class Answers(Vectors, Protocol):
    """Something that answers requests: the journal, then a backend or a prediction."""

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: Priority,
        behind: Flight | None = None,
        again: int | None = None,
    ) -> Flight:
        """Return the flight of a request; equal keys share one.

        It is sent once `behind`, whose prompt begins as this one does, has started or ended.
        `again` is how many tokens more the prompt of a second attempt may have, and None where a
        reply of no use is not asked for once more; a plan needs to know.
        """
        ...

    def forget(self, key: bytes) -> bool:
        """Take a stored reply, which is of no use, for none; tell whether it will be so."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that is to be sent, and what the journal will need of it."""

    request: Request
    key: bytes
    packed: Packed
    priority: Priority
    behind: Flight | None

    @property
    def prefix(self) -> int:
        """Tells what the prompt begins with: calls that share it are sent one after the other."""
        messages = self.request.messages
        return hash((messages[0].content[:_PREFIX], messages[-1].content[:_PREFIX]))


@dataclass
class Flights:
    """Answers from the journal, else from the backend under the run's limit and patience.

    `fits` is called before a request is sent and raises FitError when it cannot. With `hedge`, a
    call that is overdue gets a second copy; the first reply wins and the other copy is cancelled.
    With `retry`, a stored reply that proves to be of no use is asked for anew.
    """

    backend: Backend
    journal: Journal
    limit: Limit
    patience: Patience
    group: asyncio.TaskGroup
    fits: Callable[[Request], None]
    embedding: Embedding | None = None
    hedge: Hedge | None = None
    retry: bool = False

    def __post_init__(self) -> None:
        self._flying: dict[bytes, Flight] = {}
        self._alike: dict[bytes, list[tuple[Flight, _Call]]] = {}
        self._sampling: Sampling | None = None
        if self.backend.known.samples and isinstance(self.backend, Sampling):
            self._sampling = self.backend
        self._embeddings: Embeddings | None = None
        if self.embedding is not None:
            self._embeddings = Embeddings(
                self.embedding, self.journal, self.limit, self.patience, self.group
            )

    def embed(self, texts: Sequence[str], *, priority: Priority) -> Batch:
        """Return the batch of texts that fit one request."""
        assert self._embeddings is not None, "capabilities say so before anything is asked"
        return self._embeddings.embed(texts, priority=priority)

    def forget(self, key: bytes) -> bool:
        """Take a stored reply for none, if failed replies are asked for anew."""
        if self.retry:
            self.journal.forget(key)
        return self.retry

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: Priority,
        behind: Flight | None = None,
        again: int | None = None,
        document: Document | None = None,
    ) -> Flight:
        """Return the flight of a request; see Answers. What it quotes of `document` is kept."""
        del again
        if flight := self._flying.get(key):
            return flight
        if reply := self.journal.find(key):
            return Flight.landed(reply, cached=True)
        self.fits(request)
        flight = self._flying[key] = Flight()
        packed = pack(request.messages, quotes, document=document)
        call = _Call(request, key, packed, priority, behind)
        if self._sampling is not None and may_join(request):
            self._join(flight, call)
        else:
            flight.ride(self.group.create_task(self._fly(flight, call)))
        return flight

    def _join(self, flight: Flight, call: _Call) -> None:
        """Let a sample fly with those of the same prompt that are asked for in the same turn."""
        name = prompt_key(call.request)
        if name not in self._alike:
            self._alike[name] = []
            self.group.create_task(self._fly_alike(name))
        self._alike[name].append((flight, call))

    async def _fly_alike(self, name: bytes) -> None:
        alike = self._alike.pop(name)
        if len(alike) > 1:
            try:
                replies = await self._patiently(alike[0][0], partial(self._sample, alike))
            except asyncio.CancelledError:
                for flight, call in alike:
                    self._end(flight, call, None)
                raise
            except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
                for flight, call in alike:
                    self._end(flight, call, error)
                return
            for (flight, call), reply in zip(alike, replies, strict=False):
                self._end(flight, call, reply)
            alike = alike[len(replies) :]
        for flight, call in alike:
            flight.ride(self.group.create_task(self._fly(flight, call)))

    def _end(self, flight: Flight, call: _Call, outcome: Reply | Exception | None) -> None:
        """Hand over what became of a call; None says that it was cancelled."""
        del self._flying[call.key]
        if isinstance(outcome, Reply):
            flight.land(outcome)
        elif outcome is not None:
            if isinstance(outcome, _FINAL):
                self.limit.stop(outcome)
            flight.fail(outcome)
        else:
            flight.started.cancel()
            flight.reply.cancel()

    async def _fly(self, flight: Flight, call: _Call) -> None:
        try:
            reply = await self._answered(flight, call)
        except asyncio.CancelledError:
            self._end(flight, call, None)
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            self._end(flight, call, error)
        else:
            self._end(flight, call, reply)

    async def _answered(self, flight: Flight, call: _Call) -> Reply:
        """Try a call until it is answered or the patience ends."""
        if call.behind is not None:
            # Not by awaiting it: what became of it is no concern of this call.
            await asyncio.wait((call.behind.started,))
        send = partial(self._send, flight, call)
        if self.hedge is None:
            return await self._patiently(flight, send)
        return await self._patiently(
            flight, partial(self.hedge.race, send, call.request.max_tokens)
        )

    async def _patiently(self, flight: Flight, send: Callable[[], Awaitable[Sent]]) -> Sent:
        while True:
            try:
                return await send()
            except Transient as fault:
                delay = self.patience.refuse_or_wait(fault, flight.sent)
                if self.patience.down:
                    self.limit.pace.hold(delay)
            await self.patience.sleep(delay)

    async def _sample(self, alike: Sequence[tuple[Flight, _Call]]) -> Sequence[Reply]:
        """Send samples of one prompt together; return the durable replies, of the first ones."""
        assert self._sampling is not None
        limit, pace = self.limit, self.limit.pace
        first = alike[0][1]
        ticket = await limit.acquire(
            first.priority, cost=pace.cost(first.request, len(alike)), prefix=first.prefix
        )
        unsent = [flight for flight, _ in alike]
        try:
            self.journal.require()
            for flight in unsent:
                flight.take_off()
            begun = self.patience.now()
            replies = await self._sampling.sample([call.request for _, call in alike], _unheard)
            seconds = self.patience.now() - begun
            unsent = unsent[len(replies) :]
            kept = [
                self.journal.keep(call.key, call.packed, reply, seconds=seconds)
                for (_, call), reply in zip(alike, replies, strict=False)
            ]
            pace.told(ticket, replies[0].limits)
            pace.measure(first.request, together(reply.usage for reply in replies))
            self.patience.succeeded()
            limit.succeeded()
            self._take_back(unsent)  # the server gave no reply for them
        except _FINAL as error:
            limit.stop(error)
            if isinstance(error, BudgetReached):
                self._take_back(unsent)
            raise
        except Transient as fault:
            self._pushed_back(fault, ticket)
            raise
        finally:
            limit.release()
        return [await each for each in kept]

    @staticmethod
    def _take_back(flights: Sequence[Flight]) -> None:
        for flight in flights:
            flight.sent -= 1

    async def _send(
        self, flight: Flight, call: _Call, sent: Callable[[], object] | None = None
    ) -> Reply:
        """Send one copy of a call as soon as it may be sent; return the durable reply."""
        limit, pace = self.limit, self.limit.pace
        second = self.hedge is not None and sent is None
        # A second copy takes the next place: it frees the one that the first copy holds.
        priority = call.priority._replace(document=-1) if second else call.priority
        ticket = await limit.acquire(priority, cost=pace.cost(call.request), prefix=call.prefix)
        try:
            self.journal.require()
            flight.take_off()
            if sent is not None:
                sent()
            begun = self.patience.now()
            ticket = ticket._replace(sent=begun)  # a busy loop wakes calls late
            reply = await self.backend.send(call.request, flight.begin)
            seconds = self.patience.now() - begun
            # The journal commits at the end of this turn of the loop, and who comes next sends in
            # a later one: what is not yet durable and what is in flight are together never more
            # than the limit.
            kept = self.journal.keep(call.key, call.packed, reply, seconds=seconds)
            pace.told(ticket, reply.limits)
            pace.measure(call.request, reply.usage)
            self.patience.succeeded()
            limit.succeeded()
            if self.hedge is not None:
                self.hedge.took(call.request.max_tokens, seconds)
        except _FINAL as error:
            if not (second and isinstance(error, BudgetReached)):  # the first copy is paid for
                limit.stop(
                    error
                )  # before the place is given back: no other call meets the same end
            flight.sent -= isinstance(error, BudgetReached)
            raise
        except Transient as fault:
            self._pushed_back(fault, ticket)
            raise
        finally:
            limit.release()
        return await kept

    def _pushed_back(self, fault: Transient, ticket: Ticket) -> None:
        match fault.kind:
            case "timeout":
                self.limit.pushed_back()
            case "rate":
                told = self.limit.pace.refused(ticket, fault.limits, fault.retry_after)
                if not told:
                    self.limit.pushed_back()
            case _:
                pass


def _unheard() -> None:
    """Take no note of a first token: it is not known of which sample."""
