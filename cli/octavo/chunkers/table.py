"""The tables of a text: their headers, and where their rows start."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from octavo.text.fence import find_fences
from octavo.text.span import Span

__all__ = ["Table", "find_markdown_tables", "parse_separated"]

_SEPARATORS: Final = ",;\t|"
_DELIMITER_ROW: Final = re.compile(r"[ ]{0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?[ \t]*\r?\n?")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where it is, where its header ends, and where its rows start after that."""

    span: Span
    body_start: int
    rows: Sequence[int]


def parse_separated(text: str, separator: str | None = None) -> list[Table]:
    """Return a text of comma-separated values as one table; the first record is its header.

    As RFC 4180 has it, a field that starts with a quotation mark runs to the closing one, line
    ends included. Without a separator, the one that the first line has most of is taken.
    """
    if separator is None:
        line = text[: text.find("\n")]
        separator = max(_SEPARATORS, key=line.count)
    starts = [match.start() for match in _build_record_pattern(separator).finditer(text) if match[0]]
    if len(starts) < 2:
        return []
    return [Table(Span(0, len(text)), starts[1], starts[1:])]


def _build_record_pattern(separator: str) -> re.Pattern[str]:
    mark = re.escape(separator)
    # A quotation mark that is never closed is one sign like others.
    field = rf'(?:"(?:[^"]|"")*+"[^{mark}\r\n]*+|[^{mark}\r\n]*+)'
    return re.compile(rf"{field}(?:{mark}{field})*+(?:\r\n?|\n|\Z)")


def find_markdown_tables(text: str) -> Iterator[Table]:
    """Yield the tables of Markdown that lie outside of code fences.

    A table is a line with `|`, a line of dashes, and the lines with `|` that follow.
    """
    if "|" not in text:
        return
    code = find_fences(text)
    before: Span | None = None
    header: Span | None = None
    rows: list[int] = []
    for line in _iter_lines(text):
        pipes = "|" in text[line.start : line.end]
        if header is not None and pipes:
            rows.append(line.start)
        elif header is not None:
            yield Table(Span(header.start, line.start), header.end, rows)
            header, rows = None, []
        elif (
            pipes
            and before is not None
            and _DELIMITER_ROW.fullmatch(text, line.start, line.end)
            and not _is_inside(code, line.start)
        ):
            header = Span(before.start, line.end)
        before = line if pipes else None
    if header is not None:
        yield Table(Span(header.start, len(text)), header.end, rows)


def _iter_lines(text: str) -> Iterator[Span]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield Span(start, end)
        start = end


def _is_inside(code: Sequence[Span], position: int) -> bool:
    index = bisect_right(code, position, key=lambda span: span.start) - 1
    return index >= 0 and position < code[index].end
