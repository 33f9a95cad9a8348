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

from pydantic import Field

from octavo.chunkers.cut import levels
from octavo.chunkers.packing import pack
from octavo.chunkers.piece import pieces
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options, Work
from octavo.protocols.tokens import Counter
from octavo.text.block import blocks
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["CHUNKER", "Structure", "split"]


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
    ways = levels(blocks(text, document.outline), budget)
    return pack(document, pieces(text, ways, budget, counter), budget, counter)


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
