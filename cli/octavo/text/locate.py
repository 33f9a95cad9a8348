"""Where pieces stand in a text, all of them found in one pass.

Looking for each piece by itself takes the text's length times the number of pieces, and comparing
by differences more than that; here the two lengths are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import regex

from octavo.text.automaton import Automaton
from octavo.text.folded import DENSE, fold
from octavo.text.span import Span

__all__ = ["Place", "locate"]

_TRIES = 8
"""How often a piece may be met inside of words before it is given up."""
_WORDY = regex.compile(rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{DENSE}]]", regex.V1)


class Place(NamedTuple):
    """Where a piece stands, and whether it stands there to the letter."""

    span: Span
    exact: bool


def locate(text: str, pieces: Sequence[str]) -> list[Place | None]:
    """Return the first place of each piece, whole words only; None for one that is nowhere.

    A piece that does not stand in the text to the letter is looked for without regard to case,
    white space and typography. An empty piece is nowhere.
    """
    found: list[Place | None] = [
        None if span is None else Place(span, exact=True) for span in _first(text, pieces)
    ]
    left = [number for number, place in enumerate(found) if place is None]
    if left:
        folded = fold(text)
        loose = [fold(pieces[number]).text.strip() for number in left]
        for number, span in zip(left, _first(folded.text, loose), strict=True):
            if span is not None:
                found[number] = Place(folded.span(*span), exact=False)
    return found


def _first(text: str, pieces: Sequence[str]) -> list[Span | None]:
    """Return the first place of each piece between the edges of words."""
    found: list[Span | None] = [None] * len(pieces)
    tries = [0] * len(pieces)
    automaton = Automaton(pieces)
    node = 0
    for end, character in enumerate(text, start=1):
        if not automaton.left:
            break
        node = automaton.step(node, character)
        if not node or not _edge(text, end):
            continue
        for number in automaton.reports(node):
            start = end - len(pieces[number])
            tries[number] += 1
            if _edge(text, start):
                found[number] = Span(start, end)
            elif tries[number] < _TRIES:
                continue
            automaton.drop(number)
    for number, first in automaton.twins.items():
        found[number] = found[first]
    return found


def _edge(text: str, position: int) -> bool:
    """Tell whether neither a word nor a number goes on at a position."""
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if before in ".,":
        return not (after.isdecimal() and text[max(0, position - 2)].isdecimal())
    if after in ".,":
        return not (before.isdecimal() and text[position + 1 : position + 2].isdecimal())
    return not (_wordy(before) and _wordy(after))


@lru_cache(maxsize=4096)
def _wordy(character: str) -> bool:
    """Tell whether a character is one of words that something divides."""
    return _WORDY.match(character) is not None
