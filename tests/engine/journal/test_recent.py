"""What was added lately is remembered, in bounded memory."""

from __future__ import annotations

from octavo.engine.journal.store import RecentSet


def test_the_last_values_are_remembered_and_it_never_grows():
    recent = RecentSet(100)
    for number in range(10_000):
        recent.add(number)
        assert all(each in recent for each in range(max(0, number - 99), number + 1, 7))
        assert len(recent) <= 200
    assert 0 not in recent
