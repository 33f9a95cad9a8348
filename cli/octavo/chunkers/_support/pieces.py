"""The pieces that chunks are made of, and exact token counts of runs of pieces.

Pieces are a text, or its blocks, and parts of what is too large. The counts of pieces are added up
where the tokenizer lets them add up; a run with a join where they may not is counted whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

from octavo.errors import FitError
from octavo.protocols.tokens import Counter, find_crossing
from octavo.text.span import Span
from octavo.text.splitting.cuts import CutLevel
from octavo.text.splitting.kernel import price_boundaries, select_boundaries

__all__ = [
    "MAX_CHARACTERS_PER_TOKEN",
    "THINNING_DIVISOR",
    "Pieces",
    "TokenSpanCounter",
    "build_fit_error",
    "count_pieces",
    "cut_pieces",
    "find_non_additive_joins",
    "refine_pieces",
]


THINNING_DIVISOR = 2
"""Two neighbours with fewer characters together than the room has tokens, divided by this, are
short. Of the borders between such, only some are considered: a path needs no more than a dozen
for each chunk."""

MAX_CHARACTERS_PER_TOKEN = 6
"""Characters a token, more than text has on average. What is longer for the room is cut without
being counted; should it fit after all, no path pays for a border in it that it does not need."""

_FORCED_CUT_FACTOR = 16
"""Characters a token of the room, about four times what it holds. A longer part is cut where it
must be, so what all cuts inside it have in common is left out of their costs: it would only weigh
against the choice by content."""

_COUNT_BATCH = 1 << 11
"""Pieces that are counted together: few enough that their copies stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Where pieces start and end, what a border before each costs, and the tokens of each.

    Lists side by side: a long text has tens of thousands of pieces, and as many objects would
    keep the garbage collector busy.
    """

    starts: list[int]
    ends: list[int]
    costs: list[int]
    counts: list[int]

    def extend(self, other: Pieces, first: int = 0, last: int | None = None) -> None:
        """Append other pieces, all or some."""
        self.starts.extend(other.starts[first:last])
        self.ends.extend(other.ends[first:last])
        self.costs.extend(other.costs[first:last])
        self.counts.extend(other.counts[first:last])

    def take(self, number: int) -> Pieces:
        """Return the first pieces, and keep the others."""
        first = Pieces([], [], [], [])
        first.extend(self, 0, number)
        for row in (self.starts, self.ends, self.costs, self.counts):
            del row[:number]
        return first

    def count(self, text: str, some: Sequence[int] | None, room: int, counter: Counter) -> None:
        """Count all or some of the pieces, but not those that are too long for the room."""
        starts, ends, counts = self.starts, self.ends, self.counts
        sure = MAX_CHARACTERS_PER_TOKEN * room
        if some is None and max(map(sub, ends, starts)) <= sure:
            counts[:] = _count_spans(text, starts, ends, counter)
            return
        some = range(len(starts)) if some is None else some
        short = [index for index in some if ends[index] - starts[index] <= sure]
        edges = [starts[index] for index in short], [ends[index] for index in short]
        for index, size in zip(short, _count_spans(text, *edges, counter), strict=True):
            counts[index] = size


def _count_spans(
    text: str, starts: Sequence[int], ends: Sequence[int], counter: Counter
) -> list[int]:
    sizes: list[int] = []
    for first in range(0, len(starts), _COUNT_BATCH):
        spans = zip(
            starts[first : first + _COUNT_BATCH], ends[first : first + _COUNT_BATCH], strict=True
        )
        sizes += counter.count_batch([text[start:end] for start, end in spans])
    return sizes


def cut_pieces(text: str, ways: Iterable[CutLevel], room: int, counter: Counter) -> Pieces:
    """Return the pieces of a text that is not empty, in order, none above `room` tokens.

    A piece above the room is cut by the first of the ways to cut, what is still above it by the
    second, and so on; many short parts stay together with their neighbours. The last way is by
    characters. Raises FitError when one character alone has more tokens than the room.
    """
    whole = Pieces([0], [len(text)], [0], [room + 1])
    whole.count(text, None, room, counter)
    return refine_pieces(text, whole, ways, room, counter)


def count_pieces(
    text: str, places: Sequence[int], costs: Sequence[int], counter: Counter
) -> Pieces:
    """Return the pieces between places to cut, all of them, which may be above any room."""
    starts = [0, *places]
    ends = [*places, len(text)]
    return Pieces(starts, ends, [0, *costs], _count_spans(text, starts, ends, counter))


def refine_pieces(
    text: str, pieces: Pieces, ways: Iterable[CutLevel], room: int, counter: Counter
) -> Pieces:
    """Return the pieces, those above the room cut further; see `cut_pieces`."""
    oversized = [index for index, count in enumerate(pieces.counts) if count > room]
    for level in ways:
        for thinned in (True, False):
            if not oversized:
                return pieces
            pieces, new_indices = _cut_by_level(
                text, pieces, oversized, level, room, thinned=thinned
            )
            pieces.count(text, new_indices, room, counter)
            oversized = [index for index in new_indices if pieces.counts[index] > room]
    if oversized:
        count = max(pieces.counts)
        raise build_fit_error(text[pieces.starts[pieces.counts.index(count)]], count, room)
    return pieces


def build_fit_error(character: str, count: int, room: int) -> FitError:
    """Return the error of a character that alone has more tokens than the room."""
    return FitError(
        f"the character {character!r} alone has {count} tokens, more than the {room} of a chunk",
        hint="allow more tokens for a chunk",
    )


def _cut_by_level(
    text: str,
    pieces: Pieces,
    oversized: Sequence[int],
    level: CutLevel,
    room: int,
    *,
    thinned: bool,
) -> tuple[Pieces, list[int]]:
    """Return all pieces with some of them cut by one level, and the indices of what those gave.

    The parts of a piece are not counted yet: they are taken for as large as the piece.
    """
    cut = Pieces([], [], [], [])
    new_indices: list[int] = []
    done = 0
    for index in oversized:
        if done < index:
            cut.extend(pieces, done, index)
        done = index + 1
        start, end = pieces.starts[index], pieces.ends[index]
        places, prices = level.cuts(text, Span(start, end))
        if thinned:
            kept = select_boundaries([start, *places, end], prices, room // THINNING_DIVISOR)
            places, prices = [places[index] for index in kept], [prices[index] for index in kept]
        floor = level.floor if end - start > _FORCED_CUT_FACTOR * room else 0
        first = len(cut.starts)
        cut.starts.extend((start, *places))
        cut.ends.extend((*places, end))
        cut.costs.append(pieces.costs[index])
        costs = price_boundaries(text, places, prices)
        cut.costs.extend([cost - floor for cost in costs] if floor else costs)
        cut.counts.extend([pieces.counts[index]] * (len(places) + 1))
        new_indices.extend(range(first, len(cut.starts)))
    cut.extend(pieces, done, len(pieces.starts))
    return cut, new_indices


def find_non_additive_joins(
    text: str, starts: Sequence[int], crossing: re.Pattern[str]
) -> list[int]:
    """Return the indices of the parts whose token counts may not add up with those before.

    `starts` are where the parts start, in ascending order; `crossing` is a counter's.
    """
    crosses = crossing.match
    # Texts have few kinds of edges: each is judged once, and only what is left one by one.
    before = {text[start - 1] for start in starts}
    suspect = {
        sign for sign in {text[start] for start in starts} if sign.isspace() or crosses(sign)
    }
    if not suspect and before <= {"\n"}:
        return []
    return [
        index
        for index, start in enumerate(starts)
        if text[start - 1] != "\n" or (text[start] in suspect and crosses(text, start))
    ]


class TokenSpanCounter:
    """Counts runs of pieces of a text, each given by its first piece and the one after its last."""

    def __init__(self, text: str, parts: Pieces, counter: Counter) -> None:
        self._text = text
        self._counter = counter
        self._bounds = [*parts.starts, parts.ends[-1]]
        edges = find_crossing(counter)
        non_additive = (
            find_non_additive_joins(text, parts.starts, edges)
            if edges
            else range(1, len(parts.starts))
        )
        self._joins = [*non_additive, len(parts.starts)]
        self._sums = list(accumulate(parts.counts, initial=0))

    def count(self, runs: Iterable[tuple[int, int]]) -> list[int]:
        """Return the tokens of each run as the counter counts it whole."""
        counts: list[int] = []
        recounted: list[int] = []
        texts: list[str] = []
        for first, last in runs:
            if self._joins[bisect_right(self._joins, first)] < last:
                recounted.append(len(counts))
                texts.append(self._text[self._bounds[first] : self._bounds[last]])
            counts.append(self._sums[last] - self._sums[first])
        for index, count in zip(recounted, self._counter.count_batch(texts), strict=True):
            counts[index] = count
        return counts
