"""Where the exact counts of parts of a text add up, and where they may not."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["find_non_additive_joins"]


def find_non_additive_joins(text: str, starts: Sequence[int], crossing: re.Pattern[str]) -> list[int]:
    """Return the indices of the parts whose tokens may not add up with those before.

    `starts` are where the parts start, in ascending order; `crossing` is a `LineCounter`'s.
    """
    crosses = crossing.match
    # Texts have few kinds of edges: each is judged once, and only what is left one by one.
    before = {text[start - 1] for start in starts}
    suspect = {
        sign for sign in {text[start] for start in starts} if sign.isspace() or crosses(sign)
    }
    if not suspect and before <= {"\n"}:
        return []
    return [
        index
        for index, start in enumerate(starts)
        if text[start - 1] != "\n" or (text[start] in suspect and crosses(text, start))
    ]
