"""How good a place for a border is, as far as the text around it decides.

Where several places are as good by structure, a hash of the characters around each decides. An
edit therefore moves only the borders near it: places elsewhere keep their hashes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from zlib import crc32

__all__ = ["REACH", "UNIT", "border", "borders", "drawn", "stir", "weights"]

REACH = 32
"""Characters on each side of a border that its hash sees."""

UNIT = 1 << 16
"""What the worst hash costs; all costs are integers of this size, so no rounding differs."""

_SPREAD = 0x9E3779B1
_MASK = 0xFFFFFFFF
_BITS = 12
_WEIGHTS = tuple(
    UNIT - ((((1 << _BITS) - rank) ** 4 * UNIT) >> (4 * _BITS)) for rank in range(1 << _BITS)
)


def border(text: str, position: int) -> int:
    """Return the hash, 32 bits, of the characters around a position."""
    # CRC is linear: close strings have close sums until a multiplication spreads them.
    return _sum(text[max(position - REACH, 0) : position + REACH]) * _SPREAD & _MASK


def borders(text: str, positions: Sequence[int]) -> list[int]:
    """Return the hash at each of several ascending positions."""
    return [total * _SPREAD & _MASK for total in _sums(text, positions)]


def drawn(text: str, positions: Sequence[int]) -> list[int]:
    """Return what a border at each of several ascending positions costs by its hash."""
    table, shift = _WEIGHTS, 32 - _BITS
    return [table[(total * _SPREAD & _MASK) >> shift] for total in _sums(text, positions)]


def _sums(text: str, positions: Sequence[int]) -> list[int]:
    early = bisect_left(positions, REACH)
    sums = [_sum(text[: position + REACH]) for position in positions[:early]]
    late = positions[early:]
    # Comprehensions, not calls: a text has thousands of places, and this is half of their cost.
    # Each place is encoded by itself: the memory for a long text costs more than that.
    try:
        return sums + [crc32(text[at - REACH : at + REACH].encode()) for at in late]
    except UnicodeEncodeError:
        return sums + [_sum(text[at - REACH : at + REACH]) for at in late]


def _sum(around: str) -> int:
    return crc32(around.encode("utf-8", "surrogatepass"))


def weights(hashes: Iterable[int]) -> list[int]:
    """Return what a border costs for each hash: 1 - (1 - h)^4 of UNIT, for h from 0 to 1.

    The steep start lets the few least hashes of a region win over most combinations of others,
    which is what makes two ways of cutting meet again soon after an edit.
    """
    return [_WEIGHTS[value >> (32 - _BITS)] for value in hashes]


def stir(value: int) -> int:
    """Return another hash of 32 bits for a hash, as if drawn anew."""
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    return (value ^ value >> 13) * 0xC2B2AE35 & _MASK
