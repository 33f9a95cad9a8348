"""A record that fits a JSON Schema, for plans that have no reply to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from octavo.protocols import JsonSchema

__all__ = ["build_example"]

_MAX_DEPTH = 8


def build_example(schema: JsonSchema, *, words: int, mark: str = "word") -> object:
    """Return a value that fits the schema's types, enumerations and bounds.

    Its strings share about `words` words and begin with `mark`. Formats and patterns are not
    followed: nothing but a plan reads it.
    """
    return _ExampleBuilder(schema, mark).build(schema, words, 0)


@dataclass(frozen=True, slots=True)
class _ExampleBuilder:
    root: JsonSchema
    mark: str

    def build(self, schema: object, words: int, depth: int) -> object:
        node: Mapping[str, Any] = {}
        if isinstance(schema, Mapping):
            node = cast("Mapping[str, Any]", schema)
        if depth > _MAX_DEPTH:
            return None
        if "const" in node:
            return node["const"]
        if node.get("enum"):
            return node["enum"][0]
        if "$ref" in node:
            return self.build(self._resolve_reference(node["$ref"]), words, depth + 1)
        for choice in ("anyOf", "oneOf", "allOf"):
            if node.get(choice):
                return self.build(node[choice][0], words, depth + 1)
        return self._build_of_type(node, words, depth)

    def _build_of_type(self, node: Mapping[str, Any], words: int, depth: int) -> object:
        kind = node.get("type", "object" if "properties" in node else "string")
        match cast("list[str]", kind)[0] if isinstance(kind, list) else kind:
            case "object":
                fields: Mapping[str, object] = node.get("properties", {})
                share = max(1, words // max(1, len(fields)))
                return {name: self.build(each, share, depth + 1) for name, each in fields.items()}
            case "array":
                count = max(1, node.get("minItems", 1))
                return [self.build(node.get("items"), words, depth + 1)] * count
            case "integer" | "number":
                return node.get("minimum", 0)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                text = " ".join([self.mark, *["word"] * (words - 1)])
                return text[: node.get("maxLength", len(text))]

    def _resolve_reference(self, reference: object) -> object:
        node: Any = self.root
        for part in str(reference).removeprefix("#/").split("/"):
            node = cast("Mapping[str, Any]", node).get(part) if isinstance(node, Mapping) else None
        return cast("object", node)
