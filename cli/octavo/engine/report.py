"""What a run reports: results, totals, and events while it is running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from octavo.errors import OctavoError, Outcome
from octavo.text.finding import Finding
from octavo.text.note import Note, Record
from octavo.text.span import Span

__all__ = [
    "CallEnded",
    "CallWatch",
    "DraftWatch",
    "NoteWatch",
    "Outcome",
    "PlanWatch",
    "QuestionAnswer",
    "Report",
    "Result",
    "ResultMember",
    "Silence",
    "Sink",
    "Totals",
    "Value",
    "Watch",
]


@dataclass(frozen=True, slots=True)
class Totals:
    """Calls by outcome, attempts sent, and tokens as the backend counted them.

    `skipped` counts parts of documents that were left out, beside the calls that failed for them.
    `prompt`, `completion` and `cached` are of the calls sent in this run; they are None when the
    backend never said. `ideal_rate` is the share of the prompts that it could have had computed
    before, 0 to 1, where a job asks for that to be found out.
    """

    outcomes: Mapping[Outcome, int] = field(default_factory=dict[Outcome, int])
    sent: int = 0
    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None
    ideal_rate: float | None = None

    @property
    def hit_rate(self) -> float | None:
        """The share of the prompts that the server had computed before, if it tells."""
        return self.cached / self.prompt if self.cached is not None and self.prompt else None

    @property
    def calls(self) -> int:
        """How many calls the run asked for, answered by the journal or by the backend.

        A part that was left out is no call of its own.
        """
        return sum(self.outcomes.values()) - self.outcomes.get(Outcome.SKIPPED, 0)


Value = str | Record | list[Record]
"""What a document is folded to."""


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """An answer of a pipeline that gives one for each value of a parameter.

    `name` is the parameter's and `asked` the value; `spans`, `places` and `origins` are those of
    this answer, as a Result has them.
    """

    name: str
    asked: object
    value: Value
    spans: tuple[Span, ...] = ()
    places: tuple[str | None, ...] = ()
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultMember:
    """A document of a result over several: its source and the hash of its text."""

    source: str
    hash: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one document: a value, or the error that ended it.

    `spans` are the parts of the document that reached the result, `places` where each of them
    stands in a reader's words, and `coverage` their share of its chunks, 0 to 1. `hash` is that of
    the document's text, and `metadata` what its file says of it. `answers` has each answer where
    the pipeline gives one for each question; the value is then the only one, or all of them under
    their questions. A result over several documents names them as `members`, and in `origins` the
    document of each span. `findings` are what a review found, None without one.
    """

    source: str
    value: Value | None
    spans: tuple[Span, ...] = ()
    places: tuple[str | None, ...] = ()
    coverage: float = 0.0
    totals: Totals = Totals()
    error: OctavoError | None = None
    hash: str = ""
    origins: tuple[str, ...] = ()
    members: tuple[ResultMember, ...] = ()
    findings: tuple[Finding, ...] | None = None
    answers: tuple[QuestionAnswer, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Report:
    """A finished run: its id, how many documents ended well or not, and the totals.

    `partial` counts results that cover less of their document than was accepted, `unopened` says
    that a failure kept further documents from being started.
    """

    run: str
    documents: int
    failed: int
    totals: Totals
    seconds: float
    error: OctavoError | None = None
    partial: int = 0
    unopened: bool = False


Sink = Callable[[Result], Awaitable[None] | None]
"""Takes a result; what it returns, if anything, is awaited before the next one is handed over."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """How a call ended: `sent` is how often it was sent, 0 for one that the journal answered."""

    source: str
    step: str
    node: str
    key: bytes
    outcome: Outcome
    sent: int


class Watch(Protocol):
    """Told what happens, on the event loop's thread; must return at once."""

    def run_started(self, run: str) -> None:
        """Take the run's id, before any document is started."""
        ...

    def document_started(self, source: str) -> None: ...
    def document_done(self, result: Result) -> None: ...
    def call_planned(self, source: str, step: str) -> None: ...
    def call_done(self, source: str, step: str, outcome: Outcome) -> None: ...
    def fetching(self, name: str, done: int, total: int) -> None:
        """Take how many of how many bytes of a file are there, while the backend fetches it."""
        ...

    def waiting(self, stage: str) -> None:
        """Take what the backend does before it can answer; the empty text when it can."""
        ...

    def notice(self, message: str) -> None:
        """Take one line that the user should see on standard error."""
        ...


@runtime_checkable
class NoteWatch(Protocol):
    """A watch that is also shown notes while their document is read; most are not."""

    def note(self, source: str, step: str, note: Note) -> None:
        """Take a note that a step of the document `source` has made."""
        ...


@runtime_checkable
class DraftWatch(Protocol):
    """A watch that is shown the reply of a last call while it is written."""

    def draft(self, source: str, text: str) -> None:
        """Take the text so far of what becomes the result of the document `source`."""
        ...


@runtime_checkable
class CallWatch(Protocol):
    """A watch that is told of each call by the name of its place and its key."""

    def call_sent(self, source: str, step: str, node: str, key: bytes) -> None:
        """Take an attempt, as it is sent."""
        ...

    def call_ended(self, ended: CallEnded) -> None:
        """Take how a call ended."""
        ...


@runtime_checkable
class PlanWatch(Protocol):
    """A watch of a plan, told what steps explain about themselves."""

    def explained(self, message: str) -> None:
        """Take one line about what a step will do."""
        ...


class Silence:
    """A watch that says nothing."""

    def run_started(self, run: str) -> None:
        """Ignore it."""

    def document_started(self, source: str) -> None:
        """Ignore it."""

    def document_done(self, result: Result) -> None:
        """Ignore it."""

    def call_planned(self, source: str, step: str) -> None:
        """Ignore it."""

    def call_done(self, source: str, step: str, outcome: Outcome) -> None:
        """Ignore it."""

    def fetching(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def waiting(self, stage: str) -> None:
        """Ignore it."""

    def notice(self, message: str) -> None:
        """Ignore it."""
