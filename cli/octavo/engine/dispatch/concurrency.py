"""How many calls are in flight to one model, and when the next one may be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from octavo.engine.dispatch.call_queue import CallQueue, WaitingCall
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.rate_limit import CallCost, RateLimiter, Reservation
from octavo.engine.dispatch.run_limiter import CEILING, RunLimiter

__all__ = ["ConcurrencyLimiter"]


class ConcurrencyLimiter:
    """The calls in flight to one server and model; the limit may change while calls wait.

    It starts at `start`. When it is `adaptive`, it grows by one with every reply until the first
    overload, then by one for each full round of replies, and halves at an overload, at most once
    for the calls that were in flight together. Waiting calls are admitted by priority, none before
    `rate_limiter` allows it, and never more than `run` has places for.
    """

    def __init__(
        self,
        start: int,
        *,
        adaptive: bool = False,
        rate_limiter: RateLimiter | None = None,
        run: RunLimiter | None = None,
    ) -> None:
        self.size = max(1, start)
        self.adaptive = adaptive
        self.rate_limiter = rate_limiter or RateLimiter()
        self.in_flight = 0
        self.queue = CallQueue()
        self.run = run or RunLimiter()
        self.run.add(self)
        self._timer: asyncio.TimerHandle | None = None
        self._was_overloaded = False
        self._growth = 0.0
        self._grace = 0

    async def acquire(
        self, priority: CallPriority, *, cost: CallCost | None = None, prefix: Hashable = None
    ) -> Reservation:
        """Wait for a place and for the rate limits; `prefix` is what the prompt begins with.

        Returns what the rate limiter needs to know with the reply. Once the run is stopped, raises
        the reason, or RunStopped.
        """
        run = self.run
        if run.stopped:
            raise run.make_stop_error()
        cost = cost or CallCost()
        if self.in_flight < self.size and run.in_flight < run.size and not self.queue:
            taken = self.rate_limiter.try_reserve(cost)
            if isinstance(taken, Reservation):
                self.in_flight += 1
                run.in_flight += 1
                return taken
        turn: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        waiter = WaitingCall(priority, cost, prefix, turn)
        self.queue.add(waiter)
        run.admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self.queue.remove(waiter)
            elif not turn.exception():
                self.release()
            raise

    def raise_to(self, size: int) -> None:
        """Let at least `size` calls be in flight."""
        self.size = max(self.size, min(size, CEILING))
        self.run.size = max(self.run.size, self.size)
        self.run.admit()

    def release(self) -> None:
        """Give a place back and admit the next call."""
        self.in_flight -= 1
        self.run.in_flight -= 1
        self.run.admit()

    def on_success(self) -> None:
        """Count a reply; may grow the limit."""
        self._grace = max(0, self._grace - 1)
        if not self.adaptive or self.size >= CEILING or not self.queue:
            return
        self._growth += 1.0 if not self._was_overloaded else 1.0 / self.size
        if self._growth >= 1.0:
            self._growth -= 1.0
            self.size += 1
            self.run.admit()

    def on_overload(self) -> None:
        """Count a rejection for load or a timeout; halves an adaptive limit."""
        if not self.adaptive or self._grace:
            return
        self._was_overloaded = True
        self._grace = self.in_flight
        self.size = max(1, self.size // 2)

    def find_next(self) -> WaitingCall | None:
        """Return the waiting call that may be admitted next, if any may."""
        if self.in_flight >= self.size or self._timer is not None:
            return None
        while (waiter := self.queue.find_first()) is not None and waiter.turn.done():
            self.queue.remove(waiter)  # given up, and not yet awake to say so
        return waiter

    def try_admit(self, waiter: WaitingCall) -> None:
        """Admit a call, or try again when the rate limits allow it."""
        taken = self.rate_limiter.try_reserve(waiter.cost)
        if not isinstance(taken, Reservation):
            self._timer = asyncio.get_running_loop().call_later(taken, self.run.admit)
            return
        self.queue.remove(waiter, sent=True)
        self.in_flight += 1
        self.run.in_flight += 1
        waiter.turn.set_result(taken)

    def cancel_timer(self) -> None:
        """Try the next call at once, and not only when the rate limits allowed it at last."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
