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
import json
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document

if TYPE_CHECKING:
    from octavo.chunkers._support.packing import Boundaries

__all__ = ["CHUNKER", "Structure", "split"]


class Structure(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    stable: Literal["content", "previous"] = Field(
        "content",
        description="whether borders follow from the text alone, or also from where those of the"
        " version split last were: then an edit changes fewer chunks",
    )


def split(
    document: Document, budget: int, counter: Counter, previous: Boundaries | None = None
) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text, none above `budget` tokens.

    Their token counts are the counter's own of the whole chunk. A document without text has no
    chunks. `previous` are the borders of an earlier version, none for the first; without it the
    boundaries depend on the text only. Raises FitError when one character alone has
    more tokens than the budget.
    """
    text = document.text
    if not text:
        return ()
    # Not at the top: a run whose chunks the journal has needs the options alone.
    from octavo.chunkers._support.packing import pack_pieces, pack_stably  # noqa: PLC0415
    from octavo.chunkers._support.pieces import Pieces  # noqa: PLC0415
    from octavo.chunkers._support.streaming import stream_pieces  # noqa: PLC0415
    from octavo.text.splitting.blocks import find_fences  # noqa: PLC0415
    from octavo.text.splitting.cuts import build_levels  # noqa: PLC0415

    fenced = find_fences(text)
    found = stream_pieces(document, fenced, build_levels(fenced, budget), budget, counter)
    if previous is None:
        return pack_pieces(document, found, budget, counter)
    whole = Pieces([], [], [], [])
    for stretch in found:
        whole.extend(stretch)
    return pack_stably(document, whole, previous, budget, counter)


async def _run(
    document: Document, options: Structure, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if options.stable == "content":
        return await asyncio.to_thread(split, document, options.tokens, counter)
    name = f"borders of structure, {options.tokens} tokens of {counter.name}"
    recorded = work.recall(name) if work else None
    previous: Boundaries = json.loads(recorded) if recorded else []
    chunks = await asyncio.to_thread(split, document, options.tokens, counter, previous)
    if work:
        work.record(name, json.dumps([(c.span.start, c.border) for c in chunks]).encode())
    return chunks


CHUNKER = ChunkerType(
    name="structure",
    about="headings, paragraphs, lists and code, then sentences, then words",
    version=2,
    options=Structure,
    run=_run,
)
