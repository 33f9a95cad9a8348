"""Pending notes, by their names of today and of version 0.1."""

from __future__ import annotations

from dataclasses import replace

from octavo.protocols import PendingNote, Slot, Span

SPANS = (Span(0, 5),)


def test_a_pending_note_has_its_names_of_version_0_1():
    old = Slot(spans=SPANS, bound=9, note="awaitable", border=3, beside=4)
    assert old == PendingNote(SPANS, 9, "awaitable", 3, context_tokens=4)
    assert isinstance(old, PendingNote)
    assert (old.bound, old.border, old.beside) == (9, 3, 4)
    assert Slot(SPANS, 9, "awaitable").max_tokens == 9


def test_a_pending_note_is_changed_by_the_names_of_version_0_1():
    pending = PendingNote(SPANS, 9, "awaitable", 3)
    assert isinstance(pending, Slot)
    assert replace(pending, note="other") == PendingNote(SPANS, 9, "other", 3)
    assert replace(pending, bound=7, headings=("Top",)) == PendingNote(
        SPANS, 7, "awaitable", 3, ("Top",)
    )
    assert replace(pending, max_tokens=7).bound == 7
