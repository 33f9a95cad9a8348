"""Bounds within which a record ends before its tokens do, and what is left of one that met them.

A model that was cut inside a record is asked again with bounded strings and lists: a server that
holds it to the schema then closes each in time, and any other model is told how much there is room
for. What met a bound is incomplete, as a cut text is: a text ends at its last complete sentence, or
word where it is long and has none; a short one is no value; and a full list may lack what would
have come next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from octavo.engine.verdict import complete_part
from octavo.protocols import JsonSchema

__all__ = ["Curtailed", "bounded", "curtailed", "ends_at_bound"]

_SURE = 0.75
"""The share taken of what a cut reply had room for, since another may be spelt in more tokens."""
_PER_TOKEN = (1, 3)
"""Characters that a token is taken to have at least and at most, whatever a cut reply had."""
_STEP = 128
"""Rooms come in so many characters, since a server prepares itself for every other schema anew."""
_FEW = 8
"""A list of at most so many items is left as long as it may be."""
_LEAST = 60
"""Characters that every string may have; a shorter bound is a format's and not one of these."""
_USUAL = 200
"""The share of a string without a bound of its own, beside those with one; prose has that at least,
where a name has less."""
_LISTS = 4
"""How many of its items a list has a share for."""
_MARKS = 4
"""Characters that a value takes beside itself: quotes, a colon or comma, and a blank."""
_DEEPEST = 20
_SHORT = ("integer", "number", "boolean", "null")


class Curtailed(ValueError):  # noqa: N818 - a property of a value
    """Nothing is left of a value: it met a bound, and no part of it is whole."""


