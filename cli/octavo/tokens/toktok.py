"""Encodings of OpenAI's models, counted by toktok-rs: tiktoken's ids, carried in the package."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Final, Protocol

from octavo.text.encoding import replace_surrogates

__all__ = ["ENCODINGS", "Toktok"]


ENCODINGS: Final = frozenset({"cl100k_base", "o200k_base", "o200k_harmony"})

_CHARACTERS_PER_CORE: Final = 10_000
"""Characters that are worth the start of a core."""

_MAX_CORES: Final = 8
"""Cores; a container may be allowed fewer than the machine has."""

_SAMPLE_LENGTH: Final = 256
"""Characters that tell whether a script is one of those with three bytes a letter."""


class _ToktokEncoding(Protocol):
    def count(self, text: str) -> int: ...
    def count_batch(self, texts: Sequence[str], threads: int) -> list[int]: ...


class Toktok:
    """Counts as one of `ENCODINGS` does; special tokens in a text are plain text."""

    exact = True

    # A line feed ends a token of all three encodings, except that they take white space together
    # up to its last line feed, and two of them signs together with line feeds and slashes.
    crossing = re.compile(r"/|[^\S\r\n]*+[\r\n]")

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def _encoding(self) -> _ToktokEncoding:
        toktok: Any = import_module("toktok")  # here: a cached run loads no vocabulary
        # Its documentation offers this for more than the one public function does; one count
        # costs a microsecond here and fifty there.
        return toktok._encoding(self.name)  # noqa: SLF001

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        try:
            return self._encoding.count(text)
        except UnicodeEncodeError:
            return self._encoding.count(replace_surrogates(text))

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        encoding = self._encoding
        try:
            if (cores := _count_cores(texts)) > 1:
                return encoding.count_batch(texts, cores)
            # On one core, a batch takes longer than its texts one by one.
            count = encoding.count
            return [count(text) for text in texts]
        except UnicodeEncodeError:
            return [encoding.count(replace_surrogates(text)) for text in texts]


def _count_cores(texts: Sequence[str]) -> int:
    """Return how many cores are worth their start.

    Each remembers the words it has seen, which is most of the work and begins anew every time.
    Where words are not set apart by blanks, there is little to remember.
    """
    if (cores := sum(map(len, texts)) // _CHARACTERS_PER_CORE) < 2:
        return 1
    sample = max(texts, key=len)[:_SAMPLE_LENGTH]
    if len(sample.encode("utf-8", "surrogatepass")) < 2 * len(sample):
        return 1
    return min(cores, os.cpu_count() or 1, _MAX_CORES)
