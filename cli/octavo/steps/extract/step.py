"""Extract records that fit a schema, and locate each field in the text.

Each part is asked about once or several times; code merges what all parts and passes gave, and
verifies every field against the text, since models misquote: a field that is found nowhere is
marked, neither believed nor dropped. That several passes find what one overlooks is the gleaning of
GraphRAG (Edge et al. 2024, arXiv 2404.16130), here with independent passes, which need not wait for
each other. A part with more records than a reply may hold is read in halves. The schema of a reply
is that of a list of records, each after the words that it is taken from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator

from octavo.diagnostics import Source, suggest
from octavo.errors import UsageError
from octavo.pipeline.conditions import Condition
from octavo.pipeline.params import JsonText
from octavo.pipeline.schemas import list_fields, parse_schema
from octavo.protocols import (
    ExpressionMark,
    JsonSchema,
    Kind,
    Options,
    PromptRef,
    SchemaMark,
    StepType,
    Work,
)
from octavo.steps._support.schema_references import rebase_references
from octavo.steps._support.window import ensure_fits_window
from octavo.steps.extract.examples import parse_examples
from octavo.steps.extract.merge_records import merge_records
from octavo.steps.extract.passes import ExtractionTask, PartReader
from octavo.text.note import Note, PendingNote
from octavo.text.span import merge_spans

__all__ = ["STEP", "ExtractOptions", "list_schema"]


_MAX_PASSES = 20
_RESULT_FACTOR = 6
"""How many times its tokens a reply may take in the result: with the places of its fields, and of
parts that are read in halves."""

_MAX_QUOTE_CHARS = 600
"""The most characters of a quote; the prompt asks for one or two sentences."""

ParamExpression = Annotated[str, ExpressionMark("params")]
"""A parameter's name, or an expression over parameters."""


class ExtractOptions(Options):
    """What to extract, and how often to look."""

    prompt: PromptRef = Field(
        description="The prompt for each part; it sees `text`, `headings` and `demonstrations`."
    )
    schema_: Annotated[str, SchemaMark("given", notes=False)] = Field(
        default="given",
        alias="schema",
        description="The JSON Schema of one record; `given` is that of the parameter `schema`.",
    )
    examples: ParamExpression | None = Field(
        default=None, description="Texts with their records: a parameter of the type json."
    )
    passes: ParamExpression = Field(
        default="1", description="How often each part is read: a number, or a parameter's name."
    )
    key: ParamExpression | None = Field(
        default=None,
        description="The fields in which two mentions of one thing agree; all of them without it.",
    )
    dedupe: Literal["document", "place"] = Field(
        default="document",
        description="Whether equal records are one wherever they stand, or only at one place.",
    )
    tokens: int = Field(default=1200, ge=1, description="The most tokens of a reply.")
    temperature: float = Field(
        default=0.7, ge=0, description="The temperature of all passes but the first."
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @field_validator("passes", mode="before")
    @classmethod
    def _accept_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


async def run(
    slots: Sequence[PendingNote], options: ExtractOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the record of all `records`, with their sources.

    Raises UsageError or SpecError for a schema, examples or passes that cannot be, and FitError
    when a prompt cannot fit the window.
    """
    task = _build_task(options, work)
    empty = {"text": "", "headings": (), "demonstrations": task.examples}
    ensure_fits_window(work, task.prompt, empty, options.tokens, slots, schema=task.reply_schema)
    parts = [work.start(PartReader(slot, task, work).read()) for slot in slots]

    async def gather() -> Note:
        read = [part for each in parts if (part := await each) is not None]
        found = [finding for part in read for finding in part.findings]
        predicted = next((part.predicted for part in read if part.predicted), None)
        value = merge_records(found, key=task.key_fields, everywhere=options.dedupe == "document")
        return Note(
            value, merge_spans(span for part in read for span in part.spans), None, predicted
        )

    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=_RESULT_FACTOR * options.tokens * task.passes * max(1, len(slots)),
            note=work.start(gather()),
            boundary_hash=slots[0].boundary_hash if slots else 0,
        )
    ]


def _build_task(options: ExtractOptions, work: Work) -> ExtractionTask:
    record = _find_record_schema(options, work)
    reply = list_schema(record)
    given = _evaluate(options.examples, work)
    if given is not None and not isinstance(given, JsonText):
        raise UsageError(
            f"step {work.step!r}: `examples: {options.examples}` is no JSON",
            hint=f"declare the parameter as {options.examples}: {{type: json}}",
        )
    passes = _evaluate(options.passes, work)
    if isinstance(passes, bool) or not isinstance(passes, int) or not 1 <= passes <= _MAX_PASSES:
        raise UsageError(
            f"step {work.step!r}: a part is read once to {_MAX_PASSES} times, not {passes}",
            hint="lower the passes" if isinstance(passes, int) and passes > 1 else "write 1",
        )
    key = _evaluate(options.key, work) or ()
    names = (key,) if isinstance(key, str) else tuple(map(str, cast("Sequence[object]", key)))
    _require_fields(names, record, work)
    examples = parse_examples(given, reply) if given is not None else ()
    return ExtractionTask(
        work.prompt(options.prompt),
        reply,
        examples,
        passes,
        names,
        options.tokens,
        options.temperature,
        fail_on_error=options.on_error == "fail",
    )


def _evaluate(expression: str | None, work: Work) -> object:
    return None if expression is None else Condition(expression).evaluate(work.params)


def _find_record_schema(options: ExtractOptions, work: Work) -> JsonSchema:
    """Return the schema of one record, named by the pipeline or given by the user.

    For a list schema from the user, use the schema of its items: a list is extracted in any case.
    """
    if options.schema_ != "given":
        return work.schema(options.schema_)
    given = work.params.get("schema")
    if not isinstance(given, JsonText):
        raise UsageError(
            f"step {work.step!r}: there is no parameter `schema` of the type json",
            hint="declare it under `params`: schema: {type: json}",
        )
    whole = given.value
    if isinstance(whole, dict):
        listed = cast("dict[str, object]", whole)
        if listed.get("type") == "array" and isinstance(listed.get("items"), dict):
            return parse_schema(Source(given.path, json.dumps(listed["items"], indent=2)))
    return parse_schema(given.source)


def _require_fields(names: Sequence[str], record: JsonSchema, work: Work) -> None:
    known = list_fields(record)
    for name in names:
        if known is not None and name not in known:
            raise UsageError(
                f"step {work.step!r}: the records have no field {name!r} to tell them apart by",
                hint=suggest(name, known),
            )


def list_schema(record: JsonSchema) -> JsonSchema:
    """Return the schema of a list of records, each behind the words that it is taken from."""
    item: JsonSchema = record
    beside: dict[str, Any] = {}
    # A reference counts from the root, where the record no longer is.
    if re.search(r'"\$(ref|dynamicRef|recursiveRef)"', json.dumps(record)):
        place = "#/$defs/record"
        item, beside = {"$ref": place}, {"$defs": {"record": rebase_references(record, place)}}
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


STEP = StepType(
    name="extract",
    about="Extract records that fit a schema, each field with its place in the text.",
    options=ExtractOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "demonstrations"}),
    fields=lambda _: frozenset({"records", "total", "unverified"}),
)
"""The step of `- extract: {...}`."""
