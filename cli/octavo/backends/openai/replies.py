"""Reads what a server answered: a chat completion, whole or in pieces, as a Reply; embeddings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from octavo.backends.openai.json_access import (
    as_count,
    as_list,
    as_number,
    as_object,
    as_text,
    get_first_object,
)
from octavo.protocols.backends import Transient
from octavo.protocols.calls import Embedded, Finish, Reply, TokenLogprob, Usage
from octavo.text.vectors import Vector, to_vector

__all__ = [
    "StreamedCompletion",
    "parse_echoed_logprobs",
    "parse_embeddings",
    "parse_replies",
    "parse_reply",
]


_FINISH_REASONS = {
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "content_filter": Finish.REFUSAL,
    "refusal": Finish.REFUSAL,
    "safety": Finish.REFUSAL,
    "recitation": Finish.REFUSAL,
}
_ABORT_REASONS = {"error", "abort", "cancelled", "insufficient_system_resource"}
"""Finish reasons of servers that gave the call up half-way."""

_MAX_TOKEN_GAP = 8
"""Characters that may stand between two tokens: what a token of pieces of them has left out."""

_MAX_LOGPROB = 0.01
"""A logarithm of a probability is at most 0, but for rounding."""

_THINK_BLOCK = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)


def parse_reply(body: Mapping[str, Any]) -> Reply:
    """Return a completion as a reply, its reasoning apart from its text.

    A refusal keeps the server's words as its text. Raises Transient when there is no choice in it.
    """
    return _parse_choice(body, get_first_object(body.get("choices")))


def parse_replies(body: Mapping[str, Any], limit: int) -> tuple[Reply, ...]:
    """Return the choices of a completion as replies, at most so many, in their order.

    Servers tell the tokens of all choices together. The first reply carries those of the prompt;
    those of the replies are shared out by their length. Raises Transient when there is no choice,
    or one was given up.
    """
    listed = [as_object(each) for each in as_list(body.get("choices"))]
    listed.sort(key=lambda choice: as_count(choice.get("index")) or 0)
    head, *rest = [_parse_choice(body, choice) for choice in listed[:limit]] or [parse_reply(body)]
    total = head.usage.completion
    characters = len(head.text) + sum(len(reply.text) for reply in rest) or 1
    parts = [total and total * len(reply.text) // characters for reply in rest]
    if total is not None:
        own = replace(head.usage, completion=total - sum(part or 0 for part in parts))
        head = replace(head, usage=own)
    shared = (
        replace(reply, usage=Usage(0, part, 0)) for reply, part in zip(rest, parts, strict=True)
    )
    return head, *shared


def _parse_choice(body: Mapping[str, Any], choice: Mapping[str, Any]) -> Reply:
    if not choice:
        raise Transient("the server sent no choices", kind="server")
    reason = as_text(choice.get("finish_reason")).lower()
    if reason in _ABORT_REASONS or choice.get("error"):
        raise Transient(f"the server gave the reply up ({reason or 'error'})", kind="server")
    message = as_object(choice.get("message"))
    text, reasoning = _split_reasoning(message.get("content"))
    reasoning = (
        as_text(message.get("reasoning_content")) or as_text(message.get("reasoning")) or reasoning
    )
    if match := _THINK_BLOCK.match(text):
        text, reasoning = text[match.end() :], reasoning or match[1].strip()
    finish = _FINISH_REASONS.get(reason, Finish.STOP)
    if refusal := as_text(message.get("refusal")):
        text, finish = text or refusal, Finish.REFUSAL
    return Reply(
        text=text,
        finish=finish,
        usage=_parse_usage(as_object(body.get("usage"))),
        reasoning=reasoning or None,
        logprobs=_parse_logprobs(as_object(choice.get("logprobs"))),
        model=as_text(body.get("model")) or None,
    )


def _split_reasoning(content: object) -> tuple[str, str]:
    """Return the text and the reasoning of a message's content, a text or a list of parts."""
    text, reasoning = as_text(content), ""
    for each in as_list(content):
        part = as_object(each)
        if part.get("type") == "thinking":
            thinking = part.get("thinking")
            reasoning += as_text(thinking) or _split_reasoning(thinking)[0]
        else:
            text += as_text(part.get("text"))
    return text, reasoning


def _parse_usage(usage: Mapping[str, Any]) -> Usage:
    prompt = as_object(usage.get("prompt_tokens_details"))
    completion = as_object(usage.get("completion_tokens_details"))
    cached = as_count(prompt.get("cached_tokens"))
    return Usage(
        prompt=as_count(usage.get("prompt_tokens")),
        completion=as_count(usage.get("completion_tokens")),
        cached=as_count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        reasoning=as_count(completion.get("reasoning_tokens")),
    )


