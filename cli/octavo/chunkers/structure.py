"""Chunks that follow the structure of a text, with borders that survive edits elsewhere.

The text is taken as pieces: blocks between blank lines and at headings, and parts of those blocks
that are too large. Which borders between pieces become borders of chunks is one cheapest path
over the whole text: each chunk costs something, each border costs by its kind and by a hash of the
characters around it, and the only hard limit is the budget. Nothing depends on where the text
starts or on an index, so after an edit the paths before and after meet again within a few chunks.

Measured against rules that choose border after border: the least number of chunks changed by an
edit at the same fill (content-defined chunking: Muthitacharoen, Chen, Mazieres, 2001; here with
the choice made by a path instead of a threshold).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import accumulate, pairwise

from pydantic import Field

from octavo.chunkers.piece import pieces
from octavo.chunkers.tally import Tally
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options, Work
from octavo.protocols.tokens import Counter
from octavo.text.block import blocks
from octavo.text.border import UNIT, borders
from octavo.text.chunk import Chunk
from octavo.text.document import Document, heading_paths
from octavo.text.path import cheapest
from octavo.text.span import Span

__all__ = ["CHUNKER", "Structure", "split"]

_CHUNK = UNIT * 3 // 8
"""What each chunk costs. More gives fuller chunks and lets an edit change more of them."""


class Structure(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")


def split(document: Document, budget: int, counter: Counter) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text, none above `budget` tokens.

    Their token counts are the counter's own of the whole chunk. A document without text has no
    chunks. Raises FitError when one character alone has more tokens than the budget.
    """
    text = document.text
    if not text:
        return ()
    parts = pieces(text, blocks(text, document.outline), budget, counter)
    tally = Tally(text, parts, counter)
    firsts = [0, *cheapest(tally.sums, parts.costs, room=budget, each=_CHUNK)]
    ends = [*firsts[1:], len(parts.starts)]
    counts = tally.count(zip(firsts, ends, strict=True))
    while max(counts) > budget:
        firsts = _recut(tally.sums, parts.costs, firsts, counts, budget)
        ends = [*firsts[1:], len(parts.starts)]
        counts = tally.count(zip(firsts, ends, strict=True))
    starts = [parts.starts[first] for first in firsts]
    spans = map(Span, starts, [*starts[1:], len(text)])
    paths = heading_paths(document.outline, starts)
    return tuple(map(Chunk, spans, counts, paths, borders(text, starts)))


def _recut(
    sums: Sequence[int],
    costs: Sequence[int],
    firsts: Sequence[int],
    counts: Sequence[int],
    budget: int,
) -> list[int]:
    """Return the first pieces of chunks again, with those above the budget cut further.

    The tokens of pieces nearly always add up to those of their chunk or a few more, but no
    tokenizer promises it. What adds up to less is planned again with its room made smaller in
    proportion, which gives at least two chunks.
    """
    finer: list[int] = []
    for (first, last), tokens in zip(pairwise([*firsts, len(costs)]), counts, strict=True):
        finer.append(first)
        if tokens > budget:
            # One more for each piece, so that pieces counted as nothing weigh something.
            sizes = [after - before + 1 for before, after in pairwise(sums[first : last + 1])]
            room = max(budget * sum(sizes) // tokens, 1)
            within = list(accumulate((min(size, room) for size in sizes), initial=0))
            finer += [
                first + cut for cut in cheapest(within, costs[first:last], room=room, each=_CHUNK)
            ]
    return finer


async def _run(
    document: Document, options: Structure, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options.tokens, counter)


CHUNKER = ChunkerType(
    name="structure",
    about="headings, paragraphs, lists and code, then sentences, then words",
    version=2,
    options=Structure,
    run=_run,
)
