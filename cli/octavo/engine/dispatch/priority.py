"""The order in which calls that wait are sent."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CallPriority"]


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
