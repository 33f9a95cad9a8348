"""What is sent and what is then in flight, and the protocols of what answers.

A dispatcher answers calls from the journal or a backend, a plan from the journal or a prediction;
who asks sees only what is here.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.journal.prompts import PackedPrompt, pack
from octavo.protocols import Reply, Request, Usage
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.quote import Quote
from octavo.text.vectors import Vector

__all__ = ["CallAnswerer", "CallSpec", "EmbeddingBatch", "InFlightCall", "TextEmbedder"]


_PREFIX_CHARACTERS = 2_000
"""Characters that tell whether two prompts begin alike, for a server's prefix cache."""


class CallSpec(NamedTuple):
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


class InFlightCall:
    """One call: answered already, waiting for its turn, or sent.

    A call that nobody waits for any more is dropped if it was not sent; the reply to a sent one is
    stored in the journal, since it is paid for. In a plan `depth` is how many calls follow one
    another up to it.
    """

    def __init__(self, *, predicted: Prediction | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[None] = loop.create_future()
        self.reply: asyncio.Future[Reply] = loop.create_future()
        self.cached = False
        self.predicted = predicted
        self.sent = 0
        self.on_sent: Callable[[], None] | None = None
        """Told each time that the call is sent."""
        self.depth = 0
        self._accounted = 0
        self._waiters = 0
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_reply(
        cls, reply: Reply, *, cached: bool = False, predicted: Prediction | None = None
    ) -> InFlightCall:
        """Return a call that is answered already."""
        call = cls(predicted=predicted)
        call.cached = cached
        call.resolve(reply)
        return call

    def mark_started(self) -> None:
        """Note the reply's first token."""
        if not self.started.done():
            self.started.set_result(None)

    def mark_sent(self) -> None:
        """Count that the call is sent."""
        self.sent += 1
        if self.on_sent is not None:
            self.on_sent()

    def resolve(self, reply: Reply) -> None:
        """Hand the reply to all who wait."""
        self.mark_started()
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        """Hand the error to all who wait."""
        for future in (self.started, self.reply):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits sees it; nobody waiting is no defect

    def attach_task(self, task: asyncio.Task[None]) -> None:
        """Name the task that sends this call."""
        self._task = task

    def take_unaccounted(self) -> int:
        """Return how often the call was sent since somebody last asked."""
        sent = self.sent - self._accounted
        self._accounted = self.sent
        return sent

    def add_waiter(self) -> None:
        """Count one more who wants the reply; each of them calls `remove_waiter` once."""
        self._waiters += 1

    def remove_waiter(self) -> None:
        """Count one less; the last one drops a call that was not sent."""
        self._waiters -= 1
        if not self._waiters and not self.sent and self._task:
            self._task.cancel()

    async def wait(self) -> Reply:
        """Wait for the reply; whoever gives up does not end it for the others."""
        return await asyncio.shield(self.reply)


@dataclass(eq=False, repr=False)
class EmbeddingBatch:
    """Texts being embedded: known already, waiting, or sent.

    `key` names them in the ledger, `sent` says how often a request was sent for them, and `depth`,
    in a plan, how many calls follow one another up to it.
    """

    key: bytes
    sent: int = 0
    usage: Usage = field(default_factory=Usage)
    predicted: Prediction | None = None
    depth: int = 0
    _vectors: list[Awaitable[Vector] | Vector] = field(
        default_factory=list["Awaitable[Vector] | Vector"]
    )

    def add(self, place: Awaitable[Vector] | Vector) -> None:
        """Add the next text's vector, or who will have it."""
        self._vectors.append(place)

    async def wait_for_vectors(self) -> tuple[Vector, ...]:
        """Wait for all vectors."""
        waited = [
            each if isinstance(each, array) else await asyncio.shield(each)
            for each in self._vectors
        ]
        return tuple(waited)


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
