"""One document through the steps of a pipeline, for each question that the pipeline answers.

The same steps run over the notes of all documents; see gather.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from octavo.engine.calls.ask import Asker
from octavo.engine.calls.call import CallSender
from octavo.engine.calls.critical_path import reset_depth
from octavo.engine.dispatch.in_flight import CallAnswerer
from octavo.engine.dispatch.prefix_warmup import PrefixWarmup
from octavo.engine.journal.ledger import CallRecorder, RunningTotals
from octavo.engine.report import DraftWatch, QuestionAnswer, Result, Value
from octavo.engine.run.run_context import RunContext
from octavo.engine.run.step_context import StepContext
from octavo.errors import InputError, UsageError
from octavo.pipeline.spec import Pipeline, StepUse
from octavo.protocols import Kind
from octavo.text.document import Document, describe_location
from octavo.text.finding import Finding
from octavo.text.note import Note, PendingNote
from octavo.text.span import Span, merge_spans

__all__ = [
    "WHOLE",
    "DocumentRun",
    "GivenNotes",
    "PipelineRun",
    "Question",
    "join_answers",
    "list_questions",
    "merge_values",
]


WHOLE = "whole"
"""What the plan and the ledger call a document's only call, in place of a step's name."""


@dataclass(slots=True, eq=False, repr=False)
class PipelineRun:
    """Steps under way.

    `answers(step)` is what answers a step's calls; `uses` are the steps and `document` what they
    work on; `number` is its place in the run, `account` the calls so far.
    """

    engine: RunContext
    answers: Callable[[str], CallAnswerer]
    pipeline: Pipeline
    uses: Sequence[StepUse]
    document: Document
    number: int
    account: RunningTotals = field(default_factory=RunningTotals)
    missing: list[Span] = field(default_factory=list[Span])
    findings: list[Finding] = field(default_factory=list[Finding])
    step_depths: list[int] = field(default_factory=list[int])
    warmup: PrefixWarmup = field(default_factory=PrefixWarmup)
    sent_notices: set[str] = field(default_factory=set[str])

    @property
    def gives_result(self) -> bool:
        """Whether what the last step gives is a result, and not gathered with others."""
        return not self.pipeline.gather or self.uses is self.pipeline.gather

    def __post_init__(self) -> None:
        """Take each step for one call until it says more."""
        self.step_depths.extend(1 for _ in self.uses)

    async def run_steps(
        self, slots: Sequence[PendingNote], params: Mapping[str, object], group: asyncio.TaskGroup
    ) -> Sequence[PendingNote]:
        """Run the steps on slots and return what the last one gives.

        A document that is one chunk is asked once, where the pipeline says how.
        """
        done: dict[str, Sequence[PendingNote]] = {}
        for position, use in enumerate(self.uses):
            last = position == len(self.uses) - 1
            work = self._build_step_context(use.name, params, group, position, done, last=last)
            if use.sources:
                slots = [slot for name in use.sources for slot in done[name]]
            slots = await use.type.run(slots, use.options, work)
            done[use.name] = slots
            if position == 0 and use.type.gives is Kind.CHUNKS and len(slots) == 1:
                work = self._build_step_context(WHOLE, params, group, position, done, last=True)
                whole = await self._ask_whole(slots[0], work)
                if whole is not None:
                    return [whole]
        return slots

    async def _ask_whole(self, slot: PendingNote, work: StepContext) -> PendingNote | None:
        whole = self.pipeline.whole
        note = await slot.note
        if whole is None or note is None:
            return None
        asked = work.ask(
            work.prompt(whole.prompt),
            {"text": note.value, "headings": slot.headings, "words": whole.words},
            tokens=whole.tokens,
            words=whole.words,
            node="the whole document",
        )

        async def answer() -> Note:
            reply = await asked.reply
            return Note(reply.value, note.spans, predicted=reply.predicted)

        return PendingNote(spans=slot.spans, max_tokens=whole.tokens, note=work.start(answer()))

    def _build_step_context(
        self,
        step: str,
        params: Mapping[str, object],
        group: asyncio.TaskGroup,
        position: int,
        earlier: Mapping[str, Sequence[PendingNote]],
        *,
        last: bool,
    ) -> StepContext:
        engine = self.engine
        return StepContext(
            engine=engine,
            pipeline=self.pipeline,
            document=self.document,
            step=step,
            params=params,
            ask=self._build_asker(step, params, group, last=last),
            group=group,
            position=position,
            step_depths=self.step_depths,
            missing=self.missing,
            findings=self.findings,
            sent_notices=self.sent_notices,
            earlier=earlier,
        )

    def _build_asker(
        self, step: str, params: Mapping[str, object], group: asyncio.TaskGroup, *, last: bool
    ) -> Asker:
        """Return who asks for a step; `last` says that no other follows it."""
        engine, source, draft = self.engine, self.document.source, None
        if last and self.gives_result and isinstance(engine.watch, DraftWatch):
            draft = partial(engine.watch.draft, source)
        answers = self.answers(step)
        attempts = CallSender(
            answers,
            identity=engine.identity,
            model=engine.model,
            step=step,
            params=params,
            document=self.document,
            warmup=self.warmup if self.pipeline.each else None,
            draft=draft,
        )
        entries = CallRecorder(
            engine.ledger,
            self.account,
            engine.watch,
            source=source,
            step=step,
            model=engine.model_hash,
            params=params,
        )
        return Asker(attempts, entries, answers, group, self.number, engine.known)


def join_answers(answers: Sequence[QuestionAnswer]) -> Value:
    """Return the one answer, or all of them, texts as Markdown with the questions as headings."""
    if len(answers) == 1:
        return answers[0].value
    texts = [
        f"## {' '.join(str(each.asked).split())}\n\n{each.value}"
        for each in answers
        if isinstance(each.value, str)
    ]
    if len(texts) == len(answers):
        return "\n\n".join(texts)
    return [{each.name: each.asked, "answer": each.value} for each in answers]


def merge_values(notes: Sequence[Note]) -> Value:
    """Return one note's value, several texts with a blank line between, or a list of records."""
    if len(notes) == 1:
        return notes[0].value
    if all(isinstance(note.value, str) for note in notes):
        return "\n\n".join(note.text for note in notes)
    return [
        note.value if not isinstance(note.value, str) else {"text": note.value} for note in notes
    ]


