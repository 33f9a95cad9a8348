"""The JSON Schemas that pipelines name: read, and checked as far as a mistyped word would show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from octavo.diagnostics import Source, make_spec_error, shorten, suggest
from octavo.errors import Position, SpecError
from octavo.pipeline.lookup import BUILTIN_PREFIX, FoundFile, Lookup
from octavo.protocols.calls import JsonSchema

__all__ = ["Schemas", "list_fields", "list_nested_fields", "parse_schema"]


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_SUBSCHEMA_WORDS: dict[str, type | None] = {
    **dict.fromkeys(("$defs", "definitions", "patternProperties", "properties"), dict),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), list),
    **dict.fromkeys(
        ("additionalProperties", "contains", "else", "if", "items", "not", "then"), None
    ),
}
"""The words that hold schemas, and whether in an object, in a list, or one itself."""

_MAX_DEPTH = 40

_TEXT = r'("(?:[^"\\]|\\.)*")'
_MEMBER = re.compile(rf"{_TEXT}\s*:\s*{_TEXT}?", re.DOTALL)


class Schemas:
    """The schemas of one pipeline."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._schemas: dict[str, JsonSchema] = {}
        self.found: dict[str, FoundFile] = {}
        """All schemas looked up so far, by the name written."""

    def get(self, name: str) -> JsonSchema:
        """Return the schema of a name, which must be one of an object.

        Raises SpecError where there is none, or at the place where it is not a JSON Schema.
        """
        if name not in self._schemas:
            self.found[name] = found = self._find(name)
            self._schemas[name] = parse_schema(found.source)
        return self._schemas[name]

    def get_all(self) -> JsonSchema:
        """Return all schemas by their names."""
        return self._schemas

    def _find(self, name: str) -> FoundFile:
        if (found := self._lookup.find_schema(name)) is not None:
            return found
        hint = suggest(name, self._lookup.list_names(".json"))
        if name.endswith(".json"):
            hint = f"write {name.removesuffix('.json')}, without .json"
        raise SpecError(
            f"there is no schema {shorten(name)!r}",
            code="unknown-schema",
            position=Position(name, 1, 1),
            hint=hint,
        )


def list_fields(schema: JsonSchema) -> frozenset[str] | None:
    """Return the fields of a schema's records, or None where the schema does not list them."""
    properties: Any = schema.get("properties")
    if not isinstance(properties, dict):
        return None
    return frozenset(cast("dict[str, Any]", properties))


def list_nested_fields(schema: JsonSchema) -> dict[str, frozenset[str]]:
    """Return the fields that are lists of records, with the fields of those, where it says so."""
    found: dict[str, frozenset[str]] = {}
    for name, node in _get_members(schema, "properties").items():
        inner = _get_members(node, "items")
        if (names := list_fields(inner)) is not None:
            found[name] = names
    return found


def _get_members(node: object, key: str) -> dict[str, Any]:
    inner: Any = cast("dict[str, Any]", node).get(key) if isinstance(node, dict) else None
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}


def parse_schema(source: Source) -> JsonSchema:
    """Parse a JSON Schema, which must describe an object.

    Raises SpecError at the place where it is not valid.
    """
    schema = _parse_json(source)
    for word, message, hint in _find_faults(schema, 0):
        raise make_spec_error(source, "bad-schema", message, 1, word=word, hint=hint)
    _require_checkable(source, schema)
    if schema.get("type") != "object":
        message = "the schema of a step's records is one of an object"
        raise make_spec_error(source, "bad-schema", message, 1, hint='add "type": "object"')
    return schema


def _parse_json(source: Source) -> dict[str, Any]:
    def reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise _DuplicateKey(key)
        return dict(pairs)

    try:
        schema = json.loads(source.text, object_pairs_hook=reject_duplicates)
    except json.JSONDecodeError as error:
        position = source.locate_line(error.lineno, error.colno)
        message = f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise SpecError(
            message, code="bad-schema", position=position, hint="correct this line"
        ) from error
    except _DuplicateKey as error:
        word = str(error)
        message = f"{shorten(word)!r} is there twice in one object"
        hint = "remove one of them"
        raise make_spec_error(source, "duplicate-key", message, 1, word=word, hint=hint) from error
    except (RecursionError, ValueError) as error:
        message = "the schema is nested too deeply, or a number in it is too long"
        raise make_spec_error(source, "bad-schema", message, 1, hint="make it simpler") from error
    if not isinstance(schema, dict):
        message = "a JSON Schema is an object"
        hint = 'write {"type": "object", "properties": {...}}'
        raise make_spec_error(source, "bad-schema", message, 1, hint=hint)
    return cast("dict[str, Any]", schema)


class _DuplicateKey(Exception):  # noqa: N818 - caught in this module
    pass


def _find_faults(schema: object, depth: int) -> Iterator[tuple[str, str, str]]:
    """Yield a word, a message and a hint for what no JSON Schema may say."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        yield "", "a schema inside this one is no object", "write an object"
        return
    node = cast("dict[str, Any]", schema)
    yield from _find_own_faults(node)
    for key in sorted(node.keys() & _SUBSCHEMA_WORDS.keys()):
        form = _SUBSCHEMA_WORDS[key]
        inner: Any = node[key]
        if form is not None and not isinstance(inner, form):
            said = "an object" if form is dict else "a list"
            yield key, f"{key!r} must be {said} of schemas", f"write {said}"
            continue
        schemas: list[Any] = list(inner.values()) if form is dict else inner if form else [inner]
        for each in schemas:
            yield from _find_faults(each, depth + 1)


def _find_own_faults(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    types = node.get("type", [])
    for each in cast("list[Any]", types) if isinstance(types, list) else [types]:
        if each not in _TYPES:
            word = str(each)
            yield word, f"{shorten(word)!r} is no type of JSON", suggest(word, _TYPES)
    required = node.get("required", [])
    properties = node.get("properties", {})
    if not isinstance(required, list):
        yield "required", "'required' must be a list of names", "write a list"
    elif isinstance(properties, dict) and node.get("additionalProperties") is False:
        names = cast("dict[str, Any]", properties)
        for each in cast("list[Any]", required):
            if each not in names:
                word = str(each)
                message = f"{shorten(word)!r} is required, but is no property"
                yield word, message, suggest(word, names)
    if "enum" in node and not (isinstance(node["enum"], list) and node["enum"]):
        yield "enum", "'enum' must be a list of values", "write a list"


def _require_checkable(source: Source, schema: JsonSchema) -> None:
    """Raise SpecError, at the keyword, for what keeps a schema from checking records."""
    # Importing the validator takes a tenth of a second, and ours are known to be good.
    if source.path.startswith(BUILTIN_PREFIX):
        return
    from octavo.pipeline.schema_checks import find_schema_faults  # noqa: PLC0415 - see above

    for fault in find_schema_faults(schema):
        position = source.locate_offset(_find_member(source.text, fault.keyword, fault.value))
        raise SpecError(fault.message, code="bad-schema", position=position, hint=fault.hint)


def _find_member(text: str, keyword: str, value: str | None) -> int:
    """Return where a keyword stands in JSON, or its value where that is given; else 0."""
    for match in _MEMBER.finditer(text):
        if json.loads(match[1]) == keyword:
            if value is None:
                return match.start(1)
            if match[2] is not None and json.loads(match[2]) == value:
                return match.start(2)
    return 0
