"""Reduce all notes to one by one call, collapsing groups first when they are too long.

After the collapse and reduce stages of LLM x MapReduce (Zhou et al. 2024, arXiv 2410.09342). Notes
may be texts or records; what `where` does not hold for, such as a record without information, is
left out after each round too, by its field and not by a phrase in it. The spans that a note came
from stay with it through all rounds. `by` makes a result of each group of notes instead of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import Field, model_validator

from octavo.errors import FitError, Outcome, ReplyError
from octavo.pipeline.conditions import Condition
from octavo.protocols import (
    Answer,
    Expression,
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptMark,
    PromptRef,
    SchemaMark,
    SchemaRef,
    StepType,
    Work,
)
from octavo.steps._support.collapsing import NoteCollapser
from octavo.steps._support.refining import NoteRefiner
from octavo.steps._support.window import FENCE_TOKENS
from octavo.text.equality import Equality, to_canonical_form
from octavo.text.note import Note, PendingNote, Prediction, to_awaitable, to_fields
from octavo.text.span import merge_spans

__all__ = ["STEP", "ReduceOptions"]


_KEY_TOKENS = 64
"""Tokens that the value of a group takes in its result."""


class ReduceOptions(Options):
    """How to reduce."""

    prompt: PromptRef = Field(description="The prompt; it sees `notes`, `words` and `group`.")
    collapse: PromptRef | None = Field(
        default=None,
        description="The prompt that makes one note of a group when all are too long for one call.",
    )
    schema_: SchemaRef | None = Field(
        default=None, alias="schema", description="The JSON Schema that the result must fit."
    )
    note_schema: Annotated[str | None, SchemaMark(notes=False)] = Field(
        default=None, description="The JSON Schema that a collapsed note must fit."
    )
    where: Expression | None = Field(
        default=None,
        description="An expression over a collapsed note, as `filter` has it; notes for which it"
        " does not hold are left out.",
    )
    by: Expression | None = Field(
        default=None,
        description="A field, or an expression over a note: the notes for which it is the same are"
        " reduced together, and each group gives a result, in the order in which they begin.",
    )
    alike: Equality = Field(
        default=Equality.UNICODE, description="How far texts may differ and be the same for `by`."
    )
    refine: int = Field(
        default=0, ge=0, description="The most rounds in which the result is checked and improved."
    )
    check: Annotated[PromptRef | None, PromptMark("notes", "note", "words", "group")] = Field(
        default=None,
        description="The prompt of such a round; it also sees `note`, the result so far.",
    )
    tokens: int = Field(default=900, ge=1, description="The most tokens of the reply.")
    note_tokens: int = Field(default=600, ge=1, description="The most tokens of a collapsed note.")
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    room: int = Field(
        default=8000,
        ge=64,
        description="The most tokens of notes in one call; less where the window is smaller.",
    )
    rounds: int = Field(default=8, ge=1, description="The most rounds of collapsing.")
    empty: str | None = Field(
        default=None, description="The result when no note is left; without it that is a failure."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.refine and self.check is None:
            raise ValueError("`refine` needs a prompt `check`")
        return self

    @property
    def key_name(self) -> str:
        """The name under which a result has the value of its group."""
        return self.by if self.by and self.by.isidentifier() else "group"


@dataclass(frozen=True, slots=True)
class _Reducer:
    """What all calls for one result share; `group` is the value of `by`, if any."""

    options: ReduceOptions
    work: Work
    prompt: PromptLike
    collapse_prompt: PromptLike | None
    schema: JsonSchema | None
    note_schema: JsonSchema | None
    where: Condition | None
    refiner: NoteRefiner | None
    group: object = None

    def build_variables(self, notes: Sequence[Note]) -> dict[str, object]:
        """Return what the prompts see."""
        values = [note.value for note in notes]
        return {"notes": values, "words": self.options.words, "group": self.group}

    def compute_room(self) -> int:
        """Return the most tokens of notes that any of the prompts leaves room for."""
        options, work = self.options, self.work
        empty = self.build_variables(())
        rooms = [work.room(self.prompt, empty, options.tokens, self.schema)]
        if self.collapse_prompt is not None:
            rooms.append(
                work.room(self.collapse_prompt, empty, options.note_tokens, self.note_schema)
            )
        if self.refiner is not None:
            rooms.append(self.refiner.compute_room(empty, work))
        return min([options.room, *(room for room in rooms if room is not None)])


async def run(
    slots: Sequence[PendingNote], options: ReduceOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the result; with `by`, one for each group, once all notes are there.

    Raises FitError when the notes cannot fit.
    """
    plain = options.schema_ is None and options.by is None and options.empty is None
    reducer = _build_reducer(options, work)
    if len(slots) == 1 and plain:
        # Text stays as it is; what is a record until now is asked about.
        note = _reduce_single(slots[0], reducer)
        return [
            replace(
                slots[0], max_tokens=max(slots[0].max_tokens, options.tokens), note=work.start(note)
            )
        ]
    _ensure_notes_fit(slots, options, reducer.compute_room(), work)
    if options.by is None:
        return [_start_reduction(slots, reducer)]
    groups = await _group_notes(slots, Condition(options.by), options, work)
    if not groups:
        return [_start_reduction((), reducer)]
    return [_start_reduction(group, replace(reducer, group=key)) for key, group in groups]


def _build_reducer(options: ReduceOptions, work: Work) -> _Reducer:
    schema = work.schema(options.schema_) if options.schema_ else None
    refining = None
    if options.check is not None and options.refine:
        check = work.prompt(options.check)
        refining = NoteRefiner(check, options.refine, options.tokens, options.words, schema)
    return _Reducer(
        options,
        work,
        prompt=work.prompt(options.prompt),
        collapse_prompt=work.prompt(options.collapse) if options.collapse else None,
        schema=schema,
        note_schema=work.schema(options.note_schema) if options.note_schema else None,
        where=Condition(options.where) if options.where else None,
        refiner=refining,
    )


