"""What a server's prefix cache saves: tokens of prompts that begin as an earlier one began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["PrefixCache"]

_BLOCK = 16
"""Tokens in a block: servers keep whole blocks, 16 tokens by default in vLLM."""


@dataclass
class PrefixCache:
    """Counts the tokens of prompts, and those in blocks that an earlier prompt began with.

    It never forgets, as a server does whose memory holds what one document needs.
    """

    prompt: int = 0
    saved: int = 0
    _known: set[int] = field(default_factory=set)

    def read(self, prompts: Iterable[Sequence[int]]) -> None:
        """Read prompts in the order in which they were sent."""
        for tokens in prompts:
            self.prompt += len(tokens)
            chain = 0
            for start in range(0, len(tokens) - _BLOCK + 1, _BLOCK):
                chain = hash((chain, tuple(tokens[start : start + _BLOCK])))
                # The last token is computed in any case.
                if chain in self._known and start + _BLOCK < len(tokens):
                    self.saved += _BLOCK
                self._known.add(chain)

    @property
    def computed(self) -> int:
        """Tokens that the server must compute."""
        return self.prompt - self.saved
