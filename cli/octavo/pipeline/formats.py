"""What the notes of each step look like, so that conditions over them can be checked."""

from __future__ import annotations

from typing import NamedTuple

from octavo.pipeline.fields import has_mark, marked
from octavo.pipeline.problems import Path
from octavo.pipeline.schemas import Schemas, fields
from octavo.pipeline.steps import Draft
from octavo.protocols.reference import PromptMark, SchemaMark

__all__ = ["TEXT", "Names", "formats"]

TEXT = frozenset({"text"})
"""The one name that a note of text has in a condition."""


class Names(NamedTuple):
    """The names that a step's input has in a condition, and its own replies; None is not known."""

    taken: frozenset[str] | None
    asked: frozenset[str] | None


def formats(drafts: tuple[Draft, ...], schemas: Schemas) -> dict[Path, Names]:
    """Return, for each step, the names that conditions may use.

    What asks a model gives text, or records where it names a schema; what does not hands on what
    it gets; a step's type may know better. `gather` begins with what `steps` gave.
    """
    names: dict[Path, Names] = {}
    given: dict[str, frozenset[str] | None] = {}
    before: frozenset[str] | None = TEXT
    for draft in drafts:
        source = before if draft.source is None else given.get(draft.source)
        asked = _asked(draft, source, schemas)
        names[draft.path] = Names(source, asked)
        own = draft.type.fields if draft.type and draft.options else None
        before = given[draft.name] = (own and own(draft.options)) or asked
    return names


def _asked(draft: Draft, taken: frozenset[str] | None, schemas: Schemas) -> frozenset[str] | None:
    if draft.type is None or draft.options is None:
        return None
    named = [
        each.value
        for each in marked(draft.options)
        if isinstance(each.mark, SchemaMark) and each.mark.notes
    ]
    if named:
        schema = schemas.content().get(named[0])
        return None if schema is None else fields(schema)
    return TEXT if has_mark(draft.type.options, PromptMark) else taken
