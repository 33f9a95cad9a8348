"""A loop whose time passes only while nothing can be done: waiting for it costs nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["virtually"]

T = TypeVar("T")


class _Jump(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None):
        ready = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def virtually(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run a coroutine; return its value and the seconds that it would have taken."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        value = runner.run(work)
        return value, runner.get_loop().time()
