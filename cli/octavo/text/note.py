"""Notes: what one step passes to the next, finished or still pending."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

from octavo.text.span import Span

__all__ = ["Note", "PendingNote", "Prediction", "Record", "Slot", "to_awaitable", "to_fields"]


Record = Mapping[str, Any]
"""A JSON object that fits the schema of the step that made it."""

Made = TypeVar("Made")


class Prediction(Enum):
    """What a plan assumes: replies as short and as few of them used as possible, or as long."""

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


_OLD_FIELDS: Final = {"bound": "max_tokens", "border": "boundary_hash", "beside": "context_tokens"}
"""Fields of PendingNote by their names of version 0.1, which plug-ins use; for one more release."""


def _accept_old_fields(kind: type[Made]) -> type[Made]:
    create = kind.__init__

    def init(self: Made, *values: Any, **fields: Any) -> None:  # noqa: ANN401 - of any field
        try:
            create(self, *values, **fields)
        except TypeError:
            if _OLD_FIELDS.keys().isdisjoint(fields):
                raise
            # `replace` gives the fields to change before the others: of two names the first counts.
            named = {_OLD_FIELDS.get(name, name): fields[name] for name in [*fields][::-1]}
            create(self, *values, **named)

    kind.__init__ = init
    return kind


@_accept_old_fields
@dataclass(frozen=True, slots=True)
class PendingNote:
    """A note that may not be finished yet, with what is known of it in advance.

    `max_tokens` is the most tokens that the note may have, `boundary_hash` the hash of the text at
    its start, `headings` the path it stands under. `context` is what a prompt may show next to the
    note, as names and texts, and `context_tokens` the most tokens of that. `note` may be awaited by
    several readers and gives None when there is no note: a filter took it out, or its call failed
    and the step goes on.
    """

    spans: tuple[Span, ...]
    max_tokens: int
    note: Awaitable[Note | None]
    boundary_hash: int = 0
    headings: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    context_tokens: int = 0

    @property
    def bound(self) -> int:
        """`max_tokens` by its name of version 0.1, for one more release."""
        return self.max_tokens

    @property
    def border(self) -> int:
        """`boundary_hash` by its name of version 0.1, for one more release."""
        return self.boundary_hash

    @property
    def beside(self) -> int:
        """`context_tokens` by its name of version 0.1, for one more release."""
        return self.context_tokens


Slot = PendingNote
"""PendingNote by its name of version 0.1, for one more release."""


def to_fields(value: str | Record) -> Record:
    """Return the fields of a value: those of a record, or a text as `text`."""
    return value if isinstance(value, Mapping) else {"text": value}


def to_awaitable(note: Note | None) -> Awaitable[Note | None]:
    """Return an awaitable that gives the note at once, to any number of readers."""
    import asyncio  # noqa: PLC0415 - a third of the time of --help, which loads this module

    future: asyncio.Future[Note | None] = asyncio.get_running_loop().create_future()
    future.set_result(note)
    return future
