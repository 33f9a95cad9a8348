"""The cheapest way to cut a sequence."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["cheapest"]


def cheapest(sums: Sequence[int], costs: Sequence[int], *, room: int, each: int) -> list[int]:
    """Return where to cut a sequence of items so that the cuts together cost least.

    `sums` are the sizes of the first 0, 1, ... n items together, none of which alone may be
    larger than `room`; `costs[i]` is paid for a cut before item i, and `each` for every part. The
    result lists the first item of every part but the first. Of equal ways the one whose parts
    start earlier wins. Takes time linear in the number of items: the candidates for a part's
    start are a window, whose minimum is kept in a queue of ascending costs.
    """
    prices = [0]
    back = [0]
    queue = [0]
    head = 0
    last = len(sums) - 1
    best = before = 0
    for item, (size, cost) in enumerate(zip(sums[1:last], costs[1:last], strict=True), 1):
        while sums[best] < size - room:
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
        before = price
    while sums[queue[head]] < sums[last] - room:
        head += 1
    back.append(queue[head])
    cuts: list[int] = []
    at = back[last]
    while at:
        cuts.append(at)
        at = back[at]
    cuts.reverse()
    return cuts
