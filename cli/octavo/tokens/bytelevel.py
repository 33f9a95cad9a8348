"""Tokenizers of GPT-2's kind: words of bytes, merged by rank."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

from octavo.tokens.bpe import BYTE_LETTERS, merged
from octavo.tokens.metadata import Metadata
from octavo.tokens.words import Words

if TYPE_CHECKING:
    from regex import Pattern

__all__ = ["ByteLevel"]

_LETTERS: Final = dict(enumerate(BYTE_LETTERS))
_REMEMBERED: Final = 500_000
"""Words whose counts are kept; natural text repeats most of its words."""


class ByteLevel:
    """Counts the tokens of texts without special tokens, as the vocabulary in a GGUF file has."""

    def __init__(self, metadata: Metadata, words: Words) -> None:
        self._metadata = metadata
        self._words = words

    @cached_property
    def _pattern(self) -> Pattern[str]:
        import regex  # noqa: PLC0415 - for Unicode's classes, which the standard library lacks

        return regex.compile(self._words.pattern)

    @cached_property
    def _counts(self) -> _Counts:
        tokens = frozenset(self._metadata.strings("tokenizer.ggml.tokens"))
        ranks: dict[tuple[str, str], int] = {}
        for rank, line in enumerate(self._metadata.strings("tokenizer.ggml.merges")):
            # The first part may itself begin with a space.
            border = line.find(" ", 1)
            if border > 0:
                ranks.setdefault((line[:border], line[border + 1 :]), rank)
        return _Counts(tokens, ranks, whole=self._words.whole)

    def count(self, text: str) -> int:
        """Return the number of tokens of a text that UTF-8 can carry."""
        return sum(map(self._counts.__getitem__, self._pattern.findall(text)))


class _Counts(dict[str, int]):
    """How many tokens a word has; counted when it is first met."""

    def __init__(
        self, tokens: frozenset[str], ranks: Mapping[tuple[str, str], int], *, whole: bool
    ) -> None:
        super().__init__()
        self._tokens = tokens
        self._ranks = ranks
        self._whole = whole

    def __missing__(self, word: str) -> int:
        letters = word.encode().decode("latin-1").translate(_LETTERS)
        if self._whole and letters in self._tokens:
            count = 1
        else:
            # What is no token is left to its bytes, and bytes without a token are dropped.
            count = sum(
                1 if part in self._tokens else sum(letter in self._tokens for letter in part)
                for part in merged(letters, self._ranks)
            )
        if len(self) >= _REMEMBERED:
            self.clear()
        self[word] = count
        return count
