"""References inside a JSON Schema that is put into another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

__all__ = ["rebase_references"]


def rebase_references(schema: object, place: str) -> object:
    """Return a schema for a place in another one: its references, which count from the root, too.

    `place` is a reference itself, such as `#/$defs/record`.
    """
    if isinstance(schema, list):
        return [rebase_references(each, place) for each in cast("list[object]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    moved: dict[str, object] = {}
    for key, value in cast("Mapping[str, object]", schema).items():
        if key == "$ref" and isinstance(value, str) and value.startswith("#"):
            moved[key] = place + value[1:]
        else:
            moved[key] = rebase_references(value, place)
    return moved
