"""The gather steps, over the notes of all documents.

They begin when all documents are done, since how notes are grouped depends on how many there are.
The documents count as one long text, one after the other in the order of the inputs, so that a span
tells which document it is in; that text itself is not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from octavo.engine.calls.critical_path import record_depth, reset_depth
from octavo.engine.dispatch.in_flight import CallAnswerer
from octavo.engine.journal.ledger import RunningTotals
from octavo.engine.report import QuestionAnswer, Result, ResultMember
from octavo.engine.run.pipeline import (
    GivenNotes,
    PipelineRun,
    Question,
    join_answers,
    list_questions,
    merge_values,
)
from octavo.engine.run.run_context import RunContext
from octavo.errors import Outcome, ReplyError
from octavo.pipeline.spec import Pipeline
from octavo.text.document import Document, describe_location
from octavo.text.note import PendingNote, to_awaitable
from octavo.text.quote import Quote, to_row_id
from octavo.text.span import Span, merge_spans

__all__ = ["GATHERED", "GatherRun", "GatheredDocument"]


GATHERED = "gathered"
"""What stands for the source of a result over all documents."""


@dataclass(frozen=True, slots=True)
class GatheredDocument:
    """What the gathering steps need of one document: all but its text.

    `length` and `covered` are in characters: of the document, and of what reached its notes.
    """

    document: Document
    member: ResultMember
    length: int
    covered: float
    given: Sequence[GivenNotes] = ()

    @classmethod
    def from_document(
        cls, document: Document, given: Sequence[GivenNotes], coverage: float
    ) -> GatheredDocument:
        """Return a document without its text."""
        length = len(document.text)
        member = ResultMember(document.source, document.hash)
        return cls(replace(document, text=""), member, length, coverage * length, given)

    @property
    def has_quotes(self) -> bool:
        """Whether a note is a piece of the document, which prompts to come may quote."""
        values = (note.value for given in self.given for _, note in given)
        return any(isinstance(value, Quote) and value.origin.kind == "text" for value in values)


@dataclass(frozen=True, slots=True)
class GatherRun:
    """The gathering steps under way; `longest_chain` is the longest chain of calls before them."""

    engine: RunContext
    answers: Callable[[str], CallAnswerer]
    pipeline: Pipeline
    params: Mapping[str, object]
    gathered: Sequence[GatheredDocument]
    longest_chain: int = 0
    account: RunningTotals = field(default_factory=RunningTotals)

    async def run(self) -> Result:
        """Run the steps and return what they made of all notes; raises what ended them."""
        reset_depth()
        record_depth(self.longest_chain)
        starts = tuple(accumulate((each.length for each in self.gathered), initial=0))
        hashes = "".join(each.member.hash for each in self.gathered)
        folding = PipelineRun(
            self.engine,
            self.answers,
            self.pipeline,
            self.pipeline.gather,
            Document("", GATHERED),
            len(self.gathered),
            account=self.account,
        )
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._answer(folding, number, question, starts, group))
                for number, question in enumerate(list_questions(self.pipeline, self.params))
            ]
            answers = [await each for each in asked]
        cited = merge_spans(span for answer in answers for span in answer.spans)
        places = list(self._find_places(cited, starts))
        lost = sum(span.length for span in merge_spans(folding.missing))
        return Result(
            source=GATHERED,
            value=join_answers(answers),
            spans=tuple(span for _, span, _ in places),
            places=tuple(where for _, _, where in places),
            origins=tuple(source for source, _, _ in places),
            coverage=(sum(each.covered for each in self.gathered) - lost) / max(starts[-1], 1),
            totals=self.account.to_totals(),
            hash=hashlib.sha256(hashes.encode()).hexdigest(),
            answers=tuple(self._locate_answer(each, starts) for each in answers if each.name),
            members=tuple(each.member for each in self.gathered if each.given),
        )

    async def _answer(
        self,
        folding: PipelineRun,
        number: int,
        question: Question,
        starts: Sequence[int],
        group: asyncio.TaskGroup,
    ) -> QuestionAnswer:
        name, asked, params = question
        slots = [
            slot
            for each, start in zip(self.gathered, starts, strict=False)
            if each.given
            for slot in _shift_slots(each, each.given[number], start)
        ]
        if not slots:
            raise ReplyError("no document gave a note to gather", outcome=Outcome.SKIPPED)
        last = await folding.run_steps(slots, params, group)
        notes = [note for slot in last if (note := await slot.note) is not None]
        spans = merge_spans(span for note in notes for span in note.spans)
        return QuestionAnswer(name, asked, merge_values(notes), spans)

    def _locate_answer(self, answer: QuestionAnswer, starts: Sequence[int]) -> QuestionAnswer:
        places = list(self._find_places(answer.spans, starts))
        return replace(
            answer,
            spans=tuple(span for _, span, _ in places),
            places=tuple(where for _, _, where in places),
            origins=tuple(source for source, _, _ in places),
        )

    def _find_places(
        self, spans: Sequence[Span], starts: Sequence[int]
    ) -> Iterator[tuple[str, Span, str | None]]:
        """Yield the document, the span in it, and its place, of each span of the long text."""
        for span in spans:
            at = span.start
            while at < span.end:
                number = bisect_right(starts, at) - 1
                end = min(span.end, starts[number + 1])
                inside = Span(at - starts[number], end - starts[number])
                document = self.gathered[number].document
                yield document.source, inside, describe_location(document, inside)
                at = end


def _shift_slots(
    gathered: GatheredDocument, given: GivenNotes, start: int
) -> Iterator[PendingNote]:
    """Yield a document's slots where they stand in the long text.

    Groups of notes follow the documents: the first slot of each has a border made of all its text.
    """
    for number, (slot, note) in enumerate(given):
        moved = replace(note, spans=_shift_spans(note.spans, start), source=gathered.member.source)
        border = to_row_id(gathered.member.hash) & 0xFFFFFFFF if number == 0 else slot.boundary_hash
        yield replace(
            slot,
            spans=_shift_spans(slot.spans, start),
            note=to_awaitable(moved),
            boundary_hash=border,
            headings=(),
        )


def _shift_spans(spans: Sequence[Span], by: int) -> tuple[Span, ...]:
    return tuple(Span(span.start + by, span.end + by) for span in spans)
