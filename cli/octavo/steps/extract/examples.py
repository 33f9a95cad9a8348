"""Examples that show a model what to extract, checked before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from octavo.errors import UsageError
from octavo.pipeline.params import JsonText
from octavo.protocols import JsonSchema
from octavo.text.grounding.verify import Claim, MatchKind, verify_claims

__all__ = ["ExtractionExample", "parse_examples"]


_FORMAT_HINT = 'write [{"text": "...", "records": [{"quote": "...", "record": {...}}]}]'


@dataclass(frozen=True, slots=True)
class ExtractionExample:
    """A text, and the reply that a model should give for it."""

    text: str
    reply: str


def parse_examples(given: JsonText, reply: JsonSchema) -> tuple[ExtractionExample, ...]:
    """Return the examples of a file; `reply` is the schema that each one's reply must fit.

    Raises UsageError, naming the example and the record, for the first that does not fit or quotes
    what its text does not say.
    """
    return _parse_checked(str(given), given.path, json.dumps(reply, sort_keys=True))


@lru_cache(maxsize=8)
def _parse_checked(text: str, path: str, reply: str) -> tuple[ExtractionExample, ...]:
    from octavo.pipeline.schema_validator import (  # noqa: PLC0415 - only for records
        UncheckableValue,
        build_validator,
    )

    validator = build_validator(reply)
    listed: object = json.loads(text)
    if not isinstance(listed, list) or not listed:
        raise UsageError(f"{path}: examples are a list", hint=_FORMAT_HINT)
    found: list[ExtractionExample] = []
    for number, each in enumerate(cast("list[object]", listed), start=1):
        where = f"{path}: example {number}"
        example: Mapping[str, Any] = {}
        if isinstance(each, dict):
            example = cast("Mapping[str, Any]", each)
        if not isinstance(example.get("text"), str) or not example["text"].strip():
            raise UsageError(f"{where} has no `text`", hint=_FORMAT_HINT)
        if unknown := sorted(example.keys() - {"text", "records"}):
            raise UsageError(f"{where} has {unknown[0]!r}, which means nothing", hint=_FORMAT_HINT)
        record: dict[str, Any] = {"records": example.get("records")}
        try:
            errors = validator.list_errors(record)
        except UncheckableValue as error:
            raise UsageError(f"{where} cannot be checked: {error}", hint=_FORMAT_HINT) from error
        for error in sorted(errors, key=lambda e: list(map(str, e.path))):
            place = _describe_path(error.path)
            raise UsageError(
                f"{where}{place} does not fit the schema: {error.message[:200]}", hint=_FORMAT_HINT
            )
        _require_quotes(example["text"], record["records"], where)
        found.append(ExtractionExample(example["text"], json.dumps(record, ensure_ascii=False)))
    return tuple(found)


def _describe_path(path: Sequence[object]) -> str:
    """Return where in an example something is: `, record 2, at name`."""
    steps = list(path)
    if len(steps) < 2:
        return ""
    rest = "/".join(str(step) for step in steps[2:] if step != "record")
    return f", record {int(str(steps[1])) + 1}" + (f", at {rest}" if rest else "")


def _require_quotes(text: str, records: Sequence[Mapping[str, Any]], where: str) -> None:
    claims = [Claim(each["record"], each["quote"]) for each in records]
    for number, each in enumerate(verify_claims(text, claims), start=1):
        if each.quote.match is MatchKind.NONE:
            raise UsageError(
                f"{where}, record {number} quotes what its text does not say:"
                f" {each.claim.quote[:80]!r}",
                hint="copy the quote from the example's own text",
            )
