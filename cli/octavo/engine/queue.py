"""Calls that wait for their turn, and which of them is next."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from octavo.engine.pace import Cost, Ticket

__all__ = ["Priority", "Queue", "Waiter"]

_LEVELS = 4096
"""Levels of calls that a priority's number tells apart."""


class Priority(NamedTuple):
    """The order of the queue: earlier documents first, then more levels left, then first come."""

    document: int
    levels_done: int
    """Minus the number of calls that still stand between this one and the result."""

    @property
    def number(self) -> int:
        """The same order as one number, for servers that schedule by it: lower is earlier."""
        return self.document * _LEVELS + max(0, _LEVELS - 1 + self.levels_done)


@dataclass(eq=False, slots=True)
class Waiter:
    """One call that waits: what it costs, what its prompt begins with, and whom to tell."""

    priority: Priority
    cost: Cost
    prefix: Hashable
    turn: asyncio.Future[Ticket]


@dataclass(slots=True)
class Queue:
    """Waiting calls by priority.

    Among equals those go first whose prompts begin like the one sent last, while a server still
    holds what it made of it; the rest in the order in which they came.
    """

    _levels: dict[Priority, dict[Hashable, list[Waiter]]] = field(
        default_factory=dict[Priority, dict[Hashable, list[Waiter]]]
    )
    _order: list[Priority] = field(default_factory=list[Priority])
    _last: Hashable = None
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def push(self, waiter: Waiter) -> None:
        """Add a call."""
        level = self._levels.get(waiter.priority)
        if level is None:
            level = self._levels[waiter.priority] = {}
            heapq.heappush(self._order, waiter.priority)
        level.setdefault(waiter.prefix, []).append(waiter)
        self._count += 1

    def first(self) -> Waiter | None:
        """Return the next call, which stays until it is removed; None when nothing waits."""
        while self._order:
            if level := self._levels[self._order[0]]:
                group = level.get(self._last)
                return (group or next(iter(level.values())))[0]
            del self._levels[heapq.heappop(self._order)]
        return None

    def remove(self, waiter: Waiter, *, sent: bool = False) -> None:
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

    def clear(self) -> list[Waiter]:
        """Take all calls out and return them."""
        groups = [group for level in self._levels.values() for group in level.values()]
        self._levels.clear()
        self._order.clear()
        self._count = 0
        return [waiter for group in groups for waiter in group]
