"""How many calls are in flight at once, which call is next, and when it may be sent."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from octavo.engine.dispatch.rate_limit import CallCost, RateLimiter, Reservation
from octavo.errors import OctavoError

__all__ = [
    "DEFAULT_PARALLEL",
    "CallPriority",
    "CallQueue",
    "ConcurrencyLimiter",
    "RunLimiter",
    "RunStopped",
    "WaitingCall",
]


DEFAULT_PARALLEL = 8
"""Calls in flight at first, to a server that does not say how many it takes."""

_CEILING = 256
"""What a limit of unknown capacity may grow to."""


class RunStopped(Exception):  # noqa: N818 - a request to end, not an error
    """The run was asked to stop: nothing more is sent, calls in flight may finish."""


class RunLimiter:
    """The limit of calls in flight for a whole run, whichever servers and models they go to.

    Each server and model has a ConcurrencyLimiter of its own below it. Waiting calls are admitted
    by priority across all of them, so that none waits for a server that others wait for. `on_idle`
    is called once when fewer calls wait than may be in flight.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or _CEILING
        self.in_flight = 0
        self.stopped = False
        self.on_idle: Callable[[], object] | None = None
        self._limiters: list[ConcurrencyLimiter] = []
        self._reason: OctavoError | None = None
        self._stop_event = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return sum(len(each.queue) for each in self._limiters)

    @property
    def capacity(self) -> int:
        """How many calls may be in flight to the server that takes most."""
        return min(self.size, max(each.size for each in self._limiters))

    def add(self, limiter: ConcurrencyLimiter) -> None:
        """Add the limiter of one server and model."""
        self._limiters.append(limiter)

    def admit(self) -> None:
        """Admit waiting calls while there are places, by priority."""
        limiters = self._limiters
        for each in limiters:
            each.cancel_timer()
        while self.in_flight < self.size:
            first: WaitingCall | None = None
            chosen = limiters[0]
            for each in limiters:
                waiter = each.find_next()
                if waiter is not None and (first is None or waiter.priority < first.priority):
                    first, chosen = waiter, each
            if first is None:
                break
            chosen.try_admit(first)
        if self.on_idle and self.waiting < self.capacity:
            idle, self.on_idle = self.on_idle, None
            idle()

    def stop(self, reason: OctavoError | None = None) -> None:
        """Refuse all further calls, for a reason if there is one; those in flight may finish."""
        self.stopped = True
        self._reason = self._reason or reason
        self._stop_event.set()
        for each in self._limiters:
            each.cancel_timer()
            for waiter in each.queue.clear():
                if not waiter.turn.done():
                    waiter.turn.set_exception(self.make_stop_error())

    def make_stop_error(self) -> Exception:
        """Return why a call is refused: an error of its own, since errors collect traces."""
        return RunStopped() if self._reason is None else copy(self._reason)

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the run is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop_event.wait()


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
        self.size = max(self.size, min(size, _CEILING))
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
        if not self.adaptive or self.size >= _CEILING or not self.queue:
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


_DEPTHS = 4096
"""Levels of calls that a priority's number tells apart."""


class CallPriority(NamedTuple):
    """The order of the queue: earlier documents first, then more levels left, then first come."""

    document: int
    levels_done: int
    """Minus the number of calls that still stand between this one and the result."""

    @property
    def number(self) -> int:
        """The same order as one number, for servers that schedule by it: lower is earlier."""
        return self.document * _DEPTHS + max(0, _DEPTHS - 1 + self.levels_done)


@dataclass(eq=False, slots=True)
class WaitingCall:
    """One call that waits: what it costs, what its prompt begins with, and whom to tell."""

    priority: CallPriority
    cost: CallCost
    prefix: Hashable
    turn: asyncio.Future[Reservation]


@dataclass(slots=True, eq=False)
class CallQueue:
    """Waiting calls by priority.

    Among equals those go first whose prompts begin like the one sent last, while a server still
    holds what it made of it; the rest in the order in which they came.
    """

    _levels: dict[CallPriority, dict[Hashable, list[WaitingCall]]] = field(
        default_factory=dict[CallPriority, dict[Hashable, list[WaitingCall]]]
    )
    _order: list[CallPriority] = field(default_factory=list[CallPriority])
    _last: Hashable = None
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def add(self, waiter: WaitingCall) -> None:
        """Add a call."""
        level = self._levels.get(waiter.priority)
        if level is None:
            level = self._levels[waiter.priority] = {}
            heapq.heappush(self._order, waiter.priority)
        level.setdefault(waiter.prefix, []).append(waiter)
        self._count += 1

    def find_first(self) -> WaitingCall | None:
        """Return the next call, which stays until it is removed; None when nothing waits."""
        while self._order:
            if level := self._levels[self._order[0]]:
                group = level.get(self._last)
                return (group or next(iter(level.values())))[0]
            del self._levels[heapq.heappop(self._order)]
        return None

    def remove(self, waiter: WaitingCall, *, sent: bool = False) -> None:
        """Take a call out, because its turn has come (`sent`) or nobody waits for it any more."""
        level = self._levels.get(waiter.priority, {})
        group = level.get(waiter.prefix, [])
        if waiter not in group:
            return
        group.remove(waiter)
        if not group:
            del level[waiter.prefix]
        self._count -= 1
        if sent:
            self._last = waiter.prefix

    def clear(self) -> list[WaitingCall]:
        """Take all calls out and return them."""
        groups = [group for level in self._levels.values() for group in level.values()]
        self._levels.clear()
        self._order.clear()
        self._count = 0
        return [waiter for group in groups for waiter in group]
