"""Chunks of whole rows, each with its table's header as context.

Tables are comma-separated values and the like, or those in Markdown, which is also what office
files and web pages are read as. Text outside tables is split by structure. A table is found with
where its header ends and where its rows start.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from pydantic import Field

from octavo.chunkers._support.packing import chunk_pieces, pack_pieces
from octavo.chunkers._support.pieces import count_pieces, refine_pieces
from octavo.chunkers._support.streaming import stream_pieces
from octavo.chunkers._support.subdocuments import build_chunks, extract_part, shift_spans
from octavo.chunkers.structure import split as split_by_structure
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.splitting.blocks import find_fences
from octavo.text.splitting.cuts import CutLevel, Cuts, build_fine_levels, build_levels
from octavo.text.splitting.grouping import group_neighbours
from octavo.text.splitting.kernel import hash_boundaries
from octavo.text.splitting.loops import weigh_hashes

__all__ = ["CHUNKER", "Rows", "Table", "find_markdown_tables", "parse_separated", "split"]


_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
_SEPARATORS: Final = ",;\t|"
_DELIMITER_ROW: Final = re.compile(
    r"[ ]{0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*+\|?[ \t]*\r?\n?"
)


class Rows(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    rows: int | None = Field(
        None, ge=1, description="the most rows of a chunk; 1 gives each a chunk of its own"
    )
    table: Literal["auto", "csv", "markdown"] = Field(
        "auto", description="what the tables are; `auto` goes by the file's name"
    )


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where it is, where its header ends, and where its rows start after that."""

    span: Span
    body_start: int
    rows: Sequence[int]


def split(document: Document, options: Rows, counter: Counter) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text, none above the budget.

    A chunk that starts behind a table's header has it as its context `header`, which the budget
    does not cover. A row above the budget is cut at sentences, words and so on. Raises FitError
    when one character alone has more tokens than the budget.
    """
    text = document.text
    if options.table == "csv" or (
        options.table == "auto" and document.source.lower().endswith(_SUFFIXES)
    ):
        tables = parse_separated(text)
    else:
        tables = list(find_markdown_tables(text))
        if options.rows is None:
            return _add_headers(
                _split_mixed(document, tables, options.tokens, counter), tables, text
            )
    spans: list[tuple[Span, int]] = []
    end_of_last = 0
    for table in [*tables, Table(Span(len(text), len(text)), len(text), ())]:
        between = Span(end_of_last, table.span.start)
        if between.length:
            parts = split_by_structure(extract_part(document, between), options.tokens, counter)
            spans += shift_spans(parts, between.start)
        if table.span.length:
            spans += shift_spans(_split_table(document, table, options, counter), table.span.start)
        end_of_last = table.span.end
    return _add_headers(build_chunks(document, spans), tables, text)


def _split_table(
    document: Document, table: Table, options: Rows, counter: Counter
) -> tuple[Chunk, ...]:
    """Return the chunks of a table, its header with the first row."""
    own = extract_part(document, table.span)
    places = [row - table.span.start for row in table.rows[1:]]
    rows = count_pieces(own.text, places, weigh_hashes(hash_boundaries(own.text, places)), counter)
    pieces = refine_pieces(
        own.text, rows, build_fine_levels(options.tokens), options.tokens, counter
    )
    if options.rows is None:
        return pack_pieces(own, [pieces], options.tokens, counter)
    groups = group_neighbours(
        hash_boundaries(own.text, pieces.starts),
        pieces.counts,
        max_items=options.rows,
        min_items=max(options.rows // 2, 1),
        max_tokens=options.tokens,
    )
    first_pieces = [group.start for group in groups]
    return chunk_pieces(own, pieces, first_pieces, options.tokens, counter)


def _split_mixed(
    document: Document, tables: Sequence[Table], budget: int, counter: Counter
) -> tuple[Chunk, ...]:
    """Return chunks by structure that never separate a header from its first row."""
    if not document.text:
        return ()
    fenced = find_fences(document.text)
    lines, *others = build_levels(fenced, budget)
    ways = (CutLevel(partial(_cut_outside_headers, tables, lines), lines.floor), *others)
    return pack_pieces(
        document, stream_pieces(document, fenced, ways, budget, counter), budget, counter
    )


def _cut_outside_headers(tables: Sequence[Table], lines: CutLevel, text: str, span: Span) -> Cuts:
    """Return the line cuts, except those in headers and before the first row."""
    cuts = [
        (place, price)
        for place, price in zip(*lines.cuts(text, span), strict=True)
        if (table := _find_table_around(tables, place)) is None or place > table.body_start
    ]
    return [place for place, _ in cuts], [price for _, price in cuts]


def _find_table_around(tables: Sequence[Table], place: int) -> Table | None:
    """Return the table that a place lies inside of, not at its start."""
    index = bisect_right(tables, place - 1, key=lambda table: table.span.start) - 1
    return tables[index] if index >= 0 and place < tables[index].span.end else None


def _add_headers(chunks: Sequence[Chunk], tables: Sequence[Table], text: str) -> tuple[Chunk, ...]:
    """Return the chunks, those that start behind a header with it as context."""
    if not tables:
        return tuple(chunks)
    return tuple(
        replace(
            chunk, context=(("header", text[table.span.start : table.body_start].rstrip("\r\n")),)
        )
        if (table := _find_table_around(tables, chunk.span.start))
        and chunk.span.start >= table.body_start
        else chunk
        for chunk in chunks
    )


def parse_separated(text: str, separator: str | None = None) -> list[Table]:
    """Return a text of comma-separated values as one table; the first record is its header.

    As RFC 4180 has it, a field that starts with a quotation mark runs to the closing one, line
    ends included. Without a separator, the one that the first line has most of is taken.
    """
    if separator is None:
        line = text[: text.find("\n")]
        separator = max(_SEPARATORS, key=line.count)
    starts = [
        match.start() for match in _build_record_pattern(separator).finditer(text) if match[0]
    ]
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


async def _run(
    document: Document, options: Rows, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options, counter)


CHUNKER = ChunkerType(
    name="rows",
    about="whole rows of tables, each chunk with the header beside it",
    version=1,
    options=Rows,
    run=_run,
)
