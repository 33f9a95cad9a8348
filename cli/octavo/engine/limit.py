"""How many calls are in flight at once, and which comes next."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Limit", "Priority", "Stopped"]

_CEILING = 256
"""What a limit of unknown capacity may grow to."""

_LEVELS = 4096
"""Levels of calls that a priority's number tells apart."""


class Stopped(Exception):  # noqa: N818 - a request to end, not an error
    """The run was asked to stop: nothing more is sent, what is in flight may land."""


class Priority(NamedTuple):
    """The order of the queue: earlier documents first, then more levels left, then first come."""

    document: int
    levels_done: int
    """Minus the number of calls that still stand between this one and the result."""

    @property
    def number(self) -> int:
        """The same order as one number, for servers that schedule by it: lower is earlier."""
        return self.document * _LEVELS + max(0, _LEVELS - 1 + self.levels_done)


class Limit:
    """A limit of calls in flight that may change while calls wait.

    It starts at `start`. When it `adapts`, it grows by one with every reply until the first
    push-back, then by one for each full round of replies, and halves at a push-back, at most once
    for the calls that were in flight together. Waiting calls are let in by priority. `on_idle` is
    called once when fewer calls wait than may fly.
    """

    def __init__(self, start: int, *, adapts: bool = False) -> None:
        self.size = max(1, start)
        self.adapts = adapts
        self.flying = 0
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._pushed = False
        self._gain = 0.0
        self._grace = 0
        self.stopped = False
        self._end = asyncio.Event()
        self.on_idle: Callable[[], object] | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._waiting)

    async def acquire(self, priority: Priority) -> None:
        """Wait for a place. Raises Stopped once the limit is stopped."""
        if self.stopped:
            raise Stopped
        if self.flying < self.size and not self._waiting:
            self.flying += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
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

    def stop(self) -> None:
        """Refuse all further calls; those in flight are not touched."""
        self.stopped = True
        self._end.set()
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(Stopped())
        self._waiting.clear()

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the limit is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()

    def succeeded(self) -> None:
        """Count a reply; may grow the limit."""
        self._grace = max(0, self._grace - 1)
        if not self.adapts or self.size >= _CEILING or not self._waiting:
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
        while self._waiting and self.flying < self.size:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                self.flying += 1
                future.set_result(None)
        if self.on_idle and len(self._waiting) < self.size:
            idle, self.on_idle = self.on_idle, None
            idle()
