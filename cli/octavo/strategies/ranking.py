"""Which of several scored pieces to take: the best, up to where scores fall, and what is beside.

The falling-score cut is that of SAGE (Zhang et al. 2025, arXiv 2503.01713), the neighbours those of
MacRAG (Lim et al. 2025, arXiv 2505.06569), which reads what stands around a piece that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Candidate", "ChoiceLimits", "choose_positions", "take_best"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece: its place in the document, its score from 0 (nothing speaks for it), its tokens."""

    position: int
    score: float
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChoiceLimits:
    """How much to take.

    `keep` and `least` bound the number of pieces, `drop` is the share of the score before below
    which no more are taken; all three without neighbours. `tokens` bounds everything together.
    """

    keep: int | None = None
    least: int = 1
    drop: float | None = None
    tokens: int | None = None
    neighbours: int = 0


def choose_positions(candidates: Sequence[Candidate], limits: ChoiceLimits) -> frozenset[int]:
    """Return the places of what is taken; of equal scores the earlier place comes first."""
    best = take_best(candidates, limits)
    left = None if limits.tokens is None else limits.tokens - sum(each.tokens for each in best)
    places = {each.position for each in best}
    known = {each.position: each for each in candidates}
    for distance in range(1, limits.neighbours + 1):
        for each in best:
            for place in (each.position - distance, each.position + distance):
                beside = known.get(place)
                if beside is None or place in places or (left is not None and beside.tokens > left):
                    continue
                left = None if left is None else left - beside.tokens
                places.add(place)
    return frozenset(places)


def take_best(candidates: Sequence[Candidate], limits: ChoiceLimits) -> list[Candidate]:
    """Return what is taken for itself and not as a neighbour, the best first."""
    ranked = sorted(candidates, key=lambda each: (-each.score, each.position))
    best: list[Candidate] = []
    left = limits.tokens
    for each in ranked[: limits.keep]:
        if len(best) >= limits.least and _is_past_cutoff(each, best, limits.drop):
            break
        if left is not None:
            # Nothing smaller is taken in its stead: a larger budget takes all that a smaller does.
            if each.tokens > left:
                break
            left -= each.tokens
        best.append(each)
    return best


def _is_past_cutoff(each: Candidate, best: Sequence[Candidate], drop: float | None) -> bool:
    """Tell whether a piece lies past the cut."""
    if each.score <= 0:
        return True
    return bool(best) and drop is not None and each.score < drop * best[-1].score
