"""What the mock server says: sentences, or a record that fits a schema, made of a number alone.

The same number and bound always give the same reply, so two runs of one pipeline can be compared
byte for byte. The words are common enough that each, with the space before it, is one token of
the usual encodings; a sentence counts one more for its full stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import product
from typing import Any

import orjson

__all__ = ["Spoken", "embedding", "record", "sentences"]

_WHO = ("captain", "teacher", "farmer", "doctor", "mayor", "child", "crew", "stranger", "guard")
_DID = ("found", "lost", "carried", "watched", "painted", "opened", "forgot", "sold", "moved")
_WHAT = ("letter", "bridge", "lamp", "horse", "garden", "map", "window", "ship", "stone", "door")
_WHERE = ("river", "market", "hill", "school", "harbor", "forest", "road", "tower", "coast")

SENTENCES = tuple(
    f"The {who} {did} the {what} near the {where}."
    for who, did, what, where in product(_WHO, _DID, _WHAT, _WHERE)
)
TOKENS = len(SENTENCES[0].split()) + 1
"""Every sentence has the same number of tokens."""

Spoken = tuple[str, int, str]
"""A text, its tokens, and the finish reason."""


def sentences(number: int, limit: int) -> Spoken:
    """Return between 60 and 100 percent of `limit` tokens of whole sentences.

    A limit below one sentence gives the words that fit, and the finish reason `length`.
    """
    if limit < TOKENS:
        words = SENTENCES[number % len(SENTENCES)].split()[: max(limit, 1)]
        return " ".join(words), len(words), "length"
    count = max(1, limit * (60 + number % 41) // 100 // TOKENS)
    size = len(SENTENCES)
    # A step without a common divisor with the number of sentences never repeats one early.
    step = 11 + 30 * (number // size % 241)
    start = number % size
    said = " ".join([SENTENCES[(start + step * place) % size] for place in range(count)])
    return said, count * TOKENS, "stop"


def record(schema: Mapping[str, Any], number: int) -> Spoken:
    """Return JSON that fits a JSON Schema of objects, arrays, strings, numbers and enums."""
    text = orjson.dumps(_value(schema, number, schema)).decode()
    return text, max(1, len(text) // 4), "stop"


def embedding(text: str) -> list[float]:
    """Return a vector of 64 numbers in which each word of the text has its place."""
    sums = [0.0] * 64
    for word in text.lower().split():
        number = int.from_bytes(blake2b(word.encode(), digest_size=4).digest())
        sums[number % 64] += 1.0
    return sums


def _value(schema: Mapping[str, Any], number: int, root: Mapping[str, Any]) -> Any:
    schema = _resolved(schema, number, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            fields = enumerate(schema.get("properties", {}).items())
            return {name: _value(part, number // 7 + place, root) for place, (name, part) in fields}
        case "array":
            count = max(schema.get("minItems", 0), 1 + number % 3)
            count = min(count, schema.get("maxItems", count))
            return [_value(schema.get("items", {}), number + at, root) for at in range(count)]
        case "integer" | "number":
            low = schema.get("minimum", 0)
            return low + number % (schema.get("maximum", low + 100) - low + 1)
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
        case _:
            return SENTENCES[number % len(SENTENCES)]


def _resolved(schema: Mapping[str, Any], number: int, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference into the document, or one of several choices."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _resolved(schema[several][number % len(schema[several])], number, root)
    if "$ref" not in schema:
        return schema
    found: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(found, number, root)
