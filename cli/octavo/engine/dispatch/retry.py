"""The retry policy: how long a run tolerates a failing backend."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from octavo.errors import UnreachableError
from octavo.protocols import Transient

__all__ = ["RetryPolicy"]


_OUTAGE_KINDS = frozenset({"connection", "server"})
_OUTAGE_FAILURES = 8


@dataclass
class RetryPolicy:
    """Retry budgets for each call and for the run, and the end of the run when nothing answers.

    A call is tried `attempts` times, `first` seconds apart at first, doubling up to `longest`,
    each with jitter; a server's own Retry-After is honoured up to `longest_told`. The run as a
    whole may retry `spare` calls and a fifth of those answered; an outage counts once. Connection
    failures and server errors without one success for `silence` seconds end the run. All times are
    in seconds.
    """

    max_attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 300.0
    retry_allowance: int = 100
    outage_seconds: float = 20.0
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    _answered: int = 0
    _retries: int = 0
    _down_since: float | None = None
    _failures_in_a_row: int = 0
    """Down failures in a row."""

    def on_success(self) -> None:
        """Count an answered call."""
        self._answered += 1
        self._down_since = None
        self._failures_in_a_row = 0

    @property
    def is_down(self) -> bool:
        """Whether so many attempts in a row failed that others would only fail as well."""
        return self._failures_in_a_row >= _OUTAGE_FAILURES

    def next_delay(self, fault: Transient, attempt: int) -> float:
        """Return the seconds to wait before the next attempt; `attempt` counts from 1.

        Raises UnreachableError when a budget is spent or the backend is down.
        """
        now = self.now()
        if fault.kind in _OUTAGE_KINDS:
            self._failures_in_a_row += 1
            if self._down_since is None:
                self._down_since = now
            elif now - self._down_since >= self.outage_seconds:
                raise UnreachableError(
                    f"nothing but failures for {now - self._down_since:.0f} s: {fault.message}",
                    hint="check that the server runs and run the same command again",
                )
        if attempt >= self.max_attempts:
            raise UnreachableError(
                f"a call failed {attempt} times, at last: {fault.message}",
                hint="run the same command again: what was answered is kept",
            )
        # A server that is restarted fails all calls at once; `silence` bounds that.
        self._retries += self._failures_in_a_row <= 1
        if self._retries > self.retry_allowance + self._answered // 5:
            raise UnreachableError(
                f"{self._retries} retries for {self._answered} answered calls: {fault.message}",
                hint="lower --jobs, or try again later: what was answered is kept",
            )
        if fault.retry_after is not None:
            if fault.retry_after > self.longest_retry_after:
                raise UnreachableError(
                    f"the server asks to wait {fault.retry_after:,.0f} s: {fault.message}",
                    hint="run the same command again then: what was answered is kept",
                )
            return fault.retry_after
        delay = min(self.longest_delay, self.first_delay * 2 ** (attempt - 1)) * (
            0.5 + self.jitter() / 2
        )
        if fault.kind in _OUTAGE_KINDS and self._down_since is not None:
            # The last attempt is made when the time is over, and not up to half a minute later.
            delay = min(delay, self._down_since + self.outage_seconds - now)
        return delay
