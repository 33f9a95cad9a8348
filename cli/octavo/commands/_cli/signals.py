"""Ctrl-C, SIGTERM, and SIGHUP, which a closed terminal sends, while a run goes on.

The first one cancels the run, so that everything already answered reaches the journal; the second
stops at once. After Ctrl-C the calls in flight are waited for however long they take: a user sees
that and may press it again. SIGTERM and SIGHUP end within five seconds: what is in flight may land
for three of them, then it is given up. A program that was started to ignore SIGHUP, as by `nohup`,
goes on ignoring it.

The handlers are installed with `signal.signal` and not on the event loop: a loop that is busy
splitting a long text would see neither, and Windows has no loop handlers.
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
_HURRYING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Whoever sends them does not wait long. Windows has no SIGHUP."""

_LANDING_SECONDS = 3.0
"""Seconds for calls in flight to land, before they are given up."""

_ENDING_SECONDS = 4.5
"""Seconds after which the process ends whatever holds it."""


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
    import threading  # noqa: PLC0415 - the same

    received: list[int] = []
    last: list[threading.Timer] = []

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
            if number in _HURRYING_SIGNALS:
                # Cancelled a second time, the work waits for nothing and closes the journal.
                loop.call_soon_threadsafe(loop.call_later, _LANDING_SECONDS, task.cancel)
                last.append(threading.Timer(_ENDING_SECONDS, os._exit, (128 + number,)))
                last[0].daemon = True
                last[0].start()

        earlier = {number: signal.signal(number, stop) for number in _find_stopping_signals()}
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    try:
        return asyncio.run(supervise())
    finally:
        for timer in last:
            timer.cancel()


def _find_stopping_signals() -> tuple[int, ...]:
    heard = (each for each in _HURRYING_SIGNALS if signal.getsignal(each) != signal.SIG_IGN)
    return (signal.SIGINT, *heard)
