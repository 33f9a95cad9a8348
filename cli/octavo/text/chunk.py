"""A part of a document that fits into one prompt."""

from __future__ import annotations

from dataclasses import dataclass

from octavo.text.span import Span

__all__ = ["Chunk"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span, its exact token count, the headings it stands under, and its border.

    `border` is a hash of the characters around the chunk's start. It depends on nothing else, so
    that what is grouped by it stays grouped when the text changes elsewhere. `context` is what
    helps to read the chunk and is no part of it, as names and texts: (`header`, that of a table).
    """

    span: Span
    tokens: int
    headings: tuple[str, ...] = ()
    border: int = 0
    context: tuple[tuple[str, str], ...] = ()
