"""Collapse many notes, group by group, until those that are left fit one call.

This is the collapse stage of LLM x MapReduce (Zhou et al. 2024, arXiv 2410.09342), with what its
reference code lacks: the prompt, the question and the reply are part of the budget, rounds are
bounded, and every call shrinks what it is given. Groups are consecutive notes, so their order is
the document's. A group is asked about as soon as its own notes are there: once the notes so far
exceed the budget, the first group is complete whatever follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from octavo.errors import Outcome, ReplyError
from octavo.protocols import Work
from octavo.steps._support.window import FENCE_TOKENS
from octavo.text.note import Note, PendingNote, Prediction, to_awaitable
from octavo.text.span import describe_spans, merge_spans

__all__ = ["NoteCollapser"]


@dataclass(frozen=True, slots=True)
class _NoteGroup:
    """Consecutive notes that fit one call, and the tokens of each; `is_last` when none follows."""

    notes: Sequence[Note]
    sizes: Sequence[int]
    is_last: bool


@dataclass(frozen=True, slots=True)
class NoteCollapser:
    """The limits and the call by which notes are collapsed.

    `room` is the most tokens of notes in one call, `note_tokens` the most of the resulting note.
    `collapse_notes(notes, node, levels)` makes one note of several, or none.
    """

    room: int
    note_tokens: int
    max_rounds: int
    collapse_notes: Callable[[Sequence[Note], str, int], Awaitable[Note | None]]
    work: Work

    async def collapse_to_fit(self, notes_in_level: Sequence[PendingNote]) -> Sequence[Note]:
        """Return notes that fit one call together, in order.

        A group is asked about only if its note will be shorter than it is. A full group always is:
        two notes fit the room, so it has more than half of that, and its note has at most half. So
        each round at least halves all notes but those of its last group.

        Raises ReplyError before a round that is one too many, or after one that changed nothing.
        """
        for number in range(1, self.max_rounds + 2):
            next_level: list[PendingNote] = []
            asked = 0
            async for group in self._group_notes(notes_in_level):
                if group.is_last and not next_level:
                    return group.notes
                if number > self.max_rounds:
                    after = f"after {self.max_rounds} rounds of collapsing"
                    raise self._build_error(
                        after if self.max_rounds else "and nothing collapses them"
                    )
                if len(group.notes) > 1 and sum(group.sizes) > self.note_tokens + FENCE_TOKENS:
                    asked += 1
                    next_level.append(self._start_collapse(group.notes, number))
                else:
                    next_level += map(_keep_unchanged, group.notes, group.sizes)
            if not next_level:
                return ()
            if not asked:
                raise self._build_error("and none of them can be collapsed with its neighbour")
            notes_in_level = next_level
        raise AssertionError  # the last round has returned or raised

    async def _group_notes(self, level: Sequence[PendingNote]) -> AsyncIterator[_NoteGroup]:
        """Yield groups of consecutive notes that fit the room, each as soon as it is settled.

        One is settled when the next note does not fit, the last when all notes are there.
        """
        notes: list[Note] = []
        sizes: list[int] = []
        for slot in level:
            note = await slot.note
            if note is None:
                continue
            # What a plan made up is as long as it may be, however a tokenizer counts its words.
            is_long = note.predicted is Prediction.LONG
            tokens = (
                slot.max_tokens if is_long else self.work.counter.count(note.text)
            ) + FENCE_TOKENS
            if tokens > self.room:
                raise self._build_error(f"as one of them has {tokens:,} tokens")
            if notes and sum(sizes) + tokens > self.room:
                yield _NoteGroup(tuple(notes), tuple(sizes), is_last=False)
                notes, sizes = [], []
            notes.append(note)
            sizes.append(tokens)
        if notes:
            yield _NoteGroup(tuple(notes), tuple(sizes), is_last=True)

    def _start_collapse(self, notes: Sequence[Note], number: int) -> PendingNote:
        spans = merge_spans(span for note in notes for span in note.spans)
        place = describe_spans(spans) if spans else f"{len(notes)} notes"

        async def collapse() -> Note | None:
            levels = self.work.after + self.max_rounds - number
            return await self.collapse_notes(notes, f"round {number}, {place}", levels)

        return PendingNote(
            spans=spans, max_tokens=self.note_tokens, note=self.work.start(collapse())
        )

    def _build_error(self, reason: str) -> ReplyError:
        return ReplyError(
            f"step {self.work.step!r}: the notes do not fit the {self.room:,} tokens that one call"
            f" leaves for them, {reason}",
            outcome=Outcome.INVALID,
            hint="lower `note_tokens`, or raise `room` or `rounds`",
        )


def _keep_unchanged(note: Note, size: int) -> PendingNote:
    return PendingNote(spans=note.spans, max_tokens=size - FENCE_TOKENS, note=to_awaitable(note))
