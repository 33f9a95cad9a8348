"""The blocks of a text: what blank lines and headings set apart."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from octavo.text.border import UNIT
from octavo.text.document import Heading
from octavo.text.fence import fences
from octavo.text.span import Span

__all__ = ["Blocks", "blocks"]

_SECTION = -UNIT // 4
"""For a border before a heading or after two blank lines. It takes off less than a chunk costs,
or every heading would start a chunk."""

_ORPHAN = UNIT * 3 // 2
"""For a border that would leave a heading without its text."""

_FENCED = UNIT
"""For a border at a blank line inside a code fence."""

_GAPS = ("\n\n\n", "\r\n\r\n\r\n")

_TEXT = re.compile(r"\S")
_BLANK = re.compile(r"\n(?:[ \t\r\f\v]*+\n)++")


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where blocks start, what a border before each costs by its kind, and the code fences.

    `starts` ascends from 0; fences may hold blank lines, and thereby several blocks.
    """

    starts: list[int]
    costs: list[int]
    fences: list[Span]


def blocks(text: str, outline: Sequence[Heading]) -> Blocks:
    """Return the blocks of a text, which are not blank unless the whole text is.

    Blocks end with the blank lines after them, so a block starts at a line with text in it.
    """
    starts = [match.end() for match in _BLANK.finditer(text)]
    starts = _with_headings(text, starts, outline)
    begin = _TEXT.search(text)
    lead = begin.start() if begin else len(text)
    first = bisect_right(starts, lead)
    last = len(starts)
    while last > first and not text[starts[last - 1] :].strip():
        last -= 1
    starts = [0, *starts[first:last]]
    costs = [0] * len(starts)
    for index in _after_gaps(text, starts):
        costs[index] = _SECTION
    orphans: list[int] = []
    for heading in outline:
        start, end = heading.span
        # What stands after blank lines at the very beginning is of the first block.
        index = bisect_left(starts, start) if start > lead else 0
        if index == len(starts) or (starts[index] != start and index):
            continue
        costs[index] = _SECTION
        if index + 1 < len(starts) and not text[end : starts[index + 1]].strip():
            orphans.append(index + 1)
    for index in orphans:
        costs[index] += _ORPHAN
    fenced = fences(text)
    for start, end in fenced:
        for index in range(bisect_right(starts, start), bisect_left(starts, end)):
            costs[index] = _FENCED
    return Blocks(starts, costs, fenced)


def _with_headings(text: str, starts: list[int], outline: Sequence[Heading]) -> list[int]:
    """Return the places after blank lines and those of the headings, in order."""
    known = set(starts)
    extra = {
        start
        for heading in outline
        if (start := heading.span[0]) not in known and _starts_line(text, start)
    }
    return sorted([*starts, *extra]) if extra else starts


def _starts_line(text: str, position: int) -> bool:
    """Say whether a line starts here; what an outline says is only used where one does."""
    before = text[position - 1 : position]
    return before == "\n" or (before == "\r" and text[position : position + 1] != "\n")


def _after_gaps(text: str, starts: Sequence[int]) -> Iterator[int]:
    """Yield the indices of the blocks that stand after two blank lines or more."""
    # What is no white space three characters before a block rules it out at once. A gap before
    # the first block counts for the second.
    later = enumerate(starts[1:], 1)
    near = [index for index, start in later if index == 1 or text[start - 3].isspace()]
    for index in near:
        if any(text.find(gap, starts[index - 1], starts[index]) >= 0 for gap in _GAPS):
            yield index
