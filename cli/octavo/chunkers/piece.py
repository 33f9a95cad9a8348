"""The pieces that chunks are made of: blocks, and parts of the blocks that are too large."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from octavo.errors import FitError
from octavo.protocols.tokens import Counter
from octavo.text.block import Blocks
from octavo.text.border import UNIT
from octavo.text.grapheme import joined
from octavo.text.sentence import sentence_ends
from octavo.text.span import Span

__all__ = ["Pieces", "pieces"]

_EDGE = UNIT // 2
_LINE = UNIT
_FENCED = UNIT * 3 // 2
_SENTENCE = UNIT * 2
_CLAUSE = UNIT * 3
_WORD = UNIT * 4
_JOINT = UNIT * 6
_CHARACTER = UNIT * 8

_ENDLESS = 4
"""A part of more budgets than this is cut where it must be, so what all cuts inside it have in
common is left out: it would only weigh against the choice by content."""

_PATIENCE = 64
"""Characters after which a grapheme that has not ended is cut all the same."""

_ITEM = re.compile(r"[ \t]*+(?:[-*+\u2022]|\d{1,9}[.)])[ \t]")
_SPACE = re.compile(r"\s++|[\u3001\uff0c\uff1a\uff1b]++")
_JOINTS = re.compile(r"[,;:)\]}>/&|=]++")

Cut = tuple[int, int]
"""A position in the text, and what a border there costs by structure."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Where pieces start, what a border before each costs by structure, and their tokens."""

    starts: list[int]
    costs: list[int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class _Level:
    """One way to cut a span: `floor` is what its cheapest cut costs."""

    cuts: Callable[[str, Span], Iterable[Cut]]
    floor: int


def pieces(text: str, parts: Blocks, room: int, counter: Counter) -> Pieces:
    """Return the blocks, with those above `room` tokens cut until no piece is above it.

    Lines come before sentences, these before words, these before characters, and nothing is cut
    that fits. Raises FitError when one character alone has more tokens than the room.
    """
    bounds = [*parts.starts, len(text)]
    counts = counter.count_batch([text[start:end] for start, end in pairwise(bounds)])
    found = Pieces(parts.starts, parts.costs, counts)
    for level in (
        _Level(partial(_lines, parts.fences), _EDGE),
        _Level(_sentences, _SENTENCE),
        _Level(_words, _CLAUSE),
        _Level(_joints, _JOINT),
        _Level(_anchors, _CHARACTER),
        _Level(partial(_grid, max(room // 8, 1)), _CHARACTER),
        _Level(partial(_grid, 1), _CHARACTER),
        _Level(_characters, _CHARACTER),
    ):
        if max(found.counts) <= room:
            return found
        found = _cut(text, found, level, room, counter)
    worst = max(found.counts)
    if worst > room:
        start = found.starts[found.counts.index(worst)]
        raise FitError(
            f"the character {text[start]!r} alone has {worst} tokens, more than the {room} of a"
            " chunk",
            hint="allow more tokens for a chunk",
        )
    return found


def _cut(text: str, whole: Pieces, level: _Level, room: int, counter: Counter) -> Pieces:
    """Cut the pieces above the room by one level, and count what that gives."""
    starts: list[int] = []
    costs: list[int] = []
    counts: list[int] = []
    fresh: list[int] = []
    ends = [*whole.starts[1:], len(text)]
    for start, end, cost, count in zip(whole.starts, ends, whole.costs, whole.counts, strict=True):
        first = len(starts)
        starts.append(start)
        costs.append(cost)
        if count > room:
            waived = level.floor if count > _ENDLESS * room else 0
            for position, price in level.cuts(text, Span(start, end)):
                starts.append(position)
                costs.append(price - waived)
        if len(starts) == first + 1:
            counts.append(count)
        else:
            counts += [0] * (len(starts) - first)
            fresh += range(first, len(starts))
    ends = [*starts[1:], len(text)]
    sizes = counter.count_batch([text[starts[index] : ends[index]] for index in fresh])
    for index, size in zip(fresh, sizes, strict=True):
        counts[index] = size
    return Pieces(starts, costs, counts)


def _lines(fences: Sequence[Span], text: str, span: Span) -> Iterator[Cut]:
    """Before lines with text in them, and rather at the edges of lists, tables and fences."""
    position = span.start
    index = bisect_right(fences, position, key=lambda fence: fence.end)
    opens, closes = fences[index] if index < len(fences) else (len(text), len(text))
    table = False
    for line in text[position : span.end].splitlines(keepends=True):
        row = line.lstrip().startswith("|")
        if position > closes:
            index += 1
            opens, closes = fences[index] if index < len(fences) else (len(text), len(text))
        if line.isspace() or position == span.start:
            pass
        elif opens < position < closes:
            yield position, _FENCED
        elif position in (opens, closes) or row != table or _ITEM.match(line):
            yield position, _EDGE
        else:
            yield position, _LINE
        table = row
        position += len(line)


def _sentences(text: str, span: Span) -> Iterator[Cut]:
    for end in sentence_ends(text[span.start : span.end]):
        position = span.start + end
        if position < span.end and not joined(text, position):
            yield position, _SENTENCE


def _words(text: str, span: Span) -> Iterator[Cut]:
    """Before white space, and after commas that need none."""
    for match in _SPACE.finditer(text, span.start, span.end):
        if match[0].isspace():
            position = match.start()
            if position > span.start:
                yield position, _CLAUSE if text[position - 1] in ",;:\u2013\u2014" else _WORD
        elif match.end() < span.end and not joined(text, match.end()):
            yield match.end(), _CLAUSE


def _joints(text: str, span: Span) -> Iterator[Cut]:
    """After the punctuation inside what has no white space: addresses, minified code, data."""
    for match in _JOINTS.finditer(text, span.start, span.end):
        if match.end() < span.end and not joined(text, match.end()):
            yield match.end(), _JOINT


def _anchors(text: str, span: Span) -> Iterator[Cut]:
    """Before about every sixteenth of the characters, chosen by what they are."""
    before = text[span.start]
    for position, sign in enumerate(text[span.start + 1 : span.end], span.start + 1):
        if ord(sign) * 0x9E3779B1 >> 28 & 15 == 0 and sign != before and not joined(text, position):
            yield position, _CHARACTER
        before = sign


def _grid(step: int, text: str, span: Span) -> Iterator[Cut]:
    """Each `step` characters or little more, where nothing tells one place from another."""
    last = span.start
    # No place from last + step up to here is between graphemes.
    position = last + step
    while position < span.end:
        if not joined(text, position):
            last = position
            yield position, _CHARACTER
            position = last + step
        elif position - last > step + _PATIENCE:
            last += step
            yield last, _CHARACTER
            position = max(position, last + step)
        else:
            position += 1


def _characters(text: str, span: Span) -> Iterator[Cut]:
    for position in range(span.start + 1, span.end):
        if text[position - 1 : position + 1] != "\r\n":
            yield position, _CHARACTER
