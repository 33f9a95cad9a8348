"""Code fences, as CommonMark has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from octavo.text.span import Span

__all__ = ["fences"]

# A line that may open or close a fence; backticks after backticks are code inside a line. What
# is searched for starts with a newline, since a pattern that starts with `^` is tried everywhere.
_MARK = re.compile(r"\n[ \t]*+(?:(`{3,})([^`\n]*+)|(~{3,})([^\n]*+))(?=\n|\Z)")


class _Mark(NamedTuple):
    """A line that may open a fence, or, when it is bare, close one."""

    start: int
    end: int
    sign: str
    length: int
    bare: bool


def fences(text: str) -> list[Span]:
    """Return the code fences of a text, from the line that opens to the end of the one that closes.

    One that is never closed is no fence: what follows it is most likely not code, and an edit
    should not change what a far-away line is.
    """
    if "```" not in text and "~~~" not in text:
        return []
    marks = list(_marks(text))
    closed = _closed(marks)
    found: list[Span] = []
    opening: _Mark | None = None
    for mark, closes in zip(marks, closed, strict=True):
        if opening is None:
            opening = mark if closes else None
        elif mark.bare and mark.sign == opening.sign and mark.length >= opening.length:
            found.append(Span(opening.start, mark.end))
            opening = None
    return found


def _marks(text: str) -> Iterator[_Mark]:
    for match in _MARK.finditer("\n" + text):
        signs = match[1] or match[3]
        rest = match[2] or match[4]
        end = min(match.end(), len(text))
        yield _Mark(match.start(), end, signs[0], len(signs), not rest or rest.isspace())


def _closed(marks: list[_Mark]) -> list[bool]:
    """Say for each mark whether some later one would close it, in one pass from the end."""
    longest = {"`": 0, "~": 0}
    closed: list[bool] = []
    for mark in reversed(marks):
        closed.append(longest[mark.sign] >= mark.length)
        if mark.bare:
            longest[mark.sign] = max(longest[mark.sign], mark.length)
    closed.reverse()
    return closed
