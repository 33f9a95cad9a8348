"""Read a part of a document for records: in passes, and in halves where it has too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from octavo.errors import CallError, CutError
from octavo.protocols import Asked, JsonSchema, PromptLike, Work
from octavo.steps.extract.examples import ExtractionExample
from octavo.steps.extract.merge_records import RecordFinding
from octavo.text.document import Document
from octavo.text.grounding.verify import Claim, verify_claims
from octavo.text.note import PendingNote, Prediction, Record
from octavo.text.sentences import split_in_half
from octavo.text.span import Span, describe_spans

__all__ = ["ExtractionTask", "PartReader", "PartReading"]


@dataclass(frozen=True, slots=True)
class ExtractionTask:
    """What all calls of a step share.

    `reply_schema` is the schema of a reply, `key_fields` are the fields that distinguish records,
    `tokens` bounds a reply, `temperature` is that of all passes but the first, and `fail_on_error`
    tells whether a failed call ends the document.
    """

    prompt: PromptLike
    reply_schema: JsonSchema
    examples: tuple[ExtractionExample, ...]
    passes: int
    key_fields: tuple[str, ...]
    tokens: int
    temperature: float
    fail_on_error: bool


@dataclass(slots=True)
class PartReading:
    """The findings of all passes over one part."""

    spans: tuple[Span, ...]
    findings: list[RecordFinding] = field(default_factory=list[RecordFinding])
    predicted: Prediction | None = None

    def add(self, other: PartReading) -> None:
        """Add the findings of another reading."""
        self.findings.extend(other.findings)
        self.predicted = self.predicted or other.predicted


@dataclass(frozen=True, slots=True)
class PartReader:
    """One part of a document, and what is to be found in it."""

    slot: PendingNote
    task: ExtractionTask
    work: Work

    async def read(self) -> PartReading | None:
        """Read the part in all passes; None when it has no note, or every pass failed and may."""
        note = await self.slot.note
        if note is None:
            return None
        piece = _TextPiece(note.text, Span(self.slot.spans[0].start, self.slot.spans[-1].end))
        reading = [self.work.start(self._try_pass(piece, n)) for n in range(self.task.passes)]
        read = PartReading(self.slot.spans, predicted=note.predicted)
        failed: list[CallError] = []
        for each in reading:
            outcome = await each
            if isinstance(outcome, PartReading):
                read.add(outcome)
            elif self.task.fail_on_error:
                raise outcome
            else:
                failed.append(outcome)
        if len(failed) == len(reading):
            self.work.skip(self.slot, failed[0])
            return None
        if failed:
            self.work.notice(
                f"{describe_spans((piece.span,))}: {len(failed)} of"
                f" {len(reading)} passes failed: {failed[0].message}"
            )
        return read

    async def _try_pass(self, piece: _TextPiece, number: int) -> PartReading | CallError:
        """Return an error instead of raising it, which would end the document at once."""
        try:
            return await self._read_pass(piece, number)
        except CallError as error:
            return error

    async def _read_pass(self, piece: _TextPiece, number: int) -> PartReading:
        """Read a piece once; one with more records than a reply holds, in halves."""
        halves = piece.split_in_halves(self.work.document)
        read = PartReading((piece.span,))
        # A text far shorter than a reply does not fill it with what it says: whatever does is no
        # reason to read it in halves, again and again.
        complete = bool(halves) and 2 * len(piece.text) > self.task.tokens
        try:
            answer = await self._ask(piece, number, complete=complete).reply
        except CutError:
            if not halves:
                raise
        else:
            read.predicted = answer.predicted
            if answer.predicted is None:
                read.findings.extend(self._parse_findings(piece, answer.value, number))
            # A plan takes every piece for one that may have to be read in halves.
            if answer.predicted is not Prediction.LONG or piece.is_half:
                return read
        for half in [self.work.start(self._try_pass(half, number)) for half in halves]:
            outcome = await half
            if isinstance(outcome, CallError):
                raise outcome
            read.add(outcome)
        return read

    def _ask(self, piece: _TextPiece, number: int, *, complete: bool) -> Asked:
        return self.work.ask(
            self.task.prompt,
            {
                "text": piece.text,
                "headings": self.slot.headings,
                "demonstrations": self.task.examples,
            },
            tokens=self.task.tokens,
            schema=self.task.reply_schema,
            node=f"pass {number + 1}, {describe_spans((piece.span,))}",
            levels=self.work.after,
            sample=number,
            temperature=self.task.temperature if number else None,
            complete=complete,
        )

    def _parse_findings(
        self, piece: _TextPiece, reply: str | Record, number: int
    ) -> Iterator[RecordFinding]:
        assert isinstance(reply, Mapping)
        text = self.work.document.slice(piece.span)
        claims = [Claim(each["record"], each["quote"]) for each in reply["records"]]
        for each in verify_claims(text, claims, piece.span.start):
            yield RecordFinding(each, number, piece.span.start)


@dataclass(frozen=True, slots=True)
class _TextPiece:
    """The text of one call, a part or a half of it, and its position."""

    text: str
    span: Span
    is_half: bool = False

    def split_in_halves(self, document: Document) -> tuple[_TextPiece, ...]:
        """Return both halves, or none where the text is short or not the document's own."""
        at = split_in_half(self.text)
        if at is None or document.slice(self.span) != self.text:
            return ()
        border = self.span.start + at
        left, right = Span(self.span.start, border), Span(border, self.span.end)
        return tuple(_TextPiece(document.slice(span), span, is_half=True) for span in (left, right))
