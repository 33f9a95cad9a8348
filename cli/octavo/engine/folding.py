"""Steps that follow one another, of one document or over all documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from octavo.engine.ask import Asker
from octavo.engine.attempts import Attempts
from octavo.engine.engine import Engine
from octavo.engine.entries import Entries
from octavo.engine.flight import Answers
from octavo.engine.leads import Leads
from octavo.engine.ledger import Account
from octavo.engine.report import Answered, DraftWatch, Value
from octavo.engine.work import StepWork
from octavo.pipeline.spec import Pipeline, StepUse
from octavo.protocols import Kind
from octavo.text.document import Document
from octavo.text.finding import Finding
from octavo.text.note import Note, PendingNote
from octavo.text.span import Span

__all__ = ["WHOLE", "Folding", "joined", "value_of"]

WHOLE = "whole"
"""What the plan and the ledger call a document's only call, in place of a step's name."""


@dataclass(frozen=True, slots=True)
class Folding:
    """Steps under way.

    `answers(step)` is what answers a step's calls; `uses` are the steps and `document` what they
    work on; `number` is its place in the run, `account` the calls so far.
    """

    engine: Engine
    answers: Callable[[str], Answers]
    pipeline: Pipeline
    uses: Sequence[StepUse]
    document: Document
    number: int
    account: Account = field(default_factory=Account)
    missing: list[Span] = field(default_factory=list[Span])
    findings: list[Finding] = field(default_factory=list[Finding])
    heights: list[int] = field(default_factory=list[int])
    leads: Leads = field(default_factory=Leads)
    said: set[str] = field(default_factory=set[str])

    @property
    def gives_result(self) -> bool:
        """Whether what the last step gives is a result, and not gathered with others."""
        return not self.pipeline.gather or self.uses is self.pipeline.gather

    def __post_init__(self) -> None:
        """Take each step for one call until it says more."""
        self.heights.extend(1 for _ in self.uses)

    async def fold(
        self, slots: Sequence[PendingNote], params: Mapping[str, object], group: asyncio.TaskGroup
    ) -> Sequence[PendingNote]:
        """Run the steps on slots and return what the last one gives.

        A document that is one chunk is asked once, where the pipeline says how.
        """
        done: dict[str, Sequence[PendingNote]] = {}
        for position, use in enumerate(self.uses):
            last = position == len(self.uses) - 1
            work = self._work(use.name, params, group, position, done, last=last)
            if use.sources:
                slots = [slot for name in use.sources for slot in done[name]]
            slots = await use.type.run(slots, use.options, work)
            done[use.name] = slots
            if position == 0 and use.type.gives is Kind.CHUNKS and len(slots) == 1:
                work = self._work(WHOLE, params, group, position, done, last=True)
                whole = await self._whole(slots[0], work)
                if whole is not None:
                    return [whole]
        return slots

    async def _whole(self, slot: PendingNote, work: StepWork) -> PendingNote | None:
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

    def _work(
        self,
        step: str,
        params: Mapping[str, object],
        group: asyncio.TaskGroup,
        position: int,
        earlier: Mapping[str, Sequence[PendingNote]],
        *,
        last: bool,
    ) -> StepWork:
        engine = self.engine
        return StepWork(
            engine=engine,
            pipeline=self.pipeline,
            document=self.document,
            step=step,
            params=params,
            ask=self._asker(step, params, group, last=last),
            group=group,
            position=position,
            heights=self.heights,
            missing=self.missing,
            findings=self.findings,
            said=self.said,
            earlier=earlier,
        )

    def _asker(
        self, step: str, params: Mapping[str, object], group: asyncio.TaskGroup, *, last: bool
    ) -> Asker:
        """Return who asks for a step; `last` says that no other follows it."""
        engine, source, draft = self.engine, self.document.source, None
        if last and self.gives_result and isinstance(engine.watch, DraftWatch):
            draft = partial(engine.watch.draft, source)
        answers = self.answers(step)
        attempts = Attempts(
            answers,
            identity=engine.identity,
            model=engine.model,
            step=step,
            params=params,
            leads=self.leads if self.pipeline.each else None,
            draft=draft,
        )
        entries = Entries(
            engine.ledger,
            self.account,
            engine.watch,
            source=source,
            step=step,
            model=engine.model_hash,
            params=params,
        )
        return Asker(attempts, entries, answers, group, self.number, engine.known)


def joined(answers: Sequence[Answered]) -> Value:
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


def value_of(notes: Sequence[Note]) -> Value:
    """Return one note's value, several texts with a blank line between, or a list of records."""
    if len(notes) == 1:
        return notes[0].value
    if all(isinstance(note.value, str) for note in notes):
        return "\n\n".join(note.text for note in notes)
    return [
        note.value if not isinstance(note.value, str) else {"text": note.value} for note in notes
    ]
