"""Chunks of source code that follow its syntax: whole functions and classes where they fit.

After cAST (Zhang et al., 2025, arXiv:2506.15655): what does not fit is cut where its children
start, and so on down the tree; small neighbours stay together. Here the pieces are put together by
the cheapest path that `structure` takes too, where a border costs more the deeper it lies in the
tree, instead of greedily: an edit then changes few chunks.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath

from pydantic import Field

from octavo.chunkers._support.packing import pack_pieces
from octavo.chunkers._support.pieces import cut_pieces
from octavo.chunkers.code.syntax import Scope, parse_syntax
from octavo.errors import UsageError
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.languages import LANGUAGE_BY_SUFFIX
from octavo.text.splitting.cuts import CutLevel, build_levels, select_cuts
from octavo.text.splitting.loops import UNIT

__all__ = ["CHUNKER", "Code", "split"]


_DEPTH_COST = UNIT // 2
"""What a border costs for each level of the tree that it lies below the top."""


class Code(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    language: str | None = Field(
        None, description="the programming language; unsaid, the file's name tells"
    )


def split(document: Document, options: Code, counter: Counter) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text, none above the budget.

    A chunk that starts inside a class or function has the first lines of those around it as its
    context `scope`. Raises UsageError when the language is not known or its parser not installed,
    FitError when one character alone has more tokens than the budget.
    """
    text, budget = document.text, options.tokens
    if not text:
        return ()
    syntax = parse_syntax(text, _detect_language(document, options.language), budget)
    lines, *finer = build_levels((), budget)
    ways = (*_build_levels(syntax.line_cuts), lines, *_build_levels(syntax.inline_cuts), *finer)
    chunks = pack_pieces(document, [cut_pieces(text, ways, budget, counter)], budget, counter)
    return tuple(_add_scope(chunk, syntax.scopes) for chunk in chunks)


def _build_levels(places: Sequence[Sequence[int]]) -> Iterator[CutLevel]:
    for depth, each in enumerate(places):
        cost = depth * _DEPTH_COST
        yield CutLevel(partial(select_cuts, each, [cost] * len(each)), cost)


def _detect_language(document: Document, named: str | None) -> str:
    if named is not None:
        return named
    if language := LANGUAGE_BY_SUFFIX.get(PurePath(document.source).suffix.lower()):
        return language.parser
    raise UsageError(
        f"the name of {document.source} does not tell its programming language",
        hint="give the option `language`, or split by structure",
    )


def _add_scope(chunk: Chunk, scopes: Sequence[Scope]) -> Chunk:
    """Return a chunk with the first lines of what it starts inside of."""
    start = chunk.span.start
    last = bisect_left(scopes, start, key=lambda scope: scope.span.start)
    around = [scope.first_line for scope in scopes[:last] if scope.span.end > start]
    return replace(chunk, context=(("scope", "\n".join(around)),)) if around else chunk


async def _run(
    document: Document, options: Code, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options, counter)


CHUNKER = ChunkerType(
    name="code",
    about="source code by its syntax: whole functions and classes",
    version=1,
    options=Code,
    run=_run,
)
