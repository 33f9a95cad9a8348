"""When a call takes so much longer than usual that a second copy of it is worth sending."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from octavo.protocols import Reply

__all__ = ["Hedge"]

_KEPT = 101
"""Calls whose latencies make the running median."""


Send = Callable[[Callable[[], None] | None], Coroutine[Any, Any, Reply]]
"""Sends one copy of a call; what it is given, if anything, is called when the copy leaves."""


@dataclass(slots=True)
class _Usual:
    """The latest latencies, in the order in which they came and by size.

    `unknown` are to be told once there are enough.
    """

    came: deque[float] = field(default_factory=deque[float])
    ordered: list[float] = field(default_factory=list[float])
    unknown: list[Callable[[float], object]] = field(
        default_factory=list[Callable[[float], object]]
    )

    def add(self, seconds: float) -> None:
        if len(self.came) == _KEPT:
            del self.ordered[bisect_left(self.ordered, self.came.popleft())]
        self.came.append(seconds)
        insort(self.ordered, seconds)


@dataclass
class Hedge:
    """Waits `times` the running median of calls of the same size of reply, once `least` are known.

    At most `share` of all calls get a second copy: where everything is slow, copies only add to
    the load.
    """

    times: float
    least: int = 20
    share: float = 0.1
    calls: int = 0
    copies: int = 0
    _usual: dict[int, _Usual] = field(default_factory=dict[int, _Usual])

    async def race(self, send: Send, tokens: int) -> Reply:
        """Send a call, and a second copy when it is overdue; return the first reply.

        The other copy is cancelled. When all copies fail, what the last one raised is raised.
        """
        loop = asyncio.get_running_loop()
        overdue: asyncio.Future[None] = loop.create_future()
        timers: list[asyncio.TimerHandle] = []

        def ring() -> None:
            if not overdue.done():
                overdue.set_result(None)

        def sent() -> None:
            begun = loop.time()

            def known(patience: float) -> None:
                if not overdue.done():
                    timers.append(loop.call_at(begun + patience, ring))

            self._ask(tokens, known)

        copies = {loop.create_task(send(sent))}
        try:
            await asyncio.wait({*copies, overdue}, return_when=asyncio.FIRST_COMPLETED)
            if overdue.done() and self._allows():
                copies.add(loop.create_task(send(None)))
            return await _first(copies)
        finally:
            overdue.cancel()
            for timer in timers:
                timer.cancel()
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)

    def took(self, tokens: int, seconds: float) -> None:
        """Count a call with replies of up to `tokens` tokens that took so many seconds."""
        self.calls += 1
        usual = self._usual.setdefault(tokens, _Usual())
        usual.add(seconds)
        if usual.unknown and len(usual.ordered) >= self.least:
            unknown, usual.unknown = usual.unknown, []
            for tell in unknown:
                tell(self._patience(usual))

    def _ask(self, tokens: int, tell: Callable[[float], object]) -> None:
        """Tell after how many seconds a call is overdue: now, or once enough calls are known."""
        usual = self._usual.setdefault(tokens, _Usual())
        if len(usual.ordered) < self.least:
            usual.unknown.append(tell)
        else:
            tell(self._patience(usual))

    def _patience(self, usual: _Usual) -> float:
        return usual.ordered[len(usual.ordered) // 2] * self.times

    def _allows(self) -> bool:
        """Tell whether one more copy may be sent, and count it."""
        if self.copies >= self.share * (self.calls + self.least):
            return False
        self.copies += 1
        return True


async def _first(copies: set[asyncio.Task[Reply]]) -> Reply:
    left = copies
    while True:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        for copy in done:
            if not copy.exception() or not left:
                return copy.result()
