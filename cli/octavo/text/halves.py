"""A text in two halves, cut where it breaks best."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from octavo.text.grapheme import is_inside_grapheme
from octavo.text.sentence import find_sentence_ends

__all__ = ["split_in_half"]

_MIN_CHARACTERS = 40
"""Characters below which a text is not worth halving."""


def split_in_half(text: str) -> int | None:
    """Return where to cut a text in two: between paragraphs, lines, sentences or words.

    Of the best kind that there is in the middle half of the text, the place nearest to the middle.
    None for a text that is too short to be cut.
    """
    if len(text.strip()) < _MIN_CHARACTERS:
        return None
    for borders in _BREAK_FINDERS:
        near = [at for at in borders(text) if len(text) // 4 <= at <= len(text) - len(text) // 4]
        if near:
            return min(near, key=lambda at: abs(2 * at - len(text)))
    at = len(text) // 2
    while is_inside_grapheme(text, at):
        at += 1
    return at if at < len(text) else None


def _build_finder(pattern: str) -> Callable[[str], Iterable[int]]:
    compiled = re.compile(pattern)
    return lambda text: (match.end() for match in compiled.finditer(text))


_BREAK_FINDERS: tuple[Callable[[str], Iterable[int]], ...] = (
    _build_finder(r"\n[^\S\n]*\n\s*"),
    _build_finder(r"\n"),
    find_sentence_ends,
    _build_finder(r"\s+"),
)
