"""A memory's schema as a model proposes it: a list of fields, each of one of a few types.

A model that is to write a JSON Schema writes one that no memory can be held to; a list of fields
has few ways to be wrong, and every server can enforce its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PROPOSAL_SCHEMA", "FIELD_TYPES", "build_memory_schema"]

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
