"""What the journal stores of a text gives the same text back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavo.engine.journal.store import deflate, inflate


@given(st.text(max_size=2000), st.integers(1, 50))
def test_a_text_comes_back_whole_and_takes_no_more(text, times):
    text *= times
    stored = deflate(text)
    assert inflate(stored) == text
    assert len(stored) <= len(text.encode())


def test_short_texts_stay_readable_and_long_ones_shrink():
    assert deflate("All is well.") == "All is well."
    assert len(deflate("All is well. " * 100)) < 200
