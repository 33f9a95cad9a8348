"""Where in a document a span stands, in a reader's words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from octavo.text.document import Document, heading_path
from octavo.text.span import Span

__all__ = ["describe_location"]


def describe_location(document: Document, span: Span) -> str | None:
    """Return where a span of characters stands: its pages, else its innermost heading.

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
