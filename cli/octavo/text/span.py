"""Spans: where something is in a document, and the spans of several notes as one list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Span", "describe_spans", "merge_spans"]


class Span(NamedTuple):
    """`[start, end)` in characters of one document."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of characters."""
        return self.end - self.start


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans in order, with those that touch or overlap made one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def describe_spans(spans: Sequence[Span]) -> str:
    """Return from where to where one or more spans reach: `characters 0 to 90`."""
    return f"characters {spans[0].start} to {spans[-1].end}"
