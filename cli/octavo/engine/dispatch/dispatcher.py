"""The dispatcher: each key is sent once, whoever waits for it.

The text of a document is stored with the first reply to a prompt that quotes it. So a run that is
killed leaves no prompt in the journal that cannot be read back, a document that nobody replied
about leaves no text there, and nobody needs to hold a text for longer than its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from octavo.engine.dispatch.in_flight import CallSpec, EmbeddingBatch, InFlightCall, TextEmbedder
from octavo.engine.dispatch.key import can_join_samples, compute_prompt_key
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.journal.store import Journal
from octavo.protocols import Backend, Reply, Request, Sampling, Usage

if TYPE_CHECKING:
    from octavo.engine.dispatch.hedging import Hedger
    from octavo.engine.dispatch.lane import Lane

__all__ = ["Dispatcher", "sum_usage"]


_Calls = Sequence[tuple[InFlightCall, CallSpec]]


@dataclass(eq=False, repr=False)
class Dispatcher:
    """Answers from the journal, else from the backend; see CallAnswerer.

    `open_lane` returns the lane, the same one each time; it is called when the first call is sent.
    `require_fit` is called before a request is sent and raises FitError when it cannot. With
    `hedger`, a call that is overdue gets a second copy; the first reply wins and the other copy is
    cancelled. With `retry_failed`, a stored reply that proves to be of no use is asked for again.
    """

    backend: Backend
    journal: Journal
    open_lane: Callable[[], Lane]
    group: asyncio.TaskGroup
    require_fit: Callable[[Request], None]
    embedder: TextEmbedder | None = None
    hedger: Hedger | None = None
    retry_failed: bool = False

    def __post_init__(self) -> None:
        self._in_flight: dict[bytes, InFlightCall] = {}
        self._joined_samples: dict[bytes, list[tuple[InFlightCall, CallSpec]]] = {}
        self._sampling: Sampling | None = None
        if self.backend.known.samples and isinstance(self.backend, Sampling):
            self._sampling = self.backend

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return the batch of texts that fit one request."""
        assert self.embedder is not None, "capabilities say so before anything is asked"
        return self.embedder.embed(texts, priority=priority)

    def forget(self, key: bytes) -> bool:
        """Take a stored reply for none, if failed replies are asked for again."""
        if self.retry_failed:
            self.journal.forget(key)
        return self.retry_failed

    def answer(self, spec: CallSpec) -> InFlightCall:
        """Return the call in flight; equal keys share one."""
        if call := self._in_flight.get(spec.key):
            return call
        if reply := self.journal.find(spec.key):
            return InFlightCall.from_reply(reply, cached=True)
        self.require_fit(spec.request)
        call = self._in_flight[spec.key] = InFlightCall()
        if self._sampling is not None and can_join_samples(spec.request):
            self._join_samples(self._sampling, call, spec)
        else:
            call.attach_task(self.group.create_task(self._run_call(call, spec)))
        return call

    def _join_samples(self, sampling: Sampling, call: InFlightCall, spec: CallSpec) -> None:
        """Send a sample together with those of the same prompt requested in the same turn."""
        name = compute_prompt_key(spec.request)
        if name not in self._joined_samples:
            self._joined_samples[name] = []
            self.group.create_task(self._run_samples(sampling, name))
        self._joined_samples[name].append((call, spec))

    async def _run_samples(self, sampling: Sampling, name: bytes) -> None:
        alike = self._joined_samples.pop(name)
        if len(alike) > 1:
            try:
                replies = await self.open_lane().retry(partial(self._send_samples, sampling, alike))
            except asyncio.CancelledError:
                for call, spec in alike:
                    self._resolve_call(call, spec, None)
                raise
            except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
                for call, spec in alike:
                    self._resolve_call(call, spec, error)
                return
            for (call, spec), reply in zip(alike, replies, strict=False):
                self._resolve_call(call, spec, reply)
            alike = alike[len(replies) :]
        for call, spec in alike:
            call.attach_task(self.group.create_task(self._run_call(call, spec)))

    async def _run_call(self, call: InFlightCall, spec: CallSpec) -> None:
        if spec.after is not None:
            # Not by awaiting it: what became of it is no concern of this call.
            await asyncio.wait((spec.after.started,))
        send = partial(self._send_copy, call, spec)
        if self.hedger is not None:
            send = partial(self.hedger.send_hedged, send, spec.request.max_tokens)
        try:
            reply = await self.open_lane().retry(send)
        except asyncio.CancelledError:
            self._resolve_call(call, spec, None)
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            self._resolve_call(call, spec, error)
        else:
            self._resolve_call(call, spec, reply)

    def _resolve_call(
        self, call: InFlightCall, spec: CallSpec, outcome: Reply | Exception | None
    ) -> None:
        """Hand over what became of a call; None says that it was cancelled."""
        del self._in_flight[spec.key]
        if isinstance(outcome, Reply):
            call.resolve(outcome)
        elif outcome is not None:
            call.fail(outcome)
        else:
            call.started.cancel()
            call.reply.cancel()

    async def _send_samples(self, sampling: Sampling, alike: _Calls) -> Sequence[Reply]:
        """Send samples of one prompt together; return the durable replies, of the first ones."""
        _, first = alike[0]
        async with self.open_lane().slot(
            first.request, first.priority, samples=len(alike), prefix=first.prefix
        ) as slot:
            for call, _ in alike:
                call.mark_sent()
            replies = await sampling.sample([spec.request for _, spec in alike], _ignore_token)
            seconds = slot.seconds
            kept = [
                self.journal.keep(spec.key, spec.pack_prompt(), reply, seconds=seconds)
                for (_, spec), reply in zip(alike, replies, strict=False)
            ]
            slot.answered(sum_usage(reply.usage for reply in replies), replies[0].limits)
            for call, _ in alike[len(replies) :]:
                call.sent -= 1  # the server gave no reply for it
        return [await each for each in kept]

    async def _send_copy(
        self, call: InFlightCall, spec: CallSpec, on_sent: Callable[[], object] | None = None
    ) -> Reply:
        """Send one copy of a call as soon as it may be sent; return the durable reply."""
        is_copy = self.hedger is not None and on_sent is None
        # A second copy takes the next place: it frees the one that the first copy holds.
        priority = spec.priority._replace(document=-1) if is_copy else spec.priority
        async with self.open_lane().slot(
            spec.request, priority, prefix=spec.prefix, is_copy=is_copy
        ) as slot:
            call.mark_sent()
            if on_sent is not None:
                on_sent()
            reply = await self.backend.send(spec.request, call.mark_started)
            seconds = slot.seconds
            kept = self.journal.keep(spec.key, spec.pack_prompt(), reply, seconds=seconds)
            slot.answered(reply.usage, reply.limits)
            if self.hedger is not None:
                self.hedger.record_latency(spec.request.max_tokens, seconds)
        return await kept


def _ignore_token() -> None:
    """Ignore a first token: it is not known which sample it belongs to."""


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """Return what several replies took together; None for what one of them does not say."""
    total = Usage(0, 0, 0, 0)
    for usage in usages:
        total = Usage(
            _add_known(total.prompt, usage.prompt),
            _add_known(total.completion, usage.completion),
            _add_known(total.cached, usage.cached),
            _add_known(total.reasoning, usage.reasoning),
        )
    return total


def _add_known(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
