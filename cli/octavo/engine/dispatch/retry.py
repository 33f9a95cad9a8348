"""The retry policy: how often a call is sent again, and how long it waits before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from octavo.engine.dispatch.circuit_breaker import CircuitBreaker
from octavo.errors import UnreachableError
from octavo.protocols import Transient

__all__ = ["RetryPolicy"]


Sent = TypeVar("Sent")


@dataclass(eq=False, repr=False)
class RetryPolicy:
    """Retry budgets for each call and for the run.

    A call is tried `max_attempts` times, `first_delay` seconds apart at first, doubling up to
    `longest_delay`, each with jitter; a server's own Retry-After is honoured up to
    `longest_retry_after`. The run as a whole may retry `retry_allowance` calls and a fifth of those
    answered; an outage counts once. All times are in seconds.
    """

    max_attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 300.0
    retry_allowance: int = 100
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    _answered: int = 0
    _retries: int = 0

    async def retry(
        self,
        send: Callable[[], Awaitable[Sent]],
        breaker: CircuitBreaker,
        on_retry: Callable[[Transient, int, float], object],
    ) -> Sent:
        """Send until it is answered; `on_retry` takes each fault, the attempts, and the delay.

        Raises UnreachableError when a retry budget is spent or the server is down.
        """
        attempt = 0
        while True:
            try:
                return await send()
            except Transient as fault:
                attempt += 1
                delay = self.next_delay(fault, attempt, breaker)
                on_retry(fault, attempt, delay)
            await self.sleep(delay)

    def on_success(self) -> None:
        """Count an answered call."""
        self._answered += 1

    def next_delay(self, fault: Transient, attempt: int, breaker: CircuitBreaker) -> float:
        """Return the seconds to wait before the next attempt; `attempt` counts from 1.

        Raises UnreachableError when a retry budget is spent or the server is down.
        """
        seconds_left = breaker.on_failure(fault)
        if attempt >= self.max_attempts:
            raise UnreachableError(
                f"a call failed {attempt} times, at last: {fault.message}",
                hint="run the same command again: what was answered is kept",
            )
        # A server that is restarted fails all calls at once; the circuit breaker bounds that.
        self._retries += breaker.failures <= 1
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
        # The last attempt is made when the time is over, and not up to half a minute later.
        return min(delay, seconds_left)
