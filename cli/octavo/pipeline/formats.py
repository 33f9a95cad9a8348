"""What the notes of each step look like, so that conditions over them can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from octavo.pipeline.fields import has_mark, marked
from octavo.pipeline.problems import Path
from octavo.pipeline.schemas import Schemas, fields, lists
from octavo.pipeline.steps import Draft
from octavo.protocols.reference import PromptMark, SchemaMark

__all__ = ["TEXT", "Names", "Shape", "formats"]

TEXT = frozenset({"text"})
"""The one name that a note of text has in a condition."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The names that notes have in a condition, and those of the items in their lists.

    What is not known is None, or not there.
    """

    names: frozenset[str] | None
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True, slots=True)
class Names:
    """What a step's input looks like, and its own replies."""

    taken: Shape
    asked: Shape


def formats(drafts: tuple[Draft, ...], schemas: Schemas) -> dict[Path, Names]:
    """Return, for each step, what conditions may use.

    What asks a model gives text, or records where it names a schema; what does not hands on what
    it gets; a step's type may know better. `gather` begins with what `steps` gave.
    """
    names: dict[Path, Names] = {}
    given: dict[str, Shape] = {}
    before = Shape(TEXT)
    for draft in drafts:
        source = _together([given.get(name, Shape(None)) for name in draft.sources] or [before])
        asked = _asked(draft, source, schemas)
        names[draft.path] = Names(source, asked)
        own = draft.type.fields if draft.type and draft.options else None
        try:
            known = own(draft.options) if own else None
        except AttributeError:  # options that lack what is required, which is told elsewhere
            before = given[draft.name] = Shape(None)
            continue
        before = given[draft.name] = asked if known is None else Shape(known)
    return names


def _together(shapes: Sequence[Shape]) -> Shape:
    """Return what is known of the notes of several steps: the names that all of them have."""
    if len(shapes) == 1:
        return shapes[0]
    names = shapes[0].names
    for shape in shapes[1:]:
        names = None if names is None or shape.names is None else names & shape.names
    return Shape(names)


def _asked(draft: Draft, taken: Shape, schemas: Schemas) -> Shape:
    if draft.type is None or draft.options is None:
        return Shape(None)
    named = [
        each.value
        for each in marked(draft.options)
        if isinstance(each.mark, SchemaMark) and each.mark.notes
    ]
    if named:
        schema = schemas.content().get(named[0])
        return Shape(None) if schema is None else Shape(fields(schema), lists(schema))
    return Shape(TEXT) if has_mark(draft.type.options, PromptMark) else taken
