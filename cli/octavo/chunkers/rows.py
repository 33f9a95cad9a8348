"""Chunks of whole rows, each with its table's header beside it.

Tables are comma-separated values and the like, or those in Markdown, which is also what office
files and web pages are read as. What is no table is split by structure.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from pydantic import Field

from octavo.chunkers.cut import Cuts, CutLevel, build_fine_levels, build_levels
from octavo.chunkers.packing import chunk_pieces, pack_pieces
from octavo.chunkers.part import shift_spans, extract_part, build_chunks
from octavo.chunkers.piece import count_pieces, refine_pieces
from octavo.chunkers.stretch import stream_pieces
from octavo.chunkers.structure import split as split_by_structure
from octavo.chunkers.table import Table, find_markdown_tables, parse_separated
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options, Work
from octavo.protocols.tokens import Counter
from octavo.text.border import hash_boundaries, weigh_hashes
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.fence import find_fences
from octavo.text.grouping import group_neighbours
from octavo.text.span import Span

__all__ = ["CHUNKER", "Rows", "split"]

_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")


class Rows(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    rows: int | None = Field(
        None, ge=1, description="the most rows of a chunk; 1 gives each a chunk of its own"
    )
    table: Literal["auto", "csv", "markdown"] = Field(
        "auto", description="what the tables are; `auto` goes by the file's name"
    )


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
        found = parse_separated(text)
    else:
        found = list(find_markdown_tables(text))
        if options.rows is None:
            return _add_headers(_split_mixed(document, found, options.tokens, counter), found, text)
    spans: list[tuple[Span, int]] = []
    done = 0
    for table in [*found, Table(Span(len(text), len(text)), len(text), ())]:
        between = Span(done, table.span.start)
        if between.length:
            parts = split_by_structure(extract_part(document, between), options.tokens, counter)
            spans += shift_spans(parts, between.start)
        if table.span.length:
            spans += shift_spans(_split_table(document, table, options, counter), table.span.start)
        done = table.span.end
    return _add_headers(build_chunks(document, spans), found, text)


def _split_table(document: Document, table: Table, options: Rows, counter: Counter) -> tuple[Chunk, ...]:
    """Return the chunks of a table, its header with the first row."""
    own = extract_part(document, table.span)
    places = [row - table.span.start for row in table.rows[1:]]
    rows = count_pieces(own.text, places, weigh_hashes(hash_boundaries(own.text, places)), counter)
    found = refine_pieces(own.text, rows, build_fine_levels(options.tokens), options.tokens, counter)
    if options.rows is None:
        return pack_pieces(own, [found], options.tokens, counter)
    few = group_neighbours(
        hash_boundaries(own.text, found.starts),
        found.counts,
        most=options.rows,
        least=max(options.rows // 2, 1),
        room=options.tokens,
    )
    firsts = [group.start for group in few]
    return chunk_pieces(own, found, firsts, options.tokens, counter)


def _split_mixed(
    document: Document, found: Sequence[Table], budget: int, counter: Counter
) -> tuple[Chunk, ...]:
    """Return chunks by structure that part no header from its first row."""
    if not document.text:
        return ()
    fenced = find_fences(document.text)
    lines, *others = build_levels(fenced, budget)
    ways = (CutLevel(partial(_cut_outside_headers, found, lines), lines.floor), *others)
    return pack_pieces(document, stream_pieces(document, fenced, ways, budget, counter), budget, counter)


def _cut_outside_headers(found: Sequence[Table], lines: CutLevel, text: str, span: Span) -> Cuts:
    """Return the lines but for those of headers and of the rows right behind them."""
    kept = [
        (place, price)
        for place, price in zip(*lines.cuts(text, span), strict=True)
        if (table := _find_table_around(found, place)) is None or place > table.body_start
    ]
    return [place for place, _ in kept], [price for _, price in kept]


def _find_table_around(found: Sequence[Table], place: int) -> Table | None:
    """Return the table that a place lies inside of, not at its start."""
    index = bisect_right(found, place - 1, key=lambda table: table.span.start) - 1
    return found[index] if index >= 0 and place < found[index].span.end else None


def _add_headers(chunks: Sequence[Chunk], found: Sequence[Table], text: str) -> tuple[Chunk, ...]:
    """Return the chunks, those that start behind a header with it as context."""
    if not found:
        return tuple(chunks)
    return tuple(
        replace(chunk, context=(("header", text[table.span.start : table.body_start].rstrip("\r\n")),))
        if (table := _find_table_around(found, chunk.span.start)) and chunk.span.start >= table.body_start
        else chunk
        for chunk in chunks
    )


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
