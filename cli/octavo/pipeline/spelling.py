"""How errors quote what somebody wrote, and what they probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

__all__ = ["find_nearest", "shorten", "suggest"]

_MAX_SUGGESTIONS = 20
_MAX_WORD = 100
_MAX_KNOWN = 500


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a misspelt one most likely means, or None."""
    if len(word) > _MAX_WORD:  # comparing costs the square of the length
        return None
    plain = {other.lower().replace("-", "_"): other for other in islice(known, _MAX_KNOWN)}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(plain), 1, cutoff=0.6)
    return plain[close[0]] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the one hint for an unknown word: the nearest known one, else the first of them."""
    words = sorted(known)
    guess = find_nearest(word, words)
    if guess is not None:
        return f"did you mean {guess!r}?"
    more = ", ..." if len(words) > _MAX_SUGGESTIONS else ""
    return f"use one of: {', '.join(words[:_MAX_SUGGESTIONS])}{more}" if words else "remove it"


def shorten(text: str, length: int = 60) -> str:
    """Return a text as an error quotes it: on one line, at most `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."
