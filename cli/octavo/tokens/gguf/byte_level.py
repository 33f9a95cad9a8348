"""Byte-level tokenizers as GPT-2's: words of bytes, merged by rank.

The merging within a word is byte-pair encoding (Sennrich, Haddow, Birch, 2016, arXiv:1508.07909).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from octavo.tokens.gguf.metadata import GgufMetadata
from octavo.tokens.gguf.word_patterns import WordPattern

if TYPE_CHECKING:
    from regex import Pattern

__all__ = ["BYTE_LETTERS", "ByteLevel", "merge_pairs"]


def _build_byte_letters() -> str:
    """Return the letter that stands for each byte in GPT-2's vocabulary files.

    Printable Latin-1 bytes stand for themselves, the others for the letters from U+0100 on.
    """
    free = iter(range(256, 512))
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    return "".join(chr(byte if byte in printable else next(free)) for byte in range(256))


BYTE_LETTERS: Final = _build_byte_letters()
_LETTERS: Final = dict(enumerate(BYTE_LETTERS))
_BYTES: Final = {letter: byte for byte, letter in enumerate(BYTE_LETTERS)}

_HEAP_FROM: Final = 48
"""Letters from which on a heap beats looking at all pairs again."""

_MAX_REMEMBERED: Final = 500_000
"""Words whose counts are kept; natural text repeats most of its words."""


def merge_pairs(word: str, ranks: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Return the parts that remain of a word when no pair of neighbours can be merged.

    The pair of the lowest rank is merged first, of equal ones the leftmost.
    """
    if len(word) > _HEAP_FROM:
        return _merge_long_word(word, ranks)
    parts = list(word)
    while len(parts) > 1:
        best, at = len(ranks), -1
        for index in range(len(parts) - 1):
            rank = ranks.get((parts[index], parts[index + 1]), best)
            if rank < best:
                best, at = rank, index
        if at < 0:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _merge_long_word(word: str, ranks: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Do the same in n log n steps: a linked list of parts and a heap of the pairs in it."""
    parts: list[str] = list(word)
    before = list(range(-1, len(parts) - 1))
    after = [*range(1, len(parts)), -1]
    heap: list[tuple[int, int, str, str]] = []

    def push_pair(left: int, right: int) -> None:
        if left >= 0 and right >= 0:
            rank = ranks.get((parts[left], parts[right]))
            if rank is not None:
                heapq.heappush(heap, (rank, left, parts[left], parts[right]))

    for index in range(len(parts) - 1):
        push_pair(index, index + 1)
    while heap:
        _, left, one, other = heapq.heappop(heap)
        right = after[left]
        if parts[left] != one or right < 0 or parts[right] != other:
            continue  # one of the two was merged meanwhile
        parts[left] = one + other
        parts[right] = ""
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        push_pair(before[left], left)
        push_pair(left, after[left])
    return [part for part in parts if part]


class ByteLevel:
    """Counts the tokens of texts without special tokens, as the vocabulary in a GGUF file has."""

    def __init__(self, metadata: GgufMetadata, words: WordPattern) -> None:
        self._metadata = metadata
        self._words = words

    @cached_property
    def _pattern(self) -> Pattern[str]:
        import regex  # noqa: PLC0415 - for Unicode's classes, which the standard library lacks

        return regex.compile(self._words.pattern)

    @cached_property
    def _counts(self) -> _WordCounts:
        tokens = frozenset(self._metadata.read_strings("tokenizer.ggml.tokens"))
        ranks: dict[tuple[str, str], int] = {}
        for rank, line in enumerate(self._metadata.read_strings("tokenizer.ggml.merges")):
            # The first part may itself begin with a space.
            border = line.find(" ", 1)
            if border > 0:
                ranks.setdefault((line[:border], line[border + 1 :]), rank)
        return _WordCounts(tokens, ranks, whole=self._words.whole)

    def count(self, text: str) -> int:
        """Return the number of tokens of a text that UTF-8 can carry."""
        return sum(map(self._counts.__getitem__, self._pattern.findall(text)))

    def tokenize_words(self, text: str) -> Iterator[tuple[str, list[int] | None]]:
        """Yield the words of a text that UTF-8 can carry, with the numbers of their tokens.

        The numbers are None where a token is a piece of a character.
        """
        for word in self._pattern.findall(text):
            parts = self._counts.split_word(word)
            whole = all(_is_text(part) for part in parts)
            yield word, [self._numbers[part] for part in parts] if whole else None

    @cached_property
    def _numbers(self) -> dict[str, int]:
        tokens = self._metadata.read_strings("tokenizer.ggml.tokens")
        return {token: number for number, token in enumerate(tokens)}


def _is_text(part: str) -> bool:
    """Tell whether a token is made of whole characters."""
    try:
        bytes(_BYTES[letter] for letter in part).decode()
    except UnicodeDecodeError:
        return False
    return True


class _WordCounts(dict[str, int]):
    """How many tokens a word has; counted when it is first met."""

    def __init__(
        self, tokens: frozenset[str], ranks: Mapping[tuple[str, str], int], *, whole: bool
    ) -> None:
        super().__init__()
        self._tokens = tokens
        self._ranks = ranks
        self._whole = whole

    def split_word(self, word: str) -> list[str]:
        """Return the tokens of a word, as the vocabulary spells them."""
        letters = word.encode().decode("latin-1").translate(_LETTERS)
        if self._whole and letters in self._tokens:
            return [letters]
        # What is no token is left to its bytes, and bytes without a token are dropped.
        return [
            each
            for part in merge_pairs(letters, self._ranks)
            for each in ([part] if part in self._tokens else part)
            if each in self._tokens
        ]

    def __missing__(self, word: str) -> int:
        count = len(self.split_word(word))
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        self[word] = count
        return count
