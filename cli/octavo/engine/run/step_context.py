"""What one step of one document may use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from octavo.engine.calls.ask import Asker
from octavo.engine.calls.critical_path import TrackedAwaitable
from octavo.engine.calls.json_record import with_schema
from octavo.engine.report import NoteWatch, PlanWatch
from octavo.engine.run.chunk_context import add_context, build_document_context
from octavo.engine.run.run_context import RunContext
from octavo.errors import CallError, FitError, UsageError
from octavo.pipeline.spec import Pipeline
from octavo.protocols import (
    Capabilities,
    ContextOptions,
    Counter,
    JsonSchema,
    PromptLike,
    PromptText,
)
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.finding import Finding
from octavo.text.note import Note, PendingNote
from octavo.text.span import Span

__all__ = ["StepContext"]


Given = TypeVar("Given")

_TABLE_VERSION = 2
"""The form of chunk tables in the journal."""


@dataclass(slots=True, eq=False, repr=False)
class StepContext:
    """See protocols.Work."""

    engine: RunContext
    pipeline: Pipeline
    document: Document
    step: str
    params: Mapping[str, object]
    ask: Asker
    group: asyncio.TaskGroup
    position: int
    step_depths: list[int]
    missing: list[Span]
    findings: list[Finding]
    sent_notices: set[str]
    earlier: Mapping[str, Sequence[PendingNote]]

    @property
    def counter(self) -> Counter:
        """The tokenizer named in the plan, with the journal's memory."""
        return self.engine.counts

    @property
    def window(self) -> int | None:
        """Tokens of prompt and reply together, or None when unknown."""
        return self.engine.window

    @property
    def known(self) -> Capabilities:
        """What is known of what the backend can do."""
        return self.engine.known

    @property
    def after(self) -> int:
        """How many calls, one after the other, the later steps put before the result."""
        return sum(self.step_depths[self.position + 1 :])

    def follow(self, calls: int) -> None:
        """Say how many calls of this step wait for one another."""
        self.step_depths[self.position] = calls

    def prompt(self, reference: str | PromptText) -> PromptLike:
        """Return a prompt that the pipeline names or holds."""
        return self.pipeline.get_prompt(reference)

    def schema(self, reference: str) -> JsonSchema:
        """Return a JSON Schema that the pipeline names."""
        return self.pipeline.get_schema(reference)

    def start(self, note: Coroutine[Any, Any, Given], /) -> Awaitable[Given]:
        """Run a coroutine in the document's task group."""
        context = copy_context()
        return TrackedAwaitable(self.group.create_task(note, context=context), context)

    def skip(self, slot: PendingNote, error: CallError) -> None:
        """Record that a slot's part of the document is missing from the result, and why."""
        self.missing.extend(slot.spans)
        self.ask.recorder.count_skipped()
        self.engine.watch.notice(f"{self.document.source}: left out: {error.message}")

    def find(self, finding: Finding) -> None:
        """Report something that is wrong at a place of the document."""
        self.findings.append(finding)

    def notice(self, message: str) -> None:
        """Say one line about the document that the user should see on standard error."""
        if message not in self.sent_notices:
            self.sent_notices.add(message)
            self.engine.watch.notice(f"{self.document.source}: {message}")

    def explain(self, message: str) -> None:
        """Say one line about what the step will do to whoever plans."""
        if isinstance(self.engine.watch, PlanWatch):
            self.engine.watch.explained(f"{self.document.source}: {message}")

    def tell(self, note: Note) -> None:
        """Show a note to whoever watches the run; one that a plan made up is not shown."""
        watch = self.engine.watch
        if note.predicted is None and isinstance(watch, NoteWatch):
            watch.note(self.document.source, self.step, note)

    def room(
        self,
        prompt: PromptLike,
        variables: Mapping[str, object],
        tokens: int,
        schema: JsonSchema | None = None,
    ) -> int | None:
        """Return how many tokens may still be put into a prompt; see protocols.Work."""
        if self.window is None:
            return None
        rendered = prompt.render({**self.params, **variables})
        if schema is not None:
            rendered = with_schema(rendered, schema)
        fixed = self.engine.counts.count_prompt(rendered)
        room = self.window - fixed - tokens
        if room <= 0:
            raise FitError(
                f"step {self.step!r}: prompt {prompt.name!r} takes {fixed:,} tokens before any"
                f" text and its reply up to {tokens:,}; the window has {self.window:,}",
                hint="lower the step's `tokens`, or use a model with a larger window",
            )
        return room

    def given(self, step: str) -> Sequence[PendingNote]:
        """Return what an earlier step gave, by its name."""
        return self.earlier[step]

    def recall(self, name: str) -> bytes | None:
        """Return what was recorded under a name when this source was read last, or None."""
        return self.engine.journal.find_table(self._build_record_key(name))

    def record(self, name: str, data: bytes) -> None:
        """Keep something about this source, in place of what was recorded before."""
        self.engine.journal.keep_table(self._build_record_key(name), data, anew=True)

    def _build_record_key(self, name: str) -> bytes:
        return hashlib.sha256(f"record\0{self.document.source}\0{name}".encode()).digest()

    async def chunks(
        self, by: str, options: Mapping[str, object], context: ContextOptions | None = None
    ) -> tuple[Chunk, ...]:
        """Return the document's chunks by a named chunker, from the journal when it has them."""
        chunker = self.engine.registry.get_chunker(by)
        checked = chunker.options.model_validate(options)
        name = orjson.dumps(
            [
                _TABLE_VERSION,
                chunker.name,
                chunker.version,
                checked.model_dump(mode="json"),
                self.engine.counter.name,
                self.document.hash,
                [[h.level, h.title, *h.span] for h in self.document.outline],
                context
                and [
                    context.model_dump(mode="json"),
                    build_document_context(self.document, context),
                ],
            ],
            option=orjson.OPT_SORT_KEYS,
        )
        key = hashlib.sha256(name).digest()
        asks = chunker.asks(checked)
        if not asks and (table := self.engine.journal.find_table(key)) is not None:
            return tuple(
                Chunk(Span(start, end), tokens, tuple(headings), border, tuple(map(tuple, context)))
                for start, end, tokens, headings, border, context in orjson.loads(table)
            )
        chunks = await chunker.run(self.document, checked, self.engine.counter, self)
        if "".join(self.document.slice(chunk.span) for chunk in chunks) != self.document.text:
            raise UsageError(f"the chunker {by!r} lost or repeated text of {self.document.source}")
        if context is not None:
            chunks = add_context(self.document, chunks, context, self.engine.counter)
        if not asks:
            rows = [[*c.span, c.tokens, list(c.headings), c.border, c.context] for c in chunks]
            self.engine.journal.keep_table(key, orjson.dumps(rows))
        return chunks
