"""Decides which boundaries between pieces become boundaries of chunks.

They are one cheapest path over the whole text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from octavo.chunkers._support.boundary_matching import match_boundaries
from octavo.chunkers._support.pieces import Pieces, TokenSpanCounter
from octavo.chunkers._support.subdocuments import build_chunks
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.splitting.kernel import find_cheapest_cuts, hash_boundaries
from octavo.text.splitting.loops import UNIT

__all__ = ["CHUNK_COST", "Boundaries", "chunk_pieces", "pack_pieces", "pack_stably"]


Boundaries = Sequence[tuple[int, int]]
"""Where the chunks of a text start, each with its border's hash."""

CHUNK_COST = UNIT * 3 // 8
"""What each chunk costs. More gives fuller chunks and lets an edit change more of them."""

_STABLE_CHUNK_COST = UNIT * 4 // 5
_KEPT_BOUNDARY_BONUS = UNIT // 2
"""What a border costs less where there was one before."""

_MAX_FILL_LOSS = 0.05
"""The share of the budget that chunks may be less full than if borders were drawn anew."""


def pack_pieces(
    document: Document,
    pieces: Iterable[Pieces],
    budget: int,
    counter: Counter,
    *,
    chunk_cost: int = CHUNK_COST,
) -> tuple[Chunk, ...]:
    """Return chunks made of pieces of a document, none above `budget` tokens.

    The pieces come one stretch after another, and are forgotten once no later one can change which
    chunks they are in. Each chunk costs `chunk_cost`, and each boundary as much as the piece after
    it.
    """
    pending = Pieces([], [], [], [])
    starts: list[int] = []
    counts: list[int] = []

    def add_chunks(parts: Pieces, cuts: Sequence[int]) -> None:
        token_counter = TokenSpanCounter(document.text, parts, counter)
        first_pieces, sizes = _enforce_budget(
            parts, [0, *cuts], budget, token_counter, chunk_cost=chunk_cost
        )
        starts.extend([parts.starts[first] for first in first_pieces])
        counts.extend(sizes)

    last_tried = 0
    for stretch in pieces:
        pending.extend(stretch)
        if len(pending.starts) >= 2 * last_tried:
            if cuts := find_cheapest_cuts(
                pending.counts, pending.costs, budget, chunk_cost, more=True
            ):
                add_chunks(pending.take(cuts[-1]), cuts[:-1])
            last_tried = len(pending.starts)
    add_chunks(pending, find_cheapest_cuts(pending.counts, pending.costs, budget, chunk_cost))
    return _make_chunks(document, starts, counts)


def pack_stably(
    document: Document, pieces: Pieces, previous: Boundaries, budget: int, counter: Counter
) -> tuple[Chunk, ...]:
    """Return chunks made of pieces, with borders rather where an earlier version had them.

    Chunks cost more than usual, so that the first version is fuller: each version splits a few of
    them. Once that has cost a twentieth of the budget, the borders are drawn anew.
    """
    sizes = pieces.counts
    unbiased = [0, *find_cheapest_cuts(sizes, pieces.costs, budget, _STABLE_CHUNK_COST)]
    first_pieces = unbiased
    if previous:
        hashes = hash_boundaries(document.text, pieces.starts)
        costs = list(pieces.costs)
        for index in match_boundaries(previous, list(zip(pieces.starts, hashes, strict=True))):
            costs[index] -= _KEPT_BOUNDARY_BONUS
        first_pieces = [0, *find_cheapest_cuts(sizes, costs, budget, _STABLE_CHUNK_COST)]
        total = sum(sizes)
        if total / len(first_pieces) < total / len(unbiased) - budget * _MAX_FILL_LOSS:
            first_pieces = unbiased
    return chunk_pieces(
        document, pieces, first_pieces, budget, counter, chunk_cost=_STABLE_CHUNK_COST
    )


def chunk_pieces(
    document: Document,
    pieces: Pieces,
    first_pieces: list[int],
    budget: int,
    counter: Counter,
    *,
    chunk_cost: int = CHUNK_COST,
) -> tuple[Chunk, ...]:
    """Return chunks that start with the pieces `first_pieces`, cut further above the budget."""
    token_counter = TokenSpanCounter(document.text, pieces, counter)
    first_pieces, counts = _enforce_budget(
        pieces, first_pieces, budget, token_counter, chunk_cost=chunk_cost
    )
    return _make_chunks(document, [pieces.starts[first] for first in first_pieces], counts)


def _make_chunks(
    document: Document, starts: Sequence[int], counts: Sequence[int]
) -> tuple[Chunk, ...]:
    spans = map(Span, starts, [*starts[1:], len(document.text)])
    return build_chunks(document, list(zip(spans, counts, strict=True)))


def _enforce_budget(
    pieces: Pieces,
    first_pieces: list[int],
    budget: int,
    token_counter: TokenSpanCounter,
    *,
    chunk_cost: int,
) -> tuple[list[int], list[int]]:
    """Return the first pieces of chunks and the tokens of each, none above the budget."""
    ends = [*first_pieces[1:], len(pieces.starts)]
    counts = token_counter.count(zip(first_pieces, ends, strict=True))
    while max(counts) > budget:
        first_pieces = _split_oversized(
            pieces, first_pieces, counts, budget=budget, chunk_cost=chunk_cost
        )
        ends = [*first_pieces[1:], len(pieces.starts)]
        counts = token_counter.count(zip(first_pieces, ends, strict=True))
    return first_pieces, counts


def _split_oversized(
    pieces: Pieces,
    first_pieces: Sequence[int],
    counts: Sequence[int],
    *,
    budget: int,
    chunk_cost: int,
) -> list[int]:
    """Return the first pieces of chunks again, with those above the budget cut further.

    The tokens of pieces nearly always add up to those of their chunk or a few more, but no
    tokenizer promises it. What adds up to less is planned again with its room made smaller in
    proportion, which gives at least two chunks.
    """
    finer: list[int] = []
    for (first, last), tokens in zip(
        pairwise([*first_pieces, len(pieces.starts)]), counts, strict=True
    ):
        finer.append(first)
        if tokens > budget:
            # One more for each piece, so that pieces counted as nothing weigh something.
            sizes = [size + 1 for size in pieces.counts[first:last]]
            room = max(budget * sum(sizes) // tokens, 1)
            within = [min(size, room) for size in sizes]
            costs = pieces.costs[first:last]
            finer += [first + cut for cut in find_cheapest_cuts(within, costs, room, chunk_cost)]
    return finer
