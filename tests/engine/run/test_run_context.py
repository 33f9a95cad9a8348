"""A prompt is counted only where it may not fit, and refused only where it doesn't."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from octavo.engine.journal.token_counts import JournalCounter
from octavo.engine.run.run_context import RunContext
from octavo.errors import FitError
from octavo.protocols import Message, Request


class Letters:
    """Counts a token a byte, and remembers what it counted."""

    name, exact = "letters", True

    def __init__(self):
        self.counted = []

    def count(self, text):
        self.counted.append(text)
        return len(text.encode())

    def count_batch(self, texts):
        return [self.count(text) for text in texts]


def fits(text, window):
    counter = Letters()
    places = dict.fromkeys(("journal", "ledger", "watch", "registry"), SimpleNamespace())
    engine = RunContext(
        **places, counter=counter, counts=JournalCounter(counter, None),
        identity="i", model="m", window=window,
    )  # fmt: skip
    engine.require_fit(Request((Message("user", text),), max_tokens=100))
    return counter.counted


def test_what_is_far_from_the_window_is_not_counted():
    assert fits("a" * 1000, 1108) == []
    assert fits("\u00e9" * 1000, 30_000) == []


def test_what_may_not_fit_is_counted():
    text = "\u00e9" * 1000
    assert fits(text, 3000) == [text]


@pytest.mark.parametrize("text", ["a" * 1000, "\u00e9" * 500])
def test_what_does_not_fit_is_refused(text):
    with pytest.raises(FitError, match=r"1,008 tokens and a reply of 100 do not fit"):
        fits(text, 1107)
