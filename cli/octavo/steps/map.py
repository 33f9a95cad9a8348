"""Ask one question of every chunk or note, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from octavo.errors import CallError, FitError
from octavo.protocols import (
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptMark,
    PromptRef,
    SchemaRef,
    StepType,
    Work,
    named,
)
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.text.note import Note, PendingNote
from octavo.text.span import describe_spans

if TYPE_CHECKING:
    from octavo.steps._support.refining import NoteRefiner

__all__ = ["STEP", "MapOptions"]


class MapOptions(Options):
    """What to ask of each chunk or note."""

    prompt: PromptRef = Field(
        description="The prompt; it sees `text`, `headings`, `context` and `words`."
    )
    tokens: int = Field(default=600, ge=1, description="The most tokens of a reply.")
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    schema_: SchemaRef | None = Field(
        default=None, alias="schema", description="The JSON Schema that each reply must fit."
    )
    refine: int = Field(
        default=0, ge=0, description="The most rounds in which a note is checked and improved."
    )
    check: Annotated[PromptRef | None, PromptMark("text", "headings", "note", "words")] = Field(
        default=None, description="The prompt of such a round; it also sees `note`."
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.refine and self.check is None:
            raise ValueError("`refine` needs a prompt `check`")
        return self


class _MapPrompts(NamedTuple):
    """The prompt, the schema of its replies where they are records, and how they are checked."""

    prompt: PromptLike
    schema: JsonSchema | None
    refiner: NoteRefiner | None


async def run(
    slots: Sequence[PendingNote], options: MapOptions, work: Work
) -> Sequence[PendingNote]:
    """Return a slot for each of `slots`; each call starts when its own input is there."""
    question = _build_prompts(options, work)
    work.follow(1 + options.refine)
    empty = {"text": "", "headings": (), "context": named(()), "words": options.words}
    shown = [replace(slot, max_tokens=slot.max_tokens + slot.context_tokens) for slot in slots]
    ensure_fits_window(work, question.prompt, empty, options.tokens, shown, schema=question.schema)
    _ensure_checks_fit(shown, question, empty, work)
    return [
        replace(
            slot, max_tokens=options.tokens, note=work.start(_ask(slot, question, options, work))
        )
        for slot in slots
    ]


def _build_prompts(options: MapOptions, work: Work) -> _MapPrompts:
    schema = work.schema(options.schema_) if options.schema_ else None
    refining = None
    if options.check is not None and options.refine:
        from octavo.steps._support.refining import NoteRefiner  # noqa: PLC0415 - rarely wanted

        check = work.prompt(options.check)
        refining = NoteRefiner(check, options.refine, options.tokens, options.words, schema)
    return _MapPrompts(work.prompt(options.prompt), schema, refining)


def _ensure_checks_fit(
    slots: Sequence[PendingNote], question: _MapPrompts, empty: Mapping[str, object], work: Work
) -> None:
    if question.refiner is None:
        return
    room = question.refiner.compute_room(empty, work)
    largest = max((slot.max_tokens for slot in slots), default=0) + FENCE_TOKENS
    if room is not None and largest > room:
        raise FitError(
            f"step {work.step!r}: {largest:,} tokens of text and a note on them do not fit prompt"
            f" {question.refiner.prompt.name!r}, which leaves {room:,} for the text",
            hint="split to fewer tokens, lower `tokens`, or use a larger window",
        )


async def _ask(
    slot: PendingNote, question: _MapPrompts, options: MapOptions, work: Work
) -> Note | None:
    note = await slot.note
    if note is None:
        return None
    variables = {
        "text": note.value,
        "headings": slot.headings,
        "context": named((*slot.context, *note.context)),
        "words": options.words,
    }
    node = describe_spans(slot.spans) if slot.spans else "a note"
    asked = work.ask(
        question.prompt,
        variables,
        tokens=options.tokens,
        words=options.words,
        schema=question.schema,
        node=node,
        levels=work.after + options.refine,
    )
    try:
        answer = await asked.reply
        if question.refiner is not None:
            answer = await question.refiner.refine(
                answer, variables, node=node, levels=work.after, work=work
            )
    except CallError as error:
        if options.on_error == "fail":
            raise
        work.skip(slot, error)
        return None
    return replace(note, value=answer.value, predicted=answer.predicted)


STEP = StepType(
    name="map",
    about="Ask one question of every chunk or note.",
    options=MapOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES, Kind.NOTE}),
    gives=Kind.NOTES,
    run=run,
    variables=frozenset({"text", "headings", "context", "words"}),
)
