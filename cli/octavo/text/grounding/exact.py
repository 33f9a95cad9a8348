"""Exact grounding: where sections stand in a text, by the words each one begins and ends with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from octavo.text.span import Span

__all__ = ["Anchor", "locate_sections"]


_BLANKS = re.compile(r"\s*")


class Anchor(NamedTuple):
    """The first and the last words of a section, copied from the text."""

    head: str
    tail: str


def locate_sections(text: str, anchors: Sequence[Anchor]) -> list[Span] | str:
    """Return the spans of the sections, which cover the text, or an error about the anchors.

    A section runs to the head of the next one, and its tail must stand right before that; blanks
    do not count. A head that stands at several places is the first of them with that tail before
    it. Anchors that leave text out, swap sections or change a word are wrong.
    """
    if not anchors:
        return "no section is listed"
    for number, anchor in enumerate(anchors, start=1):
        if not anchor.head.split() or not anchor.tail.split():
            return f"section {number} lacks its first or last words"
    first = _skip_blanks(text, 0)
    if not _compile_words(anchors[0].head).match(text, first):
        return f"the text does not begin with {anchors[0].head!r}, as its first section should"
    starts = [0]
    for anchor, following in pairwise(anchors):
        matches = _compile_words(following.head).finditer(text, max(starts[-1], first) + 1)
        places = (found.start() for found in matches)
        start = next((at for at in places if _ends_with(text, starts[-1], at, anchor.tail)), None)
        if start is None:
            return f"{anchor.tail!r} and right after it {following.head!r} are not in the text"
        starts.append(start)
    if not _ends_with(text, starts[-1], len(text), anchors[-1].tail):
        return f"the text does not end with {anchors[-1].tail!r}, as its last section should"
    return list(map(Span, starts, [*starts[1:], len(text)]))


def _compile_words(words: str) -> re.Pattern[str]:
    # Escaped: what a model copies from a text may have any sign in it.
    return re.compile(r"\s+".join(map(re.escape, words.split())))


def _skip_blanks(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return found.end() if found else position


def _ends_with(text: str, start: int, end: int, tail: str) -> bool:
    """Tell whether the text between two positions ends with these words."""
    words = tail.split()
    # Only a few times the tail's length is looked at, so that many places cost little.
    tail_text = text[max(start, end - 4 * len(tail) - 64) : end]
    return " ".join(tail_text.split()).endswith(" ".join(words))
