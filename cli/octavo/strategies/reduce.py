"""Reduce all notes to one by one call, collapsing groups first when they are too long.

After the collapse and reduce stages of LLM x MapReduce (Zhou et al. 2024, arXiv 2410.09342). Unlike
there, the prompt and the reply are part of the budget, and rounds are bounded and always leave
fewer notes. A group is collapsed as soon as its own notes are there: once the notes so far exceed
the budget, the first group is settled whatever follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pydantic import Field

from octavo.errors import FitError, Outcome, ReplyError
from octavo.protocols import Kind, Options, PromptLike, PromptRef, StepType, Work
from octavo.strategies.fit import FENCE
from octavo.text.note import Note, Slot
from octavo.text.union import union

__all__ = ["STEP", "ReduceOptions"]


class ReduceOptions(Options):
    """How to reduce."""

    prompt: PromptRef = Field(description="The prompt; it sees `notes` and `words`.")
    collapse: PromptRef | None = Field(
        default=None,
        description="The prompt that makes one note of a group when all are too long for one call.",
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


async def run(slots: Sequence[Slot], options: ReduceOptions, work: Work) -> Sequence[Slot]:
    """Return one slot for the answer."""
    if len(slots) == 1 and options.empty is None:
        return slots
    prompt = work.prompt(options.prompt)
    room = _room(prompt, options, options.tokens, work)
    if options.collapse is not None:
        room = min(room, _room(work.prompt(options.collapse), options, options.note_tokens, work))
    _require_room(slots, options, room, work)
    return [
        Slot(
            spans=union(span for slot in slots for span in slot.spans),
            bound=options.tokens,
            note=work.start(_reduce(slots, prompt, options, room, work)),
            border=slots[0].border if slots else 0,
        )
    ]


def _room(prompt: PromptLike, options: ReduceOptions, tokens: int, work: Work) -> int:
    room = work.room(prompt, {"notes": (), "words": options.words}, tokens)
    return options.room if room is None else min(options.room, room)


def _require_room(slots: Sequence[Slot], options: ReduceOptions, room: int, work: Work) -> None:
    bounds = [slot.bound + FENCE for slot in slots]
    if options.collapse is None and sum(bounds) > room:
        raise FitError(
            f"step {work.step!r}: {len(bounds):,} notes of up to {sum(bounds):,} tokens do not fit"
            f" the {room:,} tokens that one call leaves for them",
            hint="give the step a `collapse` prompt, or use `merge`",
        )
    largest = max(*bounds, options.note_tokens + FENCE) if bounds else 0
    if len(bounds) > 1 and 2 * largest > room:
        raise FitError(
            f"step {work.step!r}: two notes of up to {largest:,} tokens do not fit the {room:,}"
            " tokens that one call leaves for them",
            hint="raise `room`, lower `tokens` of the step before, or use a larger window",
        )


async def _reduce(
    slots: Sequence[Slot], prompt: PromptLike, options: ReduceOptions, room: int, work: Work
) -> Note:
    notes = await _collapsed(slots, options, room, work)
    if not notes:
        if options.empty is None:
            raise ReplyError("no note is left to reduce", outcome=Outcome.SKIPPED)
        return Note(options.empty)
    spans = union(span for note in notes for span in note.spans)
    answer = await work.ask(
        prompt,
        {"notes": [note.value for note in notes], "words": options.words},
        tokens=options.tokens,
        words=options.words,
        node=f"{len(notes)} notes",
        levels=work.after,
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


async def _collapsed(
    slots: Sequence[Slot], options: ReduceOptions, room: int, work: Work
) -> Sequence[Note]:
    """Return notes that fit one call together, collapsing groups of them as often as needed.

    Every group but the last has at least two notes, so each round has about half of the notes of
    the one before, or fewer.
    """
    level = slots
    for round_number in range(1, options.rounds + 2):
        collapsed: list[Slot] = []
        async for group, last in _groups(level, room, work):
            if last and not collapsed:
                return group
            collapsed.append(_collapse(group, options, work, round_number))
        if not collapsed:
            return ()
        level = collapsed
    raise ReplyError(
        f"step {work.step!r}: the notes do not fit one call after {options.rounds} rounds of"
        " collapsing",
        outcome=Outcome.INVALID,
        hint="lower `note_tokens`, or raise `room` or `rounds`",
    )


async def _groups(
    level: Sequence[Slot], room: int, work: Work
) -> AsyncIterator[tuple[Sequence[Note], bool]]:
    """Yield groups of consecutive notes that fit `room`, each as soon as it is settled.

    A group is settled when the next note does not fit; the last one, marked so, when all notes
    are there.
    """
    notes: list[Note] = []
    size = 0
    for slot in level:
        note = await slot.note
        if note is None:
            continue
        tokens = work.counter.count(note.text) + FENCE
        if notes and size + tokens > room:
            yield tuple(notes), False
            notes, size = [], 0
        notes.append(note)
        size += tokens
    if notes:
        yield tuple(notes), True


def _collapse(notes: Sequence[Note], options: ReduceOptions, work: Work, round_number: int) -> Slot:
    return Slot(
        spans=union(span for note in notes for span in note.spans),
        bound=options.note_tokens,
        note=work.start(_collapse_group(notes, options, work, round_number)),
    )


async def _collapse_group(
    notes: Sequence[Note], options: ReduceOptions, work: Work, round_number: int
) -> Note:
    if len(notes) == 1 or options.collapse is None:
        return notes[0]
    spans = union(span for note in notes for span in note.spans)
    answer = await work.ask(
        work.prompt(options.collapse),
        {"notes": [note.value for note in notes], "words": options.words},
        tokens=options.note_tokens,
        words=options.words,
        node=f"round {round_number}, characters {spans[0].start} to {spans[-1].end}",
        levels=work.after + options.rounds - round_number,
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


STEP = StepType(
    name="reduce",
    about="Reduce all notes to one, collapsing groups of them where they are too long.",
    options=ReduceOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"notes", "words"}),
)
