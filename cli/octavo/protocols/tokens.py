"""Counting tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Counter"]


class Counter(Protocol):
    """Counts tokens as one tokenizer does.

    `name` enters chunk tables and plans; `exact` is False for an estimate.
    """

    @property
    def name(self) -> str: ...
    @property
    def exact(self) -> bool: ...
    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        ...

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, cheaper than one by one."""
        ...
