"""What a run may spend, as its user says."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Allowance"]


class Allowance(NamedTuple):
    """The most that a run may send or last: calls, tokens, US dollars, minutes; None for no limit.

    Tokens are those of prompts and replies together. What the journal answers costs nothing.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    minutes: float | None = None

    def __bool__(self) -> bool:
        return any(each is not None for each in self)
