"""The cost of a boundary, as far as the text around it decides.

Where several positions are equally good by structure, a hash of the characters around each decides.
An edit therefore moves only the boundaries near it: positions elsewhere keep their hashes.
"""

from __future__ import annotations

from octavo.text.splitting.kernel import hash_boundaries

__all__ = ["hash_boundary", "rehash"]


_MASK = 0xFFFFFFFF


def hash_boundary(text: str, position: int) -> int:
    """Return the hash, 32 bits, of the characters around a position."""
    return hash_boundaries(text, (position,))[0]


def rehash(value: int) -> int:
    """Return another 32-bit hash for a hash, as if it were drawn again."""
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    return (value ^ value >> 13) * 0xC2B2AE35 & _MASK
