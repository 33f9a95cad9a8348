"""Grapheme boundaries: cut a text without breaking what a reader sees as one character."""

from __future__ import annotations

from unicodedata import category, combining

__all__ = ["is_inside_grapheme"]


_JOINER = "\u200d"
_LOOKBEHIND = 64
_VIRAMA = 9


def is_inside_grapheme(text: str, position: int) -> bool:
    """Return whether a cut before this position would break a grapheme or a CR LF pair.

    Follows Unicode's annex 29 for marks, joiners, emoji modifiers, flags, conjoining Hangul and
    conjuncts; prepended marks, which are rare, are not looked for.
    """
    if not 0 < position < len(text):
        return False
    before, after = text[position - 1], text[position]
    if after < "\u0300":
        return before == "\r" and after == "\n"
    if before in "\r\n":
        return False
    return (
        after in "\u200c\u200d"
        or before == _JOINER
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
        or category(after) in {"Mn", "Mc", "Me"}
        or (combining(before) == _VIRAMA and category(after) == "Lo")
        or _is_same_syllable(before, after)
        or (
            _is_flag_letter(before)
            and _is_flag_letter(after)
            and _count_flag_letters(text, position) % 2 == 1
        )
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _count_flag_letters(text: str, position: int) -> int:
    """Count the regional indicators just before a position, as far as is worth looking."""
    start = position
    while start and position - start < _LOOKBEHIND and _is_flag_letter(text[start - 1]):
        start -= 1
    return position - start


def _is_same_syllable(before: str, after: str) -> bool:
    """Say whether two characters are parts of one Hangul syllable."""
    if "\u1160" <= after <= "\u11ff" or "\ud7b0" <= after <= "\ud7fb":
        return "\u1100" <= before <= "\u11ff" or "\ua960" <= before <= "\ud7fb"
    leading = "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c"
    return leading and (
        "\u1100" <= after <= "\u115f"
        or "\ua960" <= after <= "\ua97c"
        or "\uac00" <= after <= "\ud7a3"
    )
