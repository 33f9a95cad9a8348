"""Reading a part of a document for records: in passes, and in halves where it has too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from octavo.errors import CallError, CutError
from octavo.protocols import Asked, JsonSchema, PromptLike, Work
from octavo.strategies.demonstration import Example
from octavo.strategies.harvest import Finding
from octavo.text.document import Document
from octavo.text.evidence import Claim, verify_claims
from octavo.text.halves import split_in_half
from octavo.text.note import Prediction, Record, PendingNote
from octavo.text.span import Span

__all__ = ["Part", "Reading", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """What all calls of a step share.

    `reply` is the schema of a reply, `key` the fields that tell records apart, `tokens` bounds a
    reply, `temperature` is that of all passes but the first, and `fails` tells whether a failed
    call ends the document.
    """

    prompt: PromptLike
    reply: JsonSchema
    examples: tuple[Example, ...]
    passes: int
    key: tuple[str, ...]
    tokens: int
    temperature: float
    fails: bool


@dataclass(slots=True)
class Reading:
    """What one part gave in all its passes."""

    spans: tuple[Span, ...]
    found: list[Finding] = field(default_factory=list[Finding])
    predicted: Prediction | None = None

    def add(self, other: Reading) -> None:
        """Take in what another reading gave."""
        self.found.extend(other.found)
        self.predicted = self.predicted or other.predicted


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a document, and what is to be found in it."""

    slot: PendingNote
    task: Task
    work: Work

    async def read(self) -> Reading | None:
        """Read the part in all passes; None when it has no note, or every pass failed and may."""
        note = await self.slot.note
        if note is None:
            return None
        piece = _Piece(note.text, Span(self.slot.spans[0].start, self.slot.spans[-1].end))
        reading = [self.work.start(self._try(piece, n)) for n in range(self.task.passes)]
        read = Reading(self.slot.spans, predicted=note.predicted)
        failed: list[CallError] = []
        for each in reading:
            found = await each
            if isinstance(found, Reading):
                read.add(found)
            elif self.task.fails:
                raise found
            else:
                failed.append(found)
        if len(failed) == len(reading):
            self.work.skip(self.slot, failed[0])
            return None
        if failed:
            self.work.notice(
                f"characters {piece.span.start} to {piece.span.end}: {len(failed)} of"
                f" {len(reading)} passes failed: {failed[0].message}"
            )
        return read

    async def _try(self, piece: _Piece, number: int) -> Reading | CallError:
        """Return an error instead of raising it, which would end the document at once."""
        try:
            return await self._pass(piece, number)
        except CallError as error:
            return error

    async def _pass(self, piece: _Piece, number: int) -> Reading:
        """Read a piece once; one with more records than a reply holds, in halves."""
        halves = piece.halves(self.work.document)
        read = Reading((piece.span,))
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
                read.found.extend(self._findings(piece, answer.value, number))
            # A plan takes every piece for one that may have to be read in halves.
            if answer.predicted is not Prediction.LONG or piece.half:
                return read
        for half in [self.work.start(self._try(half, number)) for half in halves]:
            found = await half
            if isinstance(found, CallError):
                raise found
            read.add(found)
        return read

    def _ask(self, piece: _Piece, number: int, *, complete: bool) -> Asked:
        return self.work.ask(
            self.task.prompt,
            {
                "text": piece.text,
                "headings": self.slot.headings,
                "demonstrations": self.task.examples,
            },
            tokens=self.task.tokens,
            schema=self.task.reply,
            node=f"pass {number + 1}, characters {piece.span.start} to {piece.span.end}",
            levels=self.work.after,
            sample=number,
            temperature=self.task.temperature if number else None,
            complete=complete,
        )

    def _findings(self, piece: _Piece, reply: str | Record, number: int) -> Iterator[Finding]:
        assert isinstance(reply, Mapping)
        text = self.work.document.slice(piece.span)
        claims = [Claim(each["record"], each["quote"]) for each in reply["records"]]
        for each in verify_claims(text, claims, piece.span.start):
            yield Finding(each, number, piece.span.start)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one call reads: a part, or a half of it; and where that stands."""

    text: str
    span: Span
    half: bool = False

    def halves(self, document: Document) -> tuple[_Piece, ...]:
        """Return both halves, or none where the text is short or not the document's own."""
        at = split_in_half(self.text)
        if at is None or document.slice(self.span) != self.text:
            return ()
        border = self.span.start + at
        left, right = Span(self.span.start, border), Span(border, self.span.end)
        return tuple(_Piece(document.slice(span), span, half=True) for span in (left, right))
