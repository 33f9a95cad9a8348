"""Steps of pipelines, and what a step may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from octavo.errors import CallError
from octavo.protocols.ask import Ask, PromptLike
from octavo.protocols.backends import Capabilities
from octavo.protocols.calls import JsonSchema
from octavo.protocols.options import ContextOptions, Options, PromptText
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.finding import Finding
from octavo.text.note import Note, PendingNote

__all__ = ["Kind", "StepType", "Work"]


Given = TypeVar("Given")


class Kind(StrEnum):
    """What a step takes or gives."""

    DOCUMENT = "document"
    CHUNKS = "chunks"
    NOTES = "notes"
    NOTE = "note"


class Work(Protocol):
    """What a step may use: never the index of a document, a path, the clock, or other documents."""

    @property
    def document(self) -> Document: ...
    @property
    def step(self) -> str: ...
    @property
    def params(self) -> Mapping[str, object]: ...
    @property
    def counter(self) -> Counter: ...
    @property
    def window(self) -> int | None:
        """Tokens of prompt and reply together that the model takes, or None when unknown."""
        ...

    @property
    def known(self) -> Capabilities:
        """What is known of what the backend can do."""
        ...

    @property
    def ask(self) -> Ask: ...
    @property
    def after(self) -> int:
        """How many calls, one after the other, the later steps put before the result."""
        ...

    def follow(self, calls: int) -> None:
        """Say how many calls of this step wait for one another; one, when a step doesn't say.

        It decides which calls of a run go first, and nothing else.
        """
        ...

    def given(self, step: str) -> Sequence[PendingNote]:
        """Return what an earlier step gave, by its name."""
        ...

    async def chunks(
        self, by: str, options: Mapping[str, object], context: ContextOptions | None = None
    ) -> tuple[Chunk, ...]:
        """Return the document's chunks by a named chunker, from the journal when it has them.

        `context` says what the chunks shall have beside them.
        """
        ...

    def recall(self, name: str) -> bytes | None:
        """Return what was recorded under a name when this source was read last, or None.

        For hints alone: nothing that is asked may depend on it but by an option that says so.
        """
        ...

    def record(self, name: str, data: bytes) -> None:
        """Keep something about this source for `recall`, in place of what was recorded before."""
        ...

    def skip(self, slot: PendingNote, error: CallError) -> None:
        """Record that a part of the document is missing from the result, and why."""
        ...

    def find(self, finding: Finding) -> None:
        """Report something that is wrong at a place of the document."""
        ...

    def notice(self, message: str) -> None:
        """Say one line about the document that the user should see on standard error."""
        ...

    def explain(self, message: str) -> None:
        """Say one line about what the step will do, which a plan shows and a run does not."""
        ...

    def tell(self, note: Note) -> None:
        """Show a note to whoever watches the run, while the document is still read."""
        ...

    def prompt(self, reference: str | PromptText) -> PromptLike:
        """Return a prompt that the pipeline names or holds."""
        ...

    def schema(self, reference: str) -> JsonSchema:
        """Return a JSON Schema that the pipeline names."""
        ...

    def room(
        self,
        prompt: PromptLike,
        variables: Mapping[str, object],
        tokens: int,
        schema: JsonSchema | None = None,
    ) -> int | None:
        """Return how many tokens still fit a prompt with `variables` and the reply.

        `tokens` bounds the reply, and `schema` is the one that it must fit. None when the window
        is unknown. Raises FitError when nothing is left.
        """
        ...

    def start(self, note: Coroutine[Any, Any, Given], /) -> Awaitable[Given]:
        """Run a coroutine in the run's task group; several readers may await the result."""
        ...


@dataclass(frozen=True, slots=True)
class StepType:
    """One step: its name in pipelines, its options, what it takes and gives, and its code.

    `run` returns pending notes at once; the notes may come later. `variables` are the names that
    its prompts may use next to the pipeline's parameters; the step always gives all of them,
    None where one has no value. An option whose prompt sees other names says so in its PromptMark.
    `fields` tells, from the options, the names that what the step gives has in expressions, where
    they are not those of its schema or of what it takes; None says that they are. A step that
    `finds` reports what is wrong by Work.find. `gives_with` tells, from the options, what the step
    gives, where that depends on them.
    """

    name: str
    about: str
    options: type[Options]
    takes: frozenset[Kind]
    gives: Kind
    run: Callable[[Sequence[PendingNote], Any, Work], Awaitable[Sequence[PendingNote]]]
    variables: frozenset[str] = frozenset()
    fields: Callable[[Any], frozenset[str] | None] | None = None
    finds: bool = False
    gives_with: Callable[[Any], Kind] | None = None

    def given(self, options: Options) -> Kind:
        """Return what the step gives with these options."""
        return self.gives if self.gives_with is None else self.gives_with(options)
