"""How options name prompts and schemas, so that the reader can find and check them all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "ChunkerMark",
    "ChunkerRef",
    "Expression",
    "ExpressionMark",
    "PromptMark",
    "PromptRef",
    "PromptText",
    "SchemaMark",
    "SchemaRef",
    "StepMark",
    "StepRef",
]


class PromptText(BaseModel):
    """A prompt written in the pipeline itself: Jinja text for each message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
