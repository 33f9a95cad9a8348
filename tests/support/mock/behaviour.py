"""How the mock server behaves: latency, limits, faults and a prefix cache, all seeded.

What happens to a request depends on its bytes, the seed and how often the same bytes came before,
never on the order in which requests arrive; only the rate limit knows the clock.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

__all__ = ["FAULTS", "Behaviour", "PrefixCache", "RateLimit"]

FAULTS = (
    "500", "503", "429", "reset", "cut", "json", "timeout", "empty", "refusal", "length",
    "context", "error200",
)  # fmt: skip
"""Status codes; the connection reset; the body cut half-way; a body that is no JSON; no answer;
no choices; a refusal; a reply cut by its limit; a prompt called too long; an error with status
200."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the server does beside answering. Times are in seconds."""

    latency: float = 0.0
    """Time of every call."""
    jitter: float = 0.0
    """Share of the latency that varies evenly around it, 0 to 1."""
    stragglers: float = 0.0
    """Share of calls that take `straggle` times as long."""
    straggle: float = 10.0
    per_reply_token: float = 0.0
    per_prompt_token: float = 0.0
    """Added for each prompt token that the prefix cache does not hold."""
    first: float = 0.3
    """Share of a streamed call's time that passes before its first token."""
    rate: float = 0.0
    """Calls a minute before answers turn to status 429; 0 is no limit."""
    token_rate: float = 0.0
    """Tokens a minute, of prompts and of the longest replies, likewise."""
    burst: float = 1.0
    """Seconds' worth of both that may come at once."""
    told: bool = True
    """Whether every answer has headers that tell the limits and what remains of them."""
    in_flight: int = 0
    """Calls at once before answers turn to status 429; 0 is no limit."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """Share of calls that meet each of `FAULTS`."""
    seed: int = 0
    model: str = "mock"
    window: int = 0
    """Tokens of prompt and reply together; 0 is no window, and none is told."""
    cached: bool = False
    """Whether a prefix cache is modelled and its hits are told."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.faults) - set(FAULTS))
        if unknown or sum(self.faults.values()) > 1:
            kinds = ", ".join(FAULTS)
            msg = f"faults are shares of {kinds}, together at most 1; not {dict(self.faults)}"
            raise ValueError(msg)

    def draw(self, digest: bytes, turn: int, purpose: str) -> float:
        """Return a number in [0, 1) for the request's `turn`-th coming, counted from 0."""
        salt = f"{purpose}:{self.seed}:{turn}".encode()
        return int.from_bytes(blake2b(digest + salt, digest_size=6).digest()) / 2**48

    def fault(self, digest: bytes, turn: int) -> str | None:
        """Return the fault that this request meets, if any."""
        if not self.faults:
            return None
        left = self.draw(digest, turn, "fault")
        for kind, share in self.faults.items():
            left -= share
            if left < 0:
                return kind
        return None

    def time(self, digest: bytes, turn: int, prompt: int, reply: int) -> float:
        """Return the seconds that a call takes; `prompt` and `reply` are in tokens."""
        seconds = self.latency + self.per_reply_token * reply + self.per_prompt_token * prompt
        if self.jitter:
            seconds *= 1 + self.jitter * (2 * self.draw(digest, turn, "jitter") - 1)
        if self.stragglers and self.draw(digest, turn, "straggler") < self.stragglers:
            seconds *= self.straggle
        return seconds


class RateLimit:
    """A bucket of calls or tokens that refills evenly and holds `burst` seconds' worth."""

    def __init__(self, per_minute: float, *, burst: float = 1.0, of: str = "requests") -> None:
        self._of = of
        self._refill = per_minute / 60
        self._size = max(1.0, self._refill * burst)
        self._left = self._size
        self._last = 0.0

    def wait(self, now: float, cost: float = 1.0) -> float:
        """Return 0 when there is as much as `cost` at `now`, or the seconds until there is.

        What costs more than the bucket holds needs a full one.
        """
        self._left = min(self._size, self._left + (now - self._last) * self._refill)
        self._last = now
        missing = min(cost, self._size) - self._left
        return missing / self._refill if missing > 1e-9 else 0.0

    def take(self, cost: float = 1.0) -> None:
        """Take so much out of the bucket."""
        self._left -= cost

    def headers(self) -> dict[str, str]:
        """Return the headers that tell a client about the limit, as OpenAI's servers do.

        The reset is the time until the bucket is full.
        """
        full = (self._size - self._left) / self._refill
        return {
            f"x-ratelimit-limit-{self._of}": f"{self._refill * 60:.0f}",
            f"x-ratelimit-remaining-{self._of}": f"{max(0, math.floor(self._left))}",
            f"x-ratelimit-reset-{self._of}": f"{full * 1000:.0f}ms",
        }


class PrefixCache:
    """Which prompt prefixes a server would still hold, in blocks of 64 tokens (256 characters)."""

    BLOCK = 256

    def __init__(self, blocks: int = 200_000) -> None:
        self._blocks = blocks
        self._held: OrderedDict[int, None] = OrderedDict()

    def take(self, prompt: str) -> int:
        """Return how many tokens of this prompt were held, and hold all its whole blocks."""
        chain, hits, counting = 0, 0, True
        for start in range(0, len(prompt) - self.BLOCK + 1, self.BLOCK):
            chain = hash((chain, prompt[start : start + self.BLOCK]))
            if chain in self._held:
                self._held.move_to_end(chain)
                hits += counting
            else:
                counting = False
                self._held[chain] = None
        while len(self._held) > self._blocks:
            self._held.popitem(last=False)
        return hits * self.BLOCK // 4
