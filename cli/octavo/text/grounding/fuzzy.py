"""Fuzzy grounding: where parts of a text begin, by words that a model copied from their ends.

The words are those at the beginning and the end of each part. Models copy with small mistakes, so
words that are not in the text are searched for with some letters changed. A part whose words cannot
be found begins nowhere, and its text stays with the part before it. This follows the repair of MoC
(Zhao et al. 2025, arXiv 2503.09600), whose search is for what lies between two strings that are not
escaped; here only beginnings are located, so that nothing can be lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from octavo.text.grounding.exact import Anchor

__all__ = ["find_part_starts", "find_words"]


_LETTERS_PER_ERROR: Final = 4
"""One letter in so many may differ."""

_MAX_CHARACTERS: Final = 160
"""Characters of a head that are looked at."""

_MIN_LETTERS: Final = 8
"""Letters below which a head is not looked for with mistakes: it would be found anywhere."""


def find_part_starts(text: str, anchors: Sequence[Anchor]) -> list[int | None]:
    """Return where each part begins, in ascending order, or None for one that cannot be placed.

    The first part begins with the text, whatever its head is.
    """
    found: list[int | None] = []
    position = 0
    tail = ""
    for number, anchor in enumerate(anchors):
        if number == 0:
            place: int | None = 0
        else:
            place = _find_start(text, anchor.head, position)
            if place is None and tail:
                end = find_words(text, tail, position)
                place = None if end is None else _skip_to_word(text, end[1])
        if place is not None and (number == 0 or position <= place < len(text)):
            found.append(place)
            position = place + 1
        else:
            found.append(None)
        tail = anchor.tail
    return found


def find_words(text: str, words: str, position: int) -> tuple[int, int] | None:
    """Return the first span from a position on that has these words, whatever the white space."""
    parts = words[:_MAX_CHARACTERS].split()
    if not parts:
        return None
    match = re.compile(r"\s+".join(map(re.escape, parts))).search(text, position)
    return match.span() if match else None


def _find_start(text: str, head: str, position: int) -> int | None:
    if (span := find_words(text, head, position)) is not None:
        return span[0]
    words = " ".join(head[:_MAX_CHARACTERS].split())
    if sum(map(str.isalnum, words)) < _MIN_LETTERS:
        return None
    import regex  # noqa: PLC0415 - few heads are copied wrongly

    spaced = r"\s+".join(map(regex.escape, words.split(" ")))
    pattern = rf"(?b)(?:{spaced}){{e<={max(1, len(words) // _LETTERS_PER_ERROR)}}}"
    match = regex.search(pattern, text, pos=position)
    if match is None:
        return None
    start = match.start()
    while start > position and text[start - 1].isalnum() and text[start].isalnum():
        start -= 1  # a mistake at the first letter matches from inside the word
    return start


def _skip_to_word(text: str, position: int) -> int:
    while position < len(text) and not text[position].isalnum():
        position += 1
    return position
