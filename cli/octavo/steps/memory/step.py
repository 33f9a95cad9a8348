"""Read the notes in order and keep a structured memory, revised piece by piece.

The method is PRISM (Jayalath, Wendt, Monath, Tata, Gunel 2024, arXiv 2412.18914): the model sees
the memory and the next part and replies with revisions only, each checked against its schema
before it is applied; the answer is written from the memory. In the mode `amendments` the memory is
a log that only grows, so the prompts of a document share their beginning byte for byte up to the
log's end; `in_place` shows the whole memory as JSON, the paper's other form, and a server then
computes everything after the first changed value again.

Differences from the paper: schemas are JSON Schema where the paper has Python classes; a log that
takes more than its share of the window is compacted, for which the paper has no rule; an invalid
revision is asked for once more and then left out; a generated schema is a list of typed fields (see
`schemas`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from octavo.errors import CallError, FitError
from octavo.protocols import (
    Answer,
    Asked,
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptMark,
    PromptRef,
    SchemaMark,
    StepType,
    Work,
)
from octavo.steps.memory.log import MemoryLog, MemorySheet
from octavo.steps.memory.revisions import (
    MemoryState,
    RevisionError,
    apply_revision,
    parse_revisions,
)
from octavo.steps.memory.schemas import (
    FIELD_TYPES,
    PROPOSAL_SCHEMA,
    build_memory_schema,
    build_revision_schema,
)
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.span import Span, describe_spans, merge_spans

__all__ = ["STEP", "MemoryOptions"]


_LINE_FACTOR = 1.5
"""The most tokens of a memory's lines for each of a reply, which may leave out spaces and join."""

_RETRY_TOKENS = 300
"""Tokens that the request for a better reply may take beside the reply that it shows."""

_SCHEMA_EXCESS_TOKENS = 400
"""Tokens by which the schema of a proposal's fields may exceed the proposal."""

_SCHEMA_OF_ALL_TYPES = build_memory_schema(
    {"fields": [{"name": t, "type": t, "about": ""} for t in FIELD_TYPES]}
)


