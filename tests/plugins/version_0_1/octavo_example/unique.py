"""The step `unique`: keep of equal notes the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from octavo.protocols import Kind, Options, StepType, Work
from octavo.text.note import Note, Prediction, Slot


class UniqueOptions(Options):
    """What counts as equal."""

    ignore_case: bool = Field(default=True, description="Whether upper and lower case are equal.")


async def run(slots: Sequence[Slot], options: UniqueOptions, work: Work) -> Sequence[Slot]:
    """Return the slots at once; each is filled when its note and those before it are there."""
    return [
        replace(slot, note=work.start(_first(slot, slots[:place], options)))
        for place, slot in enumerate(slots)
    ]


async def _first(slot: Slot, before: Sequence[Slot], options: UniqueOptions) -> Note | None:
    note = await slot.note
    # A plan has no replies: it takes notes to be all different at most, and all alike at least.
    if note is None or note.predicted is Prediction.LONG:
        return note
    if note.predicted is Prediction.SHORT:
        return None if before else note
    for other in before:
        earlier = await other.note
        if earlier is not None and _same(earlier.text, note.text, options):
            return None
    return note


def _same(one: str, other: str, options: UniqueOptions) -> bool:
    one, other = one.strip(), other.strip()
    return one.casefold() == other.casefold() if options.ignore_case else one == other


STEP = StepType(
    name="unique",
    about="Keep of equal notes the first.",
    options=UniqueOptions,
    takes=frozenset({Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
)
