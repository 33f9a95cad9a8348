"""The one way to send: a lane for each server and model, and a slot in it for each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from octavo.engine.dispatch.budget import Budget, BudgetReservation, is_maybe_billed
from octavo.engine.dispatch.circuit_breaker import CircuitBreaker
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.pricing import Price
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.rate_limit import Reservation
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.journal.store import Journal
from octavo.errors import BackendError, BudgetReached, JournalError
from octavo.protocols import RateLimit, Request, Transient, Usage

__all__ = ["Lane", "Slot"]


Sent = TypeVar("Sent")
_RUN_ENDING = (BackendError, BudgetReached, JournalError)
"""What ends the whole run."""


@dataclass(frozen=True, eq=False, repr=False)
class Lane:
    """Sends to one server and model.

    The lane has its own limits of concurrency and rate, its own outages and its own `price`; the
    journal, the retry policy and the budget are those of the whole run.
    """

    limiter: ConcurrencyLimiter
    journal: Journal
    retry_policy: RetryPolicy
    budget: Budget | None = None
    price: Price | None = None
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    def slot(
        self,
        request: Request,
        priority: CallPriority,
        *,
        samples: int = 1,
        prefix: Hashable = None,
        is_copy: bool = False,
    ) -> Slot:
        """Return a slot for one attempt, which may ask for several samples.

        `prefix` is what the prompt begins with. A second copy of a call (`is_copy`) that the budget
        does not allow does not end the run.
        """
        return Slot(self, request, priority, samples, prefix, is_copy)

    async def retry(self, send: Callable[[], Awaitable[Sent]]) -> Sent:
        """Send until it is answered; what ends the run stops all other calls as well."""
        try:
            return await self.retry_policy.retry(send, self.breaker, self._pause_in_outage)
        except _RUN_ENDING as error:
            self.limiter.run.stop(error)
            raise

    def on_fault(self, fault: Transient, reservation: Reservation) -> None:
        """Learn from an attempt that failed: the only place where a 429 is judged."""
        limiter = self.limiter
        if fault.kind == "timeout" or (
            fault.kind == "rate"
            and not limiter.rate_limiter.on_rejected(reservation, fault.limits, fault.retry_after)
        ):
            limiter.on_overload()

    def _pause_in_outage(self, fault: Transient, attempt: int, delay: float) -> None:
        del fault, attempt
        if self.breaker.is_open:
            self.limiter.rate_limiter.pause_for(delay)


@dataclass(eq=False, repr=False, slots=True)
class Slot:
    """One attempt: it waits for its turn, and holds its place while the block runs.

    The block sends the request, hands the reply to the journal, and then calls `answered`, which
    may admit other calls. The journal commits at the end of this turn of the event loop, and who
    is admitted sends in a later one: what is not yet durable and what is in flight are together
    never more than the limit.
    """

    lane: Lane
    request: Request
    priority: CallPriority
    samples: int
    prefix: Hashable
    is_copy: bool
    _reservation: Reservation = field(init=False)
    _budgeted: BudgetReservation | None = None

    async def __aenter__(self) -> Self:
        """Wait for a place, the rate limits and the budget; raises what ends the run."""
        lane, limiter = self.lane, self.lane.limiter
        cost = limiter.rate_limiter.estimate_cost(self.request, self.samples)
        self._reservation = reserved = await limiter.acquire(
            self.priority, cost=cost, prefix=self.prefix
        )
        try:
            lane.journal.require()
            if lane.budget is not None:
                self._budgeted = await lane.budget.reserve(self.request, self.samples, lane.price)
        except BaseException as error:
            self._leave(error)
            raise
        # A busy loop wakes calls late.
        sent = asyncio.get_running_loop().time()
        self._reservation = Reservation(sent, reserved.cost, reserved.spent)
        return self

    @property
    def seconds(self) -> float:
        """How long ago the attempt was sent."""
        return asyncio.get_running_loop().time() - self._reservation.sent

    def answered(self, usage: Usage, limits: Sequence[RateLimit] = ()) -> None:
        """Learn from a reply what the attempt took, and what the server says of its limits."""
        lane, limiter = self.lane, self.lane.limiter
        limiter.rate_limiter.on_response(self._reservation, limits)
        limiter.rate_limiter.learn_token_size(self.request, usage)
        lane.breaker.on_success()
        lane.retry_policy.on_success()
        limiter.on_success()
        if self._budgeted is not None and lane.budget is not None:
            lane.budget.settle(self._budgeted, usage)
            self._budgeted = None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Learn from what went wrong, and give the place back."""
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        lane = self.lane
        if isinstance(error, Transient):
            lane.on_fault(error, self._reservation)
        elif isinstance(error, _RUN_ENDING) and not (
            self.is_copy and isinstance(error, BudgetReached)  # the first copy is paid for
        ):
            # Before the place is given back: no other call meets the same end.
            lane.limiter.run.stop(error)
        if self._budgeted is not None and lane.budget is not None:
            lane.budget.settle(self._budgeted, None, billed=is_maybe_billed(error))
        lane.limiter.release()
