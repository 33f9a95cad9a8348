"""One call: its specification, the sending of its attempts, and how it ended.

The specification holds fast over all attempts. Each attempt is rendered, named by its key, and
answered by a dispatcher or a plan; attempts follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from octavo.engine.calls.critical_path import record_depth
from octavo.engine.calls.json_record import with_schema
from octavo.engine.dispatch.concurrency import CallPriority
from octavo.engine.dispatch.in_flight import CallAnswerer, InFlightCall
from octavo.engine.dispatch.key import compute_key
from octavo.engine.dispatch.prefix_warmup import PrefixWarmup
from octavo.engine.journal.ledger import CallRecorder
from octavo.engine.journal.prompts import find_quotes
from octavo.errors import Outcome
from octavo.protocols import Answer, JsonSchema, Message, PromptLike, Reply, Request
from octavo.text.note import Prediction
from octavo.text.quote import Quote, QuoteOrigin, to_row_id

__all__ = ["MAX_RETRY_NOTE_TOKENS", "Call", "CallSender", "CallSpec"]


_MAX_REWORDING_TOKENS = 2
"""Tokens that the lower word target of a second attempt may have more than the first."""


@dataclass(frozen=True, slots=True)
class _VerbatimPrompt:
    """What stands for a prompt where a text is sent as it is."""

    name: str
    digest: str = "0" * 64

    def render(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        """Return nothing: there is nothing to render."""
        del variables
        return ()


_SCORING = _VerbatimPrompt("(the text)")


@dataclass(frozen=True, slots=True)
class CallSpec:
    """What one call asks for; see protocols.Ask for what its fields mean.

    `before` is the key of the call whose prompt this one continues. A text that is scored, not
    asked about, stands in `scored`, and the prompt is then a name alone.
    """

    prompt: PromptLike
    tokens: int
    node: str
    priority: CallPriority
    variables: Mapping[str, object] = field(default_factory=dict[str, object])
    schema: JsonSchema | None = None
    words: int | None = None
    sample: int = 0
    logprobs: int = 0
    temperature: float | None = None
    strict: bool = False
    continued_key: bytes | None = None
    check: Callable[[Any], Sequence[str]] | None = None
    complete: bool = False
    scored: tuple[Message, ...] | None = None

    @classmethod
    def for_score(cls, text: str, *, given: str, node: str, priority: CallPriority) -> Self:
        """Return the inquiry how likely a text is where it follows `given`."""
        scored = (Message("user", given), Message("assistant", text))
        return cls(_SCORING, 1, node, priority, strict=True, scored=scored)

    @property
    def retry_tokens(self) -> int | None:
        """Tokens that the prompt of a second attempt may have more; None if there is none."""
        if self.strict:
            return None
        shown = self.schema is not None or self.check is not None
        return self.tokens + MAX_RETRY_NOTE_TOKENS if shown else _MAX_REWORDING_TOKENS

    @property
    def options(self) -> tuple[object, ...]:
        """What tells calls of one prompt apart in the ledger, beside their schema."""
        return self.tokens, self.words, self.temperature, self.logprobs

    def find_faults(self, answer: Answer) -> Sequence[str]:
        """Return what is wrong with an answer that is whole; a plan's is not looked at."""
        if self.check is None or answer.predicted:
            return ()
        return self.check(answer.value)


_SHORTER = 0.6
"""The word target of the second attempt, as a share of the first."""


