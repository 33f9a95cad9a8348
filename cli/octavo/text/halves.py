"""A text in two halves, cut where it breaks best."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from octavo.text.grapheme import joined
from octavo.text.sentence import sentence_ends

__all__ = ["middle"]

_LEAST = 40
"""Characters below which a text is not worth halving."""


def middle(text: str) -> int | None:
    """Return where to cut a text in two: between paragraphs, lines, sentences or words.

    Of the best kind that there is in the middle half of the text, the place nearest to the middle.
    None for a text that is too short to be cut.
    """
    if len(text.strip()) < _LEAST:
        return None
    for borders in _BORDERS:
        near = [at for at in borders(text) if len(text) // 4 <= at <= len(text) - len(text) // 4]
        if near:
            return min(near, key=lambda at: abs(2 * at - len(text)))
    at = len(text) // 2
    while joined(text, at):
        at += 1
    return at if at < len(text) else None


def _after(pattern: str) -> Callable[[str], Iterable[int]]:
    compiled = re.compile(pattern)
    return lambda text: (match.end() for match in compiled.finditer(text))


_BORDERS: tuple[Callable[[str], Iterable[int]], ...] = (
    _after(r"\n[^\S\n]*\n\s*"),
    _after(r"\n"),
    sentence_ends,
    _after(r"\s+"),
)
