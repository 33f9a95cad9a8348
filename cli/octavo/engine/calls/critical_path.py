"""The critical path: how many calls, one after another, came before: a clock that counts calls.

A plan asks how long the longest chain of calls is that wait for one another. What waits for what
shows in who awaits whom, whatever notes are made of, so each task carries the longest chain that it
has waited for: it begins with that of the task that started it, and learns of more when it awaits
another task's value or a reply. Nothing here decides anything, and a run does not look at it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from contextvars import Context, ContextVar
from typing import Any, TypeVar

__all__ = ["TrackedAwaitable", "get_depth", "record_depth", "reset_depth"]


Given = TypeVar("Given")
_depth: ContextVar[int] = ContextVar("octavo_calls_before", default=0)


def reset_depth() -> None:
    """Forget what this task has waited for: another document begins."""
    _depth.set(0)


def get_depth() -> int:
    """Return the longest chain of calls that this task has waited for."""
    return _depth.get()


def record_depth(calls: int) -> None:
    """Take note that this task has waited for a chain of so many calls."""
    if calls > _depth.get():
        _depth.set(calls)


class TrackedAwaitable(Awaitable[Given]):
    """What a task makes: whoever awaits it has waited for that task's chain of calls, too.

    `context` is the one that the task runs in. Several readers may await it if they may await
    `made`.
    """

    __slots__ = ("_awaitable", "_context")

    def __init__(self, made: Awaitable[Given], context: Context) -> None:
        self._awaitable = made
        self._context = context

    def __await__(self) -> Generator[Any, Any, Given]:
        value = yield from self._awaitable.__await__()
        record_depth(self._context.get(_depth, 0))
        return value
