"""Split a document into chunks."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from pydantic import ConfigDict, Field

from octavo.errors import CallError, FitError, ReplyError
from octavo.protocols import (
    Asked,
    ChunkerRef,
    ContextOptions,
    Kind,
    Options,
    PromptMark,
    PromptRef,
    StepType,
    Work,
)
from octavo.steps._support.window import FENCE_TOKENS
from octavo.text.chunk import Chunk
from octavo.text.note import Note, PendingNote, to_awaitable
from octavo.text.span import Span, describe_spans

__all__ = ["STEP", "SplitOptions"]


class SplitOptions(Options):
    """How to split: the chunker, and its own options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    by: ChunkerRef = Field(default="structure", description="The chunker.")
    tokens: int = Field(default=2000, ge=16, description="The most tokens of a chunk.")
    context: ContextOptions | None = Field(
        default=None, description="What prompts may show beside a chunk, as `context`."
    )
    situate: Annotated[PromptRef | None, PromptMark("document", "text")] = Field(
        default=None,
        description="A prompt that says where a chunk stands in the document, for"
        " `context.situation`: one call for each chunk.",
    )
    situate_tokens: int = Field(default=120, ge=1, description="The most tokens of that.")


async def run(
    slots: Sequence[PendingNote], options: SplitOptions, work: Work
) -> Sequence[PendingNote]:
    """Return a slot for each chunk; its note is the chunk's text.

    A chunk that is situated by the model is there when its own situating note is. Raises FitError
    when the document does not fit the prompt for that.
    """
    del slots
    own = options.model_dump(exclude={"by", "context", "situate", "situate_tokens"})
    chunks = await work.chunks(options.by, own, options.context)
    situating = _ChunkSituator(options, work) if options.situate and len(chunks) > 1 else None
    if situating:
        situating.ensure_fits_window(chunks)
    return [
        PendingNote(
            spans=(chunk.span,),
            max_tokens=chunk.tokens,
            note=situating.start_note(chunk)
            if situating
            else to_awaitable(_build_note(chunk, work)),
            boundary_hash=chunk.border,
            headings=chunk.headings,
            context=chunk.context,
            context_tokens=_count_context_tokens(chunk, options.context, work)
            + (options.situate_tokens if situating else 0),
        )
        for chunk in chunks
    ]


def _build_note(chunk: Chunk, work: Work) -> Note:
    return Note(work.document.slice(chunk.span), (chunk.span,))


class _ChunkSituator:
    """Asks of each chunk where it stands in the document.

    The document comes first in the prompt, so the calls share all but their ends: the others wait
    until the first has started, when a server with a prefix cache has the document.
    """

    def __init__(self, options: SplitOptions, work: Work) -> None:
        assert options.situate is not None
        self._prompt = work.prompt(options.situate)
        self._tokens = options.situate_tokens
        self._work = work
        self._document = work.document.slice(Span(0, len(work.document.text)))
        self._first: Asked | None = None

    def ensure_fits_window(self, chunks: Sequence[Chunk]) -> None:
        """Raise FitError when the document and the largest chunk do not fit the prompt."""
        work = self._work
        room = work.room(self._prompt, {"document": self._document, "text": ""}, self._tokens)
        largest = max(chunk.tokens for chunk in chunks)
        if room is not None and largest + FENCE_TOKENS > room:
            raise FitError(
                f"step {work.step!r}: the document leaves {room:,} tokens of the window beside it,"
                f" and a chunk to be situated in it has {largest:,}",
                hint="leave `situate` out, or use a model with a larger window",
            )

    def start_note(self, chunk: Chunk) -> Awaitable[Note]:
        """Return the chunk's note under way, with its situation beside it."""
        return self._work.start(self._situate(chunk))

    async def _situate(self, chunk: Chunk) -> Note:
        note = _build_note(chunk, self._work)
        first = self._first
        if first is not None:
            with suppress(CallError):
                await first.started
        where = describe_spans((chunk.span,))
        asked = self._work.ask(
            self._prompt,
            {"document": self._document, "text": note.value},
            tokens=self._tokens,
            node=f"situation of {where}",
            levels=self._work.after,
            prefix=first,
        )
        self._first = first or asked
        try:
            answer = await asked.reply
        except ReplyError as error:
            self._work.notice(f"{error}; {where} have no situation")
            return note
        return replace(note, context=(("situation", str(answer.value)),))


def _count_context_tokens(chunk: Chunk, context: ContextOptions | None, work: Work) -> int:
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
