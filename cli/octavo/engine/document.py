"""One document through a pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from octavo.engine.ask import Asker
from octavo.engine.depth import restart
from octavo.engine.engine import Engine
from octavo.engine.flight import Answers
from octavo.engine.leads import Leads
from octavo.engine.ledger import Account
from octavo.engine.report import Answered, Result, Value
from octavo.engine.work import StepWork
from octavo.errors import InputError, UsageError
from octavo.pipeline.spec import Pipeline, Use, Whole
from octavo.protocols import Kind
from octavo.text.document import Document
from octavo.text.note import Note, Slot
from octavo.text.place import place
from octavo.text.quote import short_id
from octavo.text.span import Span
from octavo.text.union import union

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A document under way.

    `answers(step)` is what answers a step's calls; `number` the document's place in the run;
    `account` its calls so far.
    """

    engine: Engine
    answers: Callable[[str], Answers]
    pipeline: Pipeline
    params: Mapping[str, object]
    document: Document
    number: int
    account: Account = field(default_factory=Account)
    _missing: list[Span] = field(default_factory=list[Span])
    _heights: list[int] = field(default_factory=list[int])
    _leads: Leads = field(default_factory=Leads)
    _said: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        """Take each step for one call until it says more."""
        self._heights.extend(1 for _ in self.pipeline.steps)

    async def result(self) -> Result:
        """Run the pipeline's steps and return what they made of the document.

        Raises what ended it; calls that were sent still reach the journal.
        """
        restart()
        if not self.document.text.strip():
            raise InputError("there is no text in it", source=self.document.source)
        try:
            async with asyncio.TaskGroup() as group:
                answers = await self._answers(group)
        finally:
            if self.account.sent:
                document = self.document
                self.engine.journal.keep_text(short_id(document.hash), document.text)
        total = len(self.document.text)
        lost = sum(span.length for span in union(self._missing))
        spans = union(span for answer in answers for span in answer.spans)
        return Result(
            source=self.document.source,
            value=_joined(answers),
            spans=spans,
            places=self._places(spans),
            coverage=1 - lost / total,
            totals=self.account.totals(),
            hash=self.document.hash,
            answers=tuple(answers) if self.pipeline.each else (),
        )

    async def _answers(self, group: asyncio.TaskGroup) -> Sequence[Answered]:
        """Run the steps for each value of the pipeline's `each`, all at the same time."""
        name = self.pipeline.each
        if name is None:
            return [await self._answer("", None, self.params, group)]
        value = self.params.get(name)
        values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        if not values:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"the parameter {name!r} has no value", hint=f"add {flag} VALUE")
        asked = [
            group.create_task(self._answer(name, each, {**self.params, name: each}, group))
            for each in values
        ]
        return [await each for each in asked]

    async def _answer(
        self, name: str, asked: object, params: Mapping[str, object], group: asyncio.TaskGroup
    ) -> Answered:
        slots = await self._steps(params, group)
        notes = [note for slot in slots if (note := await slot.note) is not None]
        spans = union(span for note in notes for span in note.spans)
        return Answered(name, asked, _value(notes), spans, self._places(spans))

    def _places(self, spans: Sequence[Span]) -> tuple[str | None, ...]:
        return tuple(place(self.document, span) for span in spans)

    async def _steps(
        self, params: Mapping[str, object], group: asyncio.TaskGroup
    ) -> Sequence[Slot]:
        slots: Sequence[Slot] = ()
        done: dict[str, Sequence[Slot]] = {}
        for position, use in enumerate(self.pipeline.steps):
            work = self._work(use.name, params, group, position)
            taken = done[use.source] if use.source else slots
            slots = await use.type.run(taken, use.options, work)
            done[use.name] = slots
            if self._is_one_chunk(use, slots) and self.pipeline.whole:
                return [await self._whole(slots[0], self.pipeline.whole, work)]
        return slots

    def _is_one_chunk(self, use: Use, slots: Sequence[Slot]) -> bool:
        return use is self.pipeline.steps[0] and use.type.gives is Kind.CHUNKS and len(slots) == 1

    async def _whole(self, slot: Slot, whole: Whole, work: StepWork) -> Slot:
        note = await slot.note
        assert note is not None
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

        return Slot(spans=slot.spans, bound=whole.tokens, note=work.start(answer()))

    def _work(
        self, step: str, params: Mapping[str, object], group: asyncio.TaskGroup, position: int
    ) -> StepWork:
        engine = self.engine
        asker = Asker(
            answers=self.answers(step),
            ledger=engine.ledger,
            account=self.account,
            watch=engine.watch,
            group=group,
            identity=engine.identity,
            model=engine.model,
            model_hash=engine.model_hash,
            source=self.document.source,
            step=step,
            document=self.number,
            params=params,
            known=engine.known,
            leads=self._leads if self.pipeline.each else None,
        )
        return StepWork(
            engine=engine,
            pipeline=self.pipeline,
            document=self.document,
            step=step,
            params=params,
            ask=asker,
            group=group,
            position=position,
            heights=self._heights,
            missing=self._missing,
            said=self._said,
        )


def _joined(answers: Sequence[Answered]) -> Value:
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


def _value(notes: Sequence[Note]) -> Value:
    """Return one note's value, several texts with a blank line between, or a list of records."""
    if len(notes) == 1:
        return notes[0].value
    if all(isinstance(note.value, str) for note in notes):
        return "\n\n".join(note.text for note in notes)
    return [
        note.value if not isinstance(note.value, str) else {"text": note.value} for note in notes
    ]
