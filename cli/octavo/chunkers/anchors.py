"""Chunks that a model lists by the words that each begins and ends with (MoC).

After the Mixture-of-Chunkers (Zhao et al. 2025, arXiv 2503.09600), in its form without training:
the reply has a tenth of the text instead of all of it. Heads that are copied wrongly are placed by
the fewest changed letters, and whatever the list leaves out stays with the chunk before: nothing is
lost. The paper's router between sizes is the option `words`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from octavo.chunkers._support.model_listed import ListingTask, build_listing_schema, list_chunks
from octavo.errors import UsageError
from octavo.protocols import PromptMark, PromptRef
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["CHUNKER", "Anchors"]


_SCHEMA = build_listing_schema({}, ("head", "tail"))


class Anchors(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    words: int = Field(150, ge=10, description="about how many words a chunk shall have")
    window: int = Field(1000, ge=64, description="tokens of text that one call sees")
    reply: int = Field(1200, ge=64, description="the most tokens of a reply")
    prompt: Annotated[PromptRef, PromptMark("text", "words")] = Field(
        "chunk/anchors", description="the prompt; it sees `text` and `words`"
    )


async def _run(
    document: Document, options: Anchors, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'anchors' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    task = ListingTask(
        work.prompt(options.prompt),
        {"words": options.words},
        _SCHEMA,
        window_tokens=options.window,
        max_tokens=options.reply,
        context_names={},
    )
    return await list_chunks(document, task, options.tokens, work, counter)


CHUNKER = ChunkerType(
    name="anchors",
    about="lists chunks by the words that each begins and ends with (MoC)",
    version=1,
    options=Anchors,
    run=_run,
    asks=lambda _: True,
)
