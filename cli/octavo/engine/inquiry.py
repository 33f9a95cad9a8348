"""What one call asks for, and holds fast over its attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from octavo.engine.queue import CallPriority
from octavo.engine.records import MAX_RETRY_NOTE_TOKENS
from octavo.protocols import Answer, JsonSchema, Message, PromptLike

__all__ = ["CallSpec"]

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