@dataclass(frozen=True, slots=True)
class CallSender:
    """Sends the attempts of one step of one document.

    `identity` and `model` are the backend's and enter the keys; `params` are variables of every
    prompt; `leads` are the calls that lead others with the same text, where a pipeline has such.
    `draft` is shown the text so far of a reply on which no other call waits.
    """

    answerer: CallAnswerer
    identity: str
    model: str
    step: str
    params: Mapping[str, object]
    warmup: PrefixWarmup | None = None
    draft: Callable[[str], None] | None = None

    def render_messages(
        self, inquiry: CallSpec, attempt: int, bounds: JsonSchema | None = None
    ) -> tuple[Message, ...]:
        """Return the prompt of an attempt, with `bounds` in place of the inquiry's schema."""
        return _render(inquiry, self._build_variables(inquiry, attempt), bounds)

    def send(
        self,
        inquiry: CallSpec,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> tuple[bytes, InFlightCall]:
        """Have an attempt answered; return its key and its flight.

        `attempt` counts from 0. `messages` are sent instead of the prompt's where a reply of no use
        is shown; `bounds` is the schema that the reply is held to where it is not the inquiry's.
        Raises FitError where it does not fit.
        """
        variables = self._build_variables(inquiry, attempt)
        request = Request(
            messages=messages or inquiry.scored or _render(inquiry, variables),
            max_tokens=inquiry.tokens,
            temperature=inquiry.temperature
            if attempt == 0
            else _raise_temperature(inquiry.temperature),
            schema=bounds or inquiry.schema,
            logprobs=inquiry.logprobs,
            sample=inquiry.sample,
            attempt=attempt,
            priority=inquiry.priority.number,
            draft=self._find_draft(inquiry),
            scores=inquiry.scored is not None,
        )
        key = compute_key(request, identity=self.identity, model=self.model)
        quotes = find_quotes(variables)
        if inquiry.continued_key is not None:
            quotes.append(Quote("", QuoteOrigin("call", to_row_id(inquiry.continued_key), 0)))
        priority, behind = inquiry.priority, None
        place = (self.step, inquiry.prompt.digest, inquiry.node, str(inquiry.sample))
        if self.warmup is not None and attempt == 0:
            behind = self.warmup.find_warmup(place, request.messages)
        if behind is not None:
            # While the server still has the text, this call goes before those on other texts.
            priority = priority._replace(levels_done=priority.levels_done - 1)
        flight = self.answerer.answer(
            request,
            key,
            quotes=quotes,
            priority=priority,
            behind=behind,
            again=None if attempt else inquiry.retry_tokens,
        )
        if self.warmup is not None and attempt == 0:
            self.warmup.register(place, request.messages, flight)
        return key, flight

    def forget(self, key: bytes) -> bool:
        """Take a stored reply, which is of no use, for none; tell whether it will be so."""
        return self.answerer.forget(key)

    def _find_draft(self, inquiry: CallSpec) -> Callable[[str], None] | None:
        """Return who is shown the reply as it is written, if it is the result and a text."""
        shown = inquiry.schema is None and inquiry.sample == 0
        return self.draft if shown and inquiry.priority.levels_done == 0 else None

    def _build_variables(self, inquiry: CallSpec, attempt: int) -> Mapping[str, object]:
        variables = {**self.params, **inquiry.variables}
        if inquiry.words is not None:
            shorter = max(10, int(inquiry.words * _SHORTER))
            variables["words"] = shorter if attempt else inquiry.words
        return variables


def _render(
    inquiry: CallSpec, variables: Mapping[str, object], bounds: JsonSchema | None = None
) -> tuple[Message, ...]:
    messages = inquiry.prompt.render(variables)
    schema = bounds or inquiry.schema
    return with_schema(messages, schema) if schema else messages


def _raise_temperature(temperature: float | None) -> float | None:
    """Return the temperature of a second attempt: the same one would give the same reply."""
    return temperature if temperature is None else max(temperature, 0.7)


@dataclass(slots=True)
class Call:
    """An inquiry under way; its first attempt is sent when it is made.

    `key` is that of the last attempt, or of the one whose reply became the answer; `sent` is how
    many requests this call has to account for, and `outcome` what the ledger will say of it.
    Raises FitError where the first attempt does not fit.
    """

    spec: CallSpec
    sender: CallSender
    recorder: CallRecorder
    key: bytes = field(init=False)
    in_flight: InFlightCall = field(init=False)
    is_awaited: bool = False
    sent: int = 0
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        """Send the first attempt."""
        self.send(0)

    @property
    def predicted(self) -> Prediction | None:
        """What made the last attempt's reply up, in a plan."""
        return self.in_flight.predicted

    def render_messages(
        self, attempt: int, bounds: JsonSchema | None = None
    ) -> tuple[Message, ...]:
        """Return the prompt of an attempt, with `bounds` in place of the inquiry's schema."""
        return self.sender.render_messages(self.spec, attempt, bounds)

    def send(
        self,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> None:
        """Let an attempt follow the one that has landed; see Attempts.send."""
        self.outcome = Outcome.FAILED  # until it is known to be of use
        self.key, self.in_flight = self.sender.send(self.spec, attempt, messages, bounds)
        self.in_flight.add_waiter()
        if not self.in_flight.reply.done():
            self.in_flight.on_sent = self.recorder.make_sent_callback(self.spec.node, self.key)

    def resend(self) -> bool:
        """Send the first attempt once more where a stored reply is of no use and may be forgotten.

        Returns whether it is sent.
        """
        if self.sent or not self.sender.forget(self.key):
            return False
        self.send(0)
        return True

    async def wait_for_reply(self) -> Reply:
        """Wait for the last attempt's reply; the first call to do so accounts for it."""
        try:
            reply = await self.in_flight.wait()
            record_depth(self.in_flight.depth)
        finally:
            sent = self.take_unaccounted()
        if sent:
            self.recorder.add_usage(reply.usage)
        return reply

    async def ask_again(self, messages: tuple[Message, ...] | None = None) -> Reply:
        """Send the second attempt and wait for its reply."""
        self.send(1, messages)
        return await self.wait_for_reply()

    def take_unaccounted(self) -> int:
        """Leave the flight; return how many of its requests are this call's to account for."""
        self.in_flight.remove_waiter()
        sent = self.in_flight.take_unaccounted()
        self.sent += sent
        self.recorder.add_sent(sent)
        return sent

    def mark_succeeded(self) -> None:
        """Take the reply for good: sent for, or found."""
        self.outcome = Outcome.OK if self.sent else Outcome.CACHED

    def mark_truncated(self, said: str) -> None:
        """Take what is whole of the reply for good, and tell the user what it lacks."""
        self.outcome = Outcome.TRUNCATED
        self.recorder.notify(self.spec.node, said)

    def record(self) -> None:
        """Enter in the ledger how the call ended."""
        inquiry = self.spec
        site = self.recorder.find_site(
            inquiry.prompt.digest, *inquiry.options, schema=inquiry.schema
        )
        self.recorder.record(site, inquiry.node, self.key, self.outcome, self.sent)

    def abandon(self) -> None:
        """Enter the call if its document ended before it could even be waited for."""
        if not self.is_awaited:
            self.outcome = Outcome.DISCARDED
            self.take_unaccounted()
            self.record()


MAX_RETRY_NOTE_TOKENS = 600
"""The most tokens that tell a model what is wrong with its reply, beside the reply itself."""
