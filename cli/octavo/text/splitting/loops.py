"""The inner loops of splitting, in Python; `kernel` decides whether they run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from zlib import crc32

__all__ = [
    "UNIT",
    "VERSION",
    "FenceMark",
    "find_blank_lines",
    "find_cheapest_cuts",
    "find_fence_marks",
    "hash_boundaries",
    "price_boundaries",
    "select_boundaries",
    "weigh_hashes",
]


VERSION = 2
"""Told apart from a native kernel built from another version of these loops."""

_REACH = 32
"""Characters on each side of a border that its hash sees."""

UNIT = 1 << 16
"""What the worst hash costs; all costs are integers of this size, so no rounding differs."""

_BITS = 12


@cache
def _compute_weights() -> tuple[int, ...]:
    return tuple(
        UNIT - ((((1 << _BITS) - rank) ** 4 * UNIT) >> (4 * _BITS)) for rank in range(1 << _BITS)
    )


_SPREAD = 0x9E3779B1
_MASK = 0xFFFFFFFF

_BLANK_LINES = re.compile(r"\n(?:[ \t\r\f\v]*+\n)++")
_INDENT = 64
_GAPS = ("\n\n\n", "\r\n\r\n\r\n")

FenceMark = tuple[int, int, str, bool]
"""A line that may open a fence: its start and end, its signs, and whether it may close one."""


def find_blank_lines(text: str, begin: int, stop: int) -> tuple[list[int], list[int]]:
    """Return the ends of runs of blank lines between two positions, and of those of two or more.

    Each is the place behind the last line feed of a run. Lines that hold other white space are
    blank too, but do not count for the second list.
    """
    ends = [match.end() for match in _BLANK_LINES.finditer(text, begin, stop)]
    # What is no white space three characters before the end rules a gap out at once.
    near = [index for index, end in enumerate(ends) if text[end - 3] in "\n\r \t\f\v"]
    before = [begin, *ends]
    return ends, [
        ends[index]
        for index in near
        if any(text.find(gap, before[index], ends[index]) >= 0 for gap in _GAPS)
    ]


def find_fence_marks(text: str, sign: str) -> list[FenceMark]:
    """Return the lines that may open or close a code fence of one sign, in order."""
    marks: list[FenceMark] = []
    shortest = sign * 3
    plain = shortest + "\n"
    # A sign alone is found much faster than three, and most that stand alone are soon passed.
    at = text.find(sign)
    while at >= 0:
        if not text.startswith(shortest, at):
            at = text.find(sign, at + 1)
            continue
        start = at if text[at - 1] == "\n" else _find_line_start(text, at)
        if start < 0:
            at = text.find(sign, at + 3)
            continue
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end]
        if line == plain:
            marks.append((start, end, shortest, True))
        else:
            rest = line.lstrip(sign)
            # Backticks after backticks are code inside a line.
            if sign == "~" or sign not in rest:
                signs = line[: len(line) - len(rest)]
                marks.append((start, end, signs, not rest or rest.isspace()))
        at = text.find(sign, end)
    return marks


def _find_line_start(text: str, at: int) -> int:
    """Return where the line starts that has nothing but its indent before a place, or -1."""
    if at == 0:
        return at
    before = text[max(at - _INDENT, 0) : at]
    indent = before.rpartition("\n")[2]
    return at - len(indent) if indent.isspace() and (indent != before or at < _INDENT) else -1


def select_boundaries(bounds: Sequence[int], prices: Sequence[int], short: int) -> list[int]:
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


def hash_boundaries(text: str, positions: Sequence[int]) -> list[int]:
    """Return the hash, 32 bits, of the characters around each of several positions."""
    # CRC is linear: close strings have close sums until a multiplication spreads them.
    # One comprehension, not calls: a text has thousands of places, and this is half of their cost.
    # Each place is encoded by itself: the memory for a long text costs more than that.
    try:
        return [
            crc32(text[at - _REACH if at > _REACH else 0 : at + _REACH].encode()) * _SPREAD & _MASK
            for at in positions
        ]
    except UnicodeEncodeError:
        around = [text[max(at - _REACH, 0) : at + _REACH] for at in positions]
        return [crc32(each.encode("utf-8", "surrogatepass")) * _SPREAD & _MASK for each in around]


def weigh_hashes(hashes: Iterable[int]) -> list[int]:
    """Return the cost of a boundary for each hash: 1 - (1 - h)^4 of UNIT, for h from 0 to 1.

    The steep start lets the few least hashes of a region win over most combinations of others,
    which is what makes two ways of cutting meet again soon after an edit.
    """
    table, shift = _compute_weights(), 32 - _BITS
    return [table[value >> shift] for value in hashes]


def price_boundaries(text: str, positions: Sequence[int], prices: Sequence[int]) -> list[int]:
    """Return what a border at each of several positions costs: its price, and more by its hash."""
    costs = weigh_hashes(hash_boundaries(text, positions))
    return [price + cost for price, cost in zip(prices, costs, strict=True)]


def find_cheapest_cuts(
    sizes: Sequence[int], costs: Sequence[int], room: int, each: int, *, more: bool = False
) -> list[int]:
    """Return the cuts of a sequence of items whose total cost is lowest.

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
        at = _find_common_cut(back, queue[head:])
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


def _find_common_cut(back: Sequence[int], starts: Sequence[int]) -> int:
    """Return the last cut that all ways to what may still be a start have in common."""
    at = starts[-1]
    reached = bytearray(at + 1)
    for start in starts:
        reached[start] = 1
    open_ways = len(starts)
    # Whichever way has come back least goes back by one cut, until all have met.
    while open_ways > 1 or not reached[at]:
        if reached[at]:
            open_ways -= reached[back[at]]
            reached[back[at]] = 1
        at -= 1
    return at
