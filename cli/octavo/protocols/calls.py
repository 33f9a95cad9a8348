"""A call to a model and its reply in neutral terms, before any server's dialect; embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from octavo.text.note import Prediction
from octavo.text.vectors import Vector

__all__ = [
    "Embedded",
    "Finish",
    "JsonSchema",
    "Message",
    "RateLimit",
    "Reply",
    "Request",
    "TokenLogprob",
    "Usage",
]


JsonSchema = Mapping[str, Any]
"""A standard JSON Schema document."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call in neutral terms, before any server's dialect.

    `max_tokens` bounds the reply in tokens; `logprobs` asks for that many top alternatives per
    token; `sample` and `attempt` tell repeated calls apart in keys and seed the sampling.
    `priority` is no part of the question: a server that schedules by it answers lower ones first.
    Nor is `draft`: a backend that can streams the reply and calls it with the text so far.
    With `scores` no reply is wanted but the log probabilities of the last message's text where it
    follows that of the first: their tokens join to it, but that the first begins earlier where a
    token crosses the border; the very first token of a prompt has no probability and is left out.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    schema: JsonSchema | None = None
    logprobs: int = 0
    sample: int = 0
    attempt: int = 0
    priority: int = 0
    draft: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    scores: bool = False


class Finish(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    LENGTH = "length"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None where the server did not say.

    `reasoning` tokens are part of `completion`; `cached` ones are part of `prompt`.
    """

    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of a reply with its log probability and its likeliest alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a server says of one of its rate limits when it takes or refuses a call.

    `name` is the kind, alone or with the window, which tells limits of one kind apart. `limit` and
    `remaining` are requests or tokens (`tokens` are those of prompt and reply together), `period`
    the seconds that the limit is for, `reset` those until it is renewed; None where unsaid.
    """

    kind: Literal["requests", "tokens", "input", "output"]
    name: str
    remaining: float
    limit: float | None = None
    reset: float | None = None
    period: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend answered, before anything checked it.

    `finish_reason` is the server's own word for an end that is not whole, where it is not one of
    the usual ones. `limits` are what the server said of its rate limits beside it; they are not
    kept.
    """

    text: str
    finish: Finish = Finish.STOP
    usage: Usage = Usage()
    reasoning: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    model: str | None = None
    limits: tuple[RateLimit, ...] = field(default=(), compare=False, repr=False)
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector for each text, in their order; `predicted` is set when a plan made some of them up.

    Vectors of one embedder have the same length; they need not have the length 1. `limits` are what
    the server said of its rate limits beside them.
    """

    vectors: tuple[Vector, ...]
    usage: Usage = field(default_factory=Usage)
    predicted: Prediction | None = None
    limits: tuple[RateLimit, ...] = field(default=(), compare=False, repr=False)
