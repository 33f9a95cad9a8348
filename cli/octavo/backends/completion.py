"""A chat completion, whole or in pieces, as a Reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from octavo.backends.shape import count, first, items, record, text
from octavo.protocols.backends import Transient
from octavo.protocols.calls import Finish, Reply, TokenLogprob, Usage

__all__ = ["Draft", "read", "read_all", "scored"]

_FINISH = {
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "content_filter": Finish.REFUSAL,
    "refusal": Finish.REFUSAL,
    "safety": Finish.REFUSAL,
    "recitation": Finish.REFUSAL,
}
_GIVEN_UP = {"error", "abort", "cancelled", "insufficient_system_resource"}
"""Finish reasons of servers that gave the call up half-way."""
_NEARBY = 8
"""Characters that may stand between two tokens: what a token of pieces of them has left out."""
_THOUGHT = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)


def read(body: Mapping[str, Any]) -> Reply:
    """Return a completion as a reply, its reasoning apart from its text.

    A refusal keeps the server's words as its text. Raises Transient when there is no choice in it.
    """
    return _read(body, first(body.get("choices")))


def read_all(body: Mapping[str, Any], most: int) -> tuple[Reply, ...]:
    """Return the choices of a completion as replies, at most so many, in their order.

    Servers tell the tokens of all choices together. The first reply carries those of the prompt;
    those of the replies are shared out by their length. Raises Transient when there is no choice,
    or one was given up.
    """
    listed = [record(each) for each in items(body.get("choices"))]
    listed.sort(key=lambda choice: count(choice.get("index")) or 0)
    head, *rest = [_read(body, choice) for choice in listed[:most]] or [read(body)]
    total = head.usage.completion
    letters = len(head.text) + sum(len(reply.text) for reply in rest) or 1
    parts = [total and total * len(reply.text) // letters for reply in rest]
    if total is not None:
        own = replace(head.usage, completion=total - sum(part or 0 for part in parts))
        head = replace(head, usage=own)
    shared = (
        replace(reply, usage=Usage(0, part, 0)) for reply, part in zip(rest, parts, strict=True)
    )
    return head, *shared


def _read(body: Mapping[str, Any], choice: Mapping[str, Any]) -> Reply:
    if not choice:
        raise Transient("the server sent no choices", kind="server")
    reason = text(choice.get("finish_reason")).lower()
    if reason in _GIVEN_UP or choice.get("error"):
        raise Transient(f"the server gave the reply up ({reason or 'error'})", kind="server")
    message = record(choice.get("message"))
    said, thought = _parts(message.get("content"))
    thought = text(message.get("reasoning_content")) or text(message.get("reasoning")) or thought
    if match := _THOUGHT.match(said):
        said, thought = said[match.end() :], thought or match[1].strip()
    finish = _FINISH.get(reason, Finish.STOP)
    if refusal := text(message.get("refusal")):
        said, finish = said or refusal, Finish.REFUSAL
    return Reply(
        text=said,
        finish=finish,
        usage=_usage(record(body.get("usage"))),
        reasoning=thought or None,
        logprobs=_logprobs(record(choice.get("logprobs"))),
        model=text(body.get("model")) or None,
    )


def _parts(content: object) -> tuple[str, str]:
    """Return the text and the reasoning of a message's content, a text or a list of parts."""
    said, thought = text(content), ""
    for each in items(content):
        part = record(each)
        if part.get("type") == "thinking":
            thinking = part.get("thinking")
            thought += text(thinking) or _parts(thinking)[0]
        else:
            said += text(part.get("text"))
    return said, thought


def _usage(usage: Mapping[str, Any]) -> Usage:
    prompt = record(usage.get("prompt_tokens_details"))
    completion = record(usage.get("completion_tokens_details"))
    cached = count(prompt.get("cached_tokens"))
    return Usage(
        prompt=count(usage.get("prompt_tokens")),
        completion=count(usage.get("completion_tokens")),
        cached=count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        reasoning=count(completion.get("reasoning_tokens")),
    )


def _logprobs(logprobs: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    tokens = (record(each) for each in items(logprobs.get("content")))
    return tuple(
        TokenLogprob(
            token=text(token.get("token")),
            logprob=float(token.get("logprob") or 0.0),
            top=tuple(
                (text(other.get("token")), float(other.get("logprob") or 0.0))
                for other in map(record, items(token.get("top_logprobs")))
            ),
        )
        for token in tokens
    )


def scored(body: Mapping[str, Any], prompt: str, start: int) -> tuple[TokenLogprob, ...]:
    """Return the tokens of an echoed prompt from character `start` on, with their probabilities.

    Tokens are found in the prompt and not by the offsets that servers tell: those count marks that
    are not in it, and pieces of characters.
    """
    found = record(first(body.get("choices")).get("logprobs"))
    tops = items(found.get("top_logprobs"))
    tokens: list[TokenLogprob] = []
    position = 0
    for place, each in enumerate(items(found.get("tokens"))):
        token = text(each)
        at = prompt.find(token, position, position + len(token) + _NEARBY)
        if at < 0:
            if "\N{REPLACEMENT CHARACTER}" not in token:
                continue
            at = position  # a piece of a character
        elif position == len(prompt):
            break  # the model's own continuation
        else:
            position = at + len(token)
        logprob = items(found.get("token_logprobs"))[place]
        if position > start and isinstance(logprob, (int, float)):
            top = record(tops[place] if place < len(tops) else None)
            others = tuple((name, float(value)) for name, value in top.items())
            tokens.append(TokenLogprob(token, float(logprob), others))
    return tuple(tokens)


class Draft:
    """Puts a streamed completion together; `started` is called at its first token.

    `draft`, when given, is called with the text so far.
    """

    def __init__(
        self, started: Callable[[], None], draft: Callable[[str], None] | None = None
    ) -> None:
        self._draft = draft
        self._said = ""
        self._started: Callable[[], None] | None = started
        self._fields: dict[str, list[str]] = {}
        self._logprobs: list[Any] = []
        self._reason: object = None
        self._closed = False
        self._whole: dict[str, Any] = {}
        self._failure: Mapping[str, Any] | None = None

    def event(self, event: object) -> None:
        """Take one event; None is the stream's closing mark."""
        if event is None:
            self._closed = True
            return
        body = record(event)
        if body.get("error") or body.get("object") == "error":
            self._failure = body
            return
        self._whole |= {name: body[name] for name in ("usage", "model") if body.get(name)}
        choice = first(body.get("choices"))
        delta = record(choice.get("delta"))
        self._reason = choice.get("finish_reason") or self._reason
        self._logprobs += items(record(choice.get("logprobs")).get("content"))
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            said = "".join(_parts(delta.get(name))) if delta.get(name) else ""
            if said:
                self._fields.setdefault(name, []).append(said)
                if self._draft is not None and name == "content":
                    self._said += said
                    self._draft(self._said)
                if self._started is not None:
                    self._started()
                    self._started = None

    def body(self) -> Mapping[str, Any]:
        """Return what an unstreamed answer would have been: a completion or an error.

        Raises Transient when the stream broke off, with neither a finish reason nor its mark.
        """
        if self._failure is not None:
            return self._failure
        if self._reason is None and not self._closed:
            raise Transient("the stream broke off", kind="connection")
        if self._reason is None and not self._fields:
            return {"choices": []}
        message = {name: "".join(pieces) for name, pieces in self._fields.items()}
        choice = {"message": message, "finish_reason": self._reason}
        return {**self._whole, "choices": [{**choice, "logprobs": {"content": self._logprobs}}]}
