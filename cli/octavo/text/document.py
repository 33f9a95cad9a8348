"""One loaded text, its headings, and the location of a span in a reader's words."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from octavo.text.quote import Quote, QuoteOrigin, to_row_id
from octavo.text.span import Span

__all__ = ["Document", "Heading", "describe_location", "heading_path", "iter_heading_paths"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level (1 is the highest), title, and the span of its own line or lines."""

    level: int
    title: str
    span: Span


@dataclass(frozen=True)
class Document:
    """One loaded text.

    `source` is the path as given, or `-` for standard input: two equal files are two documents.
    `outline` lists the headings in the order of the text. `pages` are the positions at which the
    pages start, for a format that has them; each is a `page_unit`, such as a slide. `verbatim`
    tells whether the lines of the text are those of the file.
    """

    text: str
    source: str
    outline: tuple[Heading, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    pages: tuple[int, ...] = ()
    page_unit: str = "page"
    verbatim: bool = True

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the text's UTF-8 bytes, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def slice(self, span: Span) -> Quote:
        """Return the text of a span, with its origin in this document."""
        origin = QuoteOrigin("text", to_row_id(self.hash), span.start)
        return Quote(self.text[span.start : span.end], origin)


def heading_path(outline: tuple[Heading, ...], position: int) -> tuple[str, ...]:
    """Return the titles of the headings that a character position stands under, outermost first.

    A heading counts from its own first character on.
    """
    return next(iter_heading_paths(outline, (position,)))


def iter_heading_paths(
    outline: Iterable[Heading], positions: Iterable[int]
) -> Iterator[tuple[str, ...]]:
    """Yield the heading path of each of several ascending positions, in one pass."""
    headings = iter(outline)
    heading = next(headings, None)
    path: list[Heading] = []
    for position in positions:
        while heading is not None and heading.span.start <= position:
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
            heading = next(headings, None)
        yield tuple(above.title for above in path)


def describe_location(document: Document, span: Span) -> str | None:
    """Return the location of a span: its pages, or else its innermost heading.

    `page 3`, `pages 3 to 5`, `Chapter 7`, `Chapter 7 to Chapter 9`; None in a document without
    pages or headings, or before its first heading.
    """
    last = max(span.end - 1, span.start)
    if document.pages:
        first, final = (_find_page(document.pages, at) for at in (span.start, last))
        unit = document.page_unit
        return f"{unit} {first}" if first == final else f"{unit}s {first} to {final}"
    paths = [heading_path(document.outline, at) for at in (span.start, last)]
    first, final = (path[-1] if path else None for path in paths)
    if first is None or final is None or paths[0] == paths[1]:
        return first
    return f"{first} to {final}"


def _find_page(starts: Sequence[int], position: int) -> int:
    return max(bisect_right(starts, position), 1)
