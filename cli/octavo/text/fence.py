"""Code fences, as CommonMark has them."""

from __future__ import annotations

from collections.abc import Iterator

from octavo.text.span import Span

__all__ = ["fences"]

_INDENT = 64

_Mark = tuple[int, int, str, bool]
"""A line that may open a fence: its start and end, its signs, and whether it may close one."""


def fences(text: str) -> list[Span]:
    """Return the code fences of a text, from the line that opens to the end of the one that closes.

    One that is never closed is no fence: what follows it is most likely not code, and an edit
    should not change what a far-away line is.
    """
    marks = [mark for sign in "`~" if sign in text for mark in _marks(sign, text)]
    if not marks:
        return []
    marks.sort()
    found: list[Span] = []
    opening = ""
    since = 0
    for (start, end, signs, bare), closed in zip(marks, _closed(marks), strict=True):
        if not opening:
            if closed:
                opening, since = signs, start
        elif bare and signs.startswith(opening):
            found.append(Span(since, end))
            opening = ""
    return found


def _marks(sign: str, text: str) -> Iterator[_Mark]:
    shortest = sign * 3
    plain = shortest + "\n"
    # A sign alone is found much faster than three, and most that stand alone are soon passed.
    at = text.find(sign)
    while at >= 0:
        if not text.startswith(shortest, at):
            at = text.find(sign, at + 1)
            continue
        start = at if text[at - 1] == "\n" else _line(text, at)
        if start < 0:
            at = text.find(sign, at + 3)
            continue
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end]
        if line == plain:
            yield start, end, shortest, True
        else:
            rest = line.lstrip(sign)
            # Backticks after backticks are code inside a line.
            if sign == "~" or sign not in rest:
                yield start, end, line[: len(line) - len(rest)], not rest or rest.isspace()
        at = text.find(sign, end)


def _line(text: str, at: int) -> int:
    """Return where the line starts that has nothing but its indent before a place, or -1."""
    if at == 0:
        return at
    before = text[max(at - _INDENT, 0) : at]
    indent = before.rpartition("\n")[2]
    return at - len(indent) if indent.isspace() and (indent != before or at < _INDENT) else -1


def _closed(marks: list[_Mark]) -> list[bool]:
    """Say for each mark whether some later one would close it, in one pass from the end."""
    longest = {"`": 0, "~": 0}
    closed: list[bool] = []
    for _, _, signs, bare in reversed(marks):
        closed.append(longest[signs[0]] >= len(signs))
        if bare and len(signs) > longest[signs[0]]:
            longest[signs[0]] = len(signs)
    closed.reverse()
    return closed
