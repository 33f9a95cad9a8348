"""Asking a model from a step or a chunker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from octavo.protocols.calls import Embedded, JsonSchema, Message, TokenLogprob
from octavo.text.note import Prediction

__all__ = ["Answer", "Ask", "Asked", "PromptLike"]


class PromptLike(Protocol):
    """A prompt that can be rendered to messages; `digest` changes when its text does."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def render(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        """Return the system and user messages for these variables."""
        ...


class Asked(Protocol):
    """A call under way."""

    @property
    def started(self) -> Awaitable[None]:
        """Done at the reply's first token; for a cached or unstreamed call, at its end."""
        ...

    @property
    def reply(self) -> Awaitable[Answer]:
        """The checked reply."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked reply: text that is whole, or a record that fits the schema.

    `truncated` tells that only whole sentences, or items, were kept of one that was cut. A text is
    a quote of the stored reply. `predicted` is set when a plan made it up.
    """

    value: str | Mapping[str, Any]
    tokens: int | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    truncated: bool = False
    predicted: Prediction | None = None


class Ask(Protocol):
    """Ask the model once; the same request is never sent twice, no text embedded twice."""

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
    ) -> Asked:
        """Render and send a prompt unless the journal has the reply.

        `tokens` bounds the reply; `node` names the place inside the step, for the ledger only;
        `words`, when given, is the variable of that name and is lowered when a reply is cut;
        `levels` is how many calls stand between this one and the result; `prefix` is a call whose
        prompt this one continues; `temperature` is that of the first attempt where it is not the
        run's own. A `strict` reply is taken as it comes or not at all: one that is cut, empty, over
        `tokens` or no record is a ReplyError at once, neither asked for again nor repaired. With
        `logprobs` a reply that has some may be cut, and where `strict` empty: they tell of its
        beginning.

        A record that is cut is asked for once more within bounds that let it end in time. What met
        one of these is taken off, with a notice, and the answer is `truncated`; a `complete` record
        is one of which nothing may be taken, and is a CutError instead.

        `check` names what is wrong with a whole text, or a record that fits its schema. It is asked
        for once more, with what is wrong; of the two, the one with fewer faults is the answer, so
        whoever gives a check deals with what is still wrong.
        """
        ...

    def score(self, text: str, *, given: str = "", node: str, levels: int = 0) -> Asked:
        """Ask how likely a text is where it follows `given`: the answer's `logprobs` say it.

        The answer's value is empty. Raises UsageError where the backend cannot say, in a plan too.
        """
        ...

    async def embed(self, texts: Sequence[str], *, node: str, levels: int = 0) -> Embedded:
        """Return a vector for each text; those that the journal has are not asked for.

        Texts are sent several to a request, each of which is a call in the plan and the ledger:
        ask for many at once. `node` and `levels` are those of a call. Raises UsageError where the
        backend embeds nothing, in a plan too.
        """
        ...