GivenNotes = Sequence[tuple[PendingNote, Note]]
"""The notes that the steps gave, and their slots."""


@dataclass(slots=True, eq=False, repr=False)
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

    async def _answer(
        self, question: Question, slots: Sequence[PendingNote]
    ) -> tuple[QuestionAnswer, GivenNotes]:
        name, asked, _ = question
        given = [(slot, note) for slot in slots if (note := await slot.note) is not None]
        notes = [note for _, note in given]
        spans = merge_spans(span for note in notes for span in note.spans)
        return QuestionAnswer(
            name, asked, merge_values(notes), spans, self._find_places(spans)
        ), given

    def _find_places(self, spans: Sequence[Span]) -> tuple[str | None, ...]:
        return tuple(describe_location(self.document, span) for span in spans)


Question = tuple[str, object, Mapping[str, object]]
"""The parameter's name, its value, and all parameters with that value alone.

The name is empty where nothing is asked: the pipeline has no `each`, or its value is an empty text.
"""


def list_questions(pipeline: Pipeline, params: Mapping[str, object]) -> tuple[Question, ...]:
    """Return what is asked: each value of the pipeline's `each`, or everything at once.

    Raises UsageError when there is no value.
    """
    name = pipeline.each
    if name is None:
        return (("", None, params),)
    value = params.get(name)
    values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    if not values:
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"the parameter {name!r} has no value", hint=f"add {flag} VALUE")
    if values in {("",), (None,)}:
        return (("", None, {**params, name: values[0]}),)
    return tuple((name, each, {**params, name: each}) for each in values)
