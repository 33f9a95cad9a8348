"""Attempts of a step's calls: rendered, named by their keys, and answered by who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from octavo.engine.flight import CallAnswerer, InFlightCall
from octavo.engine.inquiry import CallSpec
from octavo.engine.key import compute_key
from octavo.engine.leads import PrefixWarmup
from octavo.engine.packing import find_quotes
from octavo.engine.records import with_schema
from octavo.protocols import JsonSchema, Message, Request
from octavo.text.quote import QuoteOrigin, Quote, to_row_id

__all__ = ["CallSender"]

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
            temperature=inquiry.temperature if attempt == 0 else _raise_temperature(inquiry.temperature),
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
