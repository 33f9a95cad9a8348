"""Keeping under a server's rate limits: what a call will take is set aside before it is sent.

Servers tell their limits in the headers of every reply, and differ in what they mean by them. Taken
here is what they have in common: so much of a limit remained when a call came in. What was sent
since is subtracted, and what flows back meanwhile is estimated. Where a server refuses a call that
should have been allowed, the estimate becomes more careful.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from octavo.protocols import RateLimit, Request, Usage

__all__ = ["Cost", "Pace", "Ticket"]

_MARGIN = 0.98
"""The share of a limit's refill that is used: clocks and networks are not exact."""
_PATIENT = 2.0
"""Seconds to wait, from which on a limit is taken to be renewed all at once."""
_BURST = 0.8
"""Seconds of a stated limit that may be sent at once."""
_JITTER = 0.08
"""Seconds by which calls may arrive earlier or later than others that were sent with them."""
_EPSILON = 1e-6
_GUESSED = "requests guessed"
_CUT = 0.97
"""The share to which a refusal cuts a guessed rate."""
_GROWTH = 0.01, 0.004
"""What a guessed rate grows by in a second, as a share: at once, and for each second passed."""
_FIRST_GROWTH = 0.7
"""The same share until a second refusal shows what flows back: the first one came with a burst."""
_ROUND = 1.0
"""Seconds whose refusals are one, and over which accepted calls are counted."""
_ENOUGH = 8
"""Calls accepted since a refusal from which on the next one says something in any case."""


class Cost(NamedTuple):
    """What a call takes of each kind of limit: one request, and tokens as they are estimated."""

    requests: float = 1.0
    tokens: float = 0.0
    input: float = 0.0
    output: float = 0.0


_NOTHING = Cost(0.0)


class Ticket(NamedTuple):
    """When a call was sent, in seconds, its cost, and what had been spent then, itself included."""

    sent: float
    cost: Cost
    spent: Cost


