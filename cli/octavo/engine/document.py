"""One document through a pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from octavo.engine.depth import reset_depth
from octavo.engine.engine import RunContext
from octavo.engine.flight import CallAnswerer
from octavo.engine.folding import PipelineRun, join_answers, merge_values
from octavo.engine.ledger import RunningTotals
from octavo.engine.questions import Question, list_questions
from octavo.engine.report import QuestionAnswer, Result
from octavo.errors import InputError
from octavo.pipeline.spec import Pipeline
from octavo.text.document import Document
from octavo.text.note import Note, PendingNote
from octavo.text.place import describe_location
from octavo.text.span import Span
from octavo.text.union import merge_spans

__all__ = ["GivenNotes", "DocumentRun"]

GivenNotes = Sequence[tuple[PendingNote, Note]]
"""The notes that the steps gave, and their slots."""


@dataclass(frozen=True, slots=True)
class DocumentRun:
    """A document under way.

    `answers(step)` is what answers a step's calls; `number` the document's place in the run;
    `account` its calls so far. `given` are, for each question, the notes of the last step; they
    are kept where the pipeline gathers.
    """

    engine: RunContext
    answers: Callable[[str], CallAnswerer]
    pipeline: Pipeline
    params: Mapping[str, object]
    document: Document
    number: int
    account: RunningTotals = field(default_factory=RunningTotals)
    given: list[GivenNotes] = field(default_factory=list[GivenNotes])

    async def run(self) -> Result:
        """Run the pipeline's steps and return what they made of the document.

        Raises what ended it; calls that were sent still reach the journal.
        """
        reset_depth()
        document = self.document
        if not document.text.strip():
            piped = document.source == "-"
            hint = "the command before the pipe wrote nothing, or blanks only" if piped else None
            raise InputError("there is no text in it", source=document.source, hint=hint)
        folding = PipelineRun(
            self.engine,
            self.answers,
            self.pipeline,
            self.pipeline.steps,
            document,
            self.number,
            account=self.account,
        )
        async with asyncio.TaskGroup() as group:
            # What cannot fit shows while the steps are laid out. That is done here, and not in
            # tasks, so that such an error ends the document before any of its calls is sent.
            laid_out = [
                (question, await folding.run_steps((), question[2], group))
                for question in list_questions(self.pipeline, self.params)
            ]
            asked = [
                group.create_task(self._answer(question, slots)) for question, slots in laid_out
            ]
            answers = [await each for each in asked]
        if self.pipeline.gather:
            self.given.extend(given for _, given in answers)
        finds = any(use.type.finds for use in self.pipeline.steps)
        lost = sum(span.length for span in merge_spans(folding.missing))
        spans = merge_spans(span for answer, _ in answers for span in answer.spans)
        return Result(
            source=document.source,
            value=join_answers([answer for answer, _ in answers]),
            spans=spans,
            places=self._find_places(spans),
            coverage=1 - lost / len(document.text),
            totals=self.account.to_totals(),
            hash=document.hash,
            answers=tuple(answer for answer, _ in answers if answer.name),
            findings=tuple(folding.findings) if finds else None,
            metadata=document.metadata,
        )

    async def _answer(self, question: Question, slots: Sequence[PendingNote]) -> tuple[QuestionAnswer, GivenNotes]:
        name, asked, _ = question
        given = [(slot, note) for slot in slots if (note := await slot.note) is not None]
        notes = [note for _, note in given]
        spans = merge_spans(span for note in notes for span in note.spans)
        return QuestionAnswer(name, asked, merge_values(notes), spans, self._find_places(spans)), given

    def _find_places(self, spans: Sequence[Span]) -> tuple[str | None, ...]:
        return tuple(describe_location(self.document, span) for span in spans)
