"""SentencePiece tokenizers: neighbours are merged by the score of the token that they form.

(Kudo and Richardson, 2018, arXiv:1808.06226, in its byte-pair form with bytes as a fallback.)
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from octavo.tokens.gguf.metadata import GgufMetadata

__all__ = ["SentencePiece"]


_SPACE: Final = "\u2581"
_WORD: Final = re.compile(rf"{_SPACE}*[^{_SPACE}]*")
_MAX_REMEMBERED: Final = 500_000


class SentencePiece:
    """Counts the tokens of texts without special tokens, as the vocabulary in a GGUF file has."""

    def __init__(self, metadata: GgufMetadata) -> None:
        self._metadata = metadata
        self._prefix = metadata.scalars.get("tokenizer.ggml.add_space_prefix", True)

    @cached_property
    def _scores(self) -> Mapping[str, float]:
        tokens = self._metadata.read_strings("tokenizer.ggml.tokens")
        scores = self._metadata.read_numbers("tokenizer.ggml.scores")
        return dict(zip(tokens, scores, strict=False))

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        """An expression for parts that no token reaches across, or None when there is none.

        Nearly all vocabularies have white space at the start of tokens only; then nothing merges
        from one word to the next, and each word needs counting once.
        """
        inside = re.compile(rf"[^{_SPACE}]{_SPACE}")
        return None if any(map(inside.search, self._scores)) else _WORD

    @cached_property
    def _counts(self) -> dict[str, int]:
        return {}

    def count(self, text: str) -> int:
        """Return the number of tokens of a text that UTF-8 can carry."""
        if not text:
            return 0
        marked = (" " + text if self._prefix else text).replace(" ", _SPACE)
        words = self._words.findall(marked) if self._words else [marked]
        return sum(map(self._count_word, words))

    def _count_word(self, word: str) -> int:
        count = self._counts.get(word)
        if count is None:
            count = sum(
                1 if part in self._scores else len(part.encode())
                for part in _merge_by_score(word, self._scores)
            )
            if len(self._counts) >= _MAX_REMEMBERED:
                self._counts.clear()
            self._counts[word] = count
        return count


def _merge_by_score(word: str, scores: Mapping[str, float]) -> list[str]:
    """Return the parts that remain; the best score is merged first, of equal ones the leftmost."""
    parts = list(word)
    before = list(range(-1, len(parts) - 1))
    after = [*range(1, len(parts)), -1]
    heap: list[tuple[float, int, int]] = []

    def push_pair(left: int, right: int) -> None:
        if left >= 0 and right >= 0:
            both = parts[left] + parts[right]
            score = scores.get(both)
            if score is not None:
                heapq.heappush(heap, (-score, left, len(both)))

    for index in range(len(parts) - 1):
        push_pair(index, index + 1)
    while heap:
        _, left, length = heapq.heappop(heap)
        right = after[left]
        if not parts[left] or right < 0 or len(parts[left]) + len(parts[right]) != length:
            continue  # one of the two was merged meanwhile
        parts[left] += parts[right]
        parts[right] = ""
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        push_pair(before[left], left)
        push_pair(left, after[left])
    return [part for part in parts if part]
