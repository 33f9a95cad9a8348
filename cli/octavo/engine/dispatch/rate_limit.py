"""Staying under a server's rate limits: what a call will take is reserved before it is sent.

Servers report their limits in the headers of every reply, and differ in what they mean by them.
What they have in common is used here: so much of a limit remained when a call came in. What was
sent since is subtracted, and what flows back meanwhile is estimated. Where a server rejects a call
that should have been allowed, the estimate becomes more conservative.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from octavo.protocols import RateLimit, Request, Usage

__all__ = ["CallCost", "RateLimiter", "Reservation"]


_MARGIN = 0.98
"""The share of a limit's refill that is used: clocks and networks are not exact."""

_RENEWAL_WAIT = 2.0
"""Seconds to wait, from which on a limit is taken to be renewed all at once."""

_BURST = 0.8
"""Seconds of a stated limit that may be sent at once."""

_JITTER = 0.08
"""Seconds by which calls may arrive earlier or later than others that were sent with them."""

_EPSILON = 1e-6
_GUESSED = "requests guessed"
_REJECTION_FACTOR = 0.97
"""The share to which a refusal cuts a guessed rate."""

_GROWTH = 0.01, 0.004
"""What a guessed rate grows by in a second, as a share: at once, and for each second passed."""

_UNMEASURED_GROWTH = 0.7
"""The same share until a second refusal shows what flows back: the first one came with a burst."""

_WINDOW = 1.0
"""Seconds whose refusals are one, and over which accepted calls are counted."""

_ENOUGH_ACCEPTED = 8
"""Calls accepted since a refusal from which on the next one says something in any case."""


class CallCost(NamedTuple):
    """What a call takes of each kind of limit: one request, and tokens as they are estimated."""

    requests: float = 1.0
    tokens: float = 0.0
    input: float = 0.0
    output: float = 0.0


_NO_COST = CallCost(0.0)


class Reservation(NamedTuple):
    """When a call was sent, in seconds, its cost, and what had been spent then, itself included."""

    sent: float
    cost: CallCost
    spent: CallCost


@dataclass(slots=True, eq=False, repr=False)
class _Bucket:
    """One limit: `credit` was left at the time `updated_at`, `rate` flows back a second.

    `capacity` is the most that may be left: servers that allow so much a minute seldom allow all of
    it at once, and what they say remains shows it.
    """

    capacity: float
    period: float | None
    rate: float = 0.0
    credit: float = 0.0
    updated_at: float = 0.0
    newest_mark: float = -1.0
    """How much had been spent when the newest word about it was given."""
    renews_at: float | None = None
    """When all of it comes back at once, for a limit that does not refill evenly."""
    is_conservative: bool = False
    longest_reset: float = 0.0
    """The longest time until its renewal that was told."""

    def compute_remaining(self, now: float) -> float:
        if self.renews_at is None:
            return min(self.capacity, self.credit + self.rate * (now - self.updated_at))
        return self.capacity if now >= self.renews_at else self.credit

    def take(self, cost: float, now: float) -> None:
        self.credit = self.compute_remaining(now) - cost
        self.updated_at = now
        if self.renews_at is not None and now >= self.renews_at:
            self.renews_at = now + (self.period or self.longest_reset)

    def compute_wait(self, cost: float, now: float) -> float:
        """Return the seconds until a call of this cost is within the limit; 0 for now."""
        # Something is left in it where that makes no difference: what a server counts is never
        # quite what was reckoned here, nor does all arrive just when it was sent.
        spare = min(max(cost, self.rate * _JITTER), self.capacity / 10)
        missing = min(cost + spare, self.capacity) - self.compute_remaining(now)
        if missing <= _EPSILON:
            return 0.0
        if self.renews_at is not None:
            return self.renews_at - now
        return max(missing / self.rate, 0.001)


