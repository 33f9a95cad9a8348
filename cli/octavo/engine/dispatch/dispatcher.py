"""The dispatcher: each key is sent once, whoever waits for it.

The text of a document is stored with the first reply to a prompt that quotes it. So a run that is
killed leaves no prompt in the journal that cannot be read back, a document that nobody replied
about leaves no text there, and nobody needs to hold a text for longer than its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from octavo.engine.dispatch.budget import sum_usage
from octavo.engine.dispatch.concurrency import CallPriority, ConcurrencyLimiter
from octavo.engine.dispatch.embeddings import EmbeddingDispatcher
from octavo.engine.dispatch.in_flight import EmbeddingBatch, InFlightCall
from octavo.engine.dispatch.key import can_join_samples, compute_prompt_key
from octavo.engine.dispatch.rate_limit import Reservation
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.journal.prompts import PackedPrompt, pack
from octavo.engine.journal.store import Journal
from octavo.errors import BackendError, BudgetReached, JournalError
from octavo.protocols import Backend, Embedding, Reply, Request, Sampling, Transient
from octavo.text.document import Document
from octavo.text.quote import Quote

if TYPE_CHECKING:
    from octavo.engine.dispatch.hedging import Hedger

__all__ = ["Dispatcher", "DocumentDispatch"]


Sent = TypeVar("Sent")
_RUN_ENDING = (BackendError, BudgetReached, JournalError)
"""What ends the whole run."""

_PREFIX_CHARACTERS = 2_000
"""Characters that tell whether two prompts begin alike, for a server's prefix cache."""


@dataclass(frozen=True, slots=True)
class _PendingCall:
    """A request that is to be sent, and what the journal will need of it."""

    request: Request
    key: bytes
    packed: PackedPrompt
    priority: CallPriority
    after: InFlightCall | None

    @property
    def prefix(self) -> int:
        """Tells what the prompt begins with: calls that share it are sent one after the other."""
        messages = self.request.messages
        return hash(
            (messages[0].content[:_PREFIX_CHARACTERS], messages[-1].content[:_PREFIX_CHARACTERS])
        )


