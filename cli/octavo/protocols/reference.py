"""How options name prompts and schemas, so that the reader can find and check them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict

__all__ = ["PromptMark", "PromptRef", "PromptText", "SchemaMark", "SchemaRef"]


class PromptText(BaseModel):
    """A prompt written in the pipeline itself: Jinja text for each message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str | None = None
    user: str


class PromptMark:
    """Marks an option that names or holds a prompt."""


class SchemaMark:
    """Marks an option that names a JSON Schema file."""


PromptRef = Annotated[str | PromptText, PromptMark()]
"""A prompt's name (`summarize/part`, `builtin:summarize/part`), or its text."""

SchemaRef = Annotated[str, SchemaMark()]
"""A schema's name (`ask/record`)."""
