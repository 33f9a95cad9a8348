"""Exact counts of runs of pieces, added up where the tokenizer lets them add up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from octavo.chunkers.piece import Pieces
from octavo.chunkers.seam import find_non_additive_joins
from octavo.protocols.tokens import Counter, find_crossing

__all__ = ["TokenSpanCounter"]


class TokenSpanCounter:
    """Counts runs of pieces of a text, each given by its first piece and the one after its last."""

    def __init__(self, text: str, parts: Pieces, counter: Counter) -> None:
        self._text = text
        self._counter = counter
        self._bounds = [*parts.starts, parts.ends[-1]]
        edges = find_crossing(counter)
        doubtful = find_non_additive_joins(text, parts.starts, edges) if edges else range(1, len(parts.starts))
        self._joins = [*doubtful, len(parts.starts)]
        self._sums = list(accumulate(parts.counts, initial=0))

    def count(self, runs: Iterable[tuple[int, int]]) -> list[int]:
        """Return the tokens of each run as the counter counts it whole."""
        counts: list[int] = []
        doubtful: list[int] = []
        texts: list[str] = []
        for first, last in runs:
            if self._joins[bisect_right(self._joins, first)] < last:
                doubtful.append(len(counts))
                texts.append(self._text[self._bounds[first] : self._bounds[last]])
            counts.append(self._sums[last] - self._sums[first])
        for index, count in zip(doubtful, self._counter.count_batch(texts), strict=True):
            counts[index] = count
        return counts
