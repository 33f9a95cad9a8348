"""The pieces that chunks are made of: blocks, and parts of the blocks that are too large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import add, sub

from octavo.chunkers.cut import Level
from octavo.chunkers.seam import seams
from octavo.errors import FitError
from octavo.protocols.tokens import Counter, LineCounter
from octavo.text.block import Blocks
from octavo.text.border import drawn
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

_BATCH = 1 << 9
"""Pieces that are counted together: few enough that their copies stay in the processor's cache."""

_SAMPLE = 1 << 13
"""Characters that tell about how many tokens the others of a text have."""


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


def pieces(
    text: str,
    ways: Iterable[Level],
    room: int,
    counter: Counter,
    *,
    parts: Blocks | None = None,
) -> Pieces:
    """Return the pieces of a text that is not empty, in order, none above `room` tokens.

    The text is cut into its blocks where they are given, what is above the room by the first of
    the ways to cut, what is still above it by the second, and so on; many short parts stay together
    with their neighbours. The last way is by characters. Raises FitError when one character alone
    has more tokens than the room.
    """
    total = counter.count(text) if len(text) <= _SURE * room else room + 1
    if parts and total > room:
        found = _of_blocks(text, parts, room, counter)
    else:
        found = Pieces([0], [len(text)], [0], [total])
    return refined(text, found, ways, room, counter)


def _of_blocks(text: str, parts: Blocks, room: int, counter: Counter) -> Pieces:
    """Return the blocks as pieces; short ones stay together with their neighbours if that fits."""
    count = len(parts.starts)
    bounds = [*parts.starts, len(text)]
    every = Pieces(parts.starts, bounds[1:], parts.costs, [room + 1] * count)
    firsts = [0, *[kept + 1 for kept in _kept(bounds, parts.costs[1:], room // _DENSE)], count]
    edges = [bounds[first] for first in firsts]
    costs = [parts.costs[first] for first in firsts[:-1]]
    whole = Pieces(edges[:-1], edges[1:], costs, [room + 1] * len(costs))
    summed = _summed(text, bounds, firsts, room, counter)
    fresh = range(len(costs))
    _count(text, whole, [i for i in fresh if i not in summed] if summed else fresh, room, counter)
    wide = [index for index, tokens in enumerate(whole.counts) if tokens > room]
    if not wide:
        whole.costs[1:] = map(add, costs[1:], drawn(text, edges[1:-1]))
        return whole
    inside = [index for each in wide for index in range(firsts[each], firsts[each + 1])]
    _count(text, every, inside, room, counter)
    found = Pieces([], [], [], [])
    done = 0
    for index in wide:
        first, last = firsts[index], firsts[index + 1]
        if index in summed and (tokens := sum(every.counts[first:last])) <= room:
            whole.counts[index] = tokens
        else:
            found.extend(whole, done, index)
            found.extend(every, first, last)
            done = index + 1
    found.extend(whole, done, len(costs))
    found.costs[1:] = map(add, found.costs[1:], drawn(text, found.starts[1:]))
    return found


def _summed(
    text: str,
    bounds: Sequence[int],
    firsts: Sequence[int],
    room: int,
    counter: Counter,
) -> set[int]:
    """Return which runs of blocks are rather counted block by block.

    Those which most likely do not fit, as far as the beginning of the text tells, and whose counts
    add up: it saves a second count. `firsts` are the first blocks of the runs, and the number of
    blocks.
    """
    if not isinstance(counter, LineCounter):
        return set()
    sample = text[:_SAMPLE]
    reach = min(len(sample) / max(counter.count(sample), 1), _SURE) * room
    edges = [bounds[first] for first in firsts]
    lengths = list(map(sub, edges[1:], edges))
    if max(lengths) <= reach:
        return set()
    return {
        index
        for index, length in enumerate(lengths)
        if reach < length <= _SURE * room
        and firsts[index + 1] - firsts[index] > 1
        and not seams(text, bounds[firsts[index] + 1 : firsts[index + 1]], counter)
    }


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
            kept = _kept([start, *places, end], prices, room // _DENSE)
            places, prices = [places[index] for index in kept], [prices[index] for index in kept]
        floor = level.floor if end - start > _ENDLESS * room else 0
        first = len(cut.starts)
        cut.starts.extend((start, *places))
        cut.ends.extend((*places, end))
        cut.costs.append(whole.costs[index])
        cut.costs.extend(
            [
                price + weight - floor
                for price, weight in zip(prices, drawn(text, places), strict=True)
            ]
        )
        cut.counts.extend([whole.counts[index]] * (len(places) + 1))
        fresh.extend(range(first, len(cut.starts)))
    cut.extend(whole, done, len(whole.starts))
    return cut, fresh


def _count(text: str, found: Pieces, fresh: Sequence[int], room: int, counter: Counter) -> None:
    """Count some of the pieces, but not those that are too long to fit."""
    starts, ends, counts = found.starts, found.ends, found.counts
    sure = _SURE * room
    if len(fresh) < len(starts) or max(map(sub, ends, starts)) > sure:
        fresh = [index for index in fresh if ends[index] - starts[index] <= sure]
        starts = [starts[index] for index in fresh]
        ends = [ends[index] for index in fresh]
    sizes: list[int] = []
    for first in range(0, len(starts), _BATCH):
        spans = zip(starts[first : first + _BATCH], ends[first : first + _BATCH], strict=True)
        sizes += counter.count_batch([text[start:end] for start, end in spans])
    if len(sizes) == len(counts):
        counts[:] = sizes
    else:
        for index, size in zip(fresh, sizes, strict=True):
            counts[index] = size


def _kept(bounds: Sequence[int], prices: Sequence[int], short: int) -> list[int]:
    """Return which of the places between bounds are kept: only some where both parts are short.

    The shorter they are, the fewer are kept. Which follows from their length alone, which is as
    good as drawn, so an edit elsewhere changes nothing.
    """
    return [
        index
        for index, (before, after, price) in enumerate(
            zip(bounds, islice(bounds, 2, None), prices, strict=False)
        )
        if (length := after - before) > short or not length % (1 + short // length) or price < 0
    ]
