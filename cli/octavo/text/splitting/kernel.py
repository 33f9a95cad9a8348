"""The inner loops of splitting: the native ones where they were built, else those of `loops`.

Both return the same, which a test checks; the native ones take about a tenth of the time. They are
built with the package where a C compiler is at hand.
"""

from __future__ import annotations

from octavo.text.splitting import loops

__all__ = [
    "NATIVE",
    "find_blank_lines",
    "find_cheapest_cuts",
    "find_fence_marks",
    "hash_boundaries",
    "price_boundaries",
    "select_boundaries",
]


try:
    from octavo.text.splitting import native
except ImportError:
    native = None


_chosen = native if native is not None and native.VERSION == loops.VERSION else loops

NATIVE = _chosen is not loops
"""Whether the native loops run; those of another version, left from an older checkout, do not."""

find_blank_lines = _chosen.find_blank_lines
hash_boundaries = _chosen.hash_boundaries
find_cheapest_cuts = _chosen.find_cheapest_cuts
price_boundaries = _chosen.price_boundaries
find_fence_marks = _chosen.find_fence_marks
select_boundaries = _chosen.select_boundaries
