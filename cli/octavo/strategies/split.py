"""Split a document into chunks."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict, Field

from octavo.protocols import ChunkerRef, Kind, Options, StepType, Work
from octavo.text.note import Note, Slot
from octavo.text.ready import ready

__all__ = ["STEP", "SplitOptions"]


class SplitOptions(Options):
    """How to split: the chunker, and its own options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    by: ChunkerRef = Field(default="structure", description="The chunker.")
    tokens: int = Field(default=2000, ge=16, description="The most tokens of a chunk.")


async def run(slots: Sequence[Slot], options: SplitOptions, work: Work) -> Sequence[Slot]:
    """Return a slot for each chunk; its note is the chunk's text."""
    del slots
    own = options.model_dump(exclude={"by"})
    return [
        Slot(
            spans=(chunk.span,),
            bound=chunk.tokens,
            note=ready(Note(work.document.slice(chunk.span), (chunk.span,))),
            border=chunk.border,
            headings=chunk.headings,
        )
        for chunk in await work.chunks(options.by, own)
    ]


STEP = StepType(
    name="split",
    about="Split the document into chunks.",
    options=SplitOptions,
    takes=frozenset({Kind.DOCUMENT}),
    gives=Kind.CHUNKS,
    run=run,
)
