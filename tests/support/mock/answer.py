"""What the mock server is asked, what it answers, and what it logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

__all__ = ["BROKEN", "Answer", "Call", "Decided", "Entry", "events", "failure", "too_long"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `body` is its JSON, `turn` how often the same bytes came before."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    digest: bytes
    turn: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. `events` makes it a stream; `broken` ends the connection half-way."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Any] | None = None
    seconds: float = 0.0
    broken: bool = False
    reset: bool = False
    never: bool = False
    fault: str | None = None
    prompt: int = 0
    cached: int = 0
    reply: int = 0


Decided = tuple[bytes, int, Answer]
"""The hash of a body, how often it came before, and its answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: seconds since the start, tokens, and the hash of the body.

    `status` is 0 when the client left before the answer.
    """

    arrival: float
    latency: float
    digest: str
    turn: int
    status: int
    fault: str | None
    prompt: int
    cached: int
    reply: int


def events(
    head: Mapping[str, Any],
    message: Mapping[str, Any] | None,
    finish: str,
    usage: Mapping[str, Any],
) -> list[Any]:
    """Return the events of a streamed reply, one a sentence."""
    deltas: list[Mapping[str, Any]] = []
    if message is not None:
        *whole, last = (message["content"] or "").split(". ")
        deltas = [{**message, "content": ""}] if message["content"] else [message]
        deltas += [{"content": f"{piece}. "} for piece in whole] + [{"content": last}]
    head = {**head, "object": "chat.completion.chunk"}
    sent = [head | {"choices": [{"index": 0, "delta": each}]} for each in deltas]
    if deltas:
        sent.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage:
        sent.append(head | {"choices": [], "usage": usage})
    return sent


def _error(message: str, code: str, status: int | None = None) -> dict[str, Any]:
    error = {"message": message, "type": code, "param": None, "code": status or code}
    return {"error": error}


def failure(
    status: int, message: str, code: str, headers: Mapping[str, str] | None = None, **spent: Any
) -> Answer:
    """Return an error as OpenAI's server words it."""
    return Answer(status, _error(message, code), headers or {}, **spent)


def too_long(asked: int, window: int, **spent: Any) -> Answer:
    """Return the error of a prompt and reply of `asked` tokens together."""
    message = f"This model's maximum context length is {window} tokens, but {asked} were asked for"
    return failure(400, message, "context_length_exceeded", **spent)


def _injected(status: int) -> Callable[..., Answer]:
    return partial(failure, status, "an injected fault", "server_error")


BROKEN: Mapping[str, Callable[..., Answer]] = {
    "reset": partial(Answer, reset=True),
    "timeout": partial(Answer, never=True),
    "500": _injected(500),
    "503": _injected(503),
    "429": _injected(429),
    "error200": partial(Answer, body=_error("an injected fault", "server_error", 502)),
    "context": partial(too_long, 9001, 9000),
    "json": partial(Answer, body=b'{"choices": ['),
}
"""The faults that leave no reply."""
