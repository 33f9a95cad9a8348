"""A record that fits a JSON Schema, for plans that have no reply to look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from octavo.protocols import JsonSchema

__all__ = ["example"]

_DEPTH = 8


def example(schema: JsonSchema, *, words: int) -> object:
    """Return a value that fits the schema's types, enumerations and bounds.

    Its strings share about `words` words. Formats and patterns are not followed: nothing but a
    plan reads it.
    """
    return _value(schema, schema, words, 0)


def _value(schema: object, root: JsonSchema, words: int, depth: int) -> object:
    node: Mapping[str, Any] = {}
    if isinstance(schema, Mapping):
        node = cast("Mapping[str, Any]", schema)
    if depth > _DEPTH:
        return None
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return node["enum"][0]
    if "$ref" in node:
        return _value(_target(node["$ref"], root), root, words, depth + 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if node.get(choice):
            return _value(node[choice][0], root, words, depth + 1)
    return _of_type(node, root, words, depth)


def _of_type(node: Mapping[str, Any], root: JsonSchema, words: int, depth: int) -> object:
    kind = node.get("type", "object" if "properties" in node else "string")
    match cast("list[str]", kind)[0] if isinstance(kind, list) else kind:
        case "object":
            fields: Mapping[str, object] = node.get("properties", {})
            share = max(1, words // max(1, len(fields)))
            return {name: _value(field, root, share, depth + 1) for name, field in fields.items()}
        case "array":
            count = max(1, node.get("minItems", 1))
            return [_value(node.get("items"), root, words, depth + 1)] * count
        case "integer" | "number":
            return node.get("minimum", 0)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            text = "word " * words
            return text[: node.get("maxLength", len(text))]


def _target(reference: object, root: JsonSchema) -> object:
    node: Any = root
    for part in str(reference).removeprefix("#/").split("/"):
        node = cast("Mapping[str, Any]", node).get(part, {}) if isinstance(node, Mapping) else {}
    return cast("object", node)
