"""What a run may spend: reserved before a call is sent, settled when its reply arrives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.dispatch.pricing import Price
from octavo.errors import BudgetReached, OctavoError, UsageError
from octavo.protocols import Request, Transient, Usage

__all__ = ["Budget", "BudgetReservation", "is_maybe_billed"]


_UNANSWERED_KINDS = frozenset({"timeout", "connection"})
"""Faults after which the server may have answered and billed."""


@dataclass(slots=True, eq=False, repr=False)
class BudgetReservation:
    """What was set aside for one attempt of a call."""

    prompt: int
    tokens: int
    price: Price | None
    cost: float = 0.0
    calls: int = 1


@dataclass(eq=False, repr=False)
class Budget:
    """Reserves what a call may take at most, so that calls in flight never exceed the allowance.

    A call that would exceed it waits for those in flight, which mostly take less than was set aside
    for them; when none is left in flight it raises BudgetReached. An attempt without an answer
    costs nothing where the server refused it; where the answer was lost it may have been billed,
    and counts in full. `count_prompt` counts the tokens of a prompt; `now` tells seconds.
    """

    allowance: Allowance
    count_prompt: Callable[[Request], int]
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __post_init__(self) -> None:
        self._started = self.now()
        self._in_flight = 0
        self._reserved_tokens = 0
        self._reserved_cost = 0.0
        self._settle_event = asyncio.Event()
        self._counts_tokens = self.allowance.tokens is not None or self.allowance.cost is not None

    @property
    def seconds_left(self) -> float:
        """Seconds until the run's time is over; infinite when it may last for ever."""
        if self.allowance.minutes is None:
            return math.inf
        return max(0.0, self.allowance.minutes * 60 - (self.now() - self._started))

    async def reserve(
        self, request: Request, samples: int = 1, price: Price | None = None
    ) -> BudgetReservation:
        """Set aside what a request may take at most, for one sample or several.

        Raises BudgetReached when that is too much, and UsageError where the cost is limited and the
        price is not known: that of the model that replies is known before the first call.
        """
        if price is None and self.allowance.cost is not None:
            raise UsageError(
                "--max-cost: the price of the model that embeds is not known",
                hint="give it a profile of its own under `embeddings`, with price_in and price_out",
            )
        hold = BudgetReservation(0, 0, price, calls=samples)
        if self._counts_tokens:
            hold.prompt = self.count_prompt(request)
            most = request.max_tokens * samples
            hold.tokens = hold.prompt + most
            if price is not None:
                hold.cost = price.cost(hold.prompt, most)
        while excess := self._find_excess(hold):
            final, reason = excess
            if final or not self._in_flight:
                raise BudgetReached(
                    f"{reason}; so far {self._describe_spent()}",
                    hint="raise it to go on: what was answered is kept",
                )
            self._settle_event.clear()
            await self._settle_event.wait()
        self.calls += hold.calls
        self._in_flight += 1
        self._reserved_tokens += hold.tokens
        self._reserved_cost += hold.cost
        return hold

    def settle(self, hold: BudgetReservation, usage: Usage | None, *, billed: bool = False) -> None:
        """Put what an attempt took in place of what was set aside.

        Without an answer it took nothing, or, when it may be `billed` all the same, everything.
        """
        self._in_flight -= 1
        self._reserved_tokens -= hold.tokens
        self._reserved_cost -= hold.cost
        if usage is not None and self._counts_tokens:
            prompt = hold.prompt if usage.prompt is None else usage.prompt
            most = hold.tokens - hold.prompt
            completion = most if usage.completion is None else usage.completion
            self.tokens += prompt + completion
            if hold.price is not None:
                self.cost += hold.price.cost(prompt, completion, usage.cached or 0)
        elif billed:
            self.tokens += hold.tokens
            self.cost += hold.cost
        self._settle_event.set()

    def _find_excess(self, hold: BudgetReservation) -> tuple[bool, str] | None:
        """Return what a further call would exceed, and whether no settling can change that."""
        allowed = self.allowance
        if self.seconds_left <= 0:
            return True, f"--max-minutes {allowed.minutes:g} is over"
        if allowed.calls is not None and self.calls + hold.calls > allowed.calls:
            return True, f"--max-calls {allowed.calls:,} is reached"
        if allowed.tokens is not None:
            final = self.tokens + hold.tokens > allowed.tokens
            if final or self.tokens + self._reserved_tokens + hold.tokens > allowed.tokens:
                next_call = f"the next call may take {hold.tokens:,}"
                return final, f"--max-tokens {allowed.tokens:,} is reached: {next_call}"
        if allowed.cost is not None:
            final = self.cost + hold.cost > allowed.cost
            if final or self.cost + self._reserved_cost + hold.cost > allowed.cost:
                next_call = f"the next call may cost ${hold.cost:.4f}"
                return final, f"--max-cost {allowed.cost:g} is reached: {next_call}"
        return None

    def _describe_spent(self) -> str:
        parts = [f"{self.calls:,} call{'' if self.calls == 1 else 's'} sent"]
        if self._counts_tokens:
            parts.append(f"{self.tokens:,} tokens")
        if self.allowance.cost is not None:
            parts.append(f"${self.cost:.4f}")
        return ", ".join(parts)


def is_maybe_billed(error: BaseException | None) -> bool:
    """Tell whether an attempt that ended so may have been answered and billed."""
    if isinstance(error, Transient):
        return error.kind in _UNANSWERED_KINDS
    return not isinstance(error, OctavoError)
