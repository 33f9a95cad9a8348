"""The share that each piece may keep of itself so that all together stay within a budget."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["allot_shares"]


_STEP = 0.05
"""Shares are whole steps, so that a small change elsewhere mostly changes none."""

_WHOLE_FROM = 0.95
"""From this share on a piece is left as it is: so little is not worth a call."""


def allot_shares(
    sizes: Sequence[int], weights: Sequence[float], budget: int, min_share: float
) -> list[float]:
    """Return the share that each piece keeps, from `min_share` to 1, by its weight from 0 to 1.

    A piece never keeps a smaller share than one of less weight. Together they keep to the budget;
    where that is impossible, each has the least share.
    """

    def compute_shares(level: float) -> list[float]:
        return [_round_share(level + weight * (1 - min_share), min_share) for weight in weights]

    def fits_budget(shares: Sequence[float]) -> bool:
        return sum(size * share for size, share in zip(sizes, shares, strict=True)) <= budget

    low, high = min_share - 1, 1.0
    if fits_budget(compute_shares(high)):
        return compute_shares(high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits_budget(compute_shares(middle)) else (low, middle)
    return compute_shares(low)


def _round_share(wanted: float, min_share: float) -> float:
    share = max(min_share, round(int(wanted / _STEP + 1e-9) * _STEP, 2))
    return 1.0 if share >= _WHOLE_FROM - 1e-9 else share
