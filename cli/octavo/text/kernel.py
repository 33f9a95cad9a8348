"""The inner loops of splitting: native ones where they were built, else those of `loops`.

Both return the same, which a test holds; the native ones take about a tenth of the time. They are
built with the package where a C compiler is at hand.
"""

from __future__ import annotations

from octavo.text import loops

__all__ = ["NATIVE", "blank_lines", "borders", "cheapest", "drawn", "fence_marks", "thinned"]

try:
    from octavo.text import native
except ImportError:
    native = None

NATIVE = native is not None and native.VERSION == loops.VERSION
"""Whether the native loops run; those of another version, left from an older checkout, do not."""

if native is not None and native.VERSION == loops.VERSION:
    blank_lines = native.blank_lines
    borders = native.borders
    cheapest = native.cheapest
    drawn = native.drawn
    fence_marks = native.fence_marks
    thinned = native.thinned
else:
    blank_lines = loops.blank_lines
    borders = loops.borders
    cheapest = loops.cheapest
    drawn = loops.drawn
    fence_marks = loops.fence_marks
    thinned = loops.thinned
