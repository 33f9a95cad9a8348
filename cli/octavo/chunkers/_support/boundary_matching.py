"""Match the boundaries of a text with those of its earlier version by their hashes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

__all__ = ["match_boundaries"]


HashedPosition = tuple[int, int]
"""A position in a text, and the hash of the characters around it."""


def match_boundaries(before: Sequence[HashedPosition], after: Sequence[HashedPosition]) -> set[int]:
    """Return the indices of the positions in `after` that match positions in `before`.

    Both ascend by position. A hash that occurs once in both tells by itself, as long as the order
    is kept. One that occurs more often, as repeated texts have it, counts only where it is as far
    from the nearest of those as it was: else repeats would win places that they never had.
    """
    once_before = Counter(mark for _, mark in before)
    where: dict[int, list[int]] = {}
    for index, (_, mark) in enumerate(after):
        where.setdefault(mark, []).append(index)
    pairs = _find_longest_ascending(
        [
            (old, where[mark][0])
            for old, (_, mark) in enumerate(before)
            if once_before[mark] == 1 and len(where.get(mark, ())) == 1
        ]
    )
    found = {new for _, new in pairs}
    anchors = [old for old, _ in pairs]
    for old, (position, mark) in enumerate(before):
        if mark not in where or (once_before[mark] == 1 and len(where[mark]) == 1):
            continue
        at = bisect_left(anchors, old)
        moves = {after[new][0] - before[near][0] for near, new in pairs[max(at - 1, 0) : at + 1]}
        found.update(index for index in where[mark] if after[index][0] - position in (moves or {0}))
    return found


def _find_longest_ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs, in order, whose second numbers ascend."""
    ends: list[int] = []
    last: list[int] = []
    back: list[int] = []
    for index, (_, new) in enumerate(pairs):
        at = bisect_left(ends, new)
        ends[at : at + 1] = [new]
        last[at : at + 1] = [index]
        back.append(last[at - 1] if at else -1)
    chosen: list[tuple[int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = back[index]
    chosen.reverse()
    return chosen
