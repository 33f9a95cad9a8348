"""The pieces that chunks are made of: blocks, and parts of the blocks that are too large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from octavo.chunkers.cut import Level
from octavo.errors import FitError
from octavo.protocols.tokens import Counter
from octavo.text.border import borders, weights
from octavo.text.span import Span

__all__ = ["Pieces", "counted", "pieces", "refined"]

_DENSE = 2
"""Two neighbours with fewer characters together than the room has tokens, divided by this, are
short. Of the borders between such, only some are considered: a path needs no more than a dozen
for each chunk."""

_SURE = 6
"""Characters a token, more than text has on average. What is longer for the room is cut without
being counted; should it fit after all, no path pays for a border in it that it does not need."""

_ENDLESS = 16
"""Characters a token of the room, about four times what it holds. A longer part is cut where it
must be, so what all cuts inside it have in common is left out of their costs: it would only weigh
against the choice by content."""

_BATCH = 1 << 15
"""Pieces that are counted together, so that a long text is not copied as a whole."""


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

    def extend(self, other: Pieces, first: int, last: int) -> None:
        """Append some of other pieces."""
        self.starts.extend(other.starts[first:last])
        self.ends.extend(other.ends[first:last])
        self.costs.extend(other.costs[first:last])
        self.counts.extend(other.counts[first:last])


def pieces(text: str, ways: Iterable[Level], room: int, counter: Counter) -> Pieces:
    """Return the pieces of a text that is not empty, in order, none above `room` tokens.

    The text is cut by the first of the ways to cut, what is above the room then by the second, and
    so on; many short parts stay together with their neighbours. The last way is by characters.
    Raises FitError when one character alone has more tokens than the room.
    """
    total = counter.count(text) if len(text) <= _SURE * room else room + 1
    return refined(text, Pieces([0], [len(text)], [0], [total]), ways, room, counter)


def counted(text: str, places: Sequence[int], costs: Sequence[int], counter: Counter) -> Pieces:
    """Return the pieces between places to cut, all of them, which may be above any room."""
    starts = [0, *places]
    ends = [*places, len(text)]
    sizes = counter.count_batch([text[a:b] for a, b in zip(starts, ends, strict=True)])
    return Pieces(starts, ends, [0, *costs], sizes)


def refined(text: str, found: Pieces, ways: Iterable[Level], room: int, counter: Counter) -> Pieces:
    """Return the pieces, those above the room cut further; see `pieces`."""
    wide = [index for index, count in enumerate(found.counts) if count > room]
    for level in ways:
        for thin in (True, False):
            if not wide:
                return found
            found, fresh = _cut(text, found, wide, level, room, thin=thin)
            _count(text, found, fresh, room, counter)
            wide = [index for index in fresh if found.counts[index] > room]
    if wide:
        raise _too_large(text, found, room)
    return found


def _too_large(text: str, found: Pieces, room: int) -> FitError:
    count = max(found.counts)
    character = text[found.starts[found.counts.index(count)]]
    return FitError(
        f"the character {character!r} alone has {count} tokens, more than the {room} of a chunk",
        hint="allow more tokens for a chunk",
    )


def _cut(
    text: str, whole: Pieces, wide: Sequence[int], level: Level, room: int, *, thin: bool
) -> tuple[Pieces, list[int]]:
    """Return all pieces with some of them cut by one level, and the indices of what those gave.

    The parts of a piece are not counted yet: they are taken for as large as the piece.
    """
    cut = Pieces([], [], [], [])
    fresh: list[int] = []
    done = 0
    for index in wide:
        if done < index:
            cut.extend(whole, done, index)
        done = index + 1
        start, end = whole.starts[index], whole.ends[index]
        places, prices = level.cuts(text, Span(start, end))
        if thin:
            places, prices = _thinned([start, *places, end], prices, room // _DENSE)
        floor = level.floor if end - start > _ENDLESS * room else 0
        drawn = weights(borders(text, places))
        first = len(cut.starts)
        cut.starts.extend((start, *places))
        cut.ends.extend((*places, end))
        cut.costs.append(whole.costs[index])
        cut.costs.extend(
            [price + weight - floor for price, weight in zip(prices, drawn, strict=True)]
        )
        cut.counts.extend([whole.counts[index]] * (len(places) + 1))
        fresh.extend(range(first, len(cut.starts)))
    cut.extend(whole, done, len(whole.starts))
    return cut, fresh


def _count(text: str, found: Pieces, fresh: Sequence[int], room: int, counter: Counter) -> None:
    """Count some of the pieces, but not those that are too long to fit."""
    starts, ends, counts = found.starts, found.ends, found.counts
    sure = _SURE * room
    fresh = [index for index in fresh if ends[index] - starts[index] <= sure]
    for first in range(0, len(fresh), _BATCH):
        batch = fresh[first : first + _BATCH]
        sizes = counter.count_batch([text[starts[index] : ends[index]] for index in batch])
        for index, size in zip(batch, sizes, strict=True):
            counts[index] = size


def _thinned(
    bounds: Sequence[int], prices: Sequence[int], short: int
) -> tuple[list[int], list[int]]:
    """Return the places to cut, but only some where the two parts beside them are short.

    The shorter they are, the fewer are kept. Which follows from their length alone, which is as
    good as drawn, so an edit elsewhere changes nothing.
    """
    kept = [
        index
        for index, price in enumerate(prices)
        if (length := bounds[index + 2] - bounds[index]) > short
        or not length % (1 + short // length)
        or price < 0
    ]
    return [bounds[index + 1] for index in kept], [prices[index] for index in kept]
