"""The JSON Schemas that replies of the memory step must fit.

A reply holds revisions of a memory, or proposes the memory's schema as a list of fields, each of
one of a few types. A model that is to write a JSON Schema writes one that no memory can be held to;
a list of fields has few ways to be wrong, and every server can enforce its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from octavo.steps.memory.schema_paths import collect_value_types, measure_depth

__all__ = ["FIELD_TYPES", "PROPOSAL_SCHEMA", "build_memory_schema", "build_revision_schema"]


_FIELD_SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("one text", {"type": "string"}),
    "number": ("one number", {"type": "number"}),
    "list": ("a list of texts", {"type": "array", "items": {"type": "string"}}),
    "text_by_name": (
        "one text for each of several names, such as the role of every person",
        {"type": "object", "additionalProperties": {"type": "string"}},
    ),
    "number_by_name": (
        "one number for each of several names, such as the price of every item",
        {"type": "object", "additionalProperties": {"type": "number"}},
    ),
    "list_by_name": (
        "a list of texts for each of several names, such as what every person did",
        {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    ),
}

FIELD_TYPES: Mapping[str, str] = {name: about for name, (about, _) in _FIELD_SCHEMAS.items()}
"""The types that a field may have, and what each is for."""

_MAX_FIELDS = 12

_MAX_KEY_LENGTH = 100
"""The most characters of a key in a path."""

_MAX_KEYS = 8
"""The most keys of a path, where the schema goes deeper or around in circles."""

PROPOSAL_SCHEMA: Mapping[str, Any] = {
    "title": "fields of a memory",
    "type": "object",
    "additionalProperties": False,
    "required": ["fields"],
    "properties": {
        "fields": {
            "type": "array",
            "minItems": 1,
            "maxItems": _MAX_FIELDS,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "type", "about"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "type": {"type": "string", "enum": list(_FIELD_SCHEMAS)},
                    "about": {"type": "string"},
                },
            },
        }
    },
}
"""The JSON Schema of a proposal."""


def build_memory_schema(proposal: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON Schema of the memory that a checked proposal describes.

    Of two fields of one name the first counts.
    """
    fields: dict[str, Any] = {}
    for field in proposal["fields"]:
        _, shape = _FIELD_SCHEMAS[field["type"]]
        fields.setdefault(field["name"], {**shape, "description": field["about"]})
    return {"type": "object", "additionalProperties": False, "properties": fields}


def build_revision_schema(schema: Mapping[str, Any], *, updates: bool) -> Mapping[str, Any]:
    """Return the schema of replies that revise a memory of a given schema.

    It names the types that values may have there, since a server that holds a model to a schema
    cannot know which path takes which. Without `updates` a revision may only add.
    """
    return {
        "title": "revisions",
        "type": "object",
        "additionalProperties": False,
        "required": ["revisions"],
        "properties": {
            "revisions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["path", "op", "value"],
                    "properties": {
                        "path": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": _MAX_KEY_LENGTH},
                            "maxItems": min(_MAX_KEYS, measure_depth(schema)),
                        },
                        "op": {"type": "string", "enum": ["add", "update"] if updates else ["add"]},
                        "value": _build_value_schema(schema),
                    },
                },
            }
        },
    }


def _build_value_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = collect_value_types(schema)
    if not found or "any" in found:
        return {}
    choices: list[dict[str, Any]] = []
    for kind in sorted(found):
        choice: dict[str, Any] = {"type": kind}
        if kind == "array":
            choice["items"] = {"type": sorted(found[kind])} if found[kind] else {}
        choices.append(choice)
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
