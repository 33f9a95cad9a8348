"""What a run shows on standard error while it goes on.

On a terminal a bar; elsewhere one line for each finished document and, while none finishes, one
heartbeat line in thirty seconds, so that neither a log fills up nor a silent job gets killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO

from octavo.commands._cli.terminal import (
    clean_line,
    format_duration,
    format_megabytes,
    pluralize,
    print_stderr,
)
from octavo.engine.report import Result, Watch
from octavo.errors import Outcome

__all__ = ["HEARTBEAT", "Display", "PlainDisplay", "ProgressCounts", "QuietDisplay"]


HEARTBEAT = 30.0
"""Seconds without a line after which a heartbeat is due."""


class Display(Watch, Protocol):
    """A watch that a command can also write through, beat and close.

    `run` is the run's id once it has started, and empty before.
    """

    run: str

    def write_line(self, text: str) -> None:
        """Write a line that the user must see, an error for example."""
        ...

    def refresh(self) -> None:
        """Update the display. Call it about once a second while the run goes on."""
        ...

    def pause(self) -> AbstractContextManager[None]:
        """Keep the terminal clear while something is written to standard output."""
        ...

    def close(self) -> None:
        """Give the terminal back; safe to call twice."""
        ...


class ProgressCounts:
    """Counts calls and documents."""

    def __init__(self) -> None:
        self.planned = 0
        self.calls = 0
        self.cached = 0
        self.documents = 0
        self.failed = 0

    def call_done(self, outcome: Outcome) -> None:
        """Count a call."""
        self.calls += 1
        self.cached += outcome is Outcome.CACHED

    def document_done(self, result: Result) -> None:
        """Count a document."""
        self.documents += 1
        self.failed += result.error is not None

    def __str__(self) -> str:
        kept = f" ({self.cached:,} from the journal)" if self.cached else ""
        calls = f"{self.calls:,} of {pluralize(self.planned, 'call')}{kept}"
        return f"{calls}, {pluralize(self.documents, 'document')} done" if self.documents else calls


class QuietDisplay:
    """Shows only errors and, unless `silent`, notices."""

    def __init__(self, stream: TextIO, *, silent: bool = False) -> None:
        self.run = ""
        self._stream = stream
        self._silent = silent

    def run_started(self, run: str) -> None:
        self.run = run

    def document_started(self, source: str) -> None: ...
    def document_done(self, result: Result) -> None: ...
    def call_planned(self, source: str, step: str) -> None: ...
    def call_done(self, source: str, step: str, outcome: Outcome) -> None: ...
    def fetching(self, name: str, done: int, total: int) -> None: ...
    def waiting(self, stage: str) -> None: ...

    def notice(self, message: str) -> None:
        if not self._silent:
            print_stderr(message, self._stream)

    def write_line(self, text: str) -> None:
        print_stderr(text, self._stream)

    def refresh(self) -> None: ...

    def pause(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None: ...


class PlainDisplay:
    """One line for each finished document, and a heartbeat."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = ""
        self._stream = stream
        self._clock = clock
        self._start = self._last = clock()
        self._tally = ProgressCounts()
        self._fetch: str | None = None

    def run_started(self, run: str) -> None:
        self.run = run

    def document_started(self, source: str) -> None: ...

    def document_done(self, result: Result) -> None:
        self._tally.document_done(result)
        if result.error is None:
            totals = result.totals
            cached = totals.outcomes.get(Outcome.CACHED, 0)
            kept = f", {cached} from the journal" if cached else ""
            self.write_line(
                f"{clean_line(result.source)}: done, {pluralize(totals.calls, 'call')}{kept}"
            )

    def call_planned(self, source: str, step: str) -> None:
        del source, step
        self._tally.planned += 1

    def call_done(self, source: str, step: str, outcome: Outcome) -> None:
        del source, step
        self._tally.call_done(outcome)

    def fetching(self, name: str, done: int, total: int) -> None:
        if self._fetch is None and done < total:
            self.write_line(f"fetching {name}, {format_megabytes(total)}")
        self._fetch = (
            None if done == total else f"{format_megabytes(done)} of {format_megabytes(total)}"
        )

    def waiting(self, stage: str) -> None:
        if self._fetch is None and stage:
            self.write_line(stage)
        self._fetch = stage or None

    def notice(self, message: str) -> None:
        self.write_line(message)

    def write_line(self, text: str) -> None:
        self._last = self._clock()
        print_stderr(text, self._stream)

    def refresh(self) -> None:
        now = self._clock()
        if now - self._last >= HEARTBEAT:
            self.write_line(f"{self._fetch or self._tally}, {format_duration(now - self._start)}")

    def pause(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None: ...
