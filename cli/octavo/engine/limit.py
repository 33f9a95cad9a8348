"""How many calls are in flight at once, and when the next one may be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from copy import copy

from octavo.engine.pace import Cost, Pace, Ticket
from octavo.engine.queue import Priority, Queue, Waiter
from octavo.errors import OctavoError

__all__ = ["Limit", "Stopped"]

_CEILING = 256
"""What a limit of unknown capacity may grow to."""


class Stopped(Exception):  # noqa: N818 - a request to end, not an error
    """The run was asked to stop: nothing more is sent, what is in flight may land."""


class Limit:
    """A limit of calls in flight that may change while calls wait.

    It starts at `start`. When it `adapts`, it grows by one with every reply until the first
    push-back, then by one for each full round of replies, and halves at a push-back, at most once
    for the calls that were in flight together. Waiting calls are let in by priority, and none
    before `pace` allows it. `on_idle` is called once when fewer calls wait than may fly.
    """

    def __init__(self, start: int, *, adapts: bool = False, pace: Pace | None = None) -> None:
        self.size = max(1, start)
        self.adapts = adapts
        self.pace = pace or Pace()
        self.flying = 0
        self._queue = Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._pushed = False
        self._gain = 0.0
        self._grace = 0
        self.stopped = False
        self._reason: OctavoError | None = None
        self._end = asyncio.Event()
        self.on_idle: Callable[[], object] | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._queue)

    async def acquire(
        self, priority: Priority, *, cost: Cost | None = None, prefix: Hashable = None
    ) -> Ticket:
        """Wait for a place and for the rate limits; `prefix` is what the prompt begins with.

        Returns what the pace will want to know with the reply. Once the limit is stopped, raises
        the reason, or Stopped.
        """
        if self.stopped:
            raise self._ended()
        cost = cost or Cost()
        if self.flying < self.size and not self._queue:
            taken = self.pace.take(cost)
            if isinstance(taken, Ticket):
                self.flying += 1
                return taken
        turn: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        waiter = Waiter(priority, cost, prefix, turn)
        self._queue.push(waiter)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.remove(waiter)
            elif not turn.exception():
                self.release()
            raise

    def widen(self, size: int) -> None:
        """Let at least `size` calls fly."""
        self.size = max(self.size, min(size, _CEILING))
        self._admit()

    def release(self) -> None:
        """Give a place back and let the next call in."""
        self.flying -= 1
        self._admit()

    def stop(self, reason: OctavoError | None = None) -> None:
        """Refuse all further calls, for a reason if there is one; those in flight may land."""
        self.stopped = True
        self._reason = self._reason or reason
        self._end.set()
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._queue.clear():
            if not waiter.turn.done():
                waiter.turn.set_exception(self._ended())

    def _ended(self) -> Exception:
        # Each call gets an error of its own: a shared one collects the traces of all of them.
        return Stopped() if self._reason is None else copy(self._reason)

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the limit is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()

    def succeeded(self) -> None:
        """Count a reply; may grow the limit."""
        self._grace = max(0, self._grace - 1)
        if not self.adapts or self.size >= _CEILING or not self._queue:
            return
        self._gain += 1.0 if not self._pushed else 1.0 / self.size
        if self._gain >= 1.0:
            self._gain -= 1.0
            self.size += 1
            self._admit()

    def pushed_back(self) -> None:
        """Count a refusal for load or a timeout; halves an adapting limit."""
        if not self.adapts or self._grace:
            return
        self._pushed = True
        self._grace = self.flying
        self.size = max(1, self.size // 2)

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self.flying < self.size and (waiter := self._queue.first()) is not None:
            if waiter.turn.done():  # given up, and not yet awake to say so
                self._queue.remove(waiter)
                continue
            taken = self.pace.take(waiter.cost)
            if not isinstance(taken, Ticket):
                self._timer = asyncio.get_running_loop().call_later(taken, self._admit)
                break
            self._queue.remove(waiter, sent=True)
            self.flying += 1
            waiter.turn.set_result(taken)
        if self.on_idle and len(self._queue) < self.size:
            idle, self.on_idle = self.on_idle, None
            idle()
