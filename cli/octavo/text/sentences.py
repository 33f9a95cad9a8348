"""Where sentences end, how many words a text has, and how to split a text in half.

`find_sentence_ends` goes by punctuation. `count_words` and `has_sentence_end` look at whole texts
in many scripts. `split_in_half` cuts a text where it breaks best: between paragraphs, lines,
sentences or words, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from octavo.text.grapheme import is_inside_grapheme

__all__ = ["count_words", "find_sentence_ends", "has_sentence_end", "split_in_half"]


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    """Return an expression, compiled when it is first used: most runs use few of them."""
    return re.compile(pattern)


_CLOSERS = "\"'\u2019\u201d\u00bb)\\]}*_"
_OPENERS = "\"'\u2018\u201c\u00ab(\\[{*_\u00bf\u00a1\u2014-"

# The look-behind lets a run of marks be tried once, from its start, so that time stays linear.
_SENTENCE_END = (
    rf"(?<![.!?\u2026])[.!?\u2026]++[{_CLOSERS}]*+(?=\s++[{_OPENERS}]*+(.))"
    r"|[\u3002\uff01\uff1f\uff61\uff0e]++[\u2019\u201d\u300d\u300f\uff09\u3011\u300b\u300d]*+"
)
_WORD = r"[^\W\d_][\w.]*$"
_ABBREVIATION = (
    r"(?i)"
    r"(mrs?|ms|dr|st|prof|rev|hon|gen|col|capt|lt|sgt|messrs|[js]r|vs|etc|no|vol|figs?|sec|ch|pp?"
    r"|eds?|al|cf|ca|approx|dept|inc|ltd|co|corp|bros|mt"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)


def find_sentence_ends(text: str) -> Iterator[int]:
    """Yield the position after each sentence's closing marks, before the white space.

    A mark counts when no lower-case letter follows, and a full stop only when the word before is
    neither a common abbreviation nor an initial. Chinese and Japanese marks need no white space.
    """
    for match in _compile(_SENTENCE_END).finditer(text):
        following: str | None = match[1]
        if following is not None and following.islower():
            continue
        if match[0].startswith(".") and not match[0].startswith(".."):
            word = _compile(_WORD).search(text, max(match.start() - 12, 0), match.start())
            if word and _is_abbreviation(word[0]):
                continue
        yield match.end()


def _is_abbreviation(word: str) -> bool:
    """Say whether a full stop after this word most likely belongs to it."""
    if _compile(_ABBREVIATION).fullmatch(word):
        return True
    return word not in {"I", "a"} and all(len(part) == 1 for part in word.split("."))


# Scripts that write no blanks between words: Han, kana, Thai, Lao, Khmer and Myanmar letters.
_UNSPACED = (
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_LETTERS_PER_WORD = 2
"""How many letters of such a script make about one word."""

# Marks of European scripts, then of Chinese, Arabic, Indian, Armenian, Ethiopian, Tibetan, Burmese
# and Khmer texts.
_FINAL_MARK = (
    r"[.!?\u2026\u3002\uff01\uff1f\uff61\uff0e\u061f\u06d4\u0964\u0589\u1362\u0f0d\u104b\u17d4]"
    r"[\"'\u2019\u201d\u00bb)\]}*_\uff09\u300d\u300f\u3011\u300b]*\s*\Z"
)
_UNMARKED_SCRIPT = r"[\u0e00-\u0eff]\s*\Z"
"""Thai and Lao, which mark no ends of sentences."""


def count_words(text: str) -> int:
    """Return the number of words; where a script has no blanks, two letters count as one."""
    unspaced = len(_compile(_UNSPACED).findall(text))
    spaced = len(_compile(_UNSPACED).sub(" ", text).split()) if unspaced else len(text.split())
    return spaced + (unspaced + _LETTERS_PER_WORD - 1) // _LETTERS_PER_WORD


def has_sentence_end(text: str) -> bool:
    """Tell whether the text ends with the mark that ends a sentence, where its script has one."""
    tail = text[-64:]
    return any(_compile(each).search(tail) for each in (_FINAL_MARK, _UNMARKED_SCRIPT))


_MIN_CHARACTERS = 40
"""Characters below which a text is not worth halving."""


def split_in_half(text: str) -> int | None:
    """Return where to split a text in two: between paragraphs, lines, sentences or words.

    Of the best kind that there is in the middle half of the text, the place nearest to the middle.
    None for a text that is too short to be cut.
    """
    if len(text.strip()) < _MIN_CHARACTERS:
        return None
    for borders in _BREAK_FINDERS:
        near = [at for at in borders(text) if len(text) // 4 <= at <= len(text) - len(text) // 4]
        if near:
            return min(near, key=lambda at: abs(2 * at - len(text)))
    at = len(text) // 2
    while is_inside_grapheme(text, at):
        at += 1
    return at if at < len(text) else None


def _build_finder(pattern: str) -> Callable[[str], Iterable[int]]:
    return lambda text: (match.end() for match in _compile(pattern).finditer(text))


_BREAK_FINDERS: tuple[Callable[[str], Iterable[int]], ...] = (
    _build_finder(r"\n[^\S\n]*\n\s*"),
    _build_finder(r"\n"),
    find_sentence_ends,
    _build_finder(r"\s+"),
)
