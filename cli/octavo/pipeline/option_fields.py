"""Finds options in a model: names at a location, and options with marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel

from octavo.protocols.options import ChunkerMark, ExpressionMark, PromptMark, SchemaMark, StepMark

__all__ = [
    "MarkedOption",
    "OptionMark",
    "find_chunker_field",
    "find_marked",
    "has_mark",
    "list_names_at",
]


OptionMark = PromptMark | SchemaMark | ExpressionMark | ChunkerMark | StepMark


class MarkedOption(NamedTuple):
    """A marked option's value, its mark, and the path to it."""

    path: tuple[str | int, ...]
    mark: OptionMark
    value: Any


def list_names_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    """Return the names of the options at a pydantic location in a model."""
    at: list[Any] = [model]
    for step in loc:
        at = [inner for each in at for inner in _iter_inside(each, step)] or at
    names: set[str] = set()
    for each in at:
        names.update(_iter_aliases(each) if isinstance(each, type) else ())
    return names


def find_marked(options: BaseModel) -> Iterator[MarkedOption]:
    """Yield the marked values of options and of the options inside them; None is no value."""
    for name, field in type(options).model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, OptionMark)]
        mark = marks[-1] if marks else next(_iter_marks(field.annotation), None)
        yield from _iter_marked_values((field.alias or name,), mark, getattr(options, name, None))


def has_mark(model: type[BaseModel], kind: type[OptionMark]) -> bool:
    """Tell whether a model has an option with a mark of this kind."""
    return any(
        isinstance(mark, kind)
        for field in model.model_fields.values()
        for mark in (*field.metadata, *_iter_marks(field.annotation))
    )


def find_chunker_field(model: type[BaseModel]) -> str | None:
    """Return the name of the option that names a chunker, if there is one."""
    for name, field in model.model_fields.items():
        if any(isinstance(mark, ChunkerMark) for mark in field.metadata):
            return name
    return None


def _iter_marked_values(
    path: tuple[str | int, ...],
    mark: OptionMark | None,
    value: Any,  # noqa: ANN401 - an option of any type
) -> Iterator[MarkedOption]:
    if value is None:
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(cast("Sequence[Any]", value)):
            yield from _iter_marked_values((*path, index), mark, item)
    elif mark is not None:
        yield MarkedOption(path, mark, value)
    elif isinstance(value, BaseModel):
        for inner in find_marked(value):
            yield MarkedOption((*path, *inner.path), inner.mark, inner.value)


def _iter_marks(annotation: Any) -> Iterator[OptionMark]:  # noqa: ANN401 - a type of any form
    for argument in get_args(annotation):
        if isinstance(argument, OptionMark):
            yield argument
        else:
            yield from _iter_marks(argument)


def _iter_aliases(model: type) -> Iterator[str]:
    if issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield field.alias or name


def _iter_inside(annotation: Any, step: str | int) -> Iterator[Any]:  # noqa: ANN401 - the same
    fields = getattr(annotation, "model_fields", {})
    if step in fields:
        yield from _iter_members(fields[step].annotation)
    elif get_origin(annotation) in (dict, list, tuple):
        yield from _iter_members(get_args(annotation)[-1])
    elif getattr(annotation, "__name__", None) == step:
        yield annotation


def _iter_members(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - the same
    """Yield the models, lists and mappings that a value may be."""
    if get_origin(annotation) in (dict, list, tuple) or hasattr(annotation, "model_fields"):
        yield annotation
    else:
        for each in get_args(annotation):
            yield from _iter_members(each)
