"""Token counts stored in the journal, so that a repeated run loads no vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from octavo.engine.journal.store import Journal
from octavo.protocols import Counter, Message

__all__ = ["JournalCounter"]


_PER_MESSAGE = 8
"""Tokens that a chat template may add around one message."""

_EXPANSION = 11
"""Bytes that a tokenizer's normal form may make of one: three become 33 in NFKC (U+FDFA)."""

_RECENT_COUNTS = 10_000
"""Counts that are kept at hand; the journal has the others."""


class JournalCounter:
    """A Counter that looks into the journal first; for prompts and notes, not for whole books."""

    def __init__(self, counter: Counter, journal: Journal) -> None:
        self._counter = counter
        self._journal = journal
        self._recent: dict[bytes, int] = {}

    @property
    def name(self) -> str:
        """The tokenizer's name."""
        return self._counter.name

    @property
    def exact(self) -> bool:
        """Whether the counts are the tokenizer's own."""
        return self._counter.exact

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        digest = hashlib.sha256(f"{self.name}\0".encode())
        digest.update(text.encode("utf-8", "surrogatepass"))
        key = digest.digest()[:16]
        tokens = self._recent.get(key)
        if tokens is None:
            tokens = self._journal.find_count(key)
        if tokens is None:
            tokens = self._counter.count(text)
            self._journal.keep_count(key, tokens)
        if len(self._recent) >= _RECENT_COUNTS:
            self._recent.clear()
        self._recent[key] = tokens
        return tokens

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return [self.count(text) for text in texts]

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a prompt that recurs, with what a chat template adds."""
        return sum(self.count(message.content) + _PER_MESSAGE for message in messages)

    def count_prompt_once(self, messages: Sequence[Message]) -> int:
        """Return the same for a prompt that is sent once and not worth remembering."""
        counts = self._counter.count_batch([message.content for message in messages])
        return sum(counts) + _PER_MESSAGE * len(messages)

    def count_prompt_at_most(self, messages: Sequence[Message]) -> int:
        """Return what a prompt cannot exceed, without counting: a token has a byte or more."""
        return sum(_count_at_most(message.content) + _PER_MESSAGE for message in messages)


def _count_at_most(text: str) -> int:
    if text.isascii():  # no normal form changes it
        return len(text)
    return _EXPANSION * len(text.encode("utf-8", "surrogatepass"))
