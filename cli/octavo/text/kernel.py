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

_chosen = native if native is not None and native.VERSION == loops.VERSION else loops

NATIVE = _chosen is not loops
"""Whether the native loops run; those of another version, left from an older checkout, do not."""

blank_lines = _chosen.blank_lines
borders = _chosen.borders
cheapest = _chosen.cheapest
drawn = _chosen.drawn
fence_marks = _chosen.fence_marks
thinned = _chosen.thinned
