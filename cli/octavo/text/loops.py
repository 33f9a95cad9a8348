"""The inner loops of splitting, in Python; `kernel` says when these are the ones that run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from zlib import crc32

__all__ = ["REACH", "VERSION", "blank_lines", "borders", "cheapest", "thinned"]

VERSION = 1
"""Told apart from a native kernel built from another version of these loops."""

REACH = 32
"""Characters on each side of a border that its hash sees."""

_SPREAD = 0x9E3779B1
_MASK = 0xFFFFFFFF

_BLANK = re.compile(r"\n(?:[ \t\r\f\v]*+\n)++")
_GAPS = ("\n\n\n", "\r\n\r\n\r\n")


def blank_lines(text: str, begin: int, stop: int) -> tuple[list[int], list[int]]:
    """Return where runs of blank lines end between two places, and where those of two or more do.

    Each is the place behind the last line feed of a run. Lines that hold other white space are
    blank too, but do not count for the second list.
    """
    ends = [match.end() for match in _BLANK.finditer(text, begin, stop)]
    # What is no white space three characters before the end rules a gap out at once.
    near = [index for index, end in enumerate(ends) if text[end - 3] in "\n\r \t\f\v"]
    before = [begin, *ends]
    return ends, [
        ends[index]
        for index in near
        if any(text.find(gap, before[index], ends[index]) >= 0 for gap in _GAPS)
    ]


def thinned(bounds: Sequence[int], prices: Sequence[int], short: int) -> list[int]:
    """Return which of the places between bounds are kept: only some where both parts are short.

    Two neighbours are short when they have at most `short` characters together. The shorter they
    are, the fewer are kept, except for places whose price is negative. Which follows from their
    length alone, which is as good as drawn, so an edit elsewhere changes nothing.
    """
    return [
        index
        for index, (before, after, price) in enumerate(
            zip(bounds, islice(bounds, 2, None), prices, strict=False)
        )
        if (length := after - before) > short or not length % (1 + short // length) or price < 0
    ]


def borders(text: str, positions: Sequence[int]) -> list[int]:
    """Return the hash, 32 bits, of the characters around each of several positions."""
    # CRC is linear: close strings have close sums until a multiplication spreads them.
    # One comprehension, not calls: a text has thousands of places, and this is half of their cost.
    # Each place is encoded by itself: the memory for a long text costs more than that.
    try:
        return [
            crc32(text[at - REACH if at > REACH else 0 : at + REACH].encode()) * _SPREAD & _MASK
            for at in positions
        ]
    except UnicodeEncodeError:
        around = [text[max(at - REACH, 0) : at + REACH] for at in positions]
        return [crc32(each.encode("utf-8", "surrogatepass")) * _SPREAD & _MASK for each in around]


def cheapest(
    sizes: Sequence[int], costs: Sequence[int], room: int, each: int, *, more: bool = False
) -> list[int]:
    """Return where to cut a sequence of items so that the cuts together cost least.

    `sizes` are those of the items, none of them above `room`, which no part is; `costs[i]` is paid
    for a cut before item i, and `each` for every part. The result lists the first item of every
    part but the first. Of equal ways the one whose parts start earlier wins. With `more`, other
    items are to follow, and only those cuts are listed that none of them can change. Takes time
    linear in the number of items: the candidates for a part's start are a window, whose minimum is
    kept in a queue of ascending costs.
    """
    sums, prices, back, queue = [0], [0], [0], [0]
    head = best = before = 0
    total = sizes[0] if sizes else 0
    later = zip(islice(sizes, 1, None), islice(costs, 1, None), strict=True)
    for item, (size, cost) in enumerate(later, 1):
        floor = total - room
        while sums[best] < floor:
            head += 1
            best = queue[head]
        price = prices[best] + cost + each
        back.append(best)
        if before > price:
            while len(queue) > head and prices[queue[-1]] > price:
                queue.pop()
            if len(queue) == head:
                best = item
        queue.append(item)
        prices.append(price)
        sums.append(total)
        before = price
        total += size
    if more:
        # What the ways to all that may still be starts have in common.
        ways = set(queue[head:])
        while len(ways) > 1:
            latest = max(ways)
            ways.remove(latest)
            ways.add(back[latest])
        at = ways.pop()
    else:
        while sums[queue[head]] < total - room:
            head += 1
        at = queue[head]
    cuts: list[int] = []
    while at:
        cuts.append(at)
        at = back[at]
    cuts.reverse()
    return cuts
