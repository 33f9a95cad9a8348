"""What is sent: the specification of a call, and the protocols of what answers it.

A dispatcher answers calls from the journal or a backend, a plan from the journal or a prediction;
who asks sees only what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from octavo.engine.dispatch.concurrency import CallPriority
from octavo.engine.dispatch.in_flight import EmbeddingBatch, InFlightCall
from octavo.engine.journal.prompts import PackedPrompt, pack
from octavo.protocols import Request
from octavo.text.document import Document
from octavo.text.quote import Quote

__all__ = ["CallAnswerer", "CallSpec", "TextEmbedder"]


_PREFIX_CHARACTERS = 2_000
"""Characters that tell whether two prompts begin alike, for a server's prefix cache."""


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One attempt of a call: what is sent, when, and what the journal stores with it.

    It is sent once `after`, whose prompt begins as this one does, has started or ended. The prompt
    is stored as references to what it quotes, and `document` with the first reply that quotes it.
    `retry_tokens` is how many tokens more the prompt of a second attempt may have, and None where a
    reply of no use is not asked for once more; a plan needs to know.
    """

    request: Request
    key: bytes
    priority: CallPriority
    quotes: Sequence[Quote] = ()
    document: Document | None = None
    after: InFlightCall | None = None
    retry_tokens: int | None = None

    @property
    def prefix(self) -> int:
        """Tells what the prompt begins with: calls that share it are sent one after the other."""
        messages = self.request.messages
        return hash(
            (messages[0].content[:_PREFIX_CHARACTERS], messages[-1].content[:_PREFIX_CHARACTERS])
        )

    def pack_prompt(self) -> PackedPrompt:
        """Return the prompt as the journal stores it."""
        return pack(self.request.messages, self.quotes, document=self.document)


class TextEmbedder(Protocol):
    """Something that embeds texts: the journal, then a backend or a prediction."""

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return a batch under way for texts that fit one request; equal texts share a vector."""
        ...


class CallAnswerer(TextEmbedder, Protocol):
    """Something that answers calls: the journal, then a backend or a prediction."""

    def answer(self, spec: CallSpec) -> InFlightCall:
        """Return the call in flight; equal keys share one."""
        ...

    def forget(self, key: bytes) -> bool:
        """Take a stored reply, which is of no use, for none; tell whether it will be so."""
        ...
