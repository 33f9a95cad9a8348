"""Byte-pair merging of one word (Sennrich, Haddow, Birch, 2016, arXiv:1508.07909)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["BYTE_LETTERS", "merge_pairs"]


def _build_byte_letters() -> str:
    """Return the letter that stands for each byte in GPT-2's vocabulary files.

    Printable Latin-1 bytes stand for themselves, the others for the letters from U+0100 on.
    """
    free = iter(range(256, 512))
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    return "".join(chr(byte if byte in printable else next(free)) for byte in range(256))


BYTE_LETTERS: Final = _build_byte_letters()

_HEAP_FROM: Final = 48
"""Letters from which on a heap beats looking at all pairs again."""


def merge_pairs(word: str, ranks: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Return the parts that remain of a word when no pair of neighbours can be merged.

    The pair of the lowest rank is merged first, of equal ones the leftmost.
    """
    if len(word) > _HEAP_FROM:
        return _merge_long_word(word, ranks)
    parts = list(word)
    while len(parts) > 1:
        best, at = len(ranks), -1
        for index in range(len(parts) - 1):
            rank = ranks.get((parts[index], parts[index + 1]), best)
            if rank < best:
                best, at = rank, index
        if at < 0:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _merge_long_word(word: str, ranks: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Do the same in n log n steps: a linked list of parts and a heap of the pairs in it."""
    parts: list[str] = list(word)
    before = list(range(-1, len(parts) - 1))
    after = [*range(1, len(parts)), -1]
    heap: list[tuple[int, int, str, str]] = []

    def push_pair(left: int, right: int) -> None:
        if left >= 0 and right >= 0:
            rank = ranks.get((parts[left], parts[right]))
            if rank is not None:
                heapq.heappush(heap, (rank, left, parts[left], parts[right]))

    for index in range(len(parts) - 1):
        push_pair(index, index + 1)
    while heap:
        _, left, one, other = heapq.heappop(heap)
        right = after[left]
        if parts[left] != one or right < 0 or parts[right] != other:
            continue  # one of the two was merged meanwhile
        parts[left] = one + other
        parts[right] = ""
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        push_pair(before[left], left)
        push_pair(left, after[left])
    return [part for part in parts if part]
