"""The schema of a reply that lists records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from octavo.protocols import JsonSchema

__all__ = ["list_schema"]

_MAX_QUOTE_CHARS = 600
"""The most characters of a quote; the prompt asks for one or two sentences."""


def list_schema(record: JsonSchema) -> JsonSchema:
    """Return the schema of a list of records, each behind the words that it is taken from."""
    item: JsonSchema = record
    beside: dict[str, Any] = {}
    if '"$ref"' in json.dumps(record):
        # A reference counts from the root, where the record no longer is.
        item, beside = {"$ref": "#/$defs/record"}, {"$defs": {"record": _rebase_references(record)}}
    quoted = {
        "type": "object",
        "properties": {"quote": {"type": "string", "maxLength": _MAX_QUOTE_CHARS}, "record": item},
        "required": ["quote", "record"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"records": {"type": "array", "items": quoted}},
        "required": ["records"],
        "additionalProperties": False,
        **beside,
    }


def _rebase_references(node: object) -> object:
    """Return a schema whose references find their targets below `$defs/record`."""
    if isinstance(node, list):
        return [_rebase_references(each) for each in cast("list[object]", node)]
    if not isinstance(node, Mapping):
        return node
    moved: dict[str, object] = {}
    for name, each in cast("Mapping[str, object]", node).items():
        local = name == "$ref" and isinstance(each, str)
        moved[name] = f"#/$defs/record{str(each)[1:]}" if local else _rebase_references(each)
    return moved
