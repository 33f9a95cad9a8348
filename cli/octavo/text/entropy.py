"""How unsure a model was of a token, from its likeliest alternatives."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["estimate_entropy"]


def estimate_entropy(logprobs: Iterable[float]) -> float:
    """Return the least entropy, in nats, of a distribution with these likeliest alternatives.

    What they leave of 1 lies with tokens that a server does not name. None of them is likelier
    than the least likely one it names, so each adds to the entropy at least as much as that one;
    leaving them out would make a flat distribution look sure.
    """
    shares = [math.exp(min(logprob, 0.0)) for logprob in logprobs]
    shares = [share for share in shares if share > 0]
    rest = 1 - math.fsum(shares)
    seen = -math.fsum(share * math.log(share) for share in shares)
    # What rounding leaves over is no tail.
    if rest < 1e-9:
        return max(0.0, seen)
    return seen - rest * math.log(min(rest, *shares)) if shares else math.inf
