"""How many calls are in flight at once in a whole run, and whether it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Protocol

from octavo.errors import OctavoError

if TYPE_CHECKING:
    from octavo.engine.dispatch.call_queue import CallQueue, WaitingCall

__all__ = ["CEILING", "DEFAULT_PARALLEL", "RunLimiter", "RunStopped"]


DEFAULT_PARALLEL = 8
"""Calls in flight at first, to a server that does not say how many it takes."""

CEILING = 256
"""What a limit of unknown capacity may grow to."""


class RunStopped(Exception):  # noqa: N818 - a request to end, not an error
    """The run was asked to stop: nothing more is sent, calls in flight may finish."""


class _ModelLimiter(Protocol):
    """The limit of one server and model: a ConcurrencyLimiter."""

    size: int
    queue: CallQueue

    def find_next(self) -> WaitingCall | None: ...
    def try_admit(self, waiter: WaitingCall) -> None: ...
    def cancel_timer(self) -> None: ...


class RunLimiter:
    """The limit of calls in flight for a whole run, whichever servers and models they go to.

    Each server and model has a ConcurrencyLimiter of its own below it. Waiting calls are admitted
    by priority across all of them, so that none waits for a server that others wait for. `on_idle`
    is called once when fewer calls wait than may be in flight.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size or CEILING
        self.in_flight = 0
        self.stopped = False
        self.on_idle: Callable[[], object] | None = None
        self._start = size or DEFAULT_PARALLEL
        self._limiters: list[_ModelLimiter] = []
        self._reason: OctavoError | None = None
        self._stop_event = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return sum(len(each.queue) for each in self._limiters)

    @property
    def capacity(self) -> int:
        """How many calls may be in flight to the server that takes most, or to the first one."""
        return min(self.size, max((each.size for each in self._limiters), default=self._start))

    def add(self, limiter: _ModelLimiter) -> None:
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
