"""How good a place for a border is, as far as the text around it decides.

Where several places are as good by structure, a hash of the characters around each decides. An
edit therefore moves only the borders near it: places elsewhere keep their hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

__all__ = ["REACH", "UNIT", "border", "borders", "stir", "weights"]

REACH = 32
"""Characters on each side of a border that its hash sees."""

UNIT = 1 << 16
"""What the worst hash costs; all costs are integers of this size, so no rounding differs."""

_SPREAD = 0x9E3779B1
_BITS = 12
_WEIGHTS = tuple(
    UNIT - ((((1 << _BITS) - rank) ** 4 * UNIT) >> (4 * _BITS)) for rank in range(1 << _BITS)
)


def border(text: str, position: int) -> int:
    """Return the hash, 32 bits, of the characters around a position."""
    around = text[max(position - REACH, 0) : position + REACH]
    # CRC is linear: close strings have close sums until a multiplication spreads them.
    return crc32(around.encode("utf-8", "surrogatepass")) * _SPREAD & 0xFFFFFFFF


def borders(text: str, positions: Sequence[int]) -> list[int]:
    """Return the hash at each position; the positions ascend."""
    early = 0
    while early < len(positions) and positions[early] < REACH:
        early += 1
    hashes = [border(text, position) for position in positions[:early]]
    late = positions[early:] if early else positions
    if text.isascii():
        # One copy of the bytes saves an encoding for each position.
        data = text.encode()
        hashes += [crc32(data[at - REACH : at + REACH]) * _SPREAD & 0xFFFFFFFF for at in late]
    else:
        hashes += [
            crc32(text[at - REACH : at + REACH].encode("utf-8", "surrogatepass")) * _SPREAD
            & 0xFFFFFFFF
            for at in late
        ]
    return hashes


def weights(hashes: Iterable[int]) -> list[int]:
    """Return what a border costs for each hash: 1 - (1 - h)^4 of UNIT, for h from 0 to 1.

    The steep start lets the few least hashes of a region win over most combinations of others,
    which is what makes two ways of cutting meet again soon after an edit.
    """
    return [_WEIGHTS[value >> (32 - _BITS)] for value in hashes]


def stir(value: int) -> int:
    """Return another hash of 32 bits for a hash, as if drawn anew."""
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    return (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
