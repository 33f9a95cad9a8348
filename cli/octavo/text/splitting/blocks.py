"""The blocks of a text, separated by blank lines and headings, and its code fences.

Code fences are found as CommonMark defines them.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from octavo.text.document import Heading
from octavo.text.span import Span
from octavo.text.splitting.kernel import find_blank_lines, find_fence_marks
from octavo.text.splitting.loops import UNIT, FenceMark

__all__ = ["Blocks", "find_blocks", "find_fences"]


_SECTION_COST = -UNIT // 4
"""For a border before a heading or after two blank lines. It takes off less than a chunk costs,
or every heading would start a chunk."""

_ORPHAN_COST = UNIT * 3 // 2
"""For a border that would leave a heading without its text."""

_FENCED_COST = UNIT
"""For a border at a blank line inside a code fence."""

_TEXT = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where blocks start, the cost of a boundary before each by its kind, and where the last ends.

    `starts` ascends; code fences may hold blank lines, and thereby several blocks.
    """

    starts: list[int]
    costs: list[int]
    end: int


def find_blocks(
    text: str, outline: Sequence[Heading], fenced: Sequence[Span], within: Span | None = None
) -> Blocks:
    """Return the blocks of a text, which are not blank unless the whole text is.

    Blocks end with the blank lines after them, so a block starts at a line with text in it.
    `fenced` are the code fences of the text. Of a span `within`, which starts where a block does,
    those blocks are returned whose end lies inside, which may be none; what a border before the
    first costs is for those before to tell.
    """
    begin, stop = within or (0, len(text))
    starts, gaps = find_blank_lines(text, begin, stop)
    if stop < len(text):
        # The blank lines found last may go on behind the span.
        stop = starts.pop() if starts else begin
    first = bisect_left(outline, begin, key=_get_start)
    headings = outline[first : bisect_left(outline, stop, lo=first, key=_get_start)]
    starts = _add_headings(text, starts, headings)
    first_text = begin
    if not begin:
        filled = _TEXT.search(text)
        first_text = filled.start() if filled else len(text)
    first, last = bisect_right(starts, first_text), len(starts)
    while stop == len(text) and last > first and not text[starts[last - 1] :].strip():
        last -= 1
    starts = [begin, *starts[first:last]]
    end = stop if stop == len(text) else starts.pop()
    costs = [0] * len(starts)
    # A gap before the first block counts for the second.
    for gap in gaps:
        index = bisect_left(starts, gap)
        if index < len(starts) and (starts[index] == gap or gap <= first_text):
            costs[index] = _SECTION_COST
    _price_headings(text, starts, costs, headings, first_text)
    _price_fences(starts, costs, fenced, end)
    return Blocks(starts, costs, end)


def _price_headings(
    text: str, starts: Sequence[int], costs: list[int], headings: Sequence[Heading], first_text: int
) -> None:
    """Make borders before headings more welcome, and those right after them less."""
    orphans: list[int] = []
    for heading in headings:
        start, end = heading.span
        # What stands after blank lines at the very beginning is of the first block.
        index = bisect_left(starts, start) if start > first_text else 0
        if index == len(starts) or (starts[index] != start and index):
            continue
        costs[index] = _SECTION_COST
        if index + 1 < len(starts) and not text[end : starts[index + 1]].strip():
            orphans.append(index + 1)
    for index in orphans:
        costs[index] += _ORPHAN_COST


def _price_fences(
    starts: Sequence[int], costs: list[int], fenced: Sequence[Span], end: int
) -> None:
    """Make borders inside code fences less welcome."""
    if not starts:
        return
    nearest = bisect_left(fenced, starts[0], key=_get_end)
    for start, close in islice(fenced, nearest, None):
        if start >= end:
            break
        for index in range(bisect_right(starts, start), bisect_left(starts, close)):
            costs[index] = _FENCED_COST


def _get_start(heading: Heading) -> int:
    return heading.span.start


def _get_end(fence: Span) -> int:
    return fence.end


def _add_headings(text: str, starts: list[int], outline: Sequence[Heading]) -> list[int]:
    """Return the places after blank lines and those of the headings, in order."""
    if not outline:
        return starts
    known = set(starts)
    extra = {
        start
        for heading in outline
        if (start := heading.span[0]) not in known and _is_line_start(text, start)
    }
    return sorted([*starts, *extra]) if extra else starts


def _is_line_start(text: str, position: int) -> bool:
    """Say whether a line starts here; what an outline says is only used where one does."""
    before = text[position - 1 : position]
    return before == "\n" or (before == "\r" and text[position : position + 1] != "\n")


def find_fences(text: str) -> list[Span]:
    """Return the code fences of a text, from the line that opens to the end of the one that closes.

    One that is never closed is no fence: what follows it is most likely not code, and an edit
    should not change what a far-away line is.
    """
    marks = [mark for sign in "`~" if sign in text for mark in find_fence_marks(text, sign)]
    if not marks:
        return []
    marks.sort()
    found: list[Span] = []
    opening = ""
    fence_start = 0
    for (start, end, signs, may_close), closed in zip(marks, _find_closable(marks), strict=True):
        if not opening:
            if closed:
                opening, fence_start = signs, start
        elif may_close and signs.startswith(opening):
            found.append(Span(fence_start, end))
            opening = ""
    return found


def _find_closable(marks: list[FenceMark]) -> list[bool]:
    """Say for each mark whether some later one would close it, in one pass from the end."""
    longest = {"`": 0, "~": 0}
    closed: list[bool] = []
    for _, _, signs, may_close in reversed(marks):
        closed.append(longest[signs[0]] >= len(signs))
        if may_close and len(signs) > longest[signs[0]]:
            longest[signs[0]] = len(signs)
    closed.reverse()
    return closed
