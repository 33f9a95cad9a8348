"""A set that remembers what came lately and forgets the rest, so that it never grows."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["RecentSet"]

T = TypeVar("T")


class RecentSet(Generic[T]):
    """Remembers at least the last `least` values that were added, and at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: set[T] = set()
        self._old: set[T] = set()

    def __contains__(self, value: T) -> bool:
        return value in self._new or value in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, value: T) -> None:
        """Remember a value."""
        if len(self._new) >= self._least:
            self._old, self._new = self._new, set()
        self._new.add(value)