@dataclass(slots=True)
class _Bucket:
    """One limit: `credit` was left at the time `at`, `rate` flows back a second.

    `holds` is the most that may be left: servers that allow so much a minute seldom allow all of
    it at once, and what they say remains shows it.
    """

    holds: float
    period: float | None
    rate: float = 0.0
    credit: float = 0.0
    at: float = 0.0
    seen: float = -1.0
    """How much had been spent when the newest word about it was given."""
    renewed: float | None = None
    """When all of it comes back at once, for a limit that does not refill evenly."""
    careful: bool = False
    longest: float = 0.0
    """The longest time until its renewal that was told."""

    def left(self, now: float) -> float:
        if self.renewed is None:
            return min(self.holds, self.credit + self.rate * (now - self.at))
        return self.holds if now >= self.renewed else self.credit

    def take(self, cost: float, now: float) -> None:
        self.credit = self.left(now) - cost
        self.at = now
        if self.renewed is not None and now >= self.renewed:
            self.renewed = now + (self.period or self.longest)

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until a call of this cost is within the limit; 0 for now."""
        # Something is left in it where that makes no difference: what a server counts is never
        # quite what was reckoned here, nor does all arrive just when it was sent.
        spare = min(max(cost, self.rate * _JITTER), self.holds / 10)
        missing = min(cost + spare, self.holds) - self.left(now)
        if missing <= _EPSILON:
            return 0.0
        if self.renewed is not None:
            return self.renewed - now
        return max(missing / self.rate, 0.001)


@dataclass
class Pace:
    """The limits of one server: those that the user states, and those that replies tell.

    `stated` are limits a minute by kind. Times are the event loop's, in seconds.
    """

    stated: Mapping[str, float] = field(default_factory=dict[str, float])
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])
    _spent: Cost = _NOTHING
    _held: float = 0.0
    _letters: float = 4.0
    """Characters of a token, as replies have shown."""
    _answered: deque[float] = field(default_factory=lambda: deque[float](maxlen=2048))
    _refusals: int = 0
    _accepted: float = 0.0
    """Calls that had been accepted when the rate was last guessed."""
    _changed: float = 0.0
    """When the guessed rate was last changed."""
    _measured: bool = False
    """Whether the guessed rate follows from two refusals."""

    def __post_init__(self) -> None:
        """Keep stated limits from the first call on, evenly but for the first second."""
        for kind, limit in self.stated.items():
            burst, rate = max(1.0, limit / 60 * _BURST), limit / 60 * _MARGIN
            self._buckets[f"{kind} stated"] = _Bucket(burst, 60.0, rate, burst)

    def cost(self, request: Request, samples: int = 1) -> Cost:
        """Estimate what a request takes: prompt and the longest replies, as servers count it."""
        letters = sum(len(message.content) for message in request.messages)
        prompt = letters / self._letters
        most = float(request.max_tokens * samples)
        return Cost(1.0, prompt + most, prompt, most)

    def measure(self, request: Request, usage: Usage) -> None:
        """Learn from a reply how many characters make a token."""
        if usage.prompt:
            letters = sum(len(message.content) for message in request.messages)
            self._letters += (letters / usage.prompt - self._letters) * 0.05

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._held = max(self._held, self.now() + seconds)

    def take(self, cost: Cost) -> Ticket | float:
        """Set aside what a call takes, or return the seconds after which to try again."""
        now = self.now()
        wait = self._held - now
        for name, bucket in self._buckets.items():
            wait = max(wait, bucket.wait(_of(cost, name), now))
        if wait > 0:
            return wait
        for name, bucket in self._buckets.items():
            bucket.take(_of(cost, name), now)
        self._spent = Cost(*map(sum, zip(self._spent, cost, strict=True)))
        return Ticket(now, cost, self._spent)

    def told(self, ticket: Ticket, limits: Sequence[RateLimit]) -> None:
        """Learn from the reply to a call, and from what it says of the limits."""
        for said in limits:
            self._learn(ticket, said, refused=None)
        now = self.now()
        self._answered.append(now)
        if (guess := self._buckets.get(_GUESSED)) is not None:
            soon, later = _GROWTH if self._measured else (_FIRST_GROWTH, 0.0)
            guess.rate *= 1 + (soon + 2 * later * (now - guess.seen)) * (now - self._changed)
            self._changed = now

    def refused(
        self, ticket: Ticket, limits: Sequence[RateLimit], retry_after: float | None
    ) -> bool:
        """Learn from a refusal for load; tell whether the limits that it names explain it."""
        self._refusals += 1
        used_up = [said for said in limits if said.remaining < 1]
        for said in limits:
            self._learn(ticket, said, refused=(retry_after or 0.0) if said in used_up else None)
        if not used_up:
            self._guess(self.now(), retry_after or _ROUND / 2)
        return bool(used_up)

    def _guess(self, now: float, wait: float) -> None:
        """Send no faster than calls were accepted, when a server refuses without saying why."""
        guess = self._buckets.get(_GUESSED)
        accepted = self._spent.requests - self._refusals
        if guess is not None and now - guess.seen < _ROUND and accepted - self._accepted < _ENOUGH:
            return
        recent = sum(moment > now - _ROUND for moment in self._answered) / _ROUND
        if guess is None:
            guess = self._buckets[_GUESSED] = _Bucket(1.0, None, at=now)
            guess.rate = max(1.0, recent)
            self._held = max(self._held, now + wait)
        else:
            # Nothing was left at the last refusal and nothing is left now: what was accepted in
            # between is what had flowed back, or less where it flowed over meanwhile.
            flowed = max(accepted - self._accepted, 1.0) / (now - guess.seen)
            if now - guess.seen > 2 * _ROUND:
                flowed = max(flowed, recent)
            guess.rate = min(guess.rate, flowed)
            self._measured = True
        guess.rate *= _CUT
        guess.seen = self._changed = now
        self._accepted = accepted

    def _learn(self, ticket: Ticket, said: RateLimit, refused: float | None) -> None:
        own, mark = _of(ticket.cost, said.kind), _of(ticket.spent, said.kind)
        bucket = self._buckets.get(said.name)
        if bucket is None:
            bucket = self._buckets[said.name] = _Bucket(0.0, said.period)
        if mark < bucket.seen:
            return  # a later call has told more
        bucket.seen = mark
        # Something flows back to any limit: a call that takes nothing of one can tell of it, too.
        bucket.holds = max(bucket.holds, said.remaining + own, 1.0)
        bucket.careful = bucket.careful or refused is not None
        bucket.longest = max(bucket.longest, said.reset or 0.0)
        bucket.rate = _rate(bucket, said) * _MARGIN
        # Where not even the kind is said, it is the usual gateway, whose reset renews all at once.
        if refused is not None and said.period is None and said.reset:
            bucket.renewed = ticket.sent + said.reset
        elif refused is not None and refused > max(_PATIENT, 3 / bucket.rate):
            bucket.renewed = self.now() + refused
        elif bucket.renewed is not None and said.reset is not None:
            bucket.renewed = ticket.sent + said.reset
        bucket.credit = said.remaining - (_of(self._spent, said.kind) - mark)
        bucket.at = ticket.sent


def _rate(bucket: _Bucket, said: RateLimit) -> float:
    """Return how much of a limit flows back in a second."""
    limit = said.limit or bucket.holds
    even = limit / (bucket.period or bucket.longest or 60.0)
    used = limit - said.remaining
    if not said.reset or used <= 0:
        return even
    # OpenAI's servers tell the time until the limit is whole again; others the time until the next
    # call, from which far too much would follow.
    whole = used / said.reset
    return whole if bucket.period is None and not bucket.careful else min(whole, even)


def _of(cost: Cost, name: str) -> float:
    match name.partition(" ")[0]:
        case "requests":
            return cost.requests
        case "input":
            return cost.input
        case "output":
            return cost.output
        case _:
            return cost.tokens
