"""Rules that a written text must meet; a text that breaks one is asked for once more.

The rules are the validity rules of BooookScore (Chang, Lo, Goyal, Iyyer 2024, arXiv 2310.00785). An
empty reply is asked for again in any case. The second request shows the model its text and says
what is wrong with it, with the number of words that it has, that are wanted and that are too many
(the length priming of InstructCMP, Do et al. 2024, arXiv 2406.11097), so it never repeats the first
one; the better of the two texts is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from octavo.text.sentences import count_words, has_sentence_end

__all__ = ["LENGTH_TOLERANCE", "TextRule", "build_check", "is_too_long"]


LENGTH_TOLERANCE = 1.2
"""A text may be a fifth longer than asked."""


class TextRule(StrEnum):
    """SENTENCE: it ends where one does. LENGTH: it is no more than a fifth over the words asked."""

    SENTENCE = "sentence"
    LENGTH = "length"


def is_too_long(text: str, words: int) -> bool:
    """Tell whether a text is more than a fifth over so many words."""
    return count_words(text) > words * LENGTH_TOLERANCE


def build_check(
    rules: Sequence[TextRule], words: int | None
) -> Callable[[Any], Sequence[str]] | None:
    """Return a function that lists a reply's faults under these rules, or None without rules."""
    return partial(_find_faults, frozenset(rules), words) if rules else None


def _find_faults(rules: frozenset[TextRule], words: int | None, value: object) -> list[str]:
    if not isinstance(value, str):
        return []
    faults: list[str] = []
    if TextRule.LENGTH in rules and words is not None and is_too_long(value, words):
        have = count_words(value)
        faults.append(
            f"it has {have} words where {words} were asked for; remove about {have - words}"
        )
    if TextRule.SENTENCE in rules and not has_sentence_end(value):
        faults.append("it does not end with a complete sentence")
    return faults
