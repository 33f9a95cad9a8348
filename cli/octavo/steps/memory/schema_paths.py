"""The paths that a JSON Schema defines, and whether a value is valid at one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from octavo.text.pattern import BadPattern, search_pattern

__all__ = ["collect_value_types", "find_misfit", "find_subschema", "measure_depth"]


_Schema = Mapping[str, Any]

_CHOICES = ("anyOf", "oneOf", "allOf")
_MAX_STEPS = 16
"""How many references and choices may stand between two keys of a path."""

_PATTERN_SECONDS = 1.0

_COMPLETENESS_KEYWORDS = frozenset(
    {"contains", "dependentRequired", "minItems", "minProperties", "required"}
)
"""What a value may still lack: a memory is filled piece by piece."""


def find_subschema(schema: _Schema, path: Sequence[str]) -> _Schema | None:
    """Return the schema of the value at a path, or None if the schema has no such path.

    Items of lists are addressed by their number. An object without `properties` takes any key.
    """
    subschema: _Schema | None = schema
    for key in path:
        subschema = _descend(schema, subschema, key, 0)
        if subschema is None:
            return None
    return _resolve_target(schema, subschema or {}, 0)


def find_misfit(schema: _Schema, subschema: _Schema, value: object) -> str | None:
    """Return the error of a value at a place of the schema, or None.

    What is only missing (required fields, a least number of items) is not wrong: it may follow.
    """
    from octavo.pipeline.schema_validator import (  # noqa: PLC0415 - only for records
        UncheckableValue,
        build_validator,
    )

    try:
        errors = build_validator(json.dumps(schema, sort_keys=True)).list_errors(value, subschema)
    except UncheckableValue as error:
        return f"it cannot be checked: {error}"
    for error in errors:
        if error.validator not in _COMPLETENESS_KEYWORDS:
            return str(error.message)[:200]
    return None


def collect_value_types(schema: _Schema) -> dict[str, frozenset[str]]:
    """Return the JSON types that stand anywhere below the root; for arrays, those of their items.

    The items' types are under `array`, none when they may be anything; every other type has none.
    The type of a value that may be anything is `any`.
    """
    found: dict[str, set[str]] = {}
    for node, inside in _iter_subschemas(schema, schema, set()):
        is_open = (
            not _read_types(node) and "$ref" not in node and not any(c in node for c in _CHOICES)
        )
        for kind in ("any",) if is_open else _read_types(node):
            items = found.setdefault(kind, set())
            if kind == "array":
                items.update(_read_types(_resolve_target(schema, inside, 0)))
    return {kind: frozenset(items) for kind, items in found.items()}


def measure_depth(schema: _Schema) -> int:
    """Return how many keys the longest path has; 16 where the schema refers to parts of itself."""
    if "$ref" in schema:
        return _MAX_STEPS
    choice_depths = [
        measure_depth(choice) for keyword in _CHOICES for choice in schema.get(keyword, ())
    ]
    children: list[object] = [
        *schema.get("properties", {}).values(),
        *schema.get("patternProperties", {}).values(),
        *schema.get("prefixItems", ()),
        *(schema[key] for key in ("additionalProperties", "items") if key in schema),
    ]
    if not children and {"array", "object"} & {*_read_types(schema)}:
        children = [True]  # an open object, or list, has keys of its own
    child_depths = [
        1 + measure_depth(each) for part in children if (each := _as_schema(part)) is not None
    ]
    return min(_MAX_STEPS, max([*choice_depths, *child_depths], default=0))


def _descend(root: _Schema, node: _Schema | None, key: str, depth: int) -> _Schema | None:
    if node is None or depth > _MAX_STEPS:
        return None
    if "$ref" in node:
        return _descend(root, _resolve_reference(root, node), key, depth + 1)
    own = _find_own_subschema(node, key)
    if own is not None:
        return own
    for keyword in _CHOICES:
        for choice in node.get(keyword, ()):
            if (found := _descend(root, choice, key, depth + 1)) is not None:
                return found
    return None


def _find_own_subschema(node: _Schema, key: str) -> _Schema | None:
    fields = node.get("properties", {})
    if key in fields:
        return _as_schema(fields[key])
    for pattern, each in node.get("patternProperties", {}).items():
        if _matches(pattern, key):
            return _as_schema(each)
    if "additionalProperties" in node:
        return _as_schema(node["additionalProperties"])
    types = _read_types(node)
    if "array" in types and key.isdecimal():
        first: Sequence[Any] = node.get("prefixItems", ())
        number = int(key[:9])
        return _as_schema(first[number] if number < len(first) else node.get("items", True))
    free = "object" in types and not fields and "patternProperties" not in node
    return {} if free else None


def _matches(pattern: str, key: str) -> bool:
    try:
        return search_pattern(pattern, key, _PATTERN_SECONDS)
    except BadPattern:
        return False


def _as_schema(schema: object) -> _Schema | None:
    if isinstance(schema, bool):
        return {} if schema else None
    return cast("_Schema", schema)


def _resolve_target(root: _Schema, node: _Schema, depth: int) -> _Schema:
    if "$ref" in node and depth < _MAX_STEPS:
        return _resolve_target(root, _resolve_reference(root, node) or {}, depth + 1)
    return node


def _resolve_reference(root: _Schema, node: _Schema) -> _Schema | None:
    subschema: Any = root
    for part in str(node["$ref"]).removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if name:
            subschema = (
                cast("_Schema", subschema).get(name) if isinstance(subschema, Mapping) else None
            )
    return _as_schema(subschema) if subschema is not None else None


def _read_types(node: _Schema) -> tuple[str, ...]:
    kind: Any = node.get("type")
    if kind is None:
        if "properties" in node or "additionalProperties" in node:
            return ("object",)
        return ("array",) if "items" in node or "prefixItems" in node else ()
    return tuple(cast("list[str]", kind)) if isinstance(kind, list) else (str(kind),)


def _iter_subschemas(
    root: _Schema, node: _Schema, seen: set[int]
) -> Iterator[tuple[_Schema, _Schema]]:
    """Yield every schema below one, and the schema of its items."""
    if id(node) in seen:
        return
    seen.add(id(node))
    inner: list[object] = [
        *node.get("properties", {}).values(),
        *node.get("patternProperties", {}).values(),
        *node.get("prefixItems", ()),
        *(node[key] for key in ("additionalProperties", "items") if key in node),
        *(choice for keyword in _CHOICES for choice in node.get(keyword, ())),
    ]
    if "$ref" in node and (referred := _resolve_reference(root, node)) is not None:
        inner.append(referred)
    for each in inner:
        if (schema := _as_schema(each)) is not None:
            yield schema, _as_schema(schema.get("items", True)) or {}
            yield from _iter_subschemas(root, schema, seen)
