"""How long a text is in words, and whether it ends where a sentence does."""

from __future__ import annotations

import re

__all__ = ["has_sentence_end", "count_words"]

# Scripts that write no blanks between words: Han, kana, Thai, Lao, Khmer and Myanmar letters.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
_LETTERS_PER_WORD = 2
"""How many letters of such a script make about one word."""

# Marks of European scripts, then of Chinese, Arabic, Indian, Armenian, Ethiopian, Tibetan, Burmese
# and Khmer texts.
_FINAL_MARK = re.compile(
    r"[.!?\u2026\u3002\uff01\uff1f\uff61\uff0e\u061f\u06d4\u0964\u0589\u1362\u0f0d\u104b\u17d4]"
    r"[\"'\u2019\u201d\u00bb)\]}*_\uff09\u300d\u300f\u3011\u300b]*\s*\Z"
)
_UNMARKED_SCRIPT = re.compile(r"[\u0e00-\u0eff]\s*\Z")
"""Thai and Lao, which mark no ends of sentences."""


def count_words(text: str) -> int:
    """Return the number of words; where a script has no blanks, two letters count as one."""
    unspaced = len(_UNSPACED.findall(text))
    spaced = len(_UNSPACED.sub(" ", text).split()) if unspaced else len(text.split())
    return spaced + (unspaced + _LETTERS_PER_WORD - 1) // _LETTERS_PER_WORD


def has_sentence_end(text: str) -> bool:
    """Tell whether the text ends with the mark that ends a sentence, where its script has one."""
    tail = text[-64:]
    return (_FINAL_MARK.search(tail) or _UNMARKED_SCRIPT.search(tail)) is not None