@dataclass
class Dispatcher:
    """Answers from the journal, else from the backend under the run's limit and patience.

    `fits` is called before a request is sent and raises FitError when it cannot. With `hedge`, a
    call that is overdue gets a second copy; the first reply wins and the other copy is cancelled.
    With `retry`, a stored reply that proves to be of no use is asked for anew.
    """

    backend: Backend
    journal: Journal
    limiter: ConcurrencyLimiter
    retry_policy: RetryPolicy
    group: asyncio.TaskGroup
    require_fit: Callable[[Request], None]
    embedding: Embedding | None = None
    hedger: Hedger | None = None
    retry_failed: bool = False

    def __post_init__(self) -> None:
        self._in_flight: dict[bytes, InFlightCall] = {}
        self._joined_samples: dict[bytes, list[tuple[InFlightCall, _PendingCall]]] = {}
        self._sampling: Sampling | None = None
        if self.backend.known.samples and isinstance(self.backend, Sampling):
            self._sampling = self.backend
        self._embeddings: EmbeddingDispatcher | None = None
        if self.embedding is not None:
            self._embeddings = EmbeddingDispatcher(
                self.embedding, self.journal, self.limiter, self.retry_policy, self.group
            )

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return the batch of texts that fit one request."""
        assert self._embeddings is not None, "capabilities say so before anything is asked"
        return self._embeddings.embed(texts, priority=priority)

    def forget(self, key: bytes) -> bool:
        """Take a stored reply for none, if failed replies are asked for anew."""
        if self.retry_failed:
            self.journal.forget(key)
        return self.retry_failed

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: CallPriority,
        behind: InFlightCall | None = None,
        again: int | None = None,
        document: Document | None = None,
    ) -> InFlightCall:
        """Return the flight of a request; see Answers. What it quotes of `document` is kept."""
        del again
        if flight := self._in_flight.get(key):
            return flight
        if reply := self.journal.find(key):
            return InFlightCall.from_reply(reply, cached=True)
        self.require_fit(request)
        flight = self._in_flight[key] = InFlightCall()
        packed = pack(request.messages, quotes, document=document)
        call = _PendingCall(request, key, packed, priority, behind)
        if self._sampling is not None and can_join_samples(request):
            self._join_samples(flight, call)
        else:
            flight.attach_task(self.group.create_task(self._run_call(flight, call)))
        return flight

    def _join_samples(self, flight: InFlightCall, call: _PendingCall) -> None:
        """Let a sample fly with those of the same prompt that are asked for in the same turn."""
        name = compute_prompt_key(call.request)
        if name not in self._joined_samples:
            self._joined_samples[name] = []
            self.group.create_task(self._run_samples(name))
        self._joined_samples[name].append((flight, call))

    async def _run_samples(self, name: bytes) -> None:
        alike = self._joined_samples.pop(name)
        if len(alike) > 1:
            try:
                replies = await self._retry(alike[0][0], partial(self._send_samples, alike))
            except asyncio.CancelledError:
                for flight, call in alike:
                    self._resolve_call(flight, call, None)
                raise
            except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
                for flight, call in alike:
                    self._resolve_call(flight, call, error)
                return
            for (flight, call), reply in zip(alike, replies, strict=False):
                self._resolve_call(flight, call, reply)
            alike = alike[len(replies) :]
        for flight, call in alike:
            flight.attach_task(self.group.create_task(self._run_call(flight, call)))

    def _resolve_call(
        self, flight: InFlightCall, call: _PendingCall, outcome: Reply | Exception | None
    ) -> None:
        """Hand over what became of a call; None says that it was cancelled."""
        del self._in_flight[call.key]
        if isinstance(outcome, Reply):
            flight.resolve(outcome)
        elif outcome is not None:
            if isinstance(outcome, _RUN_ENDING):
                self.limiter.stop(outcome)
            flight.fail(outcome)
        else:
            flight.started.cancel()
            flight.reply.cancel()

    async def _run_call(self, flight: InFlightCall, call: _PendingCall) -> None:
        try:
            reply = await self._send_until_answered(flight, call)
        except asyncio.CancelledError:
            self._resolve_call(flight, call, None)
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            self._resolve_call(flight, call, error)
        else:
            self._resolve_call(flight, call, reply)

    async def _send_until_answered(self, flight: InFlightCall, call: _PendingCall) -> Reply:
        """Try a call until it is answered or the patience ends."""
        if call.after is not None:
            # Not by awaiting it: what became of it is no concern of this call.
            await asyncio.wait((call.after.started,))
        send = partial(self._send_copy, flight, call)
        if self.hedger is None:
            return await self._retry(flight, send)
        return await self._retry(
            flight, partial(self.hedger.send_hedged, send, call.request.max_tokens)
        )

    async def _retry(self, flight: InFlightCall, send: Callable[[], Awaitable[Sent]]) -> Sent:
        while True:
            try:
                return await send()
            except Transient as fault:
                delay = self.retry_policy.next_delay(fault, flight.sent)
                if self.retry_policy.is_down:
                    self.limiter.pace.pause_for(delay)
            await self.retry_policy.sleep(delay)

    async def _send_samples(
        self, alike: Sequence[tuple[InFlightCall, _PendingCall]]
    ) -> Sequence[Reply]:
        """Send samples of one prompt together; return the durable replies, of the first ones."""
        assert self._sampling is not None
        limit, pace = self.limiter, self.limiter.pace
        first = alike[0][1]
        ticket = await limit.acquire(
            first.priority, cost=pace.estimate_cost(first.request, len(alike)), prefix=first.prefix
        )
        unsent = [flight for flight, _ in alike]
        try:
            self.journal.require()
            for flight in unsent:
                flight.mark_sent()
            begun = self.retry_policy.now()
            replies = await self._sampling.sample(
                [call.request for _, call in alike], _ignore_first_token
            )
            seconds = self.retry_policy.now() - begun
            unsent = unsent[len(replies) :]
            kept = [
                self.journal.keep(call.key, call.packed, reply, seconds=seconds)
                for (_, call), reply in zip(alike, replies, strict=False)
            ]
            pace.on_response(ticket, replies[0].limits)
            pace.learn_token_size(first.request, sum_usage(reply.usage for reply in replies))
            self.retry_policy.on_success()
            limit.on_success()
            self._uncount_sent(unsent)  # the server gave no reply for them
        except _RUN_ENDING as error:
            limit.stop(error)
            if isinstance(error, BudgetReached):
                self._uncount_sent(unsent)
            raise
        except Transient as fault:
            self._report_overload(fault, ticket)
            raise
        finally:
            limit.release()
        return [await each for each in kept]

    @staticmethod
    def _uncount_sent(flights: Sequence[InFlightCall]) -> None:
        for flight in flights:
            flight.sent -= 1

    async def _send_copy(
        self, flight: InFlightCall, call: _PendingCall, sent: Callable[[], object] | None = None
    ) -> Reply:
        """Send one copy of a call as soon as it may be sent; return the durable reply."""
        limit, pace = self.limiter, self.limiter.pace
        second = self.hedger is not None and sent is None
        # A second copy takes the next place: it frees the one that the first copy holds.
        priority = call.priority._replace(document=-1) if second else call.priority
        ticket = await limit.acquire(
            priority, cost=pace.estimate_cost(call.request), prefix=call.prefix
        )
        try:
            self.journal.require()
            flight.mark_sent()
            if sent is not None:
                sent()
            begun = self.retry_policy.now()
            ticket = ticket._replace(sent=begun)  # a busy loop wakes calls late
            reply = await self.backend.send(call.request, flight.mark_started)
            seconds = self.retry_policy.now() - begun
            # The journal commits at the end of this turn of the loop, and who comes next sends in
            # a later one: what is not yet durable and what is in flight are together never more
            # than the limit.
            kept = self.journal.keep(call.key, call.packed, reply, seconds=seconds)
            pace.on_response(ticket, reply.limits)
            pace.learn_token_size(call.request, reply.usage)
            self.retry_policy.on_success()
            limit.on_success()
            if self.hedger is not None:
                self.hedger.record_latency(call.request.max_tokens, seconds)
        except _RUN_ENDING as error:
            if not (second and isinstance(error, BudgetReached)):  # the first copy is paid for
                limit.stop(
                    error
                )  # before the place is given back: no other call meets the same end
            flight.sent -= isinstance(error, BudgetReached)
            raise
        except Transient as fault:
            self._report_overload(fault, ticket)
            raise
        finally:
            limit.release()
        return await kept

    def _report_overload(self, fault: Transient, ticket: Reservation) -> None:
        match fault.kind:
            case "timeout":
                self.limiter.on_overload()
            case "rate":
                told = self.limiter.pace.on_rejected(ticket, fault.limits, fault.retry_after)
                if not told:
                    self.limiter.on_overload()
            case _:
                pass


def _ignore_first_token() -> None:
    """Take no note of a first token: it is not known of which sample."""


@dataclass(frozen=True, slots=True)
class DocumentDispatch:
    """Answers the calls of one document as `flights` do; see Answers."""

    dispatcher: Dispatcher
    document: Document

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: CallPriority,
        behind: InFlightCall | None = None,
        again: int | None = None,
    ) -> InFlightCall:
        """Return the flight of a request; see Answers."""
        return self.dispatcher.answer(
            request,
            key,
            quotes=quotes,
            priority=priority,
            behind=behind,
            again=again,
            document=self.document,
        )

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return the batch of texts that fit one request."""
        return self.dispatcher.embed(texts, priority=priority)

    def forget(self, key: bytes) -> bool:
        """Take a stored reply for none, if failed replies are asked for anew."""
        return self.dispatcher.forget(key)
