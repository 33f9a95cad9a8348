"""Truncated records: bounds that let a record end in time, and the whole part of one that met them.

A model that was cut inside a record is asked again with bounded strings and lists: a server that
holds it to the schema then closes each in time, and any other model is told how much room there is.
What met a bound is incomplete, as a cut text is: a text ends at its last complete sentence, or word
where it is long and has none; a short one is no value; and a full list may lack what would have
come next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from octavo.engine.calls.reply_status import find_complete_end
from octavo.protocols import JsonSchema

__all__ = ["Truncated", "bound_schema", "ends_at_bound", "trim_to_bounds"]


_SAFE_SHARE = 0.75
"""The share taken of what a cut reply had room for, since another may be spelt in more tokens."""

_PER_TOKEN = (1, 3)
"""Characters that a token is taken to have at least and at most, whatever a cut reply had."""

_ROOM_STEP = 128
"""Rooms come in so many characters, since a server prepares itself for every other schema anew."""

_SHORT_LIST = 8
"""A list of at most so many items is left as long as it may be."""

_MIN_CHARACTERS = 60
"""Characters that every string may have; a shorter bound is a format's and not one of these."""

_DEFAULT_CHARACTERS = 200
"""The share of a string without a bound of its own, beside those with one; prose has that at least,
where a name has less."""

_SHARED_ITEMS = 4
"""How many of its items a list has a share for."""

_SYNTAX_CHARACTERS = 4
"""Characters that a value takes beside itself: quotes, a colon or comma, and a blank."""

_MAX_DEPTH = 20
_SHORT_TYPES = ("integer", "number", "boolean", "null")


class Truncated(ValueError):  # noqa: N818 - a property of a value
    """Nothing is left of a value: it met a bound, and no part of it is whole."""


