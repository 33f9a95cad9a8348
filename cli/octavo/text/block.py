"""The blocks of a text: what blank lines and headings set apart."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from octavo.text.border import UNIT
from octavo.text.document import Heading
from octavo.text.fence import fences
from octavo.text.span import Span

__all__ = ["Blocks", "blocks"]

_SECTION = -UNIT // 2
"""For a border before a heading or after two blank lines. It takes off less than a chunk costs,
or every heading would start a chunk."""

_ORPHAN = UNIT * 3 // 2
"""For a border that would leave a heading without its text."""

_FENCED = UNIT
"""For a border at a blank line inside a code fence."""

_BLANK = re.compile(r"\n(?:[ \t\r\f\v]*+\n)++")
_WIDE = re.compile(r"\n[ \t\r\f\v]*+\n[ \t\r\f\v]*+\n(?:[ \t\r\f\v]*+\n)*+")


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where blocks start, from 0 on, what a border before each costs by its kind, and the fences.

    `starts` ascends; `fences` are the spans of code fences, which blank lines may cross.
    """

    starts: list[int]
    costs: list[int]
    fences: list[Span]


def blocks(text: str, outline: Sequence[Heading]) -> Blocks:
    """Return the blocks of a text, which are not blank unless the whole text is.

    Blocks end with the blank lines after them, so a block starts at a line with text in it.
    """
    titles = [heading.span for heading in outline if _starts_line(text, heading.span.start)]
    starts = _starts(text, titles)
    costs = [0] * len(starts)
    for match in _WIDE.finditer(text):
        index = bisect_right(starts, match.end()) - 1
        if starts[index] == match.end():
            costs[index] = _SECTION
    for start, end in titles:
        index = bisect_right(starts, start) - 1
        if starts[index] == start:
            costs[index] = _SECTION
        if index + 1 < len(starts) and not text[end : starts[index + 1]].strip():
            costs[index + 1] += _ORPHAN
    fenced = fences(text)
    for start, end in fenced:
        for index in range(bisect_right(starts, start), bisect_left(starts, end)):
            costs[index] += _FENCED
    return Blocks(starts, costs, fenced)


def _starts(text: str, titles: Sequence[Span]) -> list[int]:
    starts = [match.end() for match in _BLANK.finditer(text)]
    extra = {title.start for title in titles}.difference(starts)
    if extra:
        starts = sorted(extra.union(starts))
    while starts and not text[starts[-1] :].strip():
        starts.pop()
    while starts and not text[: starts[0]].strip():
        del starts[0]
    return [0, *starts]


def _starts_line(text: str, position: int) -> bool:
    """Say whether a line starts here; what an outline says is only used where one does."""
    before = text[position - 1 : position]
    return before == "\n" or (before == "\r" and text[position : position + 1] != "\n")
