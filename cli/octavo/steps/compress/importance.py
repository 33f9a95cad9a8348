"""Measure how important each part is, from 0 to 1: by a query, or by what all parts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from octavo.protocols import Work
from octavo.text.bm25 import score_bm25
from octavo.text.note import Prediction
from octavo.text.vectors import Vector, compute_cosine, to_spelling_vector, to_vector

__all__ = ["ImportanceMethod", "measure_importance"]


ImportanceMethod = Literal["words", "embeddings"]


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
