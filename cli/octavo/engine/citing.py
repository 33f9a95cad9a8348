"""The calls of one document, whose text is stored with the first reply to a prompt that quotes it.

So a run that is killed leaves no prompt in the journal that cannot be read back, a document that
nobody replied about leaves no text there, and nobody need hold a text for longer than its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from octavo.engine.embed import EmbeddingBatch
from octavo.engine.flight import InFlightCall, Dispatcher
from octavo.engine.queue import CallPriority
from octavo.protocols import Request
from octavo.text.document import Document
from octavo.text.quote import Quote

__all__ = ["DocumentDispatch"]


@dataclass(frozen=True, slots=True)
class DocumentDispatch:
    """Answers the calls of one document as `flights` do; see Answers."""

    dispatcher: Dispatcher
    document: Document

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: CallPriority,
        behind: InFlightCall | None = None,
        again: int | None = None,
    ) -> InFlightCall:
        """Return the flight of a request; see Answers."""
        return self.dispatcher.answer(
            request,
            key,
            quotes=quotes,
            priority=priority,
            behind=behind,
            again=again,
            document=self.document,
        )

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return the batch of texts that fit one request."""
        return self.dispatcher.embed(texts, priority=priority)

    def forget(self, key: bytes) -> bool:
        """Take a stored reply for none, if failed replies are asked for anew."""
        return self.dispatcher.forget(key)
