"""The inner loops of splitting."""

from __future__ import annotations

from octavo.text.loops import blank_lines, borders, cheapest, thinned

__all__ = ["blank_lines", "borders", "cheapest", "thinned"]
