"""Yields the pieces of a long text stretch by stretch, so that no list grows with the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import sub
from typing import NamedTuple

from octavo.chunkers._support.pieces import (
    MAX_CHARACTERS_PER_TOKEN,
    THINNING_DIVISOR,
    Pieces,
    find_non_additive_joins,
    refine_pieces,
)
from octavo.protocols.tokens import Counter, find_crossing
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.splitting.blocks import Blocks, find_blocks
from octavo.text.splitting.cuts import CutLevel
from octavo.text.splitting.kernel import price_boundaries, select_boundaries

__all__ = ["stream_pieces"]


_STRETCH = 1 << 20
"""Characters of a stretch: many enough that starting one takes no time that counts."""

_SAMPLE = 1 << 11
"""Characters that tell about how many tokens the next ones have."""


class _BlockRuns(NamedTuple):
    """Blocks, of which short ones stay together with their neighbours: where each run begins."""

    blocks: Blocks
    firsts: list[int]


def stream_pieces(
    document: Document,
    fenced: Sequence[Span],
    ways: Sequence[CutLevel],
    room: int,
    counter: Counter,
) -> Iterator[Pieces]:
    """Yield the pieces of a document that is not empty, in order, none above `room` tokens.

    The text is cut into its blocks, and pieces above the room as `cut_pieces` does. Where a
    stretch ends changes no piece. `fenced` are the code fences. Raises FitError when one character
    alone has more tokens than the room.
    """
    text = document.text
    if len(text) <= MAX_CHARACTERS_PER_TOKEN * room and (total := counter.count(text)) <= room:
        yield Pieces([0], [len(text)], [0], [total])
        return
    length, tokens = _SAMPLE, counter.count(text[:_SAMPLE])
    for runs in _iter_runs(document, fenced, room):
        fitting = min(length / max(tokens, 1), MAX_CHARACTERS_PER_TOKEN) * room
        pieces = _unpack_runs(text, runs, room, counter, fitting)
        pieces.costs[:] = price_boundaries(text, pieces.starts, pieces.costs)
        pieces = refine_pieces(text, pieces, ways, room, counter)
        yield pieces
        length, tokens = pieces.ends[-1] - pieces.starts[0], sum(pieces.counts)


def _iter_runs(document: Document, fenced: Sequence[Span], room: int) -> Iterator[_BlockRuns]:
    """Yield runs of blocks, stretch after stretch; each but the last ends where a run does."""
    text = document.text
    begin, reach, cost = 0, _STRETCH, 0
    while True:
        within = Span(begin, min(begin + reach, len(text)))
        parts = find_blocks(text, document.outline, fenced, within)
        bounds = [*parts.starts, parts.end]
        firsts = [
            0,
            *[
                kept + 1
                for kept in select_boundaries(bounds, parts.costs[1:], room // THINNING_DIVISOR)
            ],
        ]
        parts.costs[:1] = [cost]
        if parts.end == len(text):
            yield _BlockRuns(parts, firsts)
            return
        last = firsts.pop()
        if not last:
            reach *= 2
            continue
        begin, reach, cost = parts.starts[last], _STRETCH, parts.costs[last]
        yield _BlockRuns(Blocks(parts.starts[:last], parts.costs[:last], begin), firsts)


def _unpack_runs(
    text: str, runs: _BlockRuns, room: int, counter: Counter, fitting: float
) -> Pieces:
    """Return the runs as pieces, and instead of those above the room their blocks.

    Runs of more than about `fitting` characters are rather counted block by block, where that adds
    up: it saves a second count.
    """
    parts, firsts = runs
    oversized = _find_oversized_runs(text, runs, room, counter, fitting)
    blocks = sorted({*firsts, *chain.from_iterable(oversized)}) if oversized else firsts
    pieces = _build_pieces(parts, blocks, [room + 1] * len(blocks))
    pieces.count(text, None, room, counter)
    ends = [*blocks[1:], len(parts.starts)]
    unfit = [
        range(unit, end)
        for unit, end, tokens in zip(blocks, ends, pieces.counts, strict=True)
        if tokens > room and end - unit > 1
    ]
    if not oversized and not unfit:
        return pieces
    counts = dict(zip(blocks, pieces.counts, strict=True))
    for run in oversized:
        if (tokens := sum(counts[block] for block in run)) <= room:
            counts[run.start] = tokens
            for block in run[1:]:
                del counts[block]
    new_blocks = set(chain.from_iterable(unfit))
    counts |= dict.fromkeys(new_blocks, room + 1)
    blocks = sorted(counts)
    pieces = _build_pieces(parts, blocks, [counts[unit] for unit in blocks])
    if new_blocks:
        some = [index for index, unit in enumerate(blocks) if unit in new_blocks]
        pieces.count(text, some, room, counter)
    return pieces


def _build_pieces(parts: Blocks, firsts: Sequence[int], counts: list[int]) -> Pieces:
    """Return the blocks as pieces, each from one of the `firsts` to the next."""
    starts = [parts.starts[first] for first in firsts]
    costs = [parts.costs[first] for first in firsts]
    return Pieces(starts, [*starts[1:], parts.end], costs, counts)


def _find_oversized_runs(
    text: str, runs: _BlockRuns, room: int, counter: Counter, fitting: float
) -> Sequence[range]:
    """Return the runs of blocks that most likely do not fit, and have counts that add up."""
    parts, firsts = runs
    crossing = find_crossing(counter)
    edges = [*[parts.starts[first] for first in firsts], parts.end]
    if not crossing or max(map(sub, edges[1:], edges)) <= fitting:
        return ()
    count = len(parts.starts)
    non_additive = [*find_non_additive_joins(text, parts.starts, crossing), count]
    return [
        range(first, last)
        for first, last, start, end in zip(
            firsts, [*firsts[1:], count], edges, edges[1:], strict=False
        )
        if fitting < end - start <= MAX_CHARACTERS_PER_TOKEN * room
        and last - first > 1
        and non_additive[bisect_right(non_additive, first)] >= last
    ]