def _ensure_notes_fit(
    slots: Sequence[PendingNote], options: ReduceOptions, room: int, work: Work
) -> None:
    bounds = [slot.max_tokens + FENCE_TOKENS for slot in slots]
    if options.collapse is None and sum(bounds) > room:
        raise FitError(
            f"step {work.step!r}: {len(bounds):,} notes of up to {sum(bounds):,} tokens do not fit"
            f" the {room:,} tokens that one call leaves for them",
            hint="give the step a `collapse` prompt, or use `merge`",
        )
    largest = max(*bounds, options.note_tokens + FENCE_TOKENS) if bounds else 0
    if len(bounds) > 1 and 2 * largest > room:
        raise FitError(
            f"step {work.step!r}: two notes of up to {largest:,} tokens do not fit the {room:,}"
            " tokens that one call leaves for them",
            hint="raise `room`, lower `tokens` of the step before, or use a larger window",
        )


async def _group_notes(
    slots: Sequence[PendingNote], by: Condition, options: ReduceOptions, work: Work
) -> Sequence[tuple[object, Sequence[PendingNote]]]:
    """Return the notes of each value of `by` as slots, groups in the order of their first notes.

    In a plan no value is known: notes are all of one group, or each of its own, whichever is more.
    """
    found: dict[str, tuple[object, list[PendingNote]]] = {}
    for number, slot in enumerate(slots):
        note = await slot.note
        if note is None:
            continue
        if note.predicted is None:
            fields = to_fields(note.value)
            key = by.evaluate({**work.params, **fields})
        else:
            key = number if note.predicted is Prediction.LONG else 0
        group = found.setdefault(to_canonical_form(key, options.alike), (key, []))
        group[1].append(replace(slot, note=to_awaitable(note)))
    return list(found.values())


def _start_reduction(slots: Sequence[PendingNote], reducer: _Reducer) -> PendingNote:
    return PendingNote(
        spans=merge_spans(span for slot in slots for span in slot.spans),
        max_tokens=reducer.options.tokens + (_KEY_TOKENS if reducer.options.by else 0),
        note=reducer.work.start(_reduce_notes(slots, reducer)),
        boundary_hash=slots[0].boundary_hash if slots else 0,
    )


async def _reduce_single(slot: PendingNote, reducer: _Reducer) -> Note | None:
    note = await slot.note
    if note is None or isinstance(note.value, str):
        return note
    _ensure_notes_fit([slot], reducer.options, reducer.compute_room(), reducer.work)
    return await _reduce_notes([slot], reducer)


async def _reduce_notes(slots: Sequence[PendingNote], reducer: _Reducer) -> Note:
    options, work = reducer.options, reducer.work
    collapsing = NoteCollapser(
        room=reducer.compute_room(),
        note_tokens=options.note_tokens,
        max_rounds=options.rounds if reducer.collapse_prompt else 0,
        collapse_notes=lambda notes, node, levels: _collapse_notes(notes, node, levels, reducer),
        work=work,
    )
    notes = await collapsing.collapse_to_fit(slots)
    if not notes:
        if options.empty is None:
            raise ReplyError("no note is left to reduce", outcome=Outcome.SKIPPED)
        return Note(options.empty)
    variables = reducer.build_variables(notes)
    node = f"{len(notes)} notes" if options.by is None else f"{len(notes)} notes of {reducer.group}"
    answer = await work.ask(
        reducer.prompt,
        variables,
        tokens=options.tokens,
        words=options.words,
        schema=reducer.schema,
        node=node,
        levels=work.after + options.refine,
    ).reply
    if reducer.refiner is not None:
        answer = await reducer.refiner.refine(
            answer, variables, node=node, levels=work.after, work=work
        )
    spans = merge_spans(span for note in notes for span in note.spans)
    return Note(_build_result(answer, reducer), spans, predicted=answer.predicted)


def _build_result(answer: Answer, reducer: _Reducer) -> str | Mapping[str, object]:
    """Return the result's value, with the value of its group if there are groups."""
    if reducer.options.by is None:
        return answer.value
    value = to_fields(answer.value)
    name = reducer.options.key_name
    return {name: reducer.group, **{key: value[key] for key in value if key != name}}


async def _collapse_notes(
    notes: Sequence[Note], node: str, levels: int, reducer: _Reducer
) -> Note | None:
    options, work = reducer.options, reducer.work
    assert reducer.collapse_prompt is not None  # without it there are no rounds
    answer = await work.ask(
        reducer.collapse_prompt,
        reducer.build_variables(notes),
        tokens=options.note_tokens,
        words=options.words,
        schema=reducer.note_schema,
        node=node,
        levels=levels,
    ).reply
    if reducer.where is not None:
        if answer.predicted is Prediction.SHORT:
            return None
        fields = to_fields(answer.value)
        if answer.predicted is None and not reducer.where.holds({**work.params, **fields}):
            return None
    spans = merge_spans(span for note in notes for span in note.spans)
    return Note(answer.value, spans, predicted=answer.predicted)


def _choose_kind(options: ReduceOptions) -> Kind:
    return Kind.NOTES if options.by else Kind.NOTE


def _list_fields(options: ReduceOptions) -> frozenset[str] | None:
    return frozenset({options.key_name, "text"}) if options.by and not options.schema_ else None


STEP = StepType(
    name="reduce",
    about="Reduce all notes to one, or to one for each group, collapsing what is too long.",
    options=ReduceOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    gives_with=_choose_kind,
    run=run,
    variables=frozenset({"notes", "words", "group"}),
    fields=_list_fields,
)