def bounded(schema: JsonSchema, reply: str, tokens: int) -> JsonSchema:
    """Return a schema whose records are shorter than a reply that was cut at so many tokens.

    Bounds that it has are kept or lowered. What has no bound in JSON Schema that servers enforce,
    such as the keys of an open object, stays as it is.
    """
    least, most = _PER_TOKEN
    room = int(_SURE * min(max(len(reply), least * tokens), most * tokens))
    fitted = _fitted(schema, max(_STEP, room // _STEP * _STEP), 0)
    for word in ("$defs", "definitions"):
        if isinstance(inner := schema.get(word), dict):
            named = cast("dict[str, JsonSchema]", inner)
            fitted[word] = {name: _fitted(each, _USUAL * 2, 0) for name, each in named.items()}
    return fitted


def curtailed(value: Any, bounds: JsonSchema, own: JsonSchema) -> tuple[Any, list[str]]:  # noqa: ANN401 - a JSON value
    """Return what is whole of a value that was held to `bounds`, and what is not, in words.

    `own` is the schema that the bounds were made of; a list that is full by that is whole. Raises
    Curtailed when nothing is left.
    """
    cut = _Cut(bounds, own)
    return cut.whole(value, bounds, own, "the record"), cut.said


def ends_at_bound(value: object, schema: JsonSchema) -> bool:
    """Tell whether a text of a record ends where its schema ends it, and not with a sentence."""
    return _ends_at_bound(value, schema, schema)


def _ends_at_bound(value: object, schema: JsonSchema, root: JsonSchema) -> bool:
    schema = _held_to(value, schema, root)
    if isinstance(value, str):
        return _is_cut(value, schema)
    return any(_ends_at_bound(inner, node, root) for inner, node in _inside(value, schema))


def _held_to(value: object, schema: JsonSchema, root: JsonSchema, depth: int = 0) -> JsonSchema:
    """Return what a value is held to: what its schema refers to, and of choices that of its kind.

    `root` is the whole schema, which has the definitions.
    """
    if depth > _DEEPEST:
        return {}
    if "$ref" in schema:
        found = {**_referred(schema["$ref"], root), **_without("$ref", schema)}
        return _held_to(value, found, root, depth + 1)
    word = next((each for each in ("anyOf", "oneOf") if each in schema), None)
    if word is None:
        return schema
    for each in schema[word]:
        choice = _held_to(value, _node(each), root, depth + 1)
        if _takes(choice, value):
            return {**choice, **_held_to(value, _without(word, schema), root, depth + 1)}
    return _without(word, schema)


def _referred(name: object, root: JsonSchema) -> JsonSchema:
    found: JsonSchema = root
    for word in str(name).removeprefix("#").strip("/").split("/"):
        found = _node(found.get(word.replace("~1", "/").replace("~0", "~")))
    return found


def _without(word: str, schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key != word}


def _takes(schema: JsonSchema, value: object) -> bool:
    """Tell whether a value is of the kind that a choice is of, as far as bounds need to know."""
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if isinstance(value, str):
        most = schema.get("maxLength", len(value))
        return _is("string", schema) and len(value) <= most
    if isinstance(value, list):
        return _is("array", schema)
    if isinstance(value, Mapping):
        keys, fields = set(cast("Mapping[str, object]", value)), _node(schema.get("properties"))
        closed = schema.get("additionalProperties") is False
        whole = keys.issuperset(schema.get("required", ()))
        return _is("object", schema) and whole and (not closed or keys <= fields.keys())
    return False


def _inside(value: object, schema: JsonSchema) -> Iterator[tuple[object, JsonSchema]]:
    if isinstance(value, list):
        for each in cast("list[object]", value):
            yield each, _node(schema.get("items"))
    elif isinstance(value, Mapping):
        fields = _node(schema.get("properties"))
        for name, each in cast("Mapping[str, object]", value).items():
            yield each, _node(fields.get(name))


def _is_cut(text: str, schema: JsonSchema) -> bool:
    most = schema.get("maxLength")
    if not isinstance(most, int) or most < _LEAST or len(text) != most:
        return False
    return complete_part(text) < len(text)


class _Cut:
    """Takes what is whole of a value, held to `bounds`, which were made of `own`; says the rest."""

    def __init__(self, bounds: JsonSchema, own: JsonSchema) -> None:
        self.said: list[str] = []
        self._bounds = bounds
        self._own = own

    def whole(self, value: Any, bounds: JsonSchema, own: JsonSchema, name: str) -> Any:  # noqa: ANN401 - a JSON value
        """Return what is whole of a value inside; raises Curtailed when nothing is."""
        bounds = _held_to(value, bounds, self._bounds)
        own = _held_to(value, own, self._own)
        if isinstance(value, str):
            return self._shortened(value, name) if _is_cut(value, bounds) else value
        if isinstance(value, list):
            return self._whole_items(cast("list[Any]", value), bounds, own, name)
        if not isinstance(value, Mapping):
            return value
        fields, before = _node(bounds.get("properties")), _node(own.get("properties"))
        found: dict[str, Any] = {}
        for key, each in cast("Mapping[str, Any]", value).items():
            try:
                found[key] = self.whole(each, _node(fields.get(key)), _node(before.get(key)), key)
            except Curtailed:
                if key in own.get("required", ()):
                    raise
                self.said.append(f"{key} is left out")
        return found

    def _shortened(self, text: str, name: str) -> str:
        if end := complete_part(text):
            self.said.append(f"{name} ends at its last complete sentence")
            return text[:end]
        words = text.rsplit(maxsplit=1)
        if len(text) < _USUAL or len(words) < 2:
            raise Curtailed(name)
        self.said.append(f"{name} has no sentence that ends, and stops at a word")
        return words[0]

    def _whole_items(
        self, items: list[Any], bounds: JsonSchema, own: JsonSchema, name: str
    ) -> list[Any]:
        inner, before = _node(bounds.get("items")), _node(own.get("items"))
        most = bounds.get("maxItems")
        if most != own.get("maxItems") and len(items) == most:
            self.said.append(f"{name} is full at {most} and may lack some")
        found: list[Any] = []
        for each in items:
            try:
                found.append(self.whole(each, inner, before, name))
            except Curtailed:
                self.said.append(f"one of {name} is left out")
        return found


def _node(schema: object) -> JsonSchema:
    return cast("JsonSchema", schema) if isinstance(schema, Mapping) else {}


def _is(kind: str, schema: JsonSchema) -> bool:
    named: object = schema.get("type")
    if isinstance(named, list):
        return kind in named
    by_word = {"object": "properties", "array": "items"}
    return named == kind if named is not None else by_word.get(kind) in schema


def _fitted(schema: object, room: int, depth: int) -> dict[str, Any]:
    """Return a schema whose values take about `room` characters."""
    node = dict(_node(schema))
    if depth > _DEEPEST or "enum" in node or "const" in node or "$ref" in node:
        return node
    for word in ("anyOf", "oneOf"):
        if word in node:
            choices: list[JsonSchema] = [_node(each) for each in node[word]]
            # An open object has no end that could be set; what may be another thing is that.
            closed = [each for each in choices if not _is_open(each)]
            node[word] = [_fitted(each, room, depth + 1) for each in closed or choices]
    if _is("string", node) and not node.keys() & {"format", "pattern"}:
        most = max(_LEAST, room - _MARKS, node.get("minLength", 0))
        node["maxLength"] = min(most, node.get("maxLength", most))
    if _is("array", node) and "items" in node:
        most = max(1, node.get("minItems", 1), room // (_width(node["items"], depth) + _MARKS))
        own = node.get("maxItems", most)
        node["maxItems"] = most = own if own <= _FEW else min(most, own)
        node["items"] = _fitted(node["items"], room // max(1, most) - _MARKS, depth + 1)
    if "properties" in node:
        node["properties"] = _shared(_node(node["properties"]), room, depth)
    return node


def _is_open(schema: JsonSchema) -> bool:
    return _is("object", schema) and "properties" not in schema


def _shared(fields: JsonSchema, room: int, depth: int) -> dict[str, Any]:
    """Return the schemas of an object's fields, each with its share of the room."""
    left = room - sum(len(name) + 2 * _MARKS for name in fields)
    weights = {name: _weight(_node(each), depth) for name, each in fields.items()}
    whole = sum(weights.values()) or 1
    return {
        name: _fitted(each, left * weights[name] // whole, depth + 1)
        for name, each in fields.items()
    }


def _weight(node: JsonSchema, depth: int) -> int:
    if depth > _DEEPEST:
        return _LEAST
    if choices := node.get("anyOf", node.get("oneOf")):
        return max(_weight(_node(each), depth + 1) for each in choices)
    if _is("array", node):
        usual = min(_LISTS, node.get("maxItems", _LISTS))
        return usual * (_width(node.get("items"), depth) + _MARKS)
    if _is("string", node) and "enum" not in node:
        return min(_USUAL * 20, node.get("maxLength", _USUAL))
    return _width(node, depth)


def _width(schema: object, depth: int) -> int:
    """Return the characters that a value of a schema needs, with its texts short."""
    node = _node(schema)
    if depth > _DEEPEST:
        return _LEAST
    if choices := node.get("anyOf", node.get("oneOf")):
        return max(_width(each, depth + 1) for each in choices)
    if "properties" in node:
        fields = _node(node["properties"])
        return sum(
            len(name) + 2 * _MARKS + _width(each, depth + 1) for name, each in fields.items()
        )
    if _is("array", node):
        own = node.get("maxItems", 1)
        return (own if own <= _FEW else 1) * (_width(node.get("items"), depth + 1) + _MARKS)
    return _MARKS + _plain_width(node)


def _plain_width(node: JsonSchema) -> int:
    if "enum" in node:
        return max((len(str(each)) for each in node["enum"]), default=0)
    if not _is("string", node) and any(map(partial(_is, schema=node), _SHORT)):
        return _MARKS
    return min(_LEAST, node.get("maxLength", _LEAST))
