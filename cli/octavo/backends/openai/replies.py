"""Reads what a server answered: a chat completion, whole or in pieces, as a Reply; embeddings."""

from __future__ import annotations

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
from octavo.backends.openai.reasoning import split_reasoning
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


_WHOLE_REASONS = {
    "", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call",
}  # fmt: skip
"""Finish reasons of replies that are known to be whole; whatever is not known is not."""

_LENGTH_REASONS = {"length", "max_tokens", "model_length"}
_ROOM_REASONS = {"max_output_tokens", "max_completion_tokens", "model_context_window_exceeded"}
"""Further words for a limit, which are shown since the limit may be another than the call's."""

_REFUSAL_REASONS = {
    "content_filter", "content_filtered", "refusal", "safety", "recitation", "blocklist",
    "prohibited_content", "sensitive", "spii", "guardrail_intervened",
}  # fmt: skip
_ABORT_REASONS = {"error", "abort", "cancelled", "insufficient_system_resource"}
"""Finish reasons of servers that gave the call up half-way."""

_NO_REASON = "none"
"""Stands for the finish reason of a stream that ended without one."""

_MAX_REASON = 60
"""Characters of an unknown finish reason that a message quotes."""

_MAX_TOKEN_GAP = 8
"""Characters that may stand between two tokens: what a token of pieces of them has left out."""

_REASONING_PARTS = {"thinking", "reasoning", "reasoning_text"}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_MAX_LOGPROB = 0.01
"""A logarithm of a probability is at most 0, but for rounding."""


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
    reason = _read_finish_reason(choice.get("finish_reason"))
    if reason in _ABORT_REASONS or choice.get("error"):
        raise Transient(f"the server gave the reply up ({reason or 'error'})", kind="server")
    message = as_object(choice.get("message"))
    text, reasoning = _join_parts(message.get("content"))
    reasoning = next(
        filter(None, (as_text(message.get(name)) for name in _REASONING_FIELDS)), reasoning
    )
    text, marked = split_reasoning(text)
    reasoning = reasoning or marked
    finish = _find_finish(reason)
    if refusal := as_text(message.get("refusal")):
        text, finish = text or refusal, Finish.REFUSAL
    is_unusual = finish is Finish.LENGTH and reason not in _LENGTH_REASONS
    if is_unusual and reason not in _ROOM_REASONS and not text.strip():
        raise Transient(f"the server sent no text (finish reason: {reason})", kind="server")
    return Reply(
        text=text,
        finish=finish,
        usage=_parse_usage(as_object(body.get("usage"))),
        reasoning=reasoning or None,
        logprobs=_parse_logprobs(as_object(choice.get("logprobs"))),
        model=as_text(body.get("model")) or None,
        finish_reason=reason if is_unusual else None,
    )


def _read_finish_reason(value: object) -> str:
    """Return a finish reason in lower case, one word whatever it is; empty for none."""
    words = "" if value is None else str(value).lower()
    shown = "".join(each if each.isprintable() else " " for each in words).split()
    return "_".join(shown)[:_MAX_REASON]


def _find_finish(reason: str) -> Finish:
    if reason in _REFUSAL_REASONS:
        return Finish.REFUSAL
    return Finish.STOP if reason in _WHOLE_REASONS else Finish.LENGTH


def _join_parts(content: object) -> tuple[str, str]:
    """Return the text and the reasoning of a message's content, a text or a list of parts."""
    text, reasoning = as_text(content), ""
    for each in as_list(content):
        part = as_object(each)
        if part.get("type") in _REASONING_PARTS:
            thinking = part.get("thinking") or part.get("text")
            reasoning += as_text(thinking) or _join_parts(thinking)[0]
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
        if as_count(choice.get("index")):
            return  # another sample, where several were asked for
        delta = as_object(choice.get("delta")) or as_object(choice.get("message"))
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        self._logprobs += as_list(as_object(choice.get("logprobs")).get("content"))
        for name in ("content", *_REASONING_FIELDS, "refusal"):
            text, thought = _join_parts(delta.get(name))
            if thought:
                self._add_text(_REASONING_FIELDS[0], thought)
            if text:
                self._add_text(name, text)

    def _add_text(self, name: str, text: str) -> None:
        self._fields.setdefault(name, []).append(text)
        if self._on_text is not None and name == "content":
            self._text += text
            self._on_text(split_reasoning(self._text)[0])
        if self._on_first_token is not None:
            self._on_first_token()
            self._on_first_token = None

    def build_body(self) -> Mapping[str, Any]:
        """Return what an unstreamed answer would have been: a completion or an error.

        A text without a finish reason is cut, also where the closing mark is there: proxies set it
        below whatever reached them. Raises Transient when the stream broke off before any text.
        """
        if self._failure is not None:
            return self._failure
        if not self._finish_reason and not self._fields:
            if not self._closed:
                raise Transient("the stream broke off", kind="connection")
            return {"choices": []}
        message = {name: "".join(pieces) for name, pieces in self._fields.items()}
        choice = {"message": message, "finish_reason": self._finish_reason or _NO_REASON}
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
