"""How much of itself each part keeps: its importance, and its share of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from octavo.protocols import Work
from octavo.text.bm25 import score_bm25
from octavo.text.note import Prediction
from octavo.text.vectors import Vector, compute_cosine, to_spelling_vector, to_vector

__all__ = ["ImportanceMethod", "allot_shares", "measure_importance"]


ImportanceMethod = Literal["words", "embeddings"]
"""What the importance of a part is measured by."""

_STEP = 0.05
"""Shares are whole steps, so that a small change elsewhere mostly changes none."""

_WHOLE_FROM = 0.95
"""From this share on a piece is left as it is: so little is not worth a call."""


async def measure_importance(
    texts: Sequence[str], query: str, by: ImportanceMethod, work: Work
) -> tuple[list[float], Prediction | None]:
    """Return the weight of each text, the least 0 and the greatest 1.

    With a query a text weighs what it shares with it, without one what it shares with all texts
    together. The second value is set when a plan made up what that rests on.
    """
    predicted: Prediction | None = None
    if by == "embeddings" and texts:
        asked = [query, *texts] if query else texts
        embedded = await work.ask.embed(asked, node="weights", levels=work.after + 1)
        predicted = embedded.predicted
        vectors = list(embedded.vectors)
        centre = vectors.pop(0) if query else _compute_centroid(vectors)
        scores = [compute_cosine(each, centre) for each in vectors]
    elif query:
        scores = score_bm25(texts, query)
    else:
        vectors = [to_spelling_vector(text) for text in texts]
        scores = [
            compute_cosine(each, centre)
            for centre in [_compute_centroid(vectors)]
            for each in vectors
        ]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 0.0 for score in scores], predicted


def _compute_centroid(vectors: Sequence[Vector]) -> Vector:
    return to_vector(sum(numbers) / len(vectors) for numbers in zip(*vectors, strict=True))


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
