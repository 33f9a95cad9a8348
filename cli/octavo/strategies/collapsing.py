"""Makes fewer notes of many, group by group, until all that are left fit one call.

The collapse stage of LLM x MapReduce (Zhou et al. 2024, arXiv 2410.09342), with what its reference
code lacks: the prompt, the question and the reply are part of the budget, rounds are bounded, and
every call shrinks what it is given. Groups are consecutive notes, so their order is the document's,
and one is asked about as soon as its own notes are there: once the notes so far exceed the budget,
the first group is settled whatever follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from octavo.errors import Outcome, ReplyError
from octavo.protocols import Work
from octavo.strategies.fit import FENCE
from octavo.text.note import Note, Prediction, PendingNote
from octavo.text.ready import to_awaitable
from octavo.text.union import merge_spans

__all__ = ["Collapsing"]


@dataclass(frozen=True, slots=True)
class _Group:
    """Consecutive notes that fit one call, and the tokens of each; `last` when none follows."""

    notes: Sequence[Note]
    sizes: Sequence[int]
    last: bool


@dataclass(frozen=True, slots=True)
class Collapsing:
    """How notes are collapsed.

    `room` is the most tokens of notes in one call, `size` the most of the note that comes of it,
    and `rounds` the most rounds. `make(notes, node, levels)` makes one note of several, or none.
    """

    room: int
    size: int
    rounds: int
    make: Callable[[Sequence[Note], str, int], Awaitable[Note | None]]
    work: Work

    async def fitting(self, level: Sequence[PendingNote]) -> Sequence[Note]:
        """Return notes that fit one call together, in order.

        A group is asked about only if its note will be shorter than it is. A full group always is:
        two notes fit the room, so it has more than half of that, and its note has at most half. So
        each round at least halves all notes but those of its last group.

        Raises ReplyError before a round that is one too many, or after one that changed nothing.
        """
        for number in range(1, self.rounds + 2):
            passed: list[PendingNote] = []
            asked = 0
            async for group in self._groups(level):
                if group.last and not passed:
                    return group.notes
                if number > self.rounds:
                    after = f"after {self.rounds} rounds of collapsing"
                    raise self._failure(after if self.rounds else "and nothing collapses them")
                if len(group.notes) > 1 and sum(group.sizes) > self.size + FENCE:
                    asked += 1
                    passed.append(self._collapsed(group.notes, number))
                else:
                    passed += map(_as_it_is, group.notes, group.sizes)
            if not passed:
                return ()
            if not asked:
                raise self._failure("and none of them can be collapsed with its neighbour")
            level = passed
        raise AssertionError  # the last round has returned or raised

    async def _groups(self, level: Sequence[PendingNote]) -> AsyncIterator[_Group]:
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
            long = note.predicted is Prediction.LONG
            tokens = (slot.max_tokens if long else self.work.counter.count(note.text)) + FENCE
            if tokens > self.room:
                raise self._failure(f"as one of them has {tokens:,} tokens")
            if notes and sum(sizes) + tokens > self.room:
                yield _Group(tuple(notes), tuple(sizes), last=False)
                notes, sizes = [], []
            notes.append(note)
            sizes.append(tokens)
        if notes:
            yield _Group(tuple(notes), tuple(sizes), last=True)

    def _collapsed(self, notes: Sequence[Note], number: int) -> PendingNote:
        spans = merge_spans(span for note in notes for span in note.spans)
        place = (
            f"characters {spans[0].start} to {spans[-1].end}" if spans else f"{len(notes)} notes"
        )

        async def make() -> Note | None:
            levels = self.work.after + self.rounds - number
            return await self.make(notes, f"round {number}, {place}", levels)

        return PendingNote(spans=spans, max_tokens=self.size, note=self.work.start(make()))

    def _failure(self, reason: str) -> ReplyError:
        return ReplyError(
            f"step {self.work.step!r}: the notes do not fit the {self.room:,} tokens that one call"
            f" leaves for them, {reason}",
            outcome=Outcome.INVALID,
            hint="lower `note_tokens`, or raise `room` or `rounds`",
        )


def _as_it_is(note: Note, size: int) -> PendingNote:
    return PendingNote(spans=note.spans, max_tokens=size - FENCE, note=to_awaitable(note))
