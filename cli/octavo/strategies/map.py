"""Ask one question of every chunk or note, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from octavo.errors import CallError
from octavo.protocols import (
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptRef,
    SchemaRef,
    StepType,
    Work,
)
from octavo.strategies.fit import require_room
from octavo.text.note import Note, Slot

__all__ = ["STEP", "MapOptions"]


class MapOptions(Options):
    """What to ask of each chunk or note."""

    prompt: PromptRef = Field(description="The prompt; it sees `text`, `headings` and `words`.")
    tokens: int = Field(default=600, ge=1, description="The most tokens of a reply.")
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    schema_: SchemaRef | None = Field(
        default=None, alias="schema", description="The JSON Schema that each reply must fit."
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """The prompt, and the schema of its replies where they are records."""

    prompt: PromptLike
    schema: JsonSchema | None


async def run(slots: Sequence[Slot], options: MapOptions, work: Work) -> Sequence[Slot]:
    """Return a slot for each of `slots`; each call starts when its own input is there."""
    question = _Question(
        work.prompt(options.prompt), work.schema(options.schema_) if options.schema_ else None
    )
    empty = {"text": "", "headings": (), "words": options.words}
    require_room(work, question.prompt, empty, options.tokens, slots, schema=question.schema)
    return [
        replace(slot, bound=options.tokens, note=work.start(_ask(slot, question, options, work)))
        for slot in slots
    ]


async def _ask(slot: Slot, question: _Question, options: MapOptions, work: Work) -> Note | None:
    note = await slot.note
    if note is None:
        return None
    asked = work.ask(
        question.prompt,
        {"text": note.value, "headings": slot.headings, "words": options.words},
        tokens=options.tokens,
        words=options.words,
        schema=question.schema,
        node=f"characters {slot.spans[0].start} to {slot.spans[-1].end}",
        levels=work.after,
    )
    try:
        answer = await asked.reply
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
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
    variables=frozenset({"text", "headings", "words"}),
)
