"""References inside a JSON Schema that is put into another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

__all__ = ["rebase_references"]


def rebase_references(schema: object, place: str) -> object:
    """Return a schema for a place in another one: its references, which count from the root, too.

    `place` is a reference itself, such as `#/$defs/record`. References to anchors hold anywhere,
    and in a schema with an `$id` of its own they count from there. What stands in `const`, `enum`,
    `default` or `examples` is a value and no schema.
    """
    from octavo.pipeline.schema_validator import (  # noqa: PLC0415 - it imports jsonschema
        DATA_KEYWORDS,
        NAMED_KEYWORDS,
    )

    if isinstance(schema, list):
        return [rebase_references(each, place) for each in cast("list[object]", schema)]
    if not isinstance(schema, Mapping) or isinstance(schema.get("$id"), str):  # pyright: ignore[reportUnknownMemberType] - JSON
        return cast("object", schema)
    moved: dict[str, object] = {}
    for key, value in cast("Mapping[str, object]", schema).items():
        is_pointer = isinstance(value, str) and (value == "#" or value.startswith("#/"))
        if key in DATA_KEYWORDS:
            moved[key] = value
        elif is_pointer and key in {"$ref", "$dynamicRef", "$recursiveRef"}:
            moved["$ref" if key == "$recursiveRef" else key] = place + str(value)[1:]
        elif key in NAMED_KEYWORDS and isinstance(value, Mapping):
            members = cast("Mapping[str, object]", value)
            moved[key] = {name: rebase_references(each, place) for name, each in members.items()}
        else:
            moved[key] = rebase_references(value, place)
    return moved
