"""One call: what a step asks, the attempts that are sent for it, and how it ended.

What is asked is the same for all attempts. Each attempt is rendered, named by its key, and answered
by a dispatcher or a plan; attempts follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from octavo.engine.calls.critical_path import record_depth
from octavo.engine.calls.json_record import with_schema
from octavo.engine.dispatch.in_flight import CallAnswerer, CallSpec, InFlightCall
from octavo.engine.dispatch.key import compute_key
from octavo.engine.dispatch.prefix_warmup import PrefixWarmup
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.journal.ledger import CallRecorder
from octavo.engine.journal.prompts import find_quotes
from octavo.errors import Outcome
from octavo.protocols import Answer, JsonSchema, Message, PromptLike, Reply, Request
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.quote import Quote, QuoteOrigin, to_row_id

__all__ = ["MAX_RETRY_NOTE_TOKENS", "AskedPrompt", "Call", "CallSender"]


_MAX_REWORDING_TOKENS = 2
"""Tokens that the lower word target of a second attempt may have more than the first."""


class _VerbatimPrompt(NamedTuple):
    """What stands for a prompt where a text is sent as it is."""

    name: str
    digest: str = "0" * 64

    def render(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        """Return nothing: there is nothing to render."""
        del variables
        return ()


_SCORING = _VerbatimPrompt("(the text)")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AskedPrompt:
    """What a step asks, over all attempts; see protocols.Ask for what its fields mean.

    `continued_key` is the key of the call whose prompt this one continues. A text that is scored,
    not asked about, stands in `scored`, and the prompt is then a name alone.
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
        """Return the question how likely a text is where it follows `given`."""
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


@dataclass(slots=True, eq=False, repr=False)
class CallSender:
    """Sends the attempts of one step of one document.

    `identity` and `model` are the backend's and enter the keys; `params` are variables of every
    prompt; `warmup` has the first calls on each text, where a pipeline asks several questions.
    `draft` is shown the text so far of a reply on which no other call waits.
    """

    answerer: CallAnswerer
    identity: str
    model: str
    step: str
    params: Mapping[str, object]
    document: Document | None = None
    warmup: PrefixWarmup | None = None
    draft: Callable[[str], None] | None = None

    def render_messages(
        self, asked: AskedPrompt, attempt: int, bounds: JsonSchema | None = None
    ) -> tuple[Message, ...]:
        """Return the prompt of an attempt, with `bounds` in place of its schema."""
        return _render(asked, self._build_variables(asked, attempt), bounds)

    def send(
        self,
        asked: AskedPrompt,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> tuple[CallSpec, InFlightCall]:
        """Have an attempt answered; return what is sent, and the call in flight.

        `attempt` counts from 0. `messages` are sent instead of the prompt's where a reply of no use
        is shown; `bounds` is the schema that the reply is held to where it is not that of the
        prompt. Raises FitError where it does not fit.
        """
        variables = self._build_variables(asked, attempt)
        request = Request(
            messages=messages or asked.scored or _render(asked, variables),
            max_tokens=asked.tokens,
            temperature=_raise_temperature(asked.temperature) if attempt else asked.temperature,
            schema=bounds or asked.schema,
            logprobs=asked.logprobs,
            sample=asked.sample,
            attempt=attempt,
            priority=asked.priority.number,
            draft=self._find_draft(asked),
            scores=asked.scored is not None,
        )
        quotes = find_quotes(variables)
        if asked.continued_key is not None:
            quotes.append(Quote("", QuoteOrigin("call", to_row_id(asked.continued_key), 0)))
        warmup = self.warmup if attempt == 0 else None
        place = (self.step, asked.prompt.digest, asked.node, str(asked.sample))
        priority, after = asked.priority, None
        if warmup is not None and (after := warmup.find_warmup(place, request.messages)):
            # While the server still has the text, this call goes before those on other texts.
            priority = priority._replace(levels_done=priority.levels_done - 1)
        spec = CallSpec(
            request,
            compute_key(request, identity=self.identity, model=self.model),
            priority,
            quotes,
            self.document,
            after,
            None if attempt else asked.retry_tokens,
        )
        in_flight = self.answerer.answer(spec)
        if warmup is not None:
            warmup.register(place, request.messages, in_flight)
        return spec, in_flight

    def forget(self, key: bytes) -> bool:
        """Take a stored reply, which is of no use, for none; tell whether it will be so."""
        return self.answerer.forget(key)

    def _find_draft(self, asked: AskedPrompt) -> Callable[[str], None] | None:
        """Return who is shown the reply as it is written, if it is the result and a text."""
        shown = asked.schema is None and asked.sample == 0
        return self.draft if shown and asked.priority.levels_done == 0 else None

    def _build_variables(self, asked: AskedPrompt, attempt: int) -> Mapping[str, object]:
        variables = {**self.params, **asked.variables}
        if asked.words is not None:
            shorter = max(10, int(asked.words * _SHORTER))
            variables["words"] = shorter if attempt else asked.words
        return variables


def _render(
    asked: AskedPrompt, variables: Mapping[str, object], bounds: JsonSchema | None = None
) -> tuple[Message, ...]:
    messages = asked.prompt.render(variables)
    schema = bounds or asked.schema
    return with_schema(messages, schema) if schema else messages


def _raise_temperature(temperature: float | None) -> float | None:
    """Return the temperature of a second attempt: the same one would give the same reply."""
    return temperature if temperature is None else max(temperature, 0.7)


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """An asked prompt under way; its first attempt is sent when it is made.

    `spec` is what was sent at the last attempt, or at the one whose reply became the answer; `sent`
    is how many requests this call has to account for, and `outcome` what the ledger will say of it.
    Raises FitError where the first attempt does not fit.
    """

    asked: AskedPrompt
    sender: CallSender
    recorder: CallRecorder
    spec: CallSpec = field(init=False)
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
        """Return the prompt of an attempt, with `bounds` in place of its schema."""
        return self.sender.render_messages(self.asked, attempt, bounds)

    def send(
        self,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> None:
        """Send an attempt after the one that was answered; see CallSender.send."""
        self.outcome = Outcome.FAILED  # until it is known to be of use
        self.spec, self.in_flight = self.sender.send(self.asked, attempt, messages, bounds)
        self.in_flight.add_waiter()
        if not self.in_flight.reply.done():
            self.in_flight.on_sent = self.recorder.make_sent_callback(
                self.asked.node, self.spec.key
            )

    def resend(self) -> bool:
        """Send the first attempt once more where a stored reply is of no use and may be forgotten.

        Returns whether it is sent.
        """
        if self.sent or not self.sender.forget(self.spec.key):
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
        """Stop waiting; return how many of the sent requests are this call's to account for."""
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
        self.recorder.notify(self.asked.node, said)

    def record(self) -> None:
        """Enter in the ledger how the call ended."""
        asked = self.asked
        site = self.recorder.find_site(asked.prompt.digest, *asked.options, schema=asked.schema)
        self.recorder.record(site, asked.node, self.spec.key, self.outcome, self.sent)

    def abandon(self) -> None:
        """Enter the call if its document ended before it could even be waited for."""
        if not self.is_awaited:
            self.outcome = Outcome.DISCARDED
            self.take_unaccounted()
            self.record()


MAX_RETRY_NOTE_TOKENS = 600
"""The most tokens that tell a model what is wrong with its reply, beside the reply itself."""
