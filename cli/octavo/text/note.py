"""What one step hands to the next."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from octavo.text.span import Span

__all__ = ["Note", "Prediction", "Record", "PendingNote"]

Record = Mapping[str, Any]
"""A JSON object that fits the schema of the step that made it."""


class Prediction(Enum):
    """What a plan takes replies to be: as short, and as few of them used, as can be, or as long."""

    SHORT = auto()
    LONG = auto()


@dataclass(frozen=True, slots=True)
class Note:
    """Text, or a record, and the spans of the document that it came from.

    `source` names the document when a note travels beyond it (in `gather`); `predicted` is
    set when a plan made the value up. `context` is what a model said beside the value, by name.
    """

    value: str | Record
    spans: tuple[Span, ...] = ()
    source: str | None = None
    predicted: Prediction | None = None
    context: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The value as a prompt shows it: text as it is, a record as one line of JSON."""
        if isinstance(self.value, str):
            return self.value
        return json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class PendingNote:
    """A note's place, known before the note.

    `bound` is the most tokens the note may have, `border` the hash of the text at its start,
    `headings` the path it stands under. `context` is what a prompt may show beside the note, as
    names and texts, and `beside` the most tokens of that. `note` may be awaited by several readers
    and gives None when there is no note: a filter took it out, or its call failed and the step goes
    on.
    """

    spans: tuple[Span, ...]
    max_tokens: int
    note: Awaitable[Note | None]
    boundary_hash: int = 0
    headings: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    context_tokens: int = 0