def _parse_logprobs(logprobs: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Return the log probabilities of a reply's tokens; none where one of them is unknown."""
    tokens: list[TokenLogprob] = []
    for token in map(as_object, as_list(logprobs.get("content"))):
        logprob = _as_logprob(token.get("logprob"))
        if logprob is None:
            return ()
        top = (
            (as_text(other.get("token")), _as_logprob(other.get("logprob")))
            for other in map(as_object, as_list(token.get("top_logprobs")))
        )
        known = tuple((text, each) for text, each in top if each is not None)
        tokens.append(TokenLogprob(as_text(token.get("token")), logprob, known))
    return tuple(tokens)


def _as_logprob(value: object) -> float | None:
    number = as_number(value)
    return number if number is not None and number <= _MAX_LOGPROB else None


def parse_echoed_logprobs(
    body: Mapping[str, Any], prompt: str, start: int
) -> tuple[TokenLogprob, ...]:
    """Return the log probabilities of an echoed prompt's tokens from character `start` on.

    Tokens are found in the prompt and not by the offsets that servers tell: those count marks that
    are not in it, and pieces of characters.
    """
    found = as_object(get_first_object(body.get("choices")).get("logprobs"))
    logprobs = as_list(found.get("token_logprobs"))
    tokens: list[TokenLogprob] = []
    position = 0
    for index, value in enumerate(as_list(found.get("tokens"))):
        token = as_text(value)
        found_at = prompt.find(token, position, position + len(token) + _MAX_TOKEN_GAP)
        if found_at < 0:
            if "\N{REPLACEMENT CHARACTER}" not in token:
                continue
            found_at = position  # a piece of a character
        elif position == len(prompt):
            break  # the model's own continuation
        else:
            position = found_at + len(token)
        logprob = _as_logprob(logprobs[index]) if index < len(logprobs) else None
        if position > start and logprob is not None:
            tokens.append(TokenLogprob(token, logprob))
    return tuple(tokens)


class StreamedCompletion:
    """Assembles a streamed completion; `started` is called at its first token.

    `draft`, when given, is called with the text so far.
    """

    def __init__(
        self, started: Callable[[], None], draft: Callable[[str], None] | None = None
    ) -> None:
        self._on_text = draft
        self._text = ""
        self._on_first_token: Callable[[], None] | None = started
        self._fields: dict[str, list[str]] = {}
        self._logprobs: list[Any] = []
        self._finish_reason: object = None
        self._closed = False
        self._other_fields: dict[str, Any] = {}
        self._failure: Mapping[str, Any] | None = None

    def add_event(self, event: object) -> None:
        """Take one event; None is the stream's closing mark."""
        if event is None:
            self._closed = True
            return
        body = as_object(event)
        if body.get("error") or body.get("object") == "error":
            self._failure = body
            return
        self._other_fields |= {name: body[name] for name in ("usage", "model") if body.get(name)}
        choice = get_first_object(body.get("choices"))
        delta = as_object(choice.get("delta"))
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        self._logprobs += as_list(as_object(choice.get("logprobs")).get("content"))
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            text = "".join(_split_reasoning(delta.get(name))) if delta.get(name) else ""
            if text:
                self._fields.setdefault(name, []).append(text)
                if self._on_text is not None and name == "content":
                    self._text += text
                    self._on_text(self._text)
                if self._on_first_token is not None:
                    self._on_first_token()
                    self._on_first_token = None

    def build_body(self) -> Mapping[str, Any]:
        """Return what an unstreamed answer would have been: a completion or an error.

        Raises Transient when the stream broke off, with neither a finish reason nor its mark.
        """
        if self._failure is not None:
            return self._failure
        if self._finish_reason is None and not self._closed:
            raise Transient("the stream broke off", kind="connection")
        if self._finish_reason is None and not self._fields:
            return {"choices": []}
        message = {name: "".join(pieces) for name, pieces in self._fields.items()}
        choice = {"message": message, "finish_reason": self._finish_reason}
        return {
            **self._other_fields,
            "choices": [{**choice, "logprobs": {"content": self._logprobs}}],
        }


def parse_embeddings(body: Mapping[str, Any], texts: int) -> Embedded:
    """Return the vectors of an answer in the order of the texts, whatever order it has them in.

    Raises Transient when there is not one for each of so many texts.
    """
    found: dict[int, Vector] = {}
    for position, each in enumerate(map(as_object, as_list(body.get("data")))):
        index = as_count(each.get("index"))
        numbers = [as_number(number) for number in as_list(each.get("embedding"))]
        known = [number for number in numbers if number is not None]
        if known and len(known) == len(numbers):
            found[position if index is None else index] = to_vector(known)
    if found.keys() != set(range(texts)):
        raise Transient(f"the server sent {len(found)} vectors for {texts} texts", kind="server")
    usage = Usage(prompt=as_count(as_object(body.get("usage")).get("prompt_tokens")))
    return Embedded(tuple(found[index] for index in range(texts)), usage)
