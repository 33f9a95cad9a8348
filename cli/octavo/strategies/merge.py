"""Merge many notes into one by a tree, each node as soon as its own children are there.

After hierarchical merging in BooookScore (Chang, Lo, Goyal, Iyyer 2024, arXiv 2310.00785). Unlike
there, the tree's groups are chosen by the text at their borders, so an edit changes the calls on
its own path and few others.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from octavo.protocols import Kind, Options, PromptLike, PromptRef, StepType, Work
from octavo.strategies.fit import FENCE, require_room
from octavo.text.grouping import tree
from octavo.text.note import Note, Slot
from octavo.text.union import union

__all__ = ["STEP", "MergeOptions"]


class MergeOptions(Options):
    """How to merge."""

    prompt: PromptRef = Field(description="The prompt; it sees `notes` and `words`.")
    tokens: int = Field(default=900, ge=1, description="The most tokens of a reply.")
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    fan_in: int = Field(default=8, ge=2, description="The most notes in one call.")


async def run(slots: Sequence[Slot], options: MergeOptions, work: Work) -> Sequence[Slot]:
    """Return one slot for the root of the tree."""
    if len(slots) < 2:
        return slots
    prompt = work.prompt(options.prompt)
    empty = {"notes": ("",) * options.fan_in, "words": options.words}
    room = work.room(prompt, empty, options.tokens)
    require_room(work, prompt, {"notes": ("", ""), "words": options.words}, options.tokens, slots)
    levels = tree(
        [slot.border for slot in slots],
        [slot.bound + FENCE for slot in slots],
        size=options.tokens + FENCE,
        most=options.fan_in,
        room=room,
    )
    work.follow(len(levels))
    level = list(slots)
    for height, groups in enumerate(levels):
        above = len(levels) - height - 1
        level = [
            level[group.start]
            if len(group) == 1
            else _node([level[i] for i in group], prompt, options, work, above)
            for group in groups
        ]
    return level


def _node(
    children: Sequence[Slot], prompt: PromptLike, options: MergeOptions, work: Work, above: int
) -> Slot:
    return Slot(
        spans=union(span for child in children for span in child.spans),
        bound=options.tokens,
        note=work.start(_merge(children, prompt, options, work, above)),
        border=children[0].border,
    )


async def _merge(
    children: Sequence[Slot], prompt: PromptLike, options: MergeOptions, work: Work, above: int
) -> Note | None:
    notes = [note for child in children if (note := await child.note) is not None]
    if len(notes) < 2:
        return notes[0] if notes else None
    spans = union(span for note in notes for span in note.spans)
    answer = await work.ask(
        prompt,
        {"notes": [note.value for note in notes], "words": options.words},
        tokens=options.tokens,
        words=options.words,
        node=f"characters {spans[0].start} to {spans[-1].end}",
        levels=work.after + above,
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


STEP = StepType(
    name="merge",
    about="Merge the notes into one by a tree.",
    options=MergeOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"notes", "words"}),
)
