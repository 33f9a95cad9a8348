"""Options of steps and chunkers: their base, what they name, and what a prompt sees of a chunk.

Options that name a prompt, a schema, an expression, a chunker or a step are marked, so that the
reader can find and check them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CONTEXT",
    "ChunkerMark",
    "ChunkerRef",
    "ContextOptions",
    "Expression",
    "ExpressionMark",
    "Options",
    "PromptMark",
    "PromptRef",
    "PromptText",
    "SchemaMark",
    "SchemaRef",
    "StepMark",
    "StepRef",
    "named",
]


class PromptText(BaseModel):
    """A prompt written in the pipeline itself: Jinja text for each message."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    system: str | None = None
    user: str


class PromptMark:
    """Marks an option that names or holds a prompt.

    `variables`, when given, are the names that this prompt may use instead of the step's:
    `Annotated[PromptRef | None, PromptMark("summary", "words", "have")]`.
    """

    def __init__(self, *variables: str) -> None:
        self.variables = frozenset(variables)


class SchemaMark:
    """Marks an option that names a JSON Schema file.

    `words` are values that stand for something else than a file. `notes` tells whether the step's
    notes are records that fit the schema, so that conditions over them can be checked.
    """

    def __init__(self, *words: str, notes: bool = True) -> None:
        self.words = frozenset(words)
        self.notes = notes


class ExpressionMark:
    """Marks an option that holds an expression over a note: its record's fields, or `text`.

    `over` says whose names it uses: those of the notes that the step gets, those of the replies
    that it asks for, those of the items that its option `each` lists, one of which is `item`, or
    those of the parameters alone.
    """

    def __init__(self, over: Literal["notes", "replies", "items", "params"] = "notes") -> None:
        self.over = over


class ChunkerMark:
    """Marks an option that names a chunker; the chunker's own options stand beside it."""


class StepMark:
    """Marks an option that names an earlier step, whose notes `Work.given` returns."""


PromptRef = Annotated[str | PromptText, PromptMark()]
"""A prompt's name (`summarize/part`, `builtin:summarize/part`), or its text."""

SchemaRef = Annotated[str, SchemaMark()]
"""A schema's name (`ask/record`)."""

Expression = Annotated[str, ExpressionMark()]
"""An expression such as `has_info and score >= 3`, which may use parameters too."""

ChunkerRef = Annotated[str, ChunkerMark()]
"""A chunker's name (`structure`)."""

StepRef = Annotated[str, StepMark()]
"""The name of an earlier step (`pages`)."""


class Options(BaseModel):
    """The options of a step or chunker as a pipeline writes them: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


CONTEXT: Final = (
    "title",
    "metadata",
    "headings",
    "header",
    "scope",
    "situation",
    "topic",
    "core",
    "question",
    "completion",
    "overlap",
    "before",
    "after",
)
"""The names that a context has, each an empty text where there is nothing to say."""


class ContextOptions(Options):
    """What a prompt sees beside a chunk, as `context.before` and so on."""

    title: bool = Field(default=False, description="The document's title.")
    metadata: list[str] = Field(
        default_factory=list[str], description="The names of metadata that are told."
    )
    headings: bool = Field(default=False, description="The headings that the chunk stands under.")
    overlap: int = Field(
        default=0, ge=0, description="The most tokens of whole sentences right before the chunk."
    )
    before: int = Field(default=0, ge=0, description="The most tokens of text before the chunk.")
    after: int = Field(default=0, ge=0, description="The most tokens of text after the chunk.")


def named(context: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return a context by name, with an empty text for each of CONTEXT that it does not have."""
    return dict.fromkeys(CONTEXT, "") | dict(context)
