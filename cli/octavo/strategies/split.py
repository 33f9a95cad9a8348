"""Split a document into chunks."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict, Field

from octavo.protocols import ChunkerRef, ContextOptions, Kind, Options, StepType, Work
from octavo.text.chunk import Chunk
from octavo.text.note import Note, Slot
from octavo.text.ready import ready

__all__ = ["STEP", "SplitOptions"]


class SplitOptions(Options):
    """How to split: the chunker, and its own options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    by: ChunkerRef = Field(default="structure", description="The chunker.")
    tokens: int = Field(default=2000, ge=16, description="The most tokens of a chunk.")
    context: ContextOptions | None = Field(
        default=None, description="What prompts may show beside a chunk, as `context`."
    )


async def run(slots: Sequence[Slot], options: SplitOptions, work: Work) -> Sequence[Slot]:
    """Return a slot for each chunk; its note is the chunk's text."""
    del slots
    own = options.model_dump(exclude={"by", "context"})
    return [
        Slot(
            spans=(chunk.span,),
            bound=chunk.tokens,
            note=ready(Note(work.document.slice(chunk.span), (chunk.span,))),
            border=chunk.border,
            headings=chunk.headings,
            context=chunk.context,
            beside=_beside(chunk, options.context, work),
        )
        for chunk in await work.chunks(options.by, own, options.context)
    ]


def _beside(chunk: Chunk, context: ContextOptions | None, work: Work) -> int:
    """Return the most tokens of what stands beside a chunk."""
    around = {"overlap", "before", "after"} if context else ()
    # What many chunks share is counted once; the rest is bounded by the options.
    shared = sum(work.counter.count(text) for name, text in chunk.context if name not in around)
    return shared + (context.overlap + context.before + context.after if context else 0)


STEP = StepType(
    name="split",
    about="Split the document into chunks.",
    options=SplitOptions,
    takes=frozenset({Kind.DOCUMENT}),
    gives=Kind.CHUNKS,
    run=run,
)
