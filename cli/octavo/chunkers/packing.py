"""Which borders between pieces become borders of chunks: one cheapest path over the whole text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, repeat

from octavo.chunkers.piece import Pieces
from octavo.chunkers.tally import Tally
from octavo.protocols.tokens import Counter
from octavo.text.border import UNIT, hash_boundaries
from octavo.text.chunk import Chunk
from octavo.text.document import Document, iter_heading_paths
from octavo.text.kept import match_boundaries
from octavo.text.kernel import find_cheapest_cuts
from octavo.text.span import Span

__all__ = ["EACH", "Borders", "chunked", "follow", "pack"]

Borders = Sequence[tuple[int, int]]
"""Where the chunks of a text start, each with its border's hash."""

EACH = UNIT * 3 // 8
"""What each chunk costs. More gives fuller chunks and lets an edit change more of them."""

_EACH_KEPT = UNIT * 4 // 5
_BONUS = UNIT // 2
"""What a border costs less where there was one before."""

_DRIFT = 0.05
"""The share of the budget that chunks may be less full than if borders were drawn anew."""


def pack(
    document: Document, found: Iterable[Pieces], budget: int, counter: Counter, *, each: int = EACH
) -> tuple[Chunk, ...]:
    """Return chunks made of pieces of a document, none above `budget` tokens.

    The pieces come one stretch after another, and are forgotten once no later one can change which
    chunks they are in. Each chunk costs `each`, and each border what the piece behind it does.
    """
    held = Pieces([], [], [], [])
    starts: list[int] = []
    counts: list[int] = []

    def place(parts: Pieces, cuts: Sequence[int]) -> None:
        tally = Tally(document.text, parts, counter)
        firsts, sizes = _fitted(parts, [0, *cuts], budget, tally, each=each)
        starts.extend([parts.starts[first] for first in firsts])
        counts.extend(sizes)

    tried = 0
    for stretch in found:
        held.extend(stretch)
        if len(held.starts) >= 2 * tried:
            if cuts := find_cheapest_cuts(held.counts, held.costs, budget, each, more=True):
                place(held.take(cuts[-1]), cuts[:-1])
            tried = len(held.starts)
    place(held, find_cheapest_cuts(held.counts, held.costs, budget, each))
    return _chunks(document, starts, counts)


def follow(
    document: Document, found: Pieces, previous: Borders, budget: int, counter: Counter
) -> tuple[Chunk, ...]:
    """Return chunks made of pieces, with borders rather where an earlier version had them.

    Chunks cost more than usual, so that the first version is fuller: each version splits a few of
    them. Once that has cost a twentieth of the budget, the borders are drawn anew.
    """
    sizes = found.counts
    fresh = [0, *find_cheapest_cuts(sizes, found.costs, budget, _EACH_KEPT)]
    firsts = fresh
    if previous:
        marks = hash_boundaries(document.text, found.starts)
        costs = list(found.costs)
        for index in match_boundaries(previous, list(zip(found.starts, marks, strict=True))):
            costs[index] -= _BONUS
        firsts = [0, *find_cheapest_cuts(sizes, costs, budget, _EACH_KEPT)]
        total = sum(sizes)
        if total / len(firsts) < total / len(fresh) - budget * _DRIFT:
            firsts = fresh
    return chunked(document, found, firsts, budget, counter, each=_EACH_KEPT)


def chunked(
    document: Document,
    found: Pieces,
    firsts: list[int],
    budget: int,
    counter: Counter,
    *,
    each: int = EACH,
) -> tuple[Chunk, ...]:
    """Return the chunks that start with the pieces `firsts`, cut further where above the budget."""
    tally = Tally(document.text, found, counter)
    firsts, counts = _fitted(found, firsts, budget, tally, each=each)
    return _chunks(document, [found.starts[first] for first in firsts], counts)


def _chunks(document: Document, starts: Sequence[int], counts: Sequence[int]) -> tuple[Chunk, ...]:
    text = document.text
    spans = map(Span, starts, [*starts[1:], len(text)])
    outline = document.outline
    paths = iter_heading_paths(outline, starts) if outline else repeat(())
    return tuple(map(Chunk, spans, counts, paths, hash_boundaries(text, starts)))


def _fitted(
    found: Pieces, firsts: list[int], budget: int, tally: Tally, *, each: int
) -> tuple[list[int], list[int]]:
    """Return the first pieces of chunks and the tokens of each, none above the budget."""
    ends = [*firsts[1:], len(found.starts)]
    counts = tally.count(zip(firsts, ends, strict=True))
    while max(counts) > budget:
        firsts = _recut(found, firsts, counts, budget=budget, each=each)
        ends = [*firsts[1:], len(found.starts)]
        counts = tally.count(zip(firsts, ends, strict=True))
    return firsts, counts


def _recut(
    found: Pieces, firsts: Sequence[int], counts: Sequence[int], *, budget: int, each: int
) -> list[int]:
    """Return the first pieces of chunks again, with those above the budget cut further.

    The tokens of pieces nearly always add up to those of their chunk or a few more, but no
    tokenizer promises it. What adds up to less is planned again with its room made smaller in
    proportion, which gives at least two chunks.
    """
    finer: list[int] = []
    for (first, last), tokens in zip(pairwise([*firsts, len(found.starts)]), counts, strict=True):
        finer.append(first)
        if tokens > budget:
            # One more for each piece, so that pieces counted as nothing weigh something.
            sizes = [size + 1 for size in found.counts[first:last]]
            room = max(budget * sum(sizes) // tokens, 1)
            within = [min(size, room) for size in sizes]
            costs = found.costs[first:last]
            finer += [first + cut for cut in find_cheapest_cuts(within, costs, room, each)]
    return finer
