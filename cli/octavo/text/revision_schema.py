"""The JSON Schema of a reply that holds revisions of a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from octavo.text.addresses import measure_depth, collect_value_types

__all__ = ["build_revision_schema"]

_MAX_KEY_LENGTH = 100
"""The most characters of a key in a path."""
_MAX_KEYS = 8
"""The most keys of a path, where the schema goes deeper or around in circles."""


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
