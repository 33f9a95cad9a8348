"""Ways to cut a block that is too large, from lines down to characters.

Each takes a text and a span of it, and returns the places inside the span where it may be cut, in
ascending order, and what a border at each costs by its kind.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from octavo.text.grapheme import is_inside_grapheme
from octavo.text.sentences import find_sentence_ends
from octavo.text.span import Span
from octavo.text.splitting.loops import UNIT

__all__ = [
    "CutLevel",
    "Cuts",
    "build_fine_levels",
    "build_levels",
    "find_line_cuts",
    "find_word_cuts",
    "select_cuts",
]


_EDGE_COST = UNIT // 2
_LINE_COST = UNIT
_FENCED_LINE_COST = UNIT * 3 // 2
_SENTENCE_COST = UNIT * 2
_CLAUSE_COST = UNIT * 3
_WORD_COST = UNIT * 4
_PUNCTUATION_COST = UNIT * 6
_CHARACTER_COST = UNIT * 8

_MAX_GRAPHEME = 64
"""Characters after which a grapheme that has not ended is cut all the same."""

_LIST_ITEM = re.compile(r"[ \t]*+(?:[-*+\u2022]|\d{1,9}[.)])[ \t]")
_SPACE = re.compile(r"\s++|[\u3001\uff0c\uff1a\uff1b]++")
_PUNCTUATION = re.compile(r"[,;:)\]}>/&|=]++")

Cuts = tuple[Sequence[int], Sequence[int]]
"""Positions in the text, and what a border at each costs by its kind."""


@dataclass(frozen=True, slots=True)
class CutLevel:
    """One way to cut a span; `floor` is what its cheapest cut costs."""

    cuts: Callable[[str, Span], Cuts]
    floor: int


def build_levels(fences: Sequence[Span], room: int) -> tuple[CutLevel, ...]:
    """Return the ways to cut a block above `room` tokens, the preferred one first.

    `fences` are the code fences of the text.
    """
    return (
        CutLevel(partial(_find_line_cuts, fences), _EDGE_COST),
        CutLevel(_find_sentence_cuts, _SENTENCE_COST),
        *build_fine_levels(room),
    )


def build_fine_levels(room: int) -> tuple[CutLevel, ...]:
    """Return the ways to cut inside a sentence, from clauses and words down to characters."""
    return (
        CutLevel(find_word_cuts, _CLAUSE_COST),
        CutLevel(_find_punctuation_cuts, _PUNCTUATION_COST),
        CutLevel(_find_hashed_cuts, _CHARACTER_COST),
        # The most tokens of a character are four in the common tokenizers.
        CutLevel(partial(_find_grid_cuts, max(room // 8, 1)), _CHARACTER_COST),
        CutLevel(partial(_find_grid_cuts, 1), _CHARACTER_COST),
        CutLevel(_find_character_cuts, _CHARACTER_COST),
    )


def _find_line_cuts(fences: Sequence[Span], text: str, span: Span) -> Cuts:
    """Cut before lines with text, and rather at the edges of lists, tables and fences."""
    places: list[int] = []
    prices: list[int] = []
    position = span.start
    index = bisect_right(fences, position, key=lambda fence: fence.end)
    opens, closes = fences[index] if index < len(fences) else (len(text), len(text))
    table = False
    for line in text[position : span.end].splitlines(keepends=True):
        row = line.lstrip().startswith("|")
        if position > closes:
            index += 1
            opens, closes = fences[index] if index < len(fences) else (len(text), len(text))
        if not line.isspace():
            places.append(position)
            if opens < position < closes:
                prices.append(_FENCED_LINE_COST)
            elif position in (opens, closes) or row != table or _LIST_ITEM.match(line):
                prices.append(_EDGE_COST)
            else:
                prices.append(_LINE_COST)
        table = row
        position += len(line)
    first = 1 if places and places[0] == span.start else 0
    return places[first:], prices[first:]


def find_line_cuts(text: str, span: Span) -> Cuts:
    """Cut before lines with text."""
    return _find_line_cuts((), text, span)


def _find_sentence_cuts(text: str, span: Span) -> Cuts:
    ends = [span.start + end for end in find_sentence_ends(text[span.start : span.end])]
    places = [end for end in ends if end < span.end and not is_inside_grapheme(text, end)]
    return places, [_SENTENCE_COST] * len(places)


def find_word_cuts(text: str, span: Span) -> Cuts:
    """Cut before white space, and after commas that need none."""
    places: list[int] = []
    prices: list[int] = []
    for match in _SPACE.finditer(text, span.start, span.end):
        start, end = match.span()
        if match[0].isspace():
            if start > span.start:
                places.append(start)
                prices.append(_CLAUSE_COST if text[start - 1] in ",;:\u2013\u2014" else _WORD_COST)
        elif end < span.end and not is_inside_grapheme(text, end):
            places.append(end)
            prices.append(_CLAUSE_COST)
    return places, prices


def select_cuts(places: Sequence[int], prices: Sequence[int], text: str, span: Span) -> Cuts:
    """Cut at those of the given places that are inside the span."""
    del text
    first, last = bisect_right(places, span.start), bisect_left(places, span.end)
    return places[first:last], prices[first:last]


def _find_punctuation_cuts(text: str, span: Span) -> Cuts:
    """Cut after the punctuation inside what has no white space: addresses, minified code, data."""
    ends = [match.end() for match in _PUNCTUATION.finditer(text, span.start, span.end)]
    places = [end for end in ends if end < span.end and not is_inside_grapheme(text, end)]
    return places, [_PUNCTUATION_COST] * len(places)


def _find_hashed_cuts(text: str, span: Span) -> Cuts:
    """Cut before about every sixteenth of the characters, chosen by what they are."""
    places: list[int] = []
    before = text[span.start]
    for position, sign in enumerate(text[span.start + 1 : span.end], span.start + 1):
        if (
            ord(sign) * 0x9E3779B1 >> 28 & 15 == 0
            and sign != before
            and not is_inside_grapheme(text, position)
        ):
            places.append(position)
        before = sign
    return places, [_CHARACTER_COST] * len(places)


def _find_grid_cuts(step: int, text: str, span: Span) -> Cuts:
    """Cut each `step` characters or little more, where nothing tells one place from another."""
    places: list[int] = []
    last = span.start
    # No place from last + step up to here is between graphemes.
    position = last + step
    while position < span.end:
        if not is_inside_grapheme(text, position):
            last = position
            places.append(last)
            position = last + step
        elif position - last > step + _MAX_GRAPHEME:
            last += step
            places.append(last)
            position = max(position, last + step)
        else:
            position += 1
    return places, [_CHARACTER_COST] * len(places)


def _find_character_cuts(text: str, span: Span) -> Cuts:
    inside = range(span.start + 1, span.end)
    places = [place for place in inside if text[place - 1 : place + 1] != "\r\n"]
    return places, [_CHARACTER_COST] * len(places)
