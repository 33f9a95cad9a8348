"""Chunks by the questions that a text answers, reviewed for what they lack (QChunker).

After QChunker (2026, arXiv 2603.11650): the model first writes the questions that the text answers
one after another, then lists a chunk for each; every chunk is reviewed for whether it can be
understood by itself, and what it lacks is added from the text around it. Question and
completion are context of the chunk, as `context.question` and `context.completion`, and not part
of its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from octavo.chunkers._support.model_boundaries import await_proposal
from octavo.chunkers._support.model_listed import (
    MAX_CHUNKS,
    ListingTask,
    build_listing_schema,
    list_chunks,
)
from octavo.chunkers.structure import split
from octavo.errors import UsageError
from octavo.protocols import JsonSchema, PromptLike, PromptMark, PromptRef
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span

__all__ = ["CHUNKER", "Questions"]


_SCHEMA = build_listing_schema(
    {"questions": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_CHUNKS}},
    ("question", "head", "tail"),
)
_REVIEW_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "complete": {"type": "boolean"},
        "facts": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
    },
    "required": ["complete", "facts"],
    "additionalProperties": False,
}


class Questions(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    window: int = Field(2000, ge=64, description="tokens of text that one call sees")
    reply: int = Field(2000, ge=64, description="the most tokens of a reply")
    prompt: Annotated[PromptRef, PromptMark("text")] = Field(
        "chunk/questions", description="the prompt; it sees `text`"
    )
    review: Annotated[PromptRef | None, PromptMark("text", "chunk")] = Field(
        "chunk/review",
        description="the prompt of the review; it sees `chunk` and the `text` around it; null"
        " reviews nothing",
    )
    review_tokens: int = Field(400, ge=16, description="the most tokens of a review")


async def _run(
    document: Document, options: Questions, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'questions' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    task = ListingTask(
        work.prompt(options.prompt),
        {},
        _SCHEMA,
        window_tokens=options.window,
        max_tokens=options.reply,
        context_names={"question": "question"},
    )
    chunks = await list_chunks(document, task, options.tokens, work, counter)
    if options.review is None:
        return chunks
    reviewer = _ChunkReviewer(work.prompt(options.review), options.review_tokens, document, work)
    windows = [chunk.span for chunk in split(document, options.window, counter)]
    reviews = [work.start(reviewer.review(chunk, windows)) for chunk in chunks]
    return tuple([await each for each in reviews])


@dataclass(frozen=True, slots=True)
class _ChunkReviewer:
    """Asks what chunks lack; a reply has at most `tokens`."""

    prompt: PromptLike
    tokens: int
    document: Document
    work: Work

    async def review(self, chunk: Chunk, windows: Sequence[Span]) -> Chunk:
        """Return a chunk with what it lacks of the window that it begins in."""
        start, end = chunk.span
        window = next(span for span in windows if span.end > start)
        if window.start >= start and window.end <= end:
            return chunk  # nothing stands around it
        call = self.work.ask(
            self.prompt,
            {"text": self.document.slice(window), "chunk": self.document.slice(chunk.span)},
            tokens=self.tokens,
            schema=_REVIEW_SCHEMA,
            node=f"review of characters {start} to {end}",
            levels=self.work.after,
        )
        fallback = f"what characters {start} to {end} lack is not known"
        answer = await await_proposal(call, self.work, fallback=fallback)
        if answer is None or answer.predicted is not None or isinstance(answer.value, str):
            return chunk
        return replace(chunk, context=(*chunk.context, *_build_completion(answer.value)))


def _build_completion(review: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    facts = [" ".join(fact.split()) for fact in review["facts"]]
    if review["complete"] or not any(facts):
        return ()
    return (("completion", "\n".join(fact for fact in facts if fact)),)


CHUNKER = ChunkerType(
    name="questions",
    about="lists a chunk for each question that the text answers, and what it lacks (QChunker)",
    version=1,
    options=Questions,
    run=_run,
    asks=lambda _: True,
)
