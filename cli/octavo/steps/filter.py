"""Keep the notes for which an expression holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from octavo.pipeline.conditions import Condition
from octavo.protocols import Expression, Kind, Options, StepType, Work
from octavo.text.note import Note, PendingNote, Prediction, to_fields

__all__ = ["STEP", "FilterOptions"]


class FilterOptions(Options):
    """Which notes to keep."""

    where: Expression = Field(
        description="An expression over a record's fields, or over `text`, and the parameters."
    )


async def run(
    slots: Sequence[PendingNote], options: FilterOptions, work: Work
) -> Sequence[PendingNote]:
    """Return the slots; the note of each that does not satisfy the expression is None."""
    condition = Condition(options.where)
    return [replace(slot, note=work.start(_filter_note(slot, condition, work))) for slot in slots]


async def _filter_note(slot: PendingNote, condition: Condition, work: Work) -> Note | None:
    note = await slot.note
    if note is None or note.predicted is Prediction.LONG:
        return note
    if note.predicted is Prediction.SHORT:
        return None
    fields = to_fields(note.value)
    return note if condition.holds({**work.params, **fields}) else None


STEP = StepType(
    name="filter",
    about="Keep the notes for which an expression holds.",
    options=FilterOptions,
    takes=frozenset({Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
)
