"""The circuit breaker: when a server is taken to be down, and for how long that is tolerated."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from octavo.errors import UnreachableError
from octavo.protocols import Transient

__all__ = ["CircuitBreaker"]


_OUTAGE_KINDS = frozenset({"connection", "server"})
_OUTAGE_FAILURES = 8


@dataclass(eq=False, repr=False)
class CircuitBreaker:
    """Counts the failures of one server and model that mean an outage.

    Connection failures and server errors without one success for `outage_seconds` end the run.
    """

    outage_seconds: float = 20.0
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    failures: int = 0
    """Failures in a row that mean an outage."""
    _down_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether so many attempts in a row failed that others would only fail as well."""
        return self.failures >= _OUTAGE_FAILURES

    def on_success(self) -> None:
        """End the outage, if there is one."""
        self.failures = 0
        self._down_since = None

    def on_failure(self, fault: Transient) -> float:
        """Count a failure; return the seconds after which another one ends the run.

        Raises UnreachableError when the outage has lasted too long.
        """
        if fault.kind not in _OUTAGE_KINDS:
            return math.inf
        now = self.now()
        self.failures += 1
        if self._down_since is None:
            self._down_since = now
        elif now - self._down_since >= self.outage_seconds:
            raise UnreachableError(
                f"nothing but failures for {now - self._down_since:.0f} s: {fault.message}",
                hint="check that the server runs and run the same command again",
            )
        return self._down_since + self.outage_seconds - now
