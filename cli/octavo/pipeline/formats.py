"""What the notes of each step look like, so that conditions over them can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from octavo.pipeline.fields import has_mark, find_marked
from octavo.pipeline.problems import KeyPath
from octavo.pipeline.schemas import Schemas, list_fields, list_nested_fields
from octavo.pipeline.steps import StepDraft
from octavo.protocols.reference import PromptMark, SchemaMark

__all__ = ["TEXT_FIELDS", "StepShapes", "NoteShape", "infer_shapes"]

TEXT_FIELDS = frozenset({"text"})
"""The one name that a note of text has in a condition."""


@dataclass(frozen=True, slots=True)
class NoteShape:
    """The names that notes have in a condition, and those of the items in their lists.

    What is not known is None, or not there.
    """

    names: frozenset[str] | None
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True, slots=True)
class StepShapes:
    """What a step's input looks like, and its own replies."""

    inputs: NoteShape
    replies: NoteShape


def infer_shapes(drafts: tuple[StepDraft, ...], schemas: Schemas) -> dict[KeyPath, StepShapes]:
    """Return, for each step, what conditions may use.

    What asks a model gives text, or records where it names a schema; what does not hands on what
    it gets; a step's type may know better. `gather` begins with what `steps` gave.
    """
    names: dict[KeyPath, StepShapes] = {}
    given: dict[str, NoteShape] = {}
    before = NoteShape(TEXT_FIELDS)
    for draft in drafts:
        source = _intersect_shapes([given.get(name, NoteShape(None)) for name in draft.sources] or [before])
        asked = _infer_reply_shape(draft, source, schemas)
        names[draft.path] = StepShapes(source, asked)
        own = draft.type.fields if draft.type and draft.options else None
        try:
            known = own(draft.options) if own else None
        except AttributeError:  # options that lack what is required, which is told elsewhere
            before = given[draft.name] = NoteShape(None)
            continue
        before = given[draft.name] = asked if known is None else NoteShape(known)
    return names


def _intersect_shapes(shapes: Sequence[NoteShape]) -> NoteShape:
    """Return what is known of the notes of several steps: the names that all of them have."""
    if len(shapes) == 1:
        return shapes[0]
    names = shapes[0].names
    for shape in shapes[1:]:
        names = None if names is None or shape.names is None else names & shape.names
    return NoteShape(names)


def _infer_reply_shape(draft: StepDraft, taken: NoteShape, schemas: Schemas) -> NoteShape:
    if draft.type is None or draft.options is None:
        return NoteShape(None)
    named = [
        each.value
        for each in find_marked(draft.options)
        if isinstance(each.mark, SchemaMark) and each.mark.notes
    ]
    if named:
        schema = schemas.get_all().get(named[0])
        return NoteShape(None) if schema is None else NoteShape(list_fields(schema), list_nested_fields(schema))
    return NoteShape(TEXT_FIELDS) if has_mark(draft.type.options, PromptMark) else taken
