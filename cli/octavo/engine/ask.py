"""Asking the model from a step: render, find or send, judge, ask again where that helps."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from octavo.engine.bounds import Curtailed, bounded, curtailed, ends_at_bound
from octavo.engine.depth import Following, follow
from octavo.engine.embed import Batch, batches
from octavo.engine.flight import Answers, Flight
from octavo.engine.key import key_of
from octavo.engine.leads import Leads
from octavo.engine.ledger import Account, Ledger
from octavo.engine.limit import Stopped
from octavo.engine.packing import quotes_in
from octavo.engine.queue import Priority
from octavo.engine.records import (
    RETELLING,
    Invalid,
    fits,
    instructed,
    mended,
    read_record,
    retold,
    rewritten,
)
from octavo.engine.report import CallWatch, DraftWatch, Ended, Outcome, Watch
from octavo.engine.verdict import Verdict, complete_part, verdict
from octavo.errors import BudgetReached, CallError, CutError, FitError, ReplyError, UsageError
from octavo.protocols import (
    Answer,
    Asked,
    Capabilities,
    Embedded,
    Finish,
    JsonSchema,
    Message,
    PromptLike,
    Reply,
    Request,
)
from octavo.text.quote import Origin, Quote, short_id
from octavo.text.vector import Vector

__all__ = ["Asker", "Asking"]

_SHORTER = 0.6
"""The word target of the second attempt, as a share of the first."""

_REWORDING = 2
"""Tokens that the lower target may have more than the first."""

_EMBEDDING = "0" * 64
"""What stands for a prompt where texts are embedded as they are."""


@dataclass(frozen=True, slots=True)
class _Verbatim:
    """What stands for a prompt where a text is sent as it is."""

    name: str
    digest: str = "0" * 64

    def render(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        """Return nothing: there is nothing to render."""
        del variables
        return ()


_SCORING = _Verbatim("(the text)")


@dataclass(frozen=True, slots=True)
class Asking:
    """A call under way; both may be awaited by several readers."""

    started: Awaitable[None]
    reply: Awaitable[Answer]
    key: bytes
    """Of the first attempt."""


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
    temperature: float | None
    strict: bool
    before: bytes | None
    check: Callable[[Any], Sequence[str]] | None
    complete: bool = False
    scored: tuple[Message, ...] | None = None
    """What stands for a prompt where a text is scored, not asked about."""

    @property
    def again(self) -> int | None:
        """Tokens that the prompt of a second attempt may have more; None if there is none."""
        if self.strict:
            return None
        shown = self.schema is not None or self.check is not None
        return self.tokens + RETELLING if shown else _REWORDING

    def faults(self, answer: Answer) -> Sequence[str]:
        """Return what is wrong with an answer that is whole; a plan's is not looked at."""
        if self.check is None or answer.predicted:
            return ()
        return self.check(answer.value)


