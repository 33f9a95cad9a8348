"""The names and numbers of a text: what must not be lost when the text is shortened.

They are found by spelling alone: numbers in digits; words with digits or several capitals in them;
words that begin with a capital where no sentence begins; titles in Chinese marks. Where capitals
mean something else, as in German, which gives them to all nouns, only the first two kinds can be
distinguished from other words, and names in scripts without capitals are not found at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import regex

from octavo.text.grounding.search import find_pieces
from octavo.text.normalize import UNSPACED_SCRIPTS

__all__ = ["find_facts", "find_lost_facts"]


_LETTER = rf"[\p{{L}}--[{UNSPACED_SCRIPTS}]]"
_SIGN = rf"[[\p{{L}}\p{{M}}\d]--[{UNSPACED_SCRIPTS}]]"
_NUMBER = regex.compile(
    rf"(?<!{_SIGN})(?<!{_LETTER}-)\d+(?:[.,'\u00a0\u202f]\d+)*(?!{_SIGN})(?!-{_LETTER})", regex.V1
)
_WORD = regex.compile(rf"{_LETTER}{_SIGN}*(?:['\u2019-]{_SIGN}+)*|\d+-?{_LETTER}{_SIGN}*", regex.V1)
_TITLE = regex.compile(r"\u300a[^\u300a\u300b]{1,60}\u300b")
_START = regex.compile(
    r"(?:^|[.!?\u2026:;\u3002\uff01\uff1f\n\"\u201c\u2018\u00ab(\[*#>|_-])[\s*_]*$"
)
_LOOKBEHIND = 12
_MAX_CAPITALIZED_SHARE = 0.2
"""The share of words with a capital within sentences from which on capitals are no sign of names:
about 0.05 in English, 0.25 in German."""

_MIN_WORDS = 30
_POSSESSIVE_ENDINGS = ("'s", "\u2019s", "'", "\u2019")


def find_facts(text: str) -> tuple[str, ...]:
    """Return the names and numbers of a text, each once, in their order."""
    found: list[tuple[int, str]] = [(each.start(), each[0]) for each in _NUMBER.finditer(text)]
    found += [(each.start(), each[0]) for each in _TITLE.finditer(text)]
    capitalized: list[tuple[int, str]] = []
    lower: set[str] = set()
    words = 0
    for each in _WORD.finditer(text):
        word = _strip_possessive(each[0])
        if _has_name_spelling(word):
            found.append((each.start(), word))
        elif word[0].islower():
            lower.add(word)
            words += 1
        elif word[0].isupper() and not _may_begin_sentence(text, each.start()):
            capitalized.append((each.start(), word))
    if len(capitalized) < max(
        _MAX_CAPITALIZED_SHARE * (words + len(capitalized)), _MAX_CAPITALIZED_SHARE * _MIN_WORDS
    ):
        found += [
            (at, word) for at, word in capitalized if word.lower() not in lower and len(word) > 1
        ]
    return tuple(dict.fromkeys(word for _, word in sorted(found)))


def find_lost_facts(wanted: Iterable[str], text: str) -> tuple[str, ...]:
    """Return the names and numbers that a text lacks, whatever its case or punctuation."""
    wanted = tuple(wanted)
    numbers = {each for each in wanted if _NUMBER.fullmatch(each)}
    present = {_keep_digits(each[0]) for each in _NUMBER.finditer(text)}
    missing = {each for each in numbers if _keep_digits(each) not in present}
    names = [each for each in wanted if each not in numbers]
    places = find_pieces(text, names)
    missing |= {name for name, place in zip(names, places, strict=True) if place is None}
    return tuple(each for each in wanted if each in missing)


def _strip_possessive(word: str) -> str:
    ending = next((each for each in _POSSESSIVE_ENDINGS if word.endswith(each)), "")
    return word.removesuffix(ending)


def _has_name_spelling(word: str) -> bool:
    """Tell whether a word has a digit or a capital within, as ordinary words do not."""
    return any(sign.isdecimal() for sign in word) or any(
        before.isalpha() and after.isupper() for before, after in pairwise(word)
    )


def _may_begin_sentence(text: str, position: int) -> bool:
    """Tell whether a sentence may begin at a position."""
    return (
        _START.search(text[max(0, position - _LOOKBEHIND) : position]) is not None or position == 0
    )


def _keep_digits(number: str) -> str:
    return "".join(sign for sign in number if sign.isdigit())
