"""What a prompt may see beside a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from octavo.protocols.steps import Options

__all__ = ["CONTEXT", "ContextOptions", "named"]

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
