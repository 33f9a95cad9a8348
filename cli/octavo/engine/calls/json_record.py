"""JSON records: requested with their schema, parsed strictly, repaired only as a last resort."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from octavo.protocols import Finish, JsonSchema, Message, Reply
from octavo.text.encoding import replace_surrogates

__all__ = ["InvalidRecord", "parse_record", "repair_record", "validate_record", "with_schema"]


_REQUEST_WITH_SCHEMA = (
    "Reply with one JSON object and nothing else: no code fence, no comment, no text around it."
    " It must fit this JSON Schema:\n{schema}"
)

_MAX_DEPTH = 100
"""How deeply a record may be nested: what is made of it goes through it level by level."""

_MAX_BITS = 1023
"""Larger numbers are none of JSON's readers elsewhere, who have floating point."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class InvalidRecord(ValueError):  # noqa: N818 - a property of a reply
    """A reply is not a record that fits the schema; the message says where."""


def with_schema(messages: Sequence[Message], schema: JsonSchema) -> tuple[Message, ...]:
    """Return the messages with the schema at the end of the system message.

    It is part of every request for a record, whatever the server can enforce, so that the same
    question has the same key everywhere and a model that is held to a grammar knows what it means.
    """
    ask = _REQUEST_WITH_SCHEMA.format(
        schema=json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    )
    if messages and messages[0].role == "system":
        head, *rest = messages
        return (replace(head, content=f"{head.content}\n\n{ask}"), *rest)
    return (Message("system", ask), *messages)


def parse_record(reply: Reply, schema: JsonSchema) -> Mapping[str, Any]:
    """Return the record that a reply is; raises InvalidRecord for anything else.

    A reply that was cut is never a record, even if it happens to parse. A code fence around the
    whole reply is the one thing that is taken off.
    """
    if reply.finish is Finish.LENGTH:
        raise InvalidRecord("it was cut off before its end")
    try:
        value: object = _fix_surrogates(json.loads(_strip_fence(reply.text)), reply.text)
    except ValueError as error:
        raise InvalidRecord(f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRecord("it is nested too deeply") from error
    return validate_record(value, schema)


def repair_record(reply: Reply, schema: JsonSchema) -> Mapping[str, Any]:
    """Return the record that can be made of a reply with small faults in its JSON.

    Raises InvalidRecord when the reply was cut, holds no object, or still does not fit. One that
    ends before its object does was cut too, whatever the server says.
    """
    _, brace, rest = reply.text.partition("{")
    if reply.finish is Finish.LENGTH or not brace or _is_open(brace + rest):
        raise InvalidRecord("there is no whole object in it")
    from json_repair import repair_json  # noqa: PLC0415 - seldom needed

    try:
        value = _fix_surrogates(repair_json(brace + rest, return_objects=True), rest)
    except RecursionError as error:
        raise InvalidRecord("it is nested too deeply") from error
    return validate_record(value, schema)


def _fix_surrogates(value: object, written: str) -> object:
    """Return a value whose texts have no half of a surrogate pair, which escapes can spell."""
    if "\\u" not in written:
        return value
    text = json.dumps(value, ensure_ascii=False)
    fixed = replace_surrogates(text)
    return value if fixed == text else json.loads(fixed)


def _is_open(text: str) -> bool:
    rest = _STRING.sub("", text)
    pairs = ("{}", "[]")
    return '"' in rest or any(rest.count(left) > rest.count(right) for left, right in pairs)


def _strip_fence(text: str) -> str:
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[text.find("\n") + 1 : -3]
    return text


def validate_record(value: object, schema: JsonSchema) -> Mapping[str, Any]:
    """Return a value as a record; raises InvalidRecord where it does not fit the schema."""
    if not isinstance(value, dict):
        raise InvalidRecord(f"it is a JSON {type(value).__name__} and not an object")
    record = cast("Mapping[str, Any]", value)
    levels = list(_iterate_levels(record))
    if len(levels) > _MAX_DEPTH:
        raise InvalidRecord("it is nested too deeply")
    from octavo.pipeline.schema_validator import (  # noqa: PLC0415 - only for records
        UncheckableValue,
        build_validator,
    )

    validator = build_validator(json.dumps(schema, sort_keys=True))
    try:
        found = validator.list_errors(record)
    except UncheckableValue as error:
        raise InvalidRecord(f"it cannot be checked: {error}") from error
    errors = sorted(found, key=lambda error: list(map(str, error.path)))
    if errors:
        places = "; ".join(f"{error.json_path}: {error.message[:200]}" for error in errors[:3])
        raise InvalidRecord(f"it does not fit the schema at {places}")
    try:
        json.dumps(record, allow_nan=False)
    except ValueError as error:
        # Python reads NaN and 1e999; no schema excludes them, nothing sorts them, no JSON has them.
        raise InvalidRecord("it holds a number that is not finite") from error
    if any(isinstance(each, int) and each.bit_length() > _MAX_BITS for each in chain(*levels)):
        raise InvalidRecord("it holds a number that is out of range")
    return record


def _iterate_levels(record: object) -> Iterator[list[object]]:
    """Yield what stands at each depth of a value, up to one more than is taken."""
    level = [record]
    for _ in range(_MAX_DEPTH + 1):
        level = [inner for each in level for inner in _list_members(each)]
        if not level:
            return
        yield level


def _list_members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
