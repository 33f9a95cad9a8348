"""The pieces of a long text, one stretch after another, so that none of its lists grows with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import sub
from typing import NamedTuple

from octavo.chunkers.cut import Level
from octavo.chunkers.piece import DENSE, SURE, Pieces, refined
from octavo.chunkers.seam import seams
from octavo.protocols.tokens import Counter, crossing
from octavo.text.block import Blocks, blocks
from octavo.text.border import drawn
from octavo.text.document import Document
from octavo.text.kernel import thinned
from octavo.text.span import Span

__all__ = ["stretches"]

_STRETCH = 1 << 18
"""Characters of a stretch: few enough that what is made of them stays in the processor's cache."""

_SAMPLE = 1 << 11
"""Characters that tell about how many tokens the next ones have."""


class _Runs(NamedTuple):
    """Blocks, of which short ones stay together with their neighbours: where each run begins."""

    blocks: Blocks
    firsts: list[int]


def stretches(
    document: Document, fenced: Sequence[Span], ways: Sequence[Level], room: int, counter: Counter
) -> Iterator[Pieces]:
    """Yield the pieces of a document that is not empty, in order, none above `room` tokens.

    The text is cut into its blocks, and what is above the room as `pieces` does. Where a stretch
    ends changes no piece. `fenced` are the code fences. Raises FitError when one character alone
    has more tokens than the room.
    """
    text = document.text
    if len(text) <= SURE * room and (total := counter.count(text)) <= room:
        yield Pieces([0], [len(text)], [0], [total])
        return
    length, tokens = _SAMPLE, counter.count(text[:_SAMPLE])
    for runs in _runs(document, fenced, room):
        fitting = min(length / max(tokens, 1), SURE) * room
        found = _unpacked(text, runs, room, counter, fitting)
        found.costs[:] = drawn(text, found.starts, found.costs)
        found = refined(text, found, ways, room, counter)
        yield found
        length, tokens = found.ends[-1] - found.starts[0], sum(found.counts)


def _runs(document: Document, fenced: Sequence[Span], room: int) -> Iterator[_Runs]:
    """Yield runs of blocks, stretch after stretch; each but the last ends where a run does."""
    text = document.text
    begin, reach, cost = 0, _STRETCH, 0
    while True:
        within = Span(begin, min(begin + reach, len(text)))
        parts = blocks(text, document.outline, fenced, within)
        bounds = [*parts.starts, parts.end]
        firsts = [0, *[kept + 1 for kept in thinned(bounds, parts.costs[1:], room // DENSE)]]
        parts.costs[:1] = [cost]
        if parts.end == len(text):
            yield _Runs(parts, firsts)
            return
        last = firsts.pop()
        if not last:
            reach *= 2
            continue
        begin, reach, cost = parts.starts[last], _STRETCH, parts.costs[last]
        yield _Runs(Blocks(parts.starts[:last], parts.costs[:last], begin), firsts)


def _unpacked(text: str, runs: _Runs, room: int, counter: Counter, fitting: float) -> Pieces:
    """Return the runs as pieces, and instead of those above the room their blocks.

    Runs of more than about `fitting` characters are rather counted block by block, where that adds
    up: it saves a second count.
    """
    parts, firsts = runs
    bounds = [*parts.starts, parts.end]
    firsts = [*firsts, len(parts.starts)]
    edges = [bounds[first] for first in firsts]
    costs = [parts.costs[first] for first in firsts[:-1]]
    whole = Pieces(edges[:-1], edges[1:], costs, [room + 1] * len(costs))
    summed: set[int] = set()
    joins = crossing(counter)
    if joins and max(map(sub, edges[1:], edges)) > fitting:
        doubtful = [*seams(text, parts.starts, joins), len(parts.starts)]
        summed = {
            index
            for index, length in enumerate(map(sub, edges[1:], edges))
            if fitting < length <= SURE * room
            and firsts[index + 1] - firsts[index] > 1
            and doubtful[bisect_right(doubtful, firsts[index])] >= firsts[index + 1]
        }
    some = [index for index in range(len(costs)) if index not in summed] if summed else None
    whole.count(text, some, room, counter)
    wide = [index for index, tokens in enumerate(whole.counts) if tokens > room]
    if not wide:
        return whole
    every = Pieces(parts.starts, bounds[1:], parts.costs, [room + 1] * len(parts.starts))
    inside = [index for each in wide for index in range(firsts[each], firsts[each + 1])]
    every.count(text, inside, room, counter)
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
    found.extend(whole, done)
    return found
