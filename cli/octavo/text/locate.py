"""Where pieces stand in a text, all of them found in one pass.

Looking for each piece by itself takes the text's length times the number of pieces, and comparing
by differences more than that; here the two lengths are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import regex

from octavo.text.automaton import AhoCorasick
from octavo.text.folded import UNSPACED_SCRIPTS, normalize_for_match
from octavo.text.span import Span

__all__ = ["PieceLocation", "find_pieces"]

_MAX_TRIES = 8
"""How often a piece may be met inside of words before it is given up."""
_WORD_CHARACTER = regex.compile(rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED_SCRIPTS}]]", regex.V1)


class PieceLocation(NamedTuple):
    """Where a piece stands, and whether it stands there to the letter."""

    span: Span
    exact: bool


def find_pieces(text: str, pieces: Sequence[str]) -> list[PieceLocation | None]:
    """Return the first place of each piece, whole words only; None for one that is nowhere.

    A piece that does not stand in the text to the letter is looked for without regard to case,
    white space and typography. An empty piece is nowhere.
    """
    found: list[PieceLocation | None] = [
        None if span is None else PieceLocation(span, exact=True) for span in _find_first(text, pieces)
    ]
    left = [number for number, place in enumerate(found) if place is None]
    if left:
        folded = normalize_for_match(text)
        loose = [normalize_for_match(pieces[number]).text.strip() for number in left]
        for number, span in zip(left, _find_first(folded.text, loose), strict=True):
            if span is not None:
                found[number] = PieceLocation(folded.to_source_span(*span), exact=False)
    return found


def _find_first(text: str, pieces: Sequence[str]) -> list[Span | None]:
    """Return the first place of each piece between the edges of words."""
    found: list[Span | None] = [None] * len(pieces)
    tries = [0] * len(pieces)
    automaton = AhoCorasick(pieces)
    node = 0
    for end, character in enumerate(text, start=1):
        if not automaton.remaining:
            break
        node = automaton.step(node, character)
        if not node or not _is_word_edge(text, end):
            continue
        for number in automaton.iter_matches(node):
            start = end - len(pieces[number])
            tries[number] += 1
            if _is_word_edge(text, start):
                found[number] = Span(start, end)
            elif tries[number] < _MAX_TRIES:
                continue
            automaton.drop(number)
    for number, first in automaton.duplicates.items():
        found[number] = found[first]
    return found


def _is_word_edge(text: str, position: int) -> bool:
    """Tell whether neither a word nor a number goes on at a position."""
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if before in ".,":
        return not (after.isdecimal() and text[max(0, position - 2)].isdecimal())
    if after in ".,":
        return not (before.isdecimal() and text[position + 1 : position + 2].isdecimal())
    return not (_is_word_character(before) and _is_word_character(after))


@lru_cache(maxsize=4096)
def _is_word_character(character: str) -> bool:
    """Tell whether a character is one of words that something divides."""
    return _WORD_CHARACTER.match(character) is not None
