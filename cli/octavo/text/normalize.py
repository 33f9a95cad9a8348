"""Normalize a text for matching (case, white space and typography), with a map back to the source.

Models that copy from a text change its quotation marks, dashes, line breaks and full-width forms,
and leave out marks of emphasis. Two texts that differ in nothing else have the same normalized
form.
"""

from __future__ import annotations

import unicodedata
from array import array
from dataclasses import dataclass
from functools import lru_cache

import regex

from octavo.text.span import Span

__all__ = ["UNSPACED_SCRIPTS", "NormalizedText", "normalize_for_match"]


UNSPACED_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts whose words nothing divides: white space between their characters says nothing."""

_CLOSE = rf"{UNSPACED_SCRIPTS}\u3000-\u303f\uff00-\uff65"
_PIECE = regex.compile(
    # A hyphen between letters, at the end of a line too, where it may be the typesetter's.
    r"(?P<nothing>(?<=\p{L})[-\u2010\u2011](?:[^\S\n]*\n\s*)?(?=\p{L})"
    rf"|(?<=[{_CLOSE}])\s+|\s+(?=[{_CLOSE}])|[\u00ad\u200b-\u200f\u2060\ufeff*`]+)"
    r"|(?P<blank>\s+)"
    r"|(?P<character>\P{M}\p{M}*|\p{M}+)"
)
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u2039\u203a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-"),
    }
)


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """A normalized text, and where in the source each of its characters begins and ends."""

    text: str
    starts: array[int]
    ends: array[int]

    def to_source_span(self, start: int, end: int) -> Span:
        """Return where a piece of the normalized text is in the source; the piece is not empty."""
        return Span(self.starts[start], self.ends[end - 1])


def normalize_for_match(text: str) -> NormalizedText:
    """Return the normalized text, in one pass.

    >>> normalize_for_match("\u201cA  well-known ship\u201d").text
    '"a wellknown ship"'
    """
    parts: list[str] = []
    starts, ends = array("l"), array("l")
    for piece in _PIECE.finditer(text):
        kind = piece.lastgroup
        if kind == "nothing":
            continue
        part = " " if kind == "blank" else _normalize_character(piece[0])
        parts.append(part)
        for _ in part:
            starts.append(piece.start())
            ends.append(piece.end())
    return NormalizedText("".join(parts), starts, ends)


@lru_cache(maxsize=4096)
def _normalize_character(character: str) -> str:
    """Return a character, with the marks on it, as others write it."""
    folded = unicodedata.normalize("NFKC", character.translate(_TYPOGRAPHY)).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_TYPOGRAPHY)
