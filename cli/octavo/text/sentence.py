"""Where sentences end, as far as punctuation tells."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["find_sentence_ends"]

_CLOSERS = "\"'\u2019\u201d\u00bb)\\]}*_"
_OPENERS = "\"'\u2018\u201c\u00ab(\\[{*_\u00bf\u00a1\u2014-"
# The look-behind lets a run of marks be tried once, from its start, so that time stays linear.
_SENTENCE_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{_CLOSERS}]*+(?=\s++[{_OPENERS}]*+(.))"
    r"|[\u3002\uff01\uff1f\uff61\uff0e]++[\u2019\u201d\u300d\u300f\uff09\u3011\u300b\u300d]*+"
)
_WORD = re.compile(r"[^\W\d_][\w.]*$")
_ABBREVIATION = re.compile(
    r"(mrs?|ms|dr|st|prof|rev|hon|gen|col|capt|lt|sgt|messrs|[js]r|vs|etc|no|vol|figs?|sec|ch|pp?"
    r"|eds?|al|cf|ca|approx|dept|inc|ltd|co|corp|bros|mt"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)",
    re.IGNORECASE,
)


def find_sentence_ends(text: str) -> Iterator[int]:
    """Yield the position after each sentence's closing marks, before the white space.

    A mark counts when no lower-case letter follows, and a full stop only when the word before is
    neither a common abbreviation nor an initial. Chinese and Japanese marks need no white space.
    """
    for match in _SENTENCE_END.finditer(text):
        following: str | None = match[1]
        if following is not None and following.islower():
            continue
        if match[0].startswith(".") and not match[0].startswith(".."):
            word = _WORD.search(text, max(match.start() - 12, 0), match.start())
            if word and _is_abbreviation(word[0]):
                continue
        yield match.end()


def _is_abbreviation(word: str) -> bool:
    """Say whether a full stop after this word most likely belongs to it."""
    if _ABBREVIATION.fullmatch(word):
        return True
    return word not in {"I", "a"} and all(len(part) == 1 for part in word.split("."))
