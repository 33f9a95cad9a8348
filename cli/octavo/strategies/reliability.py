"""How many votes a wanted reliability takes, and what reliability a number of votes gives.

The formulas of MAKER (Meyerson et al. 2025, arXiv 2511.09030), for votes that are decided when one
answer leads all others by k. They hold for votes that err independently, and `accuracy` is that of
one vote against the commonest wrong answer.
"""

from __future__ import annotations

import math

__all__ = ["compute_required_lead", "compute_reliability", "estimate_votes"]

_ROUNDING_TOLERANCE = 1e-9
"""How far above a whole number a lead may be computed and still be that number."""


def compute_reliability(lead: int, accuracy: float, items: int = 1) -> float:
    """Return the probability that all of `items` are right: (1 + ((1-p)/p)^k)^-items."""
    return math.exp(-items * math.log1p(((1 - accuracy) / accuracy) ** lead))


def compute_required_lead(reliability: float, accuracy: float, items: int = 1) -> int:
    """Return the least lead for which all of `items` are right with that probability.

    `reliability` lies between 0 and 1, `accuracy` above 0.5 and below 1: below, voting makes it
    worse.
    """
    if items < 1:
        return 1
    wrong = math.expm1(-math.log(reliability) / items)
    odds = math.log((1 - accuracy) / accuracy)
    return max(1, math.ceil(math.log(wrong) / odds - _ROUNDING_TOLERANCE))


def estimate_votes(lead: int, accuracy: float) -> float:
    """Return about how many valid votes are counted: k / (2p - 1)."""
    return lead / (2 * accuracy - 1)