@dataclass(eq=False, repr=False)
class RateLimiter:
    """The limits of one server: those that the user states, and those that replies tell.

    `stated` are limits a minute by kind. Times are the event loop's, in seconds.
    """

    stated: Mapping[str, float] = field(default_factory=dict[str, float])
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])
    _spent: CallCost = _NO_COST
    _paused_until: float = 0.0
    _characters_per_token: float = 4.0
    """Characters of a token, as replies have shown."""
    _accepted_at: deque[float] = field(default_factory=lambda: deque[float](maxlen=2048))
    _rejections: int = 0
    _accepted_at_last_guess: float = 0.0
    """Calls that had been accepted when the rate was last guessed."""
    _guess_changed_at: float = 0.0
    """When the guessed rate was last changed."""
    _guess_is_measured: bool = False
    """Whether the guessed rate follows from two refusals."""

    def __post_init__(self) -> None:
        """Keep stated limits from the first call on, evenly but for the first second."""
        for kind, limit in self.stated.items():
            burst, rate = max(1.0, limit / 60 * _BURST), limit / 60 * _MARGIN
            self._buckets[f"{kind} stated"] = _Bucket(burst, 60.0, rate, burst)

    def estimate_cost(self, request: Request, samples: int = 1) -> CallCost:
        """Estimate what a request takes: prompt and the longest replies, as servers count it."""
        letters = sum(len(message.content) for message in request.messages)
        prompt = letters / self._characters_per_token
        most = float(request.max_tokens * samples)
        return CallCost(1.0, prompt + most, prompt, most)

    def learn_token_size(self, request: Request, usage: Usage) -> None:
        """Learn from a reply how many characters make a token."""
        if usage.prompt:
            letters = sum(len(message.content) for message in request.messages)
            self._characters_per_token += (
                letters / usage.prompt - self._characters_per_token
            ) * 0.05

    def pause_for(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._paused_until = max(self._paused_until, self.now() + seconds)

    def try_reserve(self, cost: CallCost) -> Reservation | float:
        """Set aside what a call takes, or return the seconds after which to try again."""
        now = self.now()
        wait = self._paused_until - now
        for name, bucket in self._buckets.items():
            wait = max(wait, bucket.compute_wait(_select_cost(cost, name), now))
        if wait > 0:
            return wait
        for name, bucket in self._buckets.items():
            bucket.take(_select_cost(cost, name), now)
        self._spent = CallCost(*map(sum, zip(self._spent, cost, strict=True)))
        return Reservation(now, cost, self._spent)

    def on_response(self, ticket: Reservation, limits: Sequence[RateLimit]) -> None:
        """Learn from the reply to a call, and from what it says of the limits."""
        for said in limits:
            self._update_bucket(ticket, said, refused=None)
        now = self.now()
        self._accepted_at.append(now)
        if (guess := self._buckets.get(_GUESSED)) is not None:
            soon, later = _GROWTH if self._guess_is_measured else (_UNMEASURED_GROWTH, 0.0)
            guess.rate *= 1 + (soon + 2 * later * (now - guess.newest_mark)) * (
                now - self._guess_changed_at
            )
            self._guess_changed_at = now

    def on_rejected(
        self, ticket: Reservation, limits: Sequence[RateLimit], retry_after: float | None
    ) -> bool:
        """Learn from a refusal for load; tell whether the limits that it names explain it."""
        self._rejections += 1
        used_up = [said for said in limits if said.remaining < 1]
        for said in limits:
            self._update_bucket(
                ticket, said, refused=(retry_after or 0.0) if said in used_up else None
            )
        if not used_up:
            self._lower_guessed_rate(self.now(), retry_after or _WINDOW / 2)
        return bool(used_up)

    def _lower_guessed_rate(self, now: float, wait: float) -> None:
        """Send no faster than calls were accepted, when a server refuses without saying why."""
        guess = self._buckets.get(_GUESSED)
        accepted = self._spent.requests - self._rejections
        if (
            guess is not None
            and now - guess.newest_mark < _WINDOW
            and accepted - self._accepted_at_last_guess < _ENOUGH_ACCEPTED
        ):
            return
        recent = sum(moment > now - _WINDOW for moment in self._accepted_at) / _WINDOW
        if guess is None:
            guess = self._buckets[_GUESSED] = _Bucket(1.0, None, updated_at=now)
            guess.rate = max(1.0, recent)
            self._paused_until = max(self._paused_until, now + wait)
        else:
            # Nothing was left at the last refusal and nothing is left now: what was accepted in
            # between is what had flowed back, or less where it flowed over meanwhile.
            flowed = max(accepted - self._accepted_at_last_guess, 1.0) / (now - guess.newest_mark)
            if now - guess.newest_mark > 2 * _WINDOW:
                flowed = max(flowed, recent)
            guess.rate = min(guess.rate, flowed)
            self._guess_is_measured = True
        guess.rate *= _REJECTION_FACTOR
        guess.newest_mark = self._guess_changed_at = now
        self._accepted_at_last_guess = accepted

    def _update_bucket(self, ticket: Reservation, said: RateLimit, refused: float | None) -> None:
        own, mark = _select_cost(ticket.cost, said.kind), _select_cost(ticket.spent, said.kind)
        bucket = self._buckets.get(said.name)
        if bucket is None:
            bucket = self._buckets[said.name] = _Bucket(0.0, said.period)
        if mark < bucket.newest_mark:
            return  # a later call has told more
        bucket.newest_mark = mark
        # Something flows back to any limit: a call that takes nothing of one can tell of it, too.
        bucket.capacity = max(bucket.capacity, said.remaining + own, 1.0)
        bucket.is_conservative = bucket.is_conservative or refused is not None
        bucket.longest_reset = max(bucket.longest_reset, said.reset or 0.0)
        bucket.rate = _estimate_rate(bucket, said) * _MARGIN
        # Where not even the kind is said, it is the usual gateway, whose reset renews all at once.
        if refused is not None and said.period is None and said.reset:
            bucket.renews_at = ticket.sent + said.reset
        elif refused is not None and refused > max(_RENEWAL_WAIT, 3 / bucket.rate):
            bucket.renews_at = self.now() + refused
        elif bucket.renews_at is not None and said.reset is not None:
            bucket.renews_at = ticket.sent + said.reset
        bucket.credit = said.remaining - (_select_cost(self._spent, said.kind) - mark)
        bucket.updated_at = ticket.sent


def _estimate_rate(bucket: _Bucket, said: RateLimit) -> float:
    """Return how much of a limit flows back in a second."""
    limit = said.limit or bucket.capacity
    even = limit / (bucket.period or bucket.longest_reset or 60.0)
    used = limit - said.remaining
    if not said.reset or used <= 0:
        return even
    # OpenAI's servers tell the time until the limit is whole again; others the time until the next
    # call, from which far too much would follow.
    whole = used / said.reset
    return whole if bucket.period is None and not bucket.is_conservative else min(whole, even)


def _select_cost(cost: CallCost, name: str) -> float:
    match name.partition(" ")[0]:
        case "requests":
            return cost.requests
        case "input":
            return cost.input
        case "output":
            return cost.output
        case _:
            return cost.tokens
