"""Ctrl-C and SIGTERM while a run goes on.

The first one cancels the run, so that everything already answered reaches the journal; the second
stops at once. The handlers are installed with `signal.signal` and not on the event loop: a loop
that is busy splitting a long text would see neither, and Windows has no loop handlers.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

__all__ = ["Interrupted", "run_interruptibly"]


T = TypeVar("T")
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """The run ended in order after a signal; `exit_code` is 128 plus its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by signal {number}")
        self.exit_code = 128 + number


def run_interruptibly(
    work: Coroutine[Any, Any, T], *, first: Callable[[], None], second: Callable[[], None]
) -> T:
    """Run a coroutine to its end and return its value.

    `first` is called after the first signal, as the work is cancelled; `second` at a second one,
    inside the signal's handler, before the process ends without waiting for anything. Raises
    Interrupted when the cancelled work has ended.
    """
    import asyncio  # noqa: PLC0415 - a third of the time of --help, which loads this module

    received: list[int] = []

    async def supervise() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:
            del frame
            if received:
                with contextlib.suppress(Exception):
                    second()
                os._exit(128 + number)
            received.append(number)
            loop.call_soon_threadsafe(task.cancel)
            loop.call_soon_threadsafe(first)

        earlier = {number: signal.signal(number, stop) for number in _STOPPING_SIGNALS}
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    return asyncio.run(supervise())
