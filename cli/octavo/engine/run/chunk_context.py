"""What helps to read a chunk and is no part of it: what stands around it, and what it belongs to.

Nothing here depends on a chunk's index or on how many there are, so that an edit changes the
context of few chunks, and only where its words are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from octavo.protocols.options import ContextOptions
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span

__all__ = ["add_context", "build_document_context"]


_CHARACTERS_PER_TOKEN: Final = 8
"""Characters a token that are looked at around a chunk: more than text has."""


def add_context(
    document: Document, chunks: Sequence[Chunk], options: ContextOptions, counter: Counter
) -> tuple[Chunk, ...]:
    """Return the chunks of a document with the context that the options ask for.

    A chunker's own, such as the header of a table, stays.
    """
    fixed = build_document_context(document, options)
    return tuple(
        replace(
            chunk,
            context=(
                *fixed,
                *chunk.context,
                *_build_chunk_context(document.text, chunk, options, counter),
            ),
        )
        for chunk in chunks
    )


def build_document_context(
    document: Document, options: ContextOptions
) -> tuple[tuple[str, str], ...]:
    """Return what is the same for all chunks of a document."""
    found: list[tuple[str, str]] = []
    if options.title and (name := _find_title(document)):
        found.append(("title", name))
    names = [name for name in options.metadata if name in document.metadata]
    if names:
        found.append(("metadata", "\n".join(f"{n}: {document.metadata[n]}" for n in names)))
    return tuple(found)


def _find_title(document: Document) -> str:
    """Return what a document calls itself: its metadata's title, else its first highest heading."""
    if named := document.metadata.get("title"):
        return str(named)
    highest = min(document.outline, key=lambda heading: heading.level, default=None)
    return highest.title if highest else ""


def _build_chunk_context(
    text: str, chunk: Chunk, options: ContextOptions, counter: Counter
) -> list[tuple[str, str]]:
    # Not at the top: a run whose chunks the journal has needs neither.
    from octavo.text.sentences import find_sentence_ends  # noqa: PLC0415
    from octavo.text.splitting.cuts import find_word_cuts  # noqa: PLC0415

    def fits(most: int) -> Callable[[int, int], bool]:
        return lambda start, end: counter.count(text[start:end].strip()) <= most

    found: list[tuple[str, str]] = []
    begin, stop = chunk.span
    if options.headings:
        found.append(("headings", " > ".join(chunk.headings)))
    if options.overlap:
        start = max(begin - _CHARACTERS_PER_TOKEN * options.overlap, 0)
        ends = [start + end for end in find_sentence_ends(text[start:begin])]
        first = _find_first_fitting(ends if start else [0, *ends], begin, fits(options.overlap))
        found.append(("overlap", text[first:begin].strip()))
    if options.before:
        start = max(begin - _CHARACTERS_PER_TOKEN * options.before, 0)
        places, _ = find_word_cuts(text, Span(start, begin))
        first = _find_first_fitting([start, *places], begin, fits(options.before))
        found.append(("before", text[first:begin].strip()))
    if options.after:
        end = min(stop + _CHARACTERS_PER_TOKEN * options.after, len(text))
        places, _ = find_word_cuts(text, Span(stop, end))
        last = _find_last_fitting([*places, end], stop, fits(options.after))
        found.append(("after", text[stop:last].strip()))
    return [(name, each) for name, each in found if each]


def _find_first_fitting(places: Sequence[int], end: int, fits: Callable[[int, int], bool]) -> int:
    """Return the first of ascending places from which on the text up to the end fits."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        if fits(places[middle], end):
            high = middle
        else:
            low = middle + 1
    return places[low] if low < len(places) else end


def _find_last_fitting(places: Sequence[int], start: int, fits: Callable[[int, int], bool]) -> int:
    """Return the last of ascending places up to which the text from the start on fits."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        if fits(start, places[middle]):
            low = middle + 1
        else:
            high = middle
    return places[low - 1] if low else start
