"""Apply rules to a document and report where it breaks them.

Each part is asked about once, against all rules. A finding is reported where its quote stands in
the part; one whose quote stands nowhere is counted and dropped, since models misquote. Lines and
columns are code's, never the model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator

from octavo.errors import CallError
from octavo.protocols import JsonSchema, Kind, Options, PromptLike, PromptRef, StepType, Work
from octavo.steps._support.window import ensure_fits_window
from octavo.text.document import Document, describe_location
from octavo.text.finding import Finding, Severity
from octavo.text.grounding.search import find_pieces
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.span import Span, describe_spans, merge_spans

__all__ = ["STEP", "ReviewOptions", "ReviewRule"]


_NEVER = "never"


class ReviewRule(Options):
    """What must hold of a document."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="A short word for the rule."
    )
    rule: str = Field(min_length=1, description="What must hold, in one sentence.")
    severity: Severity = Field(
        default=Severity.ERROR, description="How bad it is to break the rule."
    )


class ReviewOptions(Options):
    """Which rules to apply, and how."""

    prompt: PromptRef = Field(description="The prompt; it sees `text`, `headings` and `rules`.")
    rules: list[ReviewRule] = Field(min_length=1, description="The rules.")
    fail: Literal["error", "warning", "notice", "never"] = Field(
        default="error", description="The least severity of a finding that fails the run."
    )
    tokens: int = Field(default=600, ge=1, description="The most tokens of a reply.")
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @field_validator("rules")
    @classmethod
    def _require_unique_names(cls, rules: list[ReviewRule]) -> list[ReviewRule]:
        names = [rule.name for rule in rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two rules {twice[0]!r}")
        return rules


@dataclass(frozen=True, slots=True)
class _PartFindings:
    """What was found in a part, in the document's characters, and how many quotes it lacks."""

    findings: tuple[Finding, ...]
    unverified: int
    spans: tuple[Span, ...]
    predicted: Prediction | None


async def run(
    slots: Sequence[PendingNote], options: ReviewOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the record of all `findings`."""
    prompt = work.prompt(options.prompt)
    schema = _build_schema(options.rules)
    empty = {"text": "", "headings": (), "rules": options.rules}
    ensure_fits_window(work, prompt, empty, options.tokens, slots, schema=schema)
    parts = [work.start(_review_part(slot, prompt, schema, options, work)) for slot in slots]

    async def gather() -> Note:
        read = [part for each in parts if (part := await each) is not None]
        findings = sorted(
            {finding: None for part in read for finding in part.findings}, key=_get_sort_key
        )
        for finding in findings:
            work.find(finding)
        lost = sum(part.unverified for part in read)
        if lost:
            dropped = "1 finding" if lost == 1 else f"{lost} findings"
            work.notice(f"{dropped} dropped: what is quoted is not in the text")
        value = {"findings": [_to_row(each) for each in findings], "unverified": lost}
        predicted = next((part.predicted for part in read if part.predicted), None)
        return Note(
            value, merge_spans(span for part in read for span in part.spans), None, predicted
        )

    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=2 * options.tokens * max(1, len(slots)),
            note=work.start(gather()),
            boundary_hash=slots[0].boundary_hash if slots else 0,
        )
    ]


async def _review_part(
    slot: PendingNote, prompt: PromptLike, schema: JsonSchema, options: ReviewOptions, work: Work
) -> _PartFindings | None:
    note = await slot.note
    if note is None:
        return None
    try:
        answer = await work.ask(
            prompt,
            {"text": note.value, "headings": slot.headings, "rules": options.rules},
            tokens=options.tokens,
            schema=schema,
            node=describe_spans(slot.spans),
            levels=work.after,
        ).reply
    except CallError as error:
        if options.on_error == "fail":
            raise
        work.skip(slot, error)
        return None
    if answer.predicted is not None or isinstance(answer.value, str):
        return _PartFindings((), 0, note.spans, answer.predicted)
    rows: list[Mapping[str, Any]] = answer.value["findings"]
    places = find_pieces(note.text, [row["quote"] for row in rows])
    found = [
        _build_finding(row, place.span, slot.spans[0].start, options, work.document)
        for row, place in zip(rows, places, strict=True)
        if place is not None
    ]
    return _PartFindings(tuple(found), len(rows) - len(found), note.spans, None)


def _build_finding(
    row: Mapping[str, Any], inside: Span, start: int, options: ReviewOptions, document: Document
) -> Finding:
    rule = next(each for each in options.rules if each.name == row["rule"])
    span = Span(start + inside.start, start + inside.end)
    line, column = _find_line(document, span.start)
    where = None if document.verbatim else describe_location(document, span)
    message = " ".join(str(row["message"]).split())
    return Finding(
        path=document.source,
        line=line,
        column=column,
        rule=rule.name,
        message=f"{where}: {message}" if where else message,
        severity=rule.severity,
        quote=str(document.slice(span)),
        start=span.start,
        end=span.end,
        fails=options.fail != _NEVER and rule.severity.rank <= Severity(options.fail).rank,
    )


def _find_line(document: Document, position: int) -> tuple[int, int]:
    """Return the line and column of the file, from 1, or zeros where the text is not the file's."""
    if not document.verbatim:
        return 0, 0
    before = document.text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


def _build_schema(rules: Sequence[ReviewRule]) -> JsonSchema:
    finding = {
        "type": "object",
        "properties": {
            "rule": {"enum": [rule.name for rule in rules]},
            "quote": {"type": "string", "minLength": 1, "maxLength": 300},
            "message": {"type": "string", "minLength": 1, "maxLength": 300},
        },
        "required": ["rule", "quote", "message"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"findings": {"type": "array", "items": finding}},
        "required": ["findings"],
        "additionalProperties": False,
    }


def _get_sort_key(finding: Finding) -> tuple[int, str]:
    return finding.start or 0, finding.rule


def _to_row(finding: Finding) -> dict[str, Any]:
    return dict(_list_cells(finding))


def _list_cells(finding: Finding) -> Iterator[tuple[str, Any]]:
    for name in ("line", "column", "start", "end", "rule", "severity", "message", "quote"):
        value = getattr(finding, name)
        yield name, str(value) if isinstance(value, Severity) else value


STEP = StepType(
    name="review",
    about="Apply rules and report where they are broken.",
    options=ReviewOptions,
    takes=frozenset({Kind.CHUNKS}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "rules"}),
    fields=lambda _: frozenset({"findings", "unverified"}),
    finds=True,
)