def bound_schema(schema: JsonSchema, reply: str, tokens: int) -> JsonSchema:
    """Return a schema whose records are shorter than a reply that was cut at so many tokens.

    Bounds that it has are kept or lowered. What has no bound in JSON Schema that servers enforce,
    such as the keys of an open object, stays as it is.
    """
    least, most = _PER_TOKEN
    room = int(_SAFE_SHARE * min(max(len(reply), least * tokens), most * tokens))
    fitted = _fit_schema(schema, max(_ROOM_STEP, room // _ROOM_STEP * _ROOM_STEP), 0)
    for word in ("$defs", "definitions"):
        if isinstance(inner := schema.get(word), dict):
            named = cast("dict[str, JsonSchema]", inner)
            fitted[word] = {
                name: _fit_schema(each, _DEFAULT_CHARACTERS * 2, 0) for name, each in named.items()
            }
    return fitted


def trim_to_bounds(value: Any, bounds: JsonSchema, own: JsonSchema) -> tuple[Any, list[str]]:  # noqa: ANN401 - a JSON value
    """Return what is whole of a value that was held to `bounds`, and what is not, in words.

    `own` is the schema that the bounds were made of; a list that is full by that is whole. Raises
    Truncated when nothing is left.
    """
    cut = _Trimmer(bounds, own)
    return cut.trim(value, bounds, own, "the record"), cut.remarks


def ends_at_bound(value: object, schema: JsonSchema) -> bool:
    """Tell whether a text of a record ends where its schema ends it, and not with a sentence."""
    return _ends_at_bound(value, schema, schema)


def _ends_at_bound(value: object, schema: JsonSchema, root: JsonSchema) -> bool:
    schema = _resolve_schema(value, schema, root)
    if isinstance(value, str):
        return _is_cut_at_bound(value, schema)
    return any(
        _ends_at_bound(inner, node, root) for inner, node in _iterate_children(value, schema)
    )


def _resolve_schema(
    value: object, schema: JsonSchema, root: JsonSchema, depth: int = 0
) -> JsonSchema:
    """Return what a value is held to: what its schema refers to, and of choices that of its kind.

    `root` is the whole schema, which has the definitions.
    """
    if depth > _MAX_DEPTH:
        return {}
    if "$ref" in schema:
        found = {**_resolve_reference(schema["$ref"], root), **_drop_keyword("$ref", schema)}
        return _resolve_schema(value, found, root, depth + 1)
    word = next((each for each in ("anyOf", "oneOf") if each in schema), None)
    if word is None:
        return schema
    for each in schema[word]:
        choice = _resolve_schema(value, _as_node(each), root, depth + 1)
        if _accepts(choice, value):
            return {
                **choice,
                **_resolve_schema(value, _drop_keyword(word, schema), root, depth + 1),
            }
    return _drop_keyword(word, schema)


def _resolve_reference(name: object, root: JsonSchema) -> JsonSchema:
    found: JsonSchema = root
    for word in str(name).removeprefix("#").strip("/").split("/"):
        found = _as_node(found.get(word.replace("~1", "/").replace("~0", "~")))
    return found


def _drop_keyword(word: str, schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key != word}


def _accepts(schema: JsonSchema, value: object) -> bool:
    """Tell whether a value is of the kind that a choice is of, as far as bounds need to know."""
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if isinstance(value, str):
        most = schema.get("maxLength", len(value))
        return _is_of_type("string", schema) and len(value) <= most
    if isinstance(value, list):
        return _is_of_type("array", schema)
    if isinstance(value, Mapping):
        keys, fields = set(cast("Mapping[str, object]", value)), _as_node(schema.get("properties"))
        closed = schema.get("additionalProperties") is False
        whole = keys.issuperset(schema.get("required", ()))
        return _is_of_type("object", schema) and whole and (not closed or keys <= fields.keys())
    return False


def _iterate_children(value: object, schema: JsonSchema) -> Iterator[tuple[object, JsonSchema]]:
    if isinstance(value, list):
        for each in cast("list[object]", value):
            yield each, _as_node(schema.get("items"))
    elif isinstance(value, Mapping):
        fields = _as_node(schema.get("properties"))
        for name, each in cast("Mapping[str, object]", value).items():
            yield each, _as_node(fields.get(name))


def _is_cut_at_bound(text: str, schema: JsonSchema) -> bool:
    most = schema.get("maxLength")
    if not isinstance(most, int) or most < _MIN_CHARACTERS or len(text) != most:
        return False
    return find_complete_end(text) < len(text)


class _Trimmer:
    """Takes what is whole of a value, held to `bounds`, which were made of `own`; says the rest."""

    def __init__(self, bounds: JsonSchema, own: JsonSchema) -> None:
        self.remarks: list[str] = []
        self._bounds = bounds
        self._own = own

    def trim(self, value: Any, bounds: JsonSchema, own: JsonSchema, name: str) -> Any:  # noqa: ANN401 - a JSON value
        """Return what is whole of a value inside; raises Truncated when nothing is."""
        bounds = _resolve_schema(value, bounds, self._bounds)
        own = _resolve_schema(value, own, self._own)
        if isinstance(value, str):
            return self._shorten(value, name) if _is_cut_at_bound(value, bounds) else value
        if isinstance(value, list):
            return self._trim_items(cast("list[Any]", value), bounds, own, name)
        if not isinstance(value, Mapping):
            return value
        fields, before = _as_node(bounds.get("properties")), _as_node(own.get("properties"))
        found: dict[str, Any] = {}
        for key, each in cast("Mapping[str, Any]", value).items():
            try:
                found[key] = self.trim(
                    each, _as_node(fields.get(key)), _as_node(before.get(key)), key
                )
            except Truncated:
                if key in own.get("required", ()):
                    raise
                self.remarks.append(f"{key} is left out")
        return found

    def _shorten(self, text: str, name: str) -> str:
        if end := find_complete_end(text):
            self.remarks.append(f"{name} ends at its last complete sentence")
            return text[:end]
        words = text.rsplit(maxsplit=1)
        if len(text) < _DEFAULT_CHARACTERS or len(words) < 2:
            raise Truncated(name)
        self.remarks.append(f"{name} has no sentence that ends, and stops at a word")
        return words[0]

    def _trim_items(
        self, items: list[Any], bounds: JsonSchema, own: JsonSchema, name: str
    ) -> list[Any]:
        inner, before = _as_node(bounds.get("items")), _as_node(own.get("items"))
        most = bounds.get("maxItems")
        if most != own.get("maxItems") and len(items) == most:
            self.remarks.append(f"{name} is full at {most} and may lack some")
        found: list[Any] = []
        for each in items:
            try:
                found.append(self.trim(each, inner, before, name))
            except Truncated:
                self.remarks.append(f"one of {name} is left out")
        return found


def _as_node(schema: object) -> JsonSchema:
    return cast("JsonSchema", schema) if isinstance(schema, Mapping) else {}


def _is_of_type(kind: str, schema: JsonSchema) -> bool:
    named: object = schema.get("type")
    if isinstance(named, list):
        return kind in named
    by_word = {"object": "properties", "array": "items"}
    return named == kind if named is not None else by_word.get(kind) in schema


def _fit_schema(schema: object, room: int, depth: int) -> dict[str, Any]:
    """Return a schema whose values take about `room` characters."""
    node = dict(_as_node(schema))
    if depth > _MAX_DEPTH or "enum" in node or "const" in node or "$ref" in node:
        return node
    for word in ("anyOf", "oneOf"):
        if word in node:
            choices: list[JsonSchema] = [_as_node(each) for each in node[word]]
            # An open object has no end that could be set; what may be another thing is that.
            closed = [each for each in choices if not _is_open(each)]
            node[word] = [_fit_schema(each, room, depth + 1) for each in closed or choices]
    if _is_of_type("string", node) and not node.keys() & {"format", "pattern"}:
        most = max(_MIN_CHARACTERS, room - _SYNTAX_CHARACTERS, node.get("minLength", 0))
        node["maxLength"] = min(most, node.get("maxLength", most))
    if _is_of_type("array", node) and "items" in node:
        most = max(
            1,
            node.get("minItems", 1),
            room // (_estimate_width(node["items"], depth) + _SYNTAX_CHARACTERS),
        )
        own = node.get("maxItems", most)
        node["maxItems"] = most = own if own <= _SHORT_LIST else min(most, own)
        node["items"] = _fit_schema(
            node["items"], room // max(1, most) - _SYNTAX_CHARACTERS, depth + 1
        )
    if "properties" in node:
        node["properties"] = _share_room(_as_node(node["properties"]), room, depth)
    return node


def _is_open(schema: JsonSchema) -> bool:
    return _is_of_type("object", schema) and "properties" not in schema


def _share_room(fields: JsonSchema, room: int, depth: int) -> dict[str, Any]:
    """Return the schemas of an object's fields, each with its share of the room."""
    left = room - sum(len(name) + 2 * _SYNTAX_CHARACTERS for name in fields)
    weights = {name: _estimate_weight(_as_node(each), depth) for name, each in fields.items()}
    whole = sum(weights.values()) or 1
    return {
        name: _fit_schema(each, left * weights[name] // whole, depth + 1)
        for name, each in fields.items()
    }


def _estimate_weight(node: JsonSchema, depth: int) -> int:
    if depth > _MAX_DEPTH:
        return _MIN_CHARACTERS
    if choices := node.get("anyOf", node.get("oneOf")):
        return max(_estimate_weight(_as_node(each), depth + 1) for each in choices)
    if _is_of_type("array", node):
        usual = min(_SHARED_ITEMS, node.get("maxItems", _SHARED_ITEMS))
        return usual * (_estimate_width(node.get("items"), depth) + _SYNTAX_CHARACTERS)
    if _is_of_type("string", node) and "enum" not in node:
        return min(_DEFAULT_CHARACTERS * 20, node.get("maxLength", _DEFAULT_CHARACTERS))
    return _estimate_width(node, depth)


def _estimate_width(schema: object, depth: int) -> int:
    """Return the characters that a value of a schema needs, with its texts short."""
    node = _as_node(schema)
    if depth > _MAX_DEPTH:
        return _MIN_CHARACTERS
    if choices := node.get("anyOf", node.get("oneOf")):
        return max(_estimate_width(each, depth + 1) for each in choices)
    if "properties" in node:
        fields = _as_node(node["properties"])
        return sum(
            len(name) + 2 * _SYNTAX_CHARACTERS + _estimate_width(each, depth + 1)
            for name, each in fields.items()
        )
    if _is_of_type("array", node):
        own = node.get("maxItems", 1)
        return (own if own <= _SHORT_LIST else 1) * (
            _estimate_width(node.get("items"), depth + 1) + _SYNTAX_CHARACTERS
        )
    return _SYNTAX_CHARACTERS + _estimate_plain_width(node)


def _estimate_plain_width(node: JsonSchema) -> int:
    if "enum" in node:
        return max((len(str(each)) for each in node["enum"]), default=0)
    if not _is_of_type("string", node) and any(
        map(partial(_is_of_type, schema=node), _SHORT_TYPES)
    ):
        return _SYNTAX_CHARACTERS
    return min(_MIN_CHARACTERS, node.get("maxLength", _MIN_CHARACTERS))
