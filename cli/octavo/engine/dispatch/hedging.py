"""Hedging: when a call is so much slower than usual that a second copy of it is worth sending."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from octavo.protocols import Reply

__all__ = ["Hedger"]


_LATENCIES = 101
"""Calls whose latencies make the running median."""

Send = Callable[[Callable[[], None] | None], Coroutine[Any, Any, Reply]]
"""Sends one copy of a call; what it is given, if anything, is called when the copy leaves."""


@dataclass(slots=True)
class _Latencies:
    """The latest latencies, in the order in which they came and by size.

    `pending` are called once there are enough.
    """

    by_arrival: deque[float] = field(default_factory=deque[float])
    by_duration: list[float] = field(default_factory=list[float])
    pending: list[Callable[[float], object]] = field(
        default_factory=list[Callable[[float], object]]
    )

    def add(self, seconds: float) -> None:
        if len(self.by_arrival) == _LATENCIES:
            del self.by_duration[bisect_left(self.by_duration, self.by_arrival.popleft())]
        self.by_arrival.append(seconds)
        insort(self.by_duration, seconds)


@dataclass
class Hedger:
    """Waits `factor` times the running median of calls of the same size of reply.

    It waits so once `min_calls` are known. At most `max_share` of all calls get a second copy:
    where everything is slow, copies only add to the load.
    """

    factor: float
    min_calls: int = 20
    max_share: float = 0.1
    calls: int = 0
    copies: int = 0
    _latencies: dict[int, _Latencies] = field(default_factory=dict[int, _Latencies])

    async def send_hedged(self, send: Send, tokens: int) -> Reply:
        """Send a call, and a second copy when it is overdue; return the first reply.

        The other copy is cancelled. When all copies fail, what the last one raised is raised.
        """
        loop = asyncio.get_running_loop()
        overdue: asyncio.Future[None] = loop.create_future()
        timers: list[asyncio.TimerHandle] = []

        def fire() -> None:
            if not overdue.done():
                overdue.set_result(None)

        def on_sent() -> None:
            sent_at = loop.time()

            def set_timer(deadline: float) -> None:
                if not overdue.done():
                    timers.append(loop.call_at(sent_at + deadline, fire))

            self._request_deadline(tokens, set_timer)

        copies = {loop.create_task(send(on_sent))}
        try:
            await asyncio.wait({*copies, overdue}, return_when=asyncio.FIRST_COMPLETED)
            if overdue.done() and self._take_allowance():
                copies.add(loop.create_task(send(None)))
            return await _wait_for_first(copies)
        finally:
            overdue.cancel()
            for timer in timers:
                timer.cancel()
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)

    def record_latency(self, tokens: int, seconds: float) -> None:
        """Count a call with replies of up to `tokens` tokens that took so many seconds."""
        self.calls += 1
        usual = self._latencies.setdefault(tokens, _Latencies())
        usual.add(seconds)
        if usual.pending and len(usual.by_duration) >= self.min_calls:
            unknown, usual.pending = usual.pending, []
            for tell in unknown:
                tell(self._compute_deadline(usual))

    def _request_deadline(self, tokens: int, tell: Callable[[float], object]) -> None:
        """Tell after how many seconds a call is overdue: now, or once enough calls are known."""
        usual = self._latencies.setdefault(tokens, _Latencies())
        if len(usual.by_duration) < self.min_calls:
            usual.pending.append(tell)
        else:
            tell(self._compute_deadline(usual))

    def _compute_deadline(self, usual: _Latencies) -> float:
        return usual.by_duration[len(usual.by_duration) // 2] * self.factor

    def _take_allowance(self) -> bool:
        """Tell whether one more copy may be sent, and count it."""
        if self.copies >= self.max_share * (self.calls + self.min_calls):
            return False
        self.copies += 1
        return True


async def _wait_for_first(copies: set[asyncio.Task[Reply]]) -> Reply:
    left = copies
    while True:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for copy in done:
            if not copy.exception() or not left:
                return copy.result()
