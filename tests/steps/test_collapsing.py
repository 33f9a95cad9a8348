"""Collapsing ends, shrinks at every call, and loses nothing, whatever the notes are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.errors import ReplyError
from octavo.steps._support.collapsing import NoteCollapser
from octavo.steps._support.window import FENCE_TOKENS
from octavo.text.note import Note, PendingNote, to_awaitable
from octavo.text.span import Span


@dataclass
class Words:
    """Work that counts words as tokens and starts tasks."""

    after: int = 0
    step: str = "reduce"
    tasks: list = field(default_factory=list)

    @property
    def counter(self):
        return self

    def count(self, text):
        return len(text.split())

    def start(self, note):
        task = asyncio.ensure_future(note)
        self.tasks.append(task)
        return task


def slot(place, size):
    spans = (Span(10 * place, 10 * place + 10),)
    return PendingNote(spans, size, to_awaitable(Note("w " * size, spans)))


@given(
    sizes=st.lists(st.integers(0, 60), max_size=60),
    size=st.integers(1, 60),
    spare=st.integers(0, 100),
    replies=st.lists(st.integers(0, 60), min_size=1, max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_notes_within_their_bounds_always_come_to_fit(sizes, size, spare, replies):
    room = 2 * (max([*sizes, size]) + FENCE_TOKENS) + spare
    calls = []

    async def make(notes, node, levels):
        calls.append([len(note.text.split()) + FENCE_TOKENS for note in notes])
        spans = tuple(span for note in notes for span in note.spans)
        return Note("w " * min(size, replies[len(calls) % len(replies)]), spans)

    async def scenario():
        slots = [slot(place, each) for place, each in enumerate(sizes)]
        return await NoteCollapser(room, size, 12, make, Words()).collapse_to_fit(slots)

    notes = asyncio.run(scenario())
    assert sum(len(note.text.split()) + FENCE_TOKENS for note in notes) <= room
    assert all(len(group) > 1 and size + FENCE_TOKENS < sum(group) <= room for group in calls)
    assert len(calls) < max(1, len(sizes))
    spans = [span for note in notes for span in note.spans]
    assert spans == [Span(10 * place, 10 * place + 10) for place in range(len(sizes))]


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=40),
    grown=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    rounds=st.integers(1, 4),
)
@settings(max_examples=200, deadline=None)
def test_notes_over_their_bounds_end_in_an_error_and_not_in_a_loop(sizes, grown, rounds):
    """A model may write more than it was allowed to; then nothing is asked for ever."""
    calls = []

    async def make(notes, node, levels):
        calls.append(len(notes))
        return Note("w " * grown[len(calls) % len(grown)], notes[0].spans)

    async def scenario():
        slots = [slot(place, each) for place, each in enumerate(sizes)]
        work = Words()
        try:
            return await NoteCollapser(300, 100, rounds, make, work).collapse_to_fit(slots)
        except ReplyError as error:
            await asyncio.gather(*work.tasks)
            return error

    found = asyncio.run(scenario())
    assert len(calls) <= rounds * len(sizes)
    if not isinstance(found, ReplyError):
        assert sum(len(note.text.split()) + FENCE_TOKENS for note in found) <= 300
