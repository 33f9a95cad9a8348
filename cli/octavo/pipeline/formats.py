"""What the notes of each step look like, so that conditions over them can be checked."""

from __future__ import annotations

from octavo.pipeline.fields import has_mark, marked
from octavo.pipeline.problems import Path
from octavo.pipeline.schemas import Schemas, fields
from octavo.pipeline.steps import Draft
from octavo.protocols.reference import PromptMark, SchemaMark

__all__ = ["TEXT", "formats"]

TEXT = frozenset({"text"})
"""The one name that a note of text has in a condition."""


def formats(drafts: tuple[Draft, ...], schemas: Schemas) -> dict[Path, frozenset[str] | None]:
    """Return, for each step, the names that its input has in a condition; None is not known.

    What asks a model gives text, or records where it names a schema; what does not hands on what
    it gets. `gather` begins with what `steps` gave.
    """
    taken: dict[Path, frozenset[str] | None] = {}
    given: dict[str, frozenset[str] | None] = {}
    before: frozenset[str] | None = TEXT
    for draft in drafts:
        source = before if draft.source is None else given.get(draft.source)
        taken[draft.path] = source
        before = given[draft.name] = _given(draft, source, schemas)
    return taken


def _given(draft: Draft, taken: frozenset[str] | None, schemas: Schemas) -> frozenset[str] | None:
    if draft.type is None or draft.options is None:
        return None
    named = [each.value for each in marked(draft.options) if isinstance(each.mark, SchemaMark)]
    if named:
        schema = schemas.content().get(named[0])
        return None if schema is None else fields(schema)
    return TEXT if has_mark(draft.type.options, PromptMark) else taken
