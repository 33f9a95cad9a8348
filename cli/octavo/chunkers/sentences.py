"""Chunks that end where sentences do, and rather where paragraphs do.

Which ends of sentences become borders is the cheapest path that `structure` takes too, so that an
edit changes few chunks.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Literal

from pydantic import Field

from octavo.chunkers._support.packing import chunk_pieces, pack_pieces
from octavo.chunkers._support.pieces import count_pieces, cut_pieces, refine_pieces
from octavo.chunkers._support.sentence_splitters import find_sentence_starts
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.splitting.cuts import CutLevel, build_fine_levels, select_cuts
from octavo.text.splitting.grouping import group_neighbours
from octavo.text.splitting.kernel import hash_boundaries
from octavo.text.splitting.loops import UNIT

__all__ = ["CHUNKER", "Sentences", "split"]


_INNER_COST = UNIT // 2
"""What a border inside a paragraph costs."""


class Sentences(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    sentences: int | None = Field(
        None, ge=1, description="the most sentences of a chunk; 1 gives each a chunk of its own"
    )
    splitter: Literal["nupunkt", "sat", "rules"] = Field(
        "nupunkt", description="what finds the sentences"
    )
    model: str = Field("sat-3l-sm", description="the model of `splitter: sat`, or its directory")


def split(document: Document, options: Sentences, counter: Counter) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text and end at sentences.

    A sentence above the budget is cut at clauses, then words, then characters. Raises UsageError
    when the splitter is not installed, FitError when one character alone has more tokens than the
    budget.
    """
    text, budget = document.text, options.tokens
    if not text:
        return ()
    places = find_sentence_starts(text, options.splitter, options.model)
    prices = [0 if text[place - 1] in "\r\n" else _INNER_COST for place in places]
    if options.sentences is None:
        ways = (CutLevel(partial(select_cuts, places, prices), 0), *build_fine_levels(budget))
        return pack_pieces(document, [cut_pieces(text, ways, budget, counter)], budget, counter)
    sentences = count_pieces(text, places, prices, counter)
    pieces = refine_pieces(text, sentences, build_fine_levels(budget), budget, counter)
    groups = group_neighbours(
        hash_boundaries(text, pieces.starts),
        pieces.counts,
        max_items=options.sentences,
        min_items=max(options.sentences // 2, 1),
        max_tokens=budget,
    )
    first_pieces = [group.start for group in groups]
    return chunk_pieces(document, pieces, first_pieces, budget, counter)


async def _run(
    document: Document, options: Sentences, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options, counter)


CHUNKER = ChunkerType(
    name="sentences",
    about="whole sentences, rather to the ends of paragraphs",
    version=1,
    options=Sentences,
    run=_run,
)
