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
    starts = [0]
    prices = [0]
    places = [sums[0]]
    back = [0]
    head = 0
    last = len(sums) - 1
    for item in range(1, last + 1):
        place = sums[item]
        least = place - room
        while places[head] < least:
            head += 1
        back.append(starts[head])
        if item == last:
            break
        price = prices[head] + costs[item] + each
        while len(prices) > head and prices[-1] > price:
            prices.pop()
            places.pop()
            starts.pop()
        starts.append(item)
        prices.append(price)
        places.append(place)
    cuts: list[int] = []
    at = back[last]
    while at:
        cuts.append(at)
        at = back[at]
    cuts.reverse()
    return cuts
