"""The chunker `marks`: a chunk begins at each line that starts with a mark."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from pydantic import Field

from octavo.protocols import ChunkerType, Counter, Options, Work
from octavo.text.chunk import Chunk
from octavo.text.document import Document, heading_path
from octavo.text.span import Span


class MarksOptions(Options):
    """Options of the chunker; every chunker has `tokens`."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    mark: str = Field("* * *", min_length=1, description="how the lines start that begin a chunk")


def split(document: Document, options: MarksOptions, counter: Counter) -> Iterator[Chunk]:
    """Yield chunks that join to the text; one above the budget is halved until it fits."""
    begins = re.finditer(f"^{re.escape(options.mark)}", document.text, re.MULTILINE)
    places = sorted({0, len(document.text), *(match.start() for match in begins)})
    waiting = [Span(*pair) for pair in itertools.pairwise(places)][::-1]
    while waiting:
        span = waiting.pop()
        tokens = counter.count(document.text[span.start : span.end])
        if tokens > options.tokens and span.end - span.start > 1:
            middle = (span.start + span.end) // 2
            waiting += [Span(middle, span.end), Span(span.start, middle)]
        else:
            yield Chunk(span, tokens, heading_path(document.outline, span.start))


async def run(
    document: Document, options: MarksOptions, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    """Return the chunks; `work` would be needed only to ask a model."""
    del work
    return tuple(split(document, options, counter))


# `version` enters what the journal keeps: raise it when borders would change.
CHUNKER = ChunkerType(
    name="marks",
    about="at lines that start with a mark",
    version=1,
    options=MarksOptions,
    run=run,
)