@dataclass
class _Trail:
    """What one ask has come to: the key of its last attempt, what was sent, and the outcome."""

    key: bytes
    begun: bool = False
    sent: int = 0
    outcome: Outcome = Outcome.FAILED

    @property
    def answered(self) -> Outcome:
        """The outcome of a good reply: sent for, or found."""
        return Outcome.OK if self.sent else Outcome.CACHED


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
    known: Capabilities = field(
        default_factory=lambda: Capabilities(logprobs=True, embeddings=True)
    )
    leads: Leads | None = None
    final: bool = False
    """Whether a call on which no other waits gives the document's result."""
    _sites: dict[tuple[object, ...], int] = field(default_factory=dict[tuple[object, ...], int])

    def __post_init__(self) -> None:
        """Ask once, and not at every call, what the watch wants to know."""
        self._call_watch = self.watch if isinstance(self.watch, CallWatch) else None
        self._draft_watch = self.watch if isinstance(self.watch, DraftWatch) else None

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
    ) -> Asking:
        """Render and send a prompt unless the journal has the reply; see protocols.Ask."""
        if logprobs and not self.known.logprobs:
            raise UsageError(
                f"step {self.step!r} needs log probabilities, which the model is not known to give",
                hint="use a model that gives them; write `logprobs = true` in the profile of a"
                " server that does",
            )
        priority = Priority(self.document, -levels)
        question = _Question(
            prompt,
            variables,
            tokens,
            node,
            schema,
            words,
            priority,
            sample,
            logprobs,
            self.temperature if temperature is None else temperature,
            strict,
            # What a prompt shares with an earlier one is found when it is packed; a plan needs to
            # know which calls follow one another.
            prefix.key if isinstance(prefix, Asking) else None,
            check,
            complete,
        )
        return self._put(question)

    def score(self, text: str, *, given: str = "", node: str, levels: int = 0) -> Asking:
        """Ask how likely a text is; see protocols.Ask."""
        if not self.known.prompt_logprobs:
            raise UsageError(
                f"step {self.step!r} needs the log probabilities of texts, which the model is not"
                " known to give",
                hint="use the embedded model or vLLM, or write `prompt_logprobs = true` in the"
                " profile of a server that gives them",
            )
        return self._put(
            _Question(
                _SCORING,
                {},
                1,
                node,
                None,
                None,
                Priority(self.document, -levels),
                0,
                0,
                None,
                True,
                None,
                None,
                scored=(Message("user", given), Message("assistant", text)),
            )
        )

    def _put(self, question: _Question) -> Asking:
        """Put a question; its flight and its delivery are under way when this returns."""
        self.watch.call_planned(self.source, self.step)
        key, flight = self._fly(question, 0)
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        trail = _Trail(key)
        context = copy_context()
        delivery = self._deliver(question, flight, trail, reply)
        task = self.group.create_task(delivery, context=context)
        task.add_done_callback(lambda _: self._abandon(question, flight, trail))
        return Asking(flight.started, Following(reply, context), key)

    async def embed(self, texts: Sequence[str], *, node: str, levels: int = 0) -> Embedded:
        """Return a vector for each text; see protocols.Ask."""
        if not self.known.embeddings:
            raise UsageError(
                f"step {self.step!r} needs embeddings, which the model does not give",
                hint='name a model that does in its profile: `embeddings = "NAME"`',
            )
        priority = Priority(self.document, -levels)
        under_way = [self.answers.embed(group, priority=priority) for group in batches(texts)]
        for _ in under_way:
            self.watch.call_planned(self.source, self.step)
        waiting = (self._embedded(each, node) for each in under_way)
        vectors: list[Vector] = []
        follow(max((each.depth for each in under_way), default=0))
        # All are waited for, so that each is in the account, whichever fails.
        for found in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found
            vectors.extend(found)
        predicted = next((each.predicted for each in under_way if each.predicted), None)
        return Embedded(tuple(vectors), predicted=predicted)

    async def _embedded(self, batch: Batch, node: str) -> Sequence[Vector]:
        outcome = Outcome.FAILED
        try:
            vectors = await batch.vectors()
            outcome = Outcome.OK if batch.sent else Outcome.CACHED
        except asyncio.CancelledError:
            outcome = Outcome.DISCARDED
            raise
        finally:
            for account in (self.account, self.ledger.account):
                account.sent += batch.sent
                account.used(batch.usage)
            self.account.outcomes[outcome] += 1
            self.ledger.enter(self._site(_EMBEDDING), node, batch.key, outcome, batch.sent)
            self._told(node, batch.key, outcome, batch.sent)
        return vectors

    async def _deliver(
        self, question: _Question, flight: Flight, trail: _Trail, reply: asyncio.Future[Answer]
    ) -> None:
        """Settle a question and hand over what comes of it, an error too.

        Whoever awaits the reply decides whether an error ends the document: a task that raised it
        would end it at once.
        """
        try:
            answer = await self._settle(question, flight, trail)
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

    def _fly(
        self,
        question: _Question,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> tuple[bytes, Flight]:
        """Send an attempt; `messages` instead of the prompt's, for one that shows a bad reply.

        `bounds` is the schema that the reply is held to where it is not the question's.
        """
        variables = self._variables(question, attempt)
        request = Request(
            messages=messages or question.scored or self._messages(question, variables),
            max_tokens=question.tokens,
            temperature=question.temperature if attempt == 0 else _warmer(question.temperature),
            schema=bounds or question.schema,
            logprobs=question.logprobs,
            sample=question.sample,
            attempt=attempt,
            priority=question.priority.number,
            draft=self._draft(question),
            scores=question.scored is not None,
        )
        key = key_of(request, identity=self.identity, model=self.model)
        quotes = quotes_in(variables)
        if question.before is not None:
            quotes.append(Quote("", Origin("call", short_id(question.before), 0)))
        priority, behind = question.priority, None
        place = (self.step, question.prompt.digest, question.node, str(question.sample))
        if self.leads is not None and attempt == 0:
            behind = self.leads.before(place, request.messages)
        if behind is not None:
            # While the server still has the text, this call goes before those on other texts.
            priority = priority._replace(levels_done=priority.levels_done - 1)
        flight = self.answers.answer(
            request,
            key,
            quotes=quotes,
            priority=priority,
            behind=behind,
            again=None if attempt else question.again,
        )
        flight.board()
        if self._call_watch is not None and not flight.reply.done():
            told = (self.source, self.step, question.node, key)
            flight.told = partial(self._call_watch.call_sent, *told)
        if self.leads is not None and attempt == 0:
            self.leads.enter(place, request.messages, flight)
        return key, flight

    def _draft(self, question: _Question) -> Callable[[str], None] | None:
        """Return who is shown the reply as it is written, if it is the result and a text."""
        watch = self._draft_watch
        shown = self.final and question.schema is None and question.sample == 0
        if shown and question.priority.levels_done == 0 and watch is not None:
            return partial(watch.draft, self.source)
        return None

    def _variables(self, question: _Question, attempt: int) -> Mapping[str, object]:
        variables = {**self.params, **question.variables}
        if question.words is not None:
            shorter = max(10, int(question.words * _SHORTER))
            variables["words"] = shorter if attempt else question.words
        return variables

    @staticmethod
    def _messages(
        question: _Question, variables: Mapping[str, object], bounds: JsonSchema | None = None
    ) -> tuple[Message, ...]:
        messages = question.prompt.render(variables)
        schema = bounds or question.schema
        return instructed(messages, schema) if schema else messages

    async def _settle(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        trail.begun = True
        try:
            return await self._sought(question, flight, trail)
        except (asyncio.CancelledError, Stopped, BudgetReached):
            trail.outcome = Outcome.DISCARDED
            raise
        except ReplyError as error:
            trail.outcome = error.outcome
            error.add_note(f"in step {self.step!r}, {question.node}")
            raise
        finally:
            self._enter(question, trail)

    def _abandon(self, question: _Question, flight: Flight, trail: _Trail) -> None:
        """Enter a call whose document ended before it could even be waited for."""
        if not trail.begun:
            trail.outcome = Outcome.DISCARDED
            self._claim(flight, trail)
            self._enter(question, trail)

    def _enter(self, question: _Question, trail: _Trail) -> None:
        """Enter in the ledger how a call ended."""
        self.account.outcomes[trail.outcome] += 1
        options = (question.tokens, question.words, question.temperature, question.logprobs)
        site = self._site(question.prompt.digest, *options, schema=question.schema)
        self.ledger.enter(site, question.node, trail.key, trail.outcome, trail.sent)
        self._told(question.node, trail.key, trail.outcome, trail.sent)

    def _told(self, node: str, key: bytes, outcome: Outcome, sent: int) -> None:
        self.watch.call_done(self.source, self.step, outcome)
        if self._call_watch is not None:
            self._call_watch.call_ended(Ended(self.source, self.step, node, key, outcome, sent))

    async def _sought(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        """Return a good answer; where the journal's is of no use, once by asking anew if wanted."""
        seek = self._seek_text if question.schema is None else self._seek_record
        seek = self._seek_scores if question.scored else seek
        try:
            return await seek(question, flight, trail)
        except ReplyError:
            if trail.sent or not self.answers.forget(trail.key):
                raise
        trail.key, flight = self._fly(question, 0)
        return await seek(question, flight, trail)

    async def _seek_scores(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        del question
        reply = await self._land(flight, trail)
        trail.outcome = trail.answered
        return Answer("", reply.usage.completion, reply.logprobs, predicted=flight.predicted)

    async def _seek_text(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        reply = await self._land(flight, trail)
        if question.logprobs and _tells(reply, question):
            trail.outcome = trail.answered
            return _answer(reply, trail.key, flight, len(reply.text))
        if not question.strict and verdict(reply) in {Verdict.CUT, Verdict.EMPTY}:
            trail.key, flight = self._fly(question, 1)
            reply = await self._land(flight, trail)
        elif verdict(reply) is Verdict.WHOLE:
            answer = _answer(reply, trail.key, flight, len(reply.text))
            if faults := question.faults(answer):
                return await self._rewritten(question, reply, answer, faults, trail)
        return _answer(reply, trail.key, flight, self._end(question, reply, trail))

    def _end(self, question: _Question, reply: Reply, trail: _Trail) -> int:
        """Return how many characters of a text hold; raises ReplyError when it is of no use."""
        end = len(reply.text)
        found = verdict(reply)
        if question.strict and found is not Verdict.REFUSED and _is_over(reply, question.tokens):
            raise _cut(question)
        match found:
            case Verdict.WHOLE:
                trail.outcome = trail.answered
            case Verdict.EMPTY:
                raise ReplyError("the reply is empty", outcome=Outcome.INVALID)
            case Verdict.REFUSED:
                raise ReplyError("the model refused to answer", outcome=Outcome.REFUSED)
            case Verdict.CUT:
                end = complete_part(reply.text) if self.trims and not question.strict else 0
                if not end:
                    raise _cut(question)
                trail.outcome = Outcome.TRUNCATED
                self.watch.notice(
                    f"{self.source}: {question.node} of step {self.step!r} was cut at"
                    f" {question.tokens} tokens; it ends at its last complete sentence or line"
                )
        return end

    async def _rewritten(
        self,
        question: _Question,
        reply: Reply,
        answer: Answer,
        faults: Sequence[str],
        trail: _Trail,
    ) -> Answer:
        """Ask once more for a text that has faults; return the one with fewer of them."""
        messages = self._messages(question, self._variables(question, 0))
        first = trail.key
        try:
            trail.key, flight = self._fly(question, 1, rewritten(messages, reply, faults))
            second = await self._land(flight, trail)
            better = _answer(second, trail.key, flight, len(second.text))
            if verdict(second) is Verdict.WHOLE and len(question.faults(better)) < len(faults):
                trail.outcome = trail.answered
                return better
        except (CallError, FitError):
            pass  # there is a text already; that it has faults is known to whoever asked
        trail.key, trail.outcome = first, trail.answered
        return answer

    async def _seek_record(self, question: _Question, flight: Flight, trail: _Trail) -> Answer:
        schema = question.schema or {}
        reply = await self._land(flight, trail)
        try:
            answer = self._record(reply, schema, flight, trail)
            if question.strict and _is_over(reply, question.tokens):
                raise _cut(question)
        except Invalid as error:
            if question.strict:
                raise _no_record(error) from error
            return await self._second_record(question, reply, error, trail)
        if not question.strict and not answer.predicted and ends_at_bound(answer.value, schema):
            return await self._shorter(question, reply, answer, trail)
        faults = question.faults(answer)
        return await self._better(question, reply, answer, faults, trail) if faults else answer

    async def _second_record(
        self, question: _Question, reply: Reply, error: Invalid, trail: _Trail
    ) -> Answer:
        """Ask once more for what is no record: with the error, or bounds where it was cut."""
        bounds = schema = question.schema or {}
        if verdict(reply) is Verdict.CUT:
            bounds = bounded(schema, reply.text, question.tokens)
        again = self._messages(question, self._variables(question, 1), bounds)
        if verdict(reply) is Verdict.WHOLE:
            again = retold(again, reply, error)
        try:
            trail.key, flight = self._fly(question, 1, again, bounds)
        except FitError:
            # The bad reply, or the bounds, do not fit: ask again without.
            bounds = schema
            trail.key, flight = self._fly(question, 1)
        second = await self._land(flight, trail)
        try:
            answer = self._record(second, schema, flight, trail)
            return self._curtailed(question, answer, bounds, trail)
        except Invalid as invalid:
            reason = invalid
        for candidate in (second, reply):
            with suppress(Invalid):
                value = mended(candidate, schema)
                trail.outcome = Outcome.REPAIRED
                return Answer(value, candidate.usage.completion, candidate.logprobs)
        if second.finish is Finish.LENGTH:
            raise _too_long(question)
        raise _no_record(reason)

    async def _shorter(
        self, question: _Question, reply: Reply, answer: Answer, trail: _Trail
    ) -> Answer:
        """Ask once more for a record whose text met its bound; return what is whole of one."""
        schema = question.schema or {}
        first = trail.key
        try:
            again = self._messages(question, self._variables(question, 1))
            again = retold(again, reply, Invalid("a text in it was cut off at its maxLength"))
            trail.key, flight = self._fly(question, 1, again)
            second = await self._land(flight, trail)
            shorter = self._record(second, schema, flight, trail)
            return self._curtailed(question, shorter, schema, trail)
        except (CallError, FitError, Invalid):
            trail.key = first
        return self._curtailed(question, answer, schema, trail)

    def _curtailed(
        self, question: _Question, answer: Answer, bounds: JsonSchema, trail: _Trail
    ) -> Answer:
        """Return a record less what met its bounds; raises CutError where it is none without."""
        schema = question.schema or {}
        trail.outcome = trail.answered
        try:
            value, cuts = curtailed(answer.value, bounds, schema)
            if not cuts:
                return answer
            fits(value, schema)
        except (Curtailed, Invalid):
            raise _too_long(question) from None
        if question.complete:
            raise _too_long(question)
        trail.outcome = Outcome.TRUNCATED
        self.watch.notice(
            f"{self.source}: {question.node} of step {self.step!r} did not fit {question.tokens:,}"
            f" tokens: {'; '.join(dict.fromkeys(cuts))}"
        )
        return replace(answer, value=value, truncated=True)

    async def _better(
        self,
        question: _Question,
        reply: Reply,
        answer: Answer,
        faults: Sequence[str],
        trail: _Trail,
    ) -> Answer:
        """Ask once more for a record that has faults; return the one with fewer of them."""
        again = self._messages(question, self._variables(question, 1))
        again = retold(again, reply, Invalid("; ".join(faults)))
        first = trail.key
        try:
            trail.key, flight = self._fly(question, 1, again)
            second = await self._land(flight, trail)
            better = self._record(second, question.schema or {}, flight, trail)
            if len(question.faults(better)) < len(faults):
                return better
        except (CallError, FitError, Invalid):
            pass  # there is a record already; that it has faults is known to whoever asked
        trail.key, trail.outcome = first, trail.answered
        return answer

    @staticmethod
    def _record(reply: Reply, schema: JsonSchema, flight: Flight, trail: _Trail) -> Answer:
        if verdict(reply) is Verdict.REFUSED:
            raise ReplyError("the model refused to answer", outcome=Outcome.REFUSED)
        value = read_record(reply, schema)
        trail.outcome = trail.answered
        return Answer(value, reply.usage.completion, reply.logprobs, predicted=flight.predicted)

    async def _land(self, flight: Flight, trail: _Trail) -> Reply:
        """Wait for a reply; the first to do so accounts for the attempts it took."""
        try:
            reply = await flight.wait()
            follow(flight.depth)
        finally:
            sent = self._claim(flight, trail)
        if sent:
            for account in (self.account, self.ledger.account):
                account.used(reply.usage)
        return reply

    def _claim(self, flight: Flight, trail: _Trail) -> int:
        """Leave a flight; return how many of its attempts are this call's to account for."""
        flight.leave()
        sent = flight.claim()
        trail.sent += sent
        for account in (self.account, self.ledger.account):
            account.sent += sent
        return sent

    def _site(self, prompt: str, *options: object, schema: JsonSchema | None = None) -> int:
        """Return the number of the site: calls that differ in their inputs only share one."""
        key = (prompt, *options, schema is not None)
        if key not in self._sites:
            said = json.dumps([options, schema, self.params], sort_keys=True, default=str)
            self._sites[key] = self.ledger.site(
                self.source,
                self.step,
                prompt=prompt,
                model=self.model_hash,
                options=hashlib.sha256(said.encode()).digest(),
            )
        return self._sites[key]


def _tells(reply: Reply, question: _Question) -> bool:
    """Tell whether a reply has the log probabilities that it was asked for, whole or not.

    What is wanted stands at its beginning, so being cut is no fault; one of a single token always
    is. One without any text says something only to whoever takes it as it comes.
    """
    wanted = {Verdict.CUT, Verdict.EMPTY} if question.strict else {Verdict.CUT}
    return bool(reply.logprobs) and verdict(reply) in wanted


def _is_over(reply: Reply, tokens: int) -> bool:
    """Tell whether a server let a reply grow beyond its bound."""
    usage = reply.usage
    return usage.completion is not None and usage.completion - (usage.reasoning or 0) > tokens


def _cut(question: _Question) -> ReplyError:
    return ReplyError(
        f"the reply was cut at {question.tokens} tokens",
        outcome=Outcome.TRUNCATED,
        hint="raise `tokens` of the step",
    )


def _too_long(question: _Question) -> CutError:
    return CutError(
        f"the record was cut off at {question.tokens:,} tokens",
        hint="raise `tokens` of the step, or split to fewer tokens",
    )


def _no_record(reason: Exception) -> ReplyError:
    return ReplyError(f"the reply is no record: {reason}", outcome=Outcome.INVALID)


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
