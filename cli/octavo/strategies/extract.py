"""Extract records that fit a schema, and say of each field where in the text it stands.

Each part is asked once or several times; code unites what all parts and passes gave, and verifies
every field against the text, since models misquote: a field that stands nowhere is marked, neither
believed nor dropped. That several passes find what one overlooks is the gleaning of GraphRAG (Edge
et al. 2024, arXiv 2404.16130), here with independent passes, which need not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

from pydantic import Field, field_validator

from octavo.errors import CallError, UsageError
from octavo.pipeline.expressions import Condition
from octavo.pipeline.json_value import JsonText
from octavo.pipeline.schemas import checked, fields
from octavo.pipeline.spelling import suggestion
from octavo.protocols import (
    Asked,
    ExpressionMark,
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptRef,
    SchemaMark,
    StepType,
    Work,
)
from octavo.strategies.demonstration import Example, examples_of
from octavo.strategies.fit import require_room
from octavo.strategies.harvest import Finding, harvest
from octavo.strategies.listing import listing
from octavo.text.evidence import Claim, verified
from octavo.text.note import Note, Prediction, Record, Slot
from octavo.text.span import Span
from octavo.text.union import union

__all__ = ["STEP", "ExtractOptions"]

_MOST_PASSES = 20
_AROUND = 3
"""How many times its tokens a reply may take in the result, with the places of its fields."""

Named = Annotated[str, ExpressionMark("params")]
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
    examples: Named | None = Field(
        default=None, description="Texts with their records: a parameter of the type json."
    )
    passes: Named = Field(
        default="1", description="How often each part is read: a number, or a parameter's name."
    )
    key: Named | None = Field(
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
    def _number_is_an_expression(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class _Task:
    """What all calls of a step share."""

    prompt: PromptLike
    reply: JsonSchema
    examples: tuple[Example, ...]
    passes: int
    key: tuple[str, ...]


async def run(slots: Sequence[Slot], options: ExtractOptions, work: Work) -> Sequence[Slot]:
    """Return one slot for the record of all `records`, with their sources.

    Raises UsageError or SpecError for a schema, examples or passes that cannot be, and FitError
    when a prompt cannot fit the window.
    """
    task = _task(options, work)
    empty = {"text": "", "headings": (), "demonstrations": task.examples}
    require_room(work, task.prompt, empty, options.tokens, slots, schema=task.reply)
    parts = [work.start(_Part(slot, task, options, work).read()) for slot in slots]

    async def gathered() -> Note:
        read = [part for each in parts if (part := await each) is not None]
        found = [finding for part in read for finding in part.found]
        predicted = next((part.predicted for part in read if part.predicted), None)
        value = harvest(found, key=task.key, everywhere=options.dedupe == "document")
        return Note(value, union(span for part in read for span in part.spans), None, predicted)

    return [
        Slot(
            spans=union(span for slot in slots for span in slot.spans),
            bound=_AROUND * options.tokens * task.passes * max(1, len(slots)),
            note=work.start(gathered()),
            border=slots[0].border if slots else 0,
        )
    ]


def _task(options: ExtractOptions, work: Work) -> _Task:
    record = _record(options, work)
    reply = listing(record)
    given = _value(options.examples, work)
    if given is not None and not isinstance(given, JsonText):
        raise UsageError(
            f"step {work.step!r}: `examples: {options.examples}` is no JSON",
            hint=f"declare the parameter as {options.examples}: {{type: json}}",
        )
    passes = _value(options.passes, work)
    if isinstance(passes, bool) or not isinstance(passes, int) or not 1 <= passes <= _MOST_PASSES:
        raise UsageError(
            f"step {work.step!r}: a part is read once to {_MOST_PASSES} times, not {passes}",
            hint="lower the passes" if isinstance(passes, int) and passes > 1 else "write 1",
        )
    key = _value(options.key, work) or ()
    names = (key,) if isinstance(key, str) else tuple(map(str, cast("Sequence[object]", key)))
    _require_fields(names, record, work)
    examples = examples_of(given, reply) if given is not None else ()
    return _Task(work.prompt(options.prompt), reply, examples, passes, names)


def _value(expression: str | None, work: Work) -> object:
    return None if expression is None else Condition(expression).value(work.params)


def _record(options: ExtractOptions, work: Work) -> JsonSchema:
    """Return the schema of one record, named by the pipeline or given by the user."""
    if options.schema_ != "given":
        return work.schema(options.schema_)
    given = work.params.get("schema")
    if not isinstance(given, JsonText):
        raise UsageError(
            f"step {work.step!r}: there is no parameter `schema` of the type json",
            hint="declare it under `params`: schema: {type: json}",
        )
    return checked(given.source)


def _require_fields(names: Sequence[str], record: JsonSchema, work: Work) -> None:
    known = fields(record)
    for name in names:
        if known is not None and name not in known:
            raise UsageError(
                f"step {work.step!r}: the records have no field {name!r} to tell them apart by",
                hint=suggestion(name, known),
            )


@dataclass(slots=True)
class _Read:
    """What one part gave in all its passes."""

    spans: tuple[Span, ...]
    found: list[Finding] = field(default_factory=list[Finding])
    predicted: Prediction | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a document, and what is to be found in it."""

    slot: Slot
    task: _Task
    options: ExtractOptions
    work: Work

    @property
    def whole(self) -> Span:
        """Where the part stands."""
        return Span(self.slot.spans[0].start, self.slot.spans[-1].end)

    async def read(self) -> _Read | None:
        """Read the part in all passes; None when it has no note, or every pass failed and may."""
        note = await self.slot.note
        if note is None:
            return None
        asked = [self._ask(note, number) for number in range(self.task.passes)]
        read = _Read(self.slot.spans, predicted=note.predicted)
        failed: list[CallError] = []
        for number, each in enumerate(asked):
            try:
                answer = await each.reply
            except CallError as error:
                if self.options.on_error == "fail":
                    raise
                failed.append(error)
                continue
            read.predicted = read.predicted or answer.predicted
            if answer.predicted is None:
                read.found.extend(self._findings(answer.value, number))
        if len(failed) == len(asked):
            self.work.skip(self.slot, failed[0])
            return None
        if failed:
            span = self.whole
            self.work.notice(
                f"characters {span.start} to {span.end}: {len(failed)} of {len(asked)} passes"
                f" failed: {failed[0].message}"
            )
        return read

    def _ask(self, note: Note, number: int) -> Asked:
        span = self.whole
        return self.work.ask(
            self.task.prompt,
            {
                "text": note.value,
                "headings": self.slot.headings,
                "demonstrations": self.task.examples,
            },
            tokens=self.options.tokens,
            schema=self.task.reply,
            node=f"pass {number + 1}, characters {span.start} to {span.end}",
            levels=self.work.after,
            sample=number,
            temperature=self.options.temperature if number else None,
        )

    def _findings(self, reply: str | Record, number: int) -> Iterator[Finding]:
        assert isinstance(reply, Mapping)
        start = self.whole.start
        text = self.work.document.slice(self.whole)
        claims = [Claim(each["record"], each["quote"]) for each in reply["records"]]
        for each in verified(text, claims, start):
            yield Finding(each, number, start)


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