class MemoryOptions(Options):
    """What to remember, and how."""

    prompt: PromptRef = Field(
        description="The prompt for each part; it sees `memory`, `schema`, `text` and `headings`."
    )
    answer: Annotated[PromptRef | None, PromptMark("memory", "schema")] = Field(
        default=None,
        description="The prompt for the answer; it sees `memory` and `schema`. Without it the"
        " memory is the result.",
    )
    schema_: Annotated[str, SchemaMark("generate", notes=False)] = Field(
        alias="schema",
        description="The JSON Schema of the memory, or `generate` to have one proposed.",
    )
    propose: Annotated[PromptRef | None, PromptMark("types")] = Field(
        default=None,
        description="The prompt that proposes the schema's fields; it sees `types`, by name.",
    )
    mode: Literal["amendments", "in_place"] = Field(
        default="amendments",
        description="Whether prompts show a log that only grows, or the whole memory each time.",
    )
    updates: bool = Field(
        default=True, description="Whether a revision may replace what is there, or only add."
    )
    tokens: int = Field(default=400, ge=1, description="The most tokens of a part's revisions.")
    answer_tokens: int = Field(default=600, ge=1, description="The most tokens of the answer.")
    schema_tokens: int = Field(
        default=600, ge=1, description="The most tokens of a proposal for the schema."
    )
    log_tokens: int = Field(
        default=8000,
        ge=64,
        description="The most tokens of memory in a prompt; a longer log is compacted.",
    )
    log_share: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="The same as a share of the model's window; the smaller of the two counts.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail",
        description="Whether a part whose call failed ends the document or is left out.",
    )
    empty: str | None = Field(
        default=None, description="The result when nothing was remembered, without asking."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.schema_ == "generate" and self.propose is None:
            raise ValueError("`schema: generate` needs a `propose` prompt")
        return self


@dataclass(frozen=True, slots=True)
class _MemoryReader:
    """What stays the same while a document is read."""

    options: MemoryOptions
    work: Work
    schema: JsonSchema
    reply_schema: JsonSchema

    def apply_revisions(
        self, memory: MemoryLog | MemorySheet, answer: Answer, node: str
    ) -> MemoryLog | MemorySheet:
        """Return the memory with a reply's revisions; invalid ones are reported and left out."""
        if answer.predicted is Prediction.SHORT or isinstance(answer.value, str):
            return memory
        if answer.predicted is Prediction.LONG:
            return memory.pad(math.ceil(_LINE_FACTOR * self.options.tokens))
        left_out: list[str] = []
        revisions = parse_revisions(answer.value["revisions"])
        for revision in revisions:
            try:
                state, applied = apply_revision(memory.state, revision, self.schema)
            except RevisionError as error:
                left_out.append(str(error))
                continue
            if not applied:
                continue
            if (updated := memory.with_revisions(state, applied)) is None:
                left_out.append(
                    f"the memory is full at {memory.max_tokens} tokens; raise `log_tokens`"
                )
                continue
            memory = updated
        if left_out:
            self.work.notice(
                f"{node} of step {self.work.step!r}: {len(left_out)} of {len(revisions)} revisions"
                f" left out: {left_out[0]}"
            )
        return memory


async def run(
    slots: Sequence[PendingNote], options: MemoryOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the answer."""
    if not slots:
        return slots
    max_tokens = options.log_tokens
    if work.window is not None:
        max_tokens = min(max_tokens, int(work.window * options.log_share))
    _ensure_prompts_fit(slots, options, max_tokens, work)
    bound = options.answer_tokens if options.answer else max_tokens
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=bound,
            note=work.start(_read_parts(slots, options, max_tokens, work)),
            boundary_hash=slots[0].boundary_hash,
        )
    ]


def _ensure_prompts_fit(
    slots: Sequence[PendingNote], options: MemoryOptions, max_tokens: int, work: Work
) -> None:
    """Raise FitError unless the largest part fits beside a full memory and a second attempt."""
    written, schema, schema_allowance = "", _SCHEMA_OF_ALL_TYPES, 0
    if options.schema_ == "generate":
        schema_allowance = options.schema_tokens + _SCHEMA_EXCESS_TOKENS
        if options.propose is not None:
            work.room(work.prompt(options.propose), {"types": FIELD_TYPES}, options.schema_tokens)
    else:
        schema = work.schema(options.schema_)
        written = _dump_schema(schema)
    memory = {"memory": MemoryLog(max_tokens, work.counter.count).text, "schema": written}
    largest = max(slot.max_tokens for slot in slots)
    beside = max_tokens + schema_allowance
    prompt = work.prompt(options.prompt)
    variables = {"text": "", "headings": (), **memory}
    reply = build_revision_schema(schema, updates=options.updates)
    room = work.room(prompt, variables, options.tokens, reply)
    retry_tokens = options.tokens + _RETRY_TOKENS
    _ensure_room(
        largest + beside + retry_tokens,
        room,
        f"a part of {largest:,} tokens",
        prompt,
        max_tokens,
        work=work,
    )
    if options.answer is not None:
        final = work.prompt(options.answer)
        room = work.room(final, memory, options.answer_tokens)
        _ensure_room(beside, room, "the answer", final, max_tokens, work=work)


def _ensure_room(
    need: int, room: int | None, what: str, prompt: PromptLike, max_tokens: int, *, work: Work
) -> None:
    if room is not None and need > room:
        raise FitError(
            f"step {work.step!r}: {what} beside a memory of up to {max_tokens:,} tokens takes"
            f" {need:,}, but prompt {prompt.name!r} and its reply leave {room:,} of the window's"
            f" {work.window:,}",
            hint="lower `log_tokens`, split into smaller parts, or use a larger window",
        )


async def _read_parts(
    slots: Sequence[PendingNote], options: MemoryOptions, max_tokens: int, work: Work
) -> Note | None:
    asked, schema = await _resolve_schema(len(slots), options, work)
    reader = _MemoryReader(
        options, work, schema, build_revision_schema(schema, updates=options.updates)
    )
    memory_class = MemoryLog if options.mode == "amendments" else MemorySheet
    memory: MemoryLog | MemorySheet = memory_class(max_tokens, work.counter.count)
    spans: list[Span] = []
    predicted: Prediction | None = None
    for position, slot in enumerate(slots):
        note = await slot.note
        if note is None:
            continue
        levels = work.after + len(slots) - position
        node = describe_spans(slot.spans)
        asked = _ask_revisions(note, slot, memory, reader, node, levels=levels, before=asked)
        try:
            answer = await asked.reply
        except CallError as error:
            if options.on_error == "fail":
                raise
            work.skip(slot, error)
            continue
        updated = reader.apply_revisions(memory, answer, node)
        if updated is not memory or answer.predicted:
            spans += note.spans
        memory = updated
        predicted = answer.predicted or predicted
    return await _write_answer(
        memory, Note("", merge_spans(spans), predicted=predicted), reader, asked
    )


def _ask_revisions(
    note: Note,
    slot: PendingNote,
    memory: MemoryLog | MemorySheet,
    reader: _MemoryReader,
    node: str,
    *,
    levels: int,
    before: Asked | None,
) -> Asked:
    options, work = reader.options, reader.work
    return work.ask(
        work.prompt(options.prompt),
        {
            "text": note.value,
            "headings": slot.headings,
            "memory": memory.text,
            "schema": _dump_schema(reader.schema),
        },
        tokens=options.tokens,
        schema=reader.reply_schema,
        node=node,
        levels=levels,
        prefix=before,
        check=partial(_find_faults, memory.state, reader.schema),
    )


async def _write_answer(
    memory: MemoryLog | MemorySheet, read_so_far: Note, reader: _MemoryReader, before: Asked | None
) -> Note:
    options, work = reader.options, reader.work
    spans, predicted = read_so_far.spans, read_so_far.predicted
    nothing = not memory.state and predicted is not Prediction.LONG
    if nothing and options.empty is not None:
        return Note(options.empty, predicted=predicted)
    if options.answer is None:
        return Note(memory.state, spans, predicted=predicted)
    if predicted is not Prediction.LONG:
        # Another prompt shares no beginning with those of the parts, so the log may as well be
        # short.
        memory = memory.compact()
    answer = await work.ask(
        work.prompt(options.answer),
        {"memory": memory.text, "schema": _dump_schema(reader.schema)},
        tokens=options.answer_tokens,
        node="the answer from the memory",
        levels=work.after,
        prefix=before,
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


async def _resolve_schema(
    count: int, options: MemoryOptions, work: Work
) -> tuple[Asked | None, JsonSchema]:
    """Return the memory's schema, and the call that proposed it."""
    if options.schema_ != "generate" or options.propose is None:
        return None, work.schema(options.schema_)
    asked = work.ask(
        work.prompt(options.propose),
        {"types": FIELD_TYPES},
        tokens=options.schema_tokens,
        schema=PROPOSAL_SCHEMA,
        node="the memory's schema",
        levels=work.after + count + 1,
    )
    answer = await asked.reply
    assert not isinstance(answer.value, str)
    return asked, build_memory_schema(answer.value)


def _find_faults(state: MemoryState, schema: JsonSchema, record: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the revisions of a reply, applied one after the other."""
    faults: list[str] = []
    for revision in parse_revisions(record["revisions"]):
        try:
            state, _ = apply_revision(state, revision, schema)
        except RevisionError as error:
            faults.append(str(error))
    return faults


def _dump_schema(schema: JsonSchema) -> str:
    return json.dumps(schema, ensure_ascii=False)


STEP = StepType(
    name="memory",
    about="Read the notes in order and keep a structured memory.",
    options=MemoryOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "memory", "schema"}),
)
