"""Group neighbours to be merged together, so that an edit changes few groups.

Groups are the cheapest path over all items, like the boundaries of chunks: each group costs a
little, each boundary between groups costs by the hash of the text there. Measured on trees of 50 to
1,000 leaves against groups cut at a threshold of the hash (prolly trees) or at the least hash of a
window: fewest nodes for the same number of nodes asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from octavo.errors import FitError
from octavo.text.splitting.boundary import rehash
from octavo.text.splitting.loops import UNIT, weigh_hashes

__all__ = ["build_tree", "group_neighbours"]


_GROUP_COST = UNIT // 5
_MISSING_COST = UNIT * 8
"""What a group costs for each item that it lacks: more than any choice of borders nearby saves."""


def group_neighbours(
    borders: Sequence[int],
    sizes: Sequence[int],
    *,
    max_items: int = 8,
    min_items: int = 2,
    max_tokens: int | None = None,
) -> list[range]:
    """Return ranges of item indices that cover all items in order, one for each group.

    `borders` are the hashes of the text where items start, and `sizes` the items' tokens. A group
    has at most `max_items` items, whose sizes add up to at most `max_tokens`; a larger item is
    alone. Groups have at least `min_items` items unless `max_tokens` leaves no such way nearby. Of
    equal ways the one whose groups start earlier wins. Time is linear in items times `max_items`.
    """
    number = len(sizes)
    prices = [0] * (number + 1)
    back = [0] * (number + 1)
    sums = list(accumulate(sizes, initial=0))
    costs = [*weigh_hashes(map(rehash, borders)), 0]
    for end in range(1, number + 1):
        best = -1
        for start in range(end - 1, max(end - max_items, 0) - 1, -1):
            if max_tokens is not None and sums[end] - sums[start] > max_tokens and start < end - 1:
                break
            price = prices[start] + max(min_items - (end - start), 0) * _MISSING_COST
            if best < 0 or price <= best:
                best, back[end] = price, start
        prices[end] = best + _GROUP_COST + costs[end]
    found: list[range] = []
    end = number
    while end:
        found.append(range(back[end], end))
        end = back[end]
    found.reverse()
    return found


def build_tree(
    borders: Sequence[int],
    sizes: Sequence[int],
    *,
    size: int,
    max_items: int = 8,
    min_items: int = 2,
    max_tokens: int | None = None,
) -> list[list[range]]:
    """Return the levels of a tree over the items, from the leaves' parents to the root.

    Each level lists its groups of the level below as index ranges; a group of one hands its item
    up as it is, any other becomes an item of `size` tokens, whose border is that of its first.
    No items, or one, have no levels. Raises FitError when no two neighbours of a level have at
    most `max_tokens` together, so that merging could not end.
    """
    levels: list[list[range]] = []
    while len(sizes) > 1:
        level = group_neighbours(
            borders, sizes, max_items=max_items, min_items=min_items, max_tokens=max_tokens
        )
        if len(level) == len(sizes):
            pair = min(map(sum, pairwise(sizes)))
            raise FitError(
                f"{len(sizes)} notes cannot be merged: any two neighbours have {pair} tokens or"
                f" more together, and a prompt has room for {max_tokens}",
                hint="ask for shorter notes, or use a model with a larger window",
            )
        levels.append(level)
        sizes = [size if len(group) > 1 else sizes[group.start] for group in level]
        # What was least among many says little among few, so each level stirs the hashes anew.
        borders = [rehash(borders[group.start]) for group in level]
    return levels
