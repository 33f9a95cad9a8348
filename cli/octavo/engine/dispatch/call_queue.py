"""The calls that wait, and which of them is next."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field

from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.rate_limit import CallCost, Reservation

__all__ = ["CallQueue", "WaitingCall"]


@dataclass(eq=False, repr=False, slots=True)
class WaitingCall:
    """One call that waits: what it costs, what its prompt begins with, and whom to tell."""

    priority: CallPriority
    cost: CallCost
    prefix: Hashable
    turn: asyncio.Future[Reservation]


@dataclass(slots=True, eq=False, repr=False)
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
