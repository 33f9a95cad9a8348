"""Chunks by an outline that a model writes first, each with its topic and core (MoM).

After MoM (MemTensor 2025): the model first outlines the text as an expert of its field would, then
lists a chunk for each item with what it says at its core. Topic and core are context of the
chunk, as `context.topic` and `context.core`, and not part of its text. Outline and chunks are one
reply, so a text is read once.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from octavo.chunkers._support.model_listed import (
    MAX_CHUNKS,
    ListingTask,
    build_listing_schema,
    list_chunks,
)
from octavo.errors import UsageError
from octavo.protocols import PromptMark, PromptRef
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["CHUNKER", "Outline"]


_SCHEMA = build_listing_schema(
    {"outline": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_CHUNKS}},
    ("title", "core", "head", "tail"),
)


class Outline(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    window: int = Field(2000, ge=64, description="tokens of text that one call sees")
    reply: int = Field(2000, ge=64, description="the most tokens of a reply")
    prompt: Annotated[PromptRef, PromptMark("text")] = Field(
        "chunk/outline", description="the prompt; it sees `text`"
    )


async def _run(
    document: Document, options: Outline, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'outline' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    task = ListingTask(
        work.prompt(options.prompt),
        {},
        _SCHEMA,
        window_tokens=options.window,
        max_tokens=options.reply,
        context_names={"title": "topic", "core": "core"},
    )
    return await list_chunks(document, task, options.tokens, work, counter)


CHUNKER = ChunkerType(
    name="outline",
    about="outlines the text first and lists a chunk for each item, with its core (MoM)",
    version=1,
    options=Outline,
    run=_run,
    asks=lambda _: True,
)
