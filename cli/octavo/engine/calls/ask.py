"""Asking the model from a step: each call is rendered, found or sent, judged, and recorded.

A call's answer is a text, a record, or how likely a text is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, NamedTuple

from octavo.engine.calls.call import AskedPrompt, Call, CallSender
from octavo.engine.calls.critical_path import TrackedAwaitable, record_depth
from octavo.engine.calls.json_reply import read_record_answer
from octavo.engine.calls.text_reply import read_text_answer
from octavo.engine.dispatch.embeddings import split_into_batches
from octavo.engine.dispatch.in_flight import EmbeddingBatch, TextEmbedder
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.run_limiter import RunStopped
from octavo.engine.journal.ledger import CallRecorder
from octavo.errors import BudgetReached, Outcome, ReplyError, UsageError
from octavo.protocols import Answer, Asked, Capabilities, Embedded, JsonSchema, PromptLike
from octavo.text.vectors import Vector

__all__ = ["AskedCall", "Asker", "find_answer"]


_TEMPERATURE = 0.0
"""Of a first attempt, unless whoever asks names another."""

_EMBEDDING_DIGEST = "0" * 64
"""What stands for a prompt where texts are embedded as they are."""


class AskedCall(NamedTuple):
    """A call under way; both may be awaited by several readers."""

    started: Awaitable[None]
    reply: Awaitable[Answer]
    key: bytes
    """Of the first attempt."""


@dataclass(slots=True, eq=False, repr=False)
class Asker:
    """Asks for one step of one document; see protocols.Ask.

    `embedder` embeds texts; `group` runs what a call does until it ends; `document` is the
    document's place in the run.
    """

    sender: CallSender
    recorder: CallRecorder
    embedder: TextEmbedder
    group: asyncio.TaskGroup
    document: int
    known: Capabilities

    def __call__(
        self,
        prompt: PromptLike,
        variables: Mapping[str, object],
        *,
        tokens: int,
        node: str,
        schema: JsonSchema | None = None,
        words: int | None = None,
        levels: int = 0,
        sample: int = 0,
        logprobs: int = 0,
        prefix: Asked | None = None,
        temperature: float | None = None,
        strict: bool = False,
        check: Callable[[Any], Sequence[str]] | None = None,
        complete: bool = False,
    ) -> AskedCall:
        """Render and send a prompt unless the journal has the reply; see protocols.Ask."""
        if logprobs and not self.known.logprobs:
            raise UsageError(
                f"step {self.recorder.step!r} needs log probabilities, which the model is not known"
                " to give",
                hint="use a model that gives them; write `logprobs = true` in the profile of a"
                " server that does",
            )
        asked = AskedPrompt(
            prompt,
            tokens,
            node,
            CallPriority(self.document, -levels),
            variables=variables,
            schema=schema,
            words=words,
            sample=sample,
            logprobs=logprobs,
            temperature=_TEMPERATURE if temperature is None else temperature,
            strict=strict,
            # What a prompt shares with an earlier one is found when it is packed; a plan needs to
            # know which calls follow one another.
            continued_key=prefix.key if isinstance(prefix, AskedCall) else None,
            check=check,
            complete=complete,
        )
        return self._start_call(asked)

    def score(self, text: str, *, given: str = "", node: str, levels: int = 0) -> AskedCall:
        """Ask how likely a text is; see protocols.Ask."""
        if not self.known.prompt_logprobs:
            raise UsageError(
                f"step {self.recorder.step!r} needs the log probabilities of texts, which the model"
                " is not known to give",
                hint="use the embedded model or vLLM, or write `prompt_logprobs = true` in the"
                " profile of a server that gives them",
            )
        priority = CallPriority(self.document, -levels)
        asked = AskedPrompt.for_score(text, given=given, node=node, priority=priority)
        return self._start_call(asked)

    async def embed(self, texts: Sequence[str], *, node: str, levels: int = 0) -> Embedded:
        """Return a vector for each text; see protocols.Ask."""
        if not self.known.embeddings:
            raise UsageError(
                f"step {self.recorder.step!r} needs embeddings, which the model does not give",
                hint='name a model that does in its profile: `embeddings = "NAME"`',
            )
        priority = CallPriority(self.document, -levels)
        under_way = [
            self.embedder.embed(group, priority=priority) for group in split_into_batches(texts)
        ]
        for _ in under_way:
            self.recorder.announce_call()
        waiting = (self._wait_for_batch(each, node) for each in under_way)
        vectors: list[Vector] = []
        record_depth(max((each.depth for each in under_way), default=0))
        # All are waited for, so that each is in the account, whichever fails.
        for found in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found
            vectors.extend(found)
        predicted = next((each.predicted for each in under_way if each.predicted), None)
        return Embedded(tuple(vectors), predicted=predicted)

    async def _wait_for_batch(self, batch: EmbeddingBatch, node: str) -> Sequence[Vector]:
        outcome = Outcome.FAILED
        try:
            vectors = await batch.wait_for_vectors()
            outcome = Outcome.OK if batch.sent else Outcome.CACHED
        except asyncio.CancelledError:
            outcome = Outcome.DISCARDED
            raise
        finally:
            entries = self.recorder
            entries.add_sent(batch.sent)
            entries.add_usage(batch.usage)
            entries.record(
                entries.find_site(_EMBEDDING_DIGEST), node, batch.key, outcome, batch.sent
            )
        return vectors

    def _start_call(self, asked: AskedPrompt) -> AskedCall:
        """Start a call; it is in flight and its delivery under way when this returns."""
        self.recorder.announce_call()
        call = Call(asked, self.sender, self.recorder)
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        context = copy_context()
        task = self.group.create_task(_deliver(call, reply), context=context)
        task.add_done_callback(lambda _: call.abandon())
        return AskedCall(call.in_flight.started, TrackedAwaitable(reply, context), call.spec.key)


async def _deliver(call: Call, reply: asyncio.Future[Answer]) -> None:
    """Settle a call and hand over what comes of it, an error too.

    Whoever awaits the reply decides whether an error ends the document: a task that raised it
    would end it at once.
    """
    try:
        answer = await _settle(call)
    except asyncio.CancelledError:
        reply.cancel()
        raise
    except Exception as error:  # noqa: BLE001 - handed over
        if not reply.done():
            reply.set_exception(error)
            reply.exception()  # nobody waiting is no defect
    else:
        if not reply.done():
            reply.set_result(answer)


async def _settle(call: Call) -> Answer:
    """Return a call's answer, and enter in the ledger how it ended."""
    call.is_awaited = True
    try:
        return await find_answer(call)
    except (asyncio.CancelledError, RunStopped, BudgetReached):
        call.outcome = Outcome.DISCARDED
        raise
    except ReplyError as error:
        call.outcome = error.outcome
        error.add_note(f"in step {call.recorder.step!r}, {call.asked.node}")
        raise
    finally:
        call.record()


async def find_answer(call: Call) -> Answer:
    """Return a good answer; where the journal's is of no use, once by asking anew if wanted.

    Raises ReplyError where there is none, and what sending raises.
    """
    seek = read_text_answer if call.asked.schema is None else read_record_answer
    seek = _read_score if call.asked.scored else seek
    try:
        return await seek(call)
    except ReplyError:
        if not call.resend():
            raise
    return await seek(call)


async def _read_score(call: Call) -> Answer:
    """Return the log probabilities of the text that is scored."""
    reply = await call.wait_for_reply()
    call.mark_succeeded()
    return Answer("", reply.usage.completion, reply.logprobs, predicted=call.predicted)
