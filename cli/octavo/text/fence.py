"""Code fences, as CommonMark has them."""

from __future__ import annotations

from octavo.text.kernel import find_fence_marks
from octavo.text.loops import FenceMark
from octavo.text.span import Span

__all__ = ["find_fences"]


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
    since = 0
    for (start, end, signs, bare), closed in zip(marks, _find_closable(marks), strict=True):
        if not opening:
            if closed:
                opening, since = signs, start
        elif bare and signs.startswith(opening):
            found.append(Span(since, end))
            opening = ""
    return found


def _find_closable(marks: list[FenceMark]) -> list[bool]:
    """Say for each mark whether some later one would close it, in one pass from the end."""
    longest = {"`": 0, "~": 0}
    closed: list[bool] = []
    for _, _, signs, bare in reversed(marks):
        closed.append(longest[signs[0]] >= len(signs))
        if bare and len(signs) > longest[signs[0]]:
            longest[signs[0]] = len(signs)
    closed.reverse()
    return closed
