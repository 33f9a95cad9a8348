"""Spans of several notes as one list."""

from __future__ import annotations

from collections.abc import Iterable

from octavo.text.span import Span

__all__ = ["merge_spans"]


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans in order, with those that touch or overlap made one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)
