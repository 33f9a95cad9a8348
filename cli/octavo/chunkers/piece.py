"""The pieces that chunks are made of: blocks, and parts of the blocks that are too large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.chunkers.cut import Level, levels
from octavo.errors import FitError
from octavo.protocols.tokens import Counter
from octavo.text.block import Blocks
from octavo.text.border import borders, weights
from octavo.text.span import Span

__all__ = ["Pieces", "pieces"]

_FEW = 2
"""One in so many of the borders between short parts is considered: a path needs no more."""

_SURE = 6
"""Characters a token, more than text has on average. What is longer for the room is cut without
being counted; should it fit after all, no path pays for a border in it that it does not need."""

_ENDLESS = 16
"""Characters a token of the room, about four times what it holds. A longer part is cut where it
must be, so what all cuts inside it have in common is left out of their costs: it would only weigh
against the choice by content."""


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

    def pick(self, indices: Sequence[int]) -> Pieces:
        """Return some of the pieces."""
        return Pieces(
            [self.starts[index] for index in indices],
            [self.ends[index] for index in indices],
            [self.costs[index] for index in indices],
            [self.counts[index] for index in indices],
        )

    def add(self, other: Pieces) -> None:
        """Append other pieces."""
        self.starts.extend(other.starts)
        self.ends.extend(other.ends)
        self.costs.extend(other.costs)
        self.counts.extend(other.counts)


def pieces(text: str, parts: Blocks, room: int, counter: Counter) -> Pieces:
    """Return the pieces of a text that is not empty, in order, none above `room` tokens.

    They are the blocks, many short ones together with their neighbours, and the parts of blocks
    above the room. Lines come before sentences, these before words, these before characters.
    Raises FitError when one character alone has more tokens than the room.
    """
    found = Pieces([], [], [], [])
    total = counter.count(text) if len(text) <= _SURE * room else room + 1
    loose = Pieces([0], [len(text)], [0], [total])
    for level in levels(parts, room):
        for thin in (True, False):
            wide = [index for index, count in enumerate(loose.counts) if count > room]
            if not wide:
                break
            if len(wide) < len(loose.counts):
                found.add(loose.pick([i for i, count in enumerate(loose.counts) if count <= room]))
                loose = loose.pick(wide)
            loose = _cut(text, loose, level, room, counter, thin=thin)
    if max(loose.counts) > room:
        raise _too_large(text, loose, room)
    if not found.starts:
        return loose
    found.add(loose)
    return found.pick(sorted(range(len(found.starts)), key=found.starts.__getitem__))


def _too_large(text: str, wide: Pieces, room: int) -> FitError:
    count = max(wide.counts)
    character = text[wide.starts[wide.counts.index(count)]]
    return FitError(
        f"the character {character!r} alone has {count} tokens, more than the {room} of a chunk",
        hint="allow more tokens for a chunk",
    )


def _cut(
    text: str, wide: Pieces, level: Level, room: int, counter: Counter, *, thin: bool
) -> Pieces:
    """Cut all of these pieces by one level, and count what that gives."""
    starts: list[int] = []
    ends: list[int] = []
    costs: list[int] = []
    counts: list[int] = []
    placed: list[int] = []
    fresh: list[int] = []
    for start, end, cost, count in zip(
        wide.starts, wide.ends, wide.costs, wide.counts, strict=True
    ):
        places, prices = level.cuts(text, Span(start, end))
        if thin:
            places, prices = _thinned([start, *places, end], prices, room // 2)
        if level.floor and end - start > _ENDLESS * room:
            prices = [price - level.floor for price in prices]
        first = len(starts)
        starts += [start, *places]
        ends += [*places, end]
        costs += [cost, *prices]
        counts += [count] * (len(places) + 1)
        placed += range(first + 1, len(starts))
        if places:
            fresh += range(first, len(starts))
    drawn = weights(borders(text, [starts[index] for index in placed]))
    for index, weight in zip(placed, drawn, strict=True):
        costs[index] += weight
    fresh = [index for index in fresh if ends[index] - starts[index] <= _SURE * room]
    sizes = counter.count_batch([text[starts[index] : ends[index]] for index in fresh])
    for index, size in zip(fresh, sizes, strict=True):
        counts[index] = size
    return Pieces(starts, ends, costs, counts)


def _thinned(
    bounds: Sequence[int], prices: Sequence[int], short: int
) -> tuple[list[int], list[int]]:
    """Return few of the places to cut where the parts between them are short.

    Which are kept follows from the lengths beside them, which are as good as drawn, so an edit
    elsewhere changes nothing.
    """
    kept = [
        index
        for index, price in enumerate(prices)
        if (length := bounds[index + 2] - bounds[index]) > short or length % _FEW == 0 or price < 0
    ]
    return [bounds[index + 1] for index in kept], [prices[index] for index in kept]
