"""Texts as the journal stores them: deflated where that is smaller."""

from __future__ import annotations

import zlib

__all__ = ["deflate", "inflate"]

_DEFLATE_LEVEL = 1
"""zlib's level: on a novel level 6 took four times as long to save a seventh more."""
_PLAIN_CHARACTERS = 256
"""Characters up to which a text is stored as it is, which a query can read."""


def deflate(text: str) -> str | bytes:
    """Return a well-formed text as it is, or as the bytes for `inflate` when they are fewer."""
    if len(text) <= _PLAIN_CHARACTERS:
        return text
    plain = text.encode()
    data = zlib.compress(plain, _DEFLATE_LEVEL)
    return data if len(data) < len(plain) else text


def inflate(stored: str | bytes) -> str:
    """Return the text that was stored."""
    if isinstance(stored, str):
        return stored
    return zlib.decompress(stored).decode()
