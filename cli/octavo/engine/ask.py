"""Asking the model from a step: render, find or send, judge, ask again where that helps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field

from octavo.engine.flight import Answers, Flight
from octavo.engine.key import key_of
from octavo.engine.ledger import Account, Ledger
from octavo.engine.limit import Priority
from octavo.engine.packing import quotes_in
from octavo.engine.report import Outcome, Watch
from octavo.engine.verdict import Verdict, complete_part, verdict
from octavo.errors import ReplyError
from octavo.protocols import Answer, Asked, JsonSchema, PromptLike, Reply, Request
from octavo.text.quote import Origin, Quote, short_id

__all__ = ["Asker", "Asking"]

_ATTEMPTS = 2
"""A reply that is cut or empty is asked for once more."""

_SHORTER = 0.6
"""The word target of the second attempt, as a share of the first."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A call under way; both may be awaited by several readers."""

    started: Awaitable[None]
    reply: Awaitable[Answer]


@dataclass(frozen=True, slots=True)
class _Question:
    """Everything that one ask holds fast over its attempts."""

    prompt: PromptLike
    variables: Mapping[str, object]
    tokens: int
    node: str
    schema: JsonSchema | None
    words: int | None
    priority: Priority
    sample: int
    logprobs: int


@dataclass
class _Trail:
    """What one ask has come to: the key of its last attempt, what was sent, and the outcome."""

    key: bytes
    sent: int = 0
    outcome: Outcome = Outcome.FAILED


@dataclass
class Asker:
    """Asks for one step of one document; see protocols.Ask."""

    answers: Answers
    ledger: Ledger
    account: Account
    watch: Watch
    group: asyncio.TaskGroup
    identity: str
    model: str
    model_hash: bytes
    source: str
    step: str
    document: int
    params: Mapping[str, object]
    temperature: float | None = 0.0
    trims: bool = True
    _sites: dict[str, int] = field(default_factory=dict[str, int])

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
    ) -> Asking:
        """Render and send a prompt unless the journal has the reply; see protocols.Ask."""
        del prefix  # what a prompt shares with an earlier one is found when it is packed
        priority = Priority(self.document, -levels)
        question = _Question(
            prompt, variables, tokens, node, schema, words, priority, sample, logprobs
        )
        self.watch.call_planned(self.source, self.step)
        key, flight = self._fly(question, 0)
        reply = self.group.create_task(self._settle(question, key, flight))
        return Asking(flight.started, reply)

    def _fly(self, question: _Question, attempt: int) -> tuple[bytes, Flight]:
        variables = {**self.params, **question.variables}
        words = question.words
        if words is not None:
            variables["words"] = words if attempt == 0 else max(10, int(words * _SHORTER))
        request = Request(
            messages=question.prompt.render(variables),
            max_tokens=question.tokens,
            temperature=self.temperature if attempt == 0 else _warmer(self.temperature),
            schema=question.schema,
            logprobs=question.logprobs,
            sample=question.sample,
            attempt=attempt,
        )
        key = key_of(request, identity=self.identity, model=self.model)
        quotes = quotes_in(variables)
        flight = self.answers.answer(request, key, quotes=quotes, priority=question.priority)
        return key, flight

    async def _settle(self, question: _Question, key: bytes, flight: Flight) -> Answer:
        trail = _Trail(key)
        try:
            return await self._seek(question, flight, trail)
        except asyncio.CancelledError:
            trail.outcome = Outcome.DISCARDED
            raise
        except ReplyError as error:
            trail.outcome = error.outcome
            error.add_note(f"in step {self.step!r}, {question.node}")
            raise
        finally:
            self.account.outcomes[trail.outcome] += 1
            site = self._site(question.prompt)
            self.ledger.enter(site, question.node, trail.key, trail.outcome, trail.sent)
            self.watch.call_done(self.source, self.step, trail.outcome)

    async def _seek(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        for attempt in range(_ATTEMPTS):
            if attempt:
                trail.key, flight = self._fly(question, attempt)
            reply = await self._land(flight, trail)
            judged = verdict(reply)
            if judged is Verdict.WHOLE:
                trail.outcome = Outcome.OK if trail.sent else Outcome.CACHED
                return _answer(reply, trail.key, flight, len(reply.text))
            if judged is Verdict.REFUSED:
                raise ReplyError("the model refused to answer", outcome=Outcome.REFUSED)
            if attempt + 1 < _ATTEMPTS:
                continue
            if judged is Verdict.EMPTY:
                raise ReplyError("the reply is empty", outcome=Outcome.INVALID)
            if self.trims and (end := complete_part(reply.text)):
                trail.outcome = Outcome.TRUNCATED
                self.watch.notice(
                    f"{self.source}: {question.node} of step {self.step!r} was cut at"
                    f" {question.tokens} tokens; it ends at its last complete sentence"
                )
                return _answer(reply, trail.key, flight, end)
        raise ReplyError(
            f"the reply was cut at {question.tokens} tokens",
            outcome=Outcome.TRUNCATED,
            hint="raise `tokens` of the step",
        )

    async def _land(self, flight: Flight, trail: _Trail) -> Reply:
        """Wait for a reply; the first to do so accounts for the attempts it took."""
        try:
            reply = await flight.wait()
        finally:
            sent = flight.claim()
            trail.sent += sent
            for account in (self.account, self.ledger.account):
                account.sent += sent
        if sent:
            for account in (self.account, self.ledger.account):
                account.used(reply)
        return reply

    def _site(self, prompt: PromptLike) -> int:
        if prompt.digest not in self._sites:
            self._sites[prompt.digest] = self.ledger.site(
                self.source, self.step, prompt=prompt.digest, model=self.model_hash
            )
        return self._sites[prompt.digest]


def _warmer(temperature: float | None) -> float | None:
    """Return the temperature of a second attempt: the same one would give the same reply."""
    return temperature if temperature is None else max(temperature, 0.7)


def _answer(reply: Reply, key: bytes, flight: Flight, end: int) -> Answer:
    text = reply.text[:end]
    body = text.strip()
    start = len(text) - len(text.lstrip())
    return Answer(
        value=Quote(body, Origin("call", short_id(key), start)),
        tokens=reply.usage.completion,
        logprobs=reply.logprobs,
        truncated=end < len(reply.text),
        predicted=flight.predicted,
    )
