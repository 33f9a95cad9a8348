"""Chunks of as many tokens as the budget allows, cut between words wherever that falls.

The plainest way, and a yardstick for the others: nothing is fuller, and nothing follows the text
less. A word more at the beginning moves all borders behind it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from itertools import accumulate, pairwise

from pydantic import Field

from octavo.chunkers._support.pieces import build_fit_error
from octavo.chunkers._support.subdocuments import build_chunks
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.grapheme import is_inside_grapheme
from octavo.text.span import Span
from octavo.text.splitting.cuts import find_line_cuts, find_word_cuts

__all__ = ["CHUNKER", "Tokens", "split"]


_CHARACTERS_PER_TOKEN = 8
"""Characters a token that are looked at for the first chunk; then as many as the last one had."""


class Tokens(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")


def split(document: Document, budget: int, counter: Counter) -> tuple[Chunk, ...]:
    """Return chunks that join to the document's text, none above `budget` tokens.

    Raises FitError when one character alone has more tokens than the budget.
    """
    text = document.text
    starts: list[int] = []
    counts: list[int] = []
    start = 0
    look = _CHARACTERS_PER_TOKEN * budget
    while start < len(text):
        end = _find_reach(text, start, budget, look, counter)
        tokens = counter.count(text[start:end])
        room = budget
        while tokens > budget:  # parts may count for less than their whole
            room -= tokens - budget
            end = _find_reach(text, start, max(room, 1), look, counter)
            tokens = counter.count(text[start:end])
            if room < 1 < tokens:
                end, tokens = _find_last_fitting(text, start, end, budget, counter)
        if end == start + look and end < len(text):
            look *= 2  # all that was looked at fits
            continue
        look = max((end - start) * 3 // 2, 2 * budget)
        starts.append(start)
        counts.append(tokens)
        start = end
    spans = map(Span, starts, [*starts[1:], len(text)])
    return build_chunks(document, list(zip(spans, counts, strict=True)))


def _find_reach(text: str, start: int, room: int, look: int, counter: Counter) -> int:
    """Return how far a chunk from here may go, by the counts of its lines and then words."""
    at, held, end = start, 0, min(start + look, len(text))
    for cuts in (find_line_cuts, find_word_cuts):
        places, _ = cuts(text, Span(at, end))
        bounds = [at, *places, end]
        sizes = counter.count_batch([text[one:other] for one, other in pairwise(bounds)])
        sums = list(accumulate(sizes, initial=held))
        last = bisect_right(sums, room) - 1
        if last == len(bounds) - 1:
            return end
        at, held, end = bounds[last], sums[last], bounds[last + 1]
    return at if at > start else _find_last_fitting(text, start, end, room, counter)[0]


def _find_last_fitting(
    text: str, start: int, end: int, room: int, counter: Counter
) -> tuple[int, int]:
    """Return the last place that fits in what has no words, and the tokens up to it."""
    low, high = start + 1, end
    while low < high:
        middle = (low + high + 1) // 2
        if counter.count(text[start:middle]) > room:
            high = middle - 1
        else:
            low = middle
    place = low
    while place > start + 1 and is_inside_grapheme(text, place) and low - place < 64:
        place -= 1
    if place == start + 1 and is_inside_grapheme(text, place):
        place = low  # one character for a reader, and too much for a chunk
    tokens = counter.count(text[start:place])
    if tokens > room and place == start + 1:
        raise build_fit_error(text[start], tokens, room)
    return place, tokens


async def _run(
    document: Document, options: Tokens, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    del work
    return await asyncio.to_thread(split, document, options.tokens, counter)


CHUNKER = ChunkerType(
    name="tokens",
    about="as many words as fit, wherever that falls",
    version=1,
    options=Tokens,
    run=_run,
)
