"""An event loop whose time passes only while it has nothing to do: tests of waiting never wait."""

from __future__ import annotations

import asyncio
import selectors

__all__ = ["run_virtually"]


class _Selector(selectors.DefaultSelector):
    """Turns waiting for a timer into a jump of the clock."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now

    def run_in_executor(self, executor, func, *args):
        """Run at once what would run in a thread, which virtual time does not wait for."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed over, as a thread does
            future.set_exception(error)
        return future


def run_virtually(work):
    """Run a coroutine on virtual time; return its value and the virtual seconds it took."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        value = runner.run(work)
        return value, runner.get_loop().time()
