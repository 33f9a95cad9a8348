"""What a run shows on standard error while it goes on.

On a terminal a bar; elsewhere one line for each finished document and, while none finishes, one
heartbeat line in thirty seconds, so that neither a log fills up nor a silent job gets killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol, TextIO

from octavo.commands.terminal import one_line, say, styled
from octavo.engine.report import Outcome, Result, Watch

__all__ = [
    "HEARTBEAT",
    "Display",
    "Plain",
    "Progress",
    "Quiet",
    "Tally",
    "duration",
    "megabytes",
    "open_display",
    "plural",
]

HEARTBEAT = 30.0
"""Seconds without a line after which a heartbeat is due."""


class Progress(StrEnum):
    """How a run shows what it does: `auto` is `bar` on a terminal and `plain` elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


class Display(Watch, Protocol):
    """A watch that a command can also write through, beat and close.

    `run` is the run's id once it has started, and empty before.
    """

    run: str

    def line(self, text: str) -> None:
        """Write a line that the user must see, an error for example."""
        ...

    def beat(self) -> None:
        """Take note of the time; to be called about once a second while the run goes on."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Keep the terminal clear while something is written to standard output."""
        ...

    def close(self) -> None:
        """Give the terminal back; safe to call twice."""
        ...


class Tally:
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
        calls = f"{self.calls:,} of {plural(self.planned, 'call')}{kept}"
        return f"{calls}, {plural(self.documents, 'document')} done" if self.documents else calls


class Quiet:
    """Shows nothing but errors and, unless `silent`, notices."""

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
            say(message, self._stream)

    def line(self, text: str) -> None:
        say(text, self._stream)

    def beat(self) -> None: ...

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None: ...


class Plain:
    """One line for each finished document, and a heartbeat."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.run = ""
        self._stream = stream
        self._clock = clock
        self._start = self._last = clock()
        self._tally = Tally()
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
            self.line(f"{one_line(result.source)}: done, {plural(totals.calls, 'call')}{kept}")

    def call_planned(self, source: str, step: str) -> None:
        del source, step
        self._tally.planned += 1

    def call_done(self, source: str, step: str, outcome: Outcome) -> None:
        del source, step
        self._tally.call_done(outcome)

    def fetching(self, name: str, done: int, total: int) -> None:
        if self._fetch is None and done < total:
            self.line(f"fetching {name}, {megabytes(total)}")
        self._fetch = None if done == total else f"{megabytes(done)} of {megabytes(total)}"

    def waiting(self, stage: str) -> None:
        if self._fetch is None and stage:
            self.line(stage)
        self._fetch = stage or None

    def notice(self, message: str) -> None:
        self.line(message)

    def line(self, text: str) -> None:
        self._last = self._clock()
        say(text, self._stream)

    def beat(self) -> None:
        now = self._clock()
        if now - self._last >= HEARTBEAT:
            self.line(f"{self._fetch or self._tally}, {duration(now - self._start)}")

    def paused(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None: ...


def open_display(kind: Progress, stream: TextIO, *, quiet: bool = False) -> Display:
    """Return the display that the options and the terminal ask for.

    A bar is drawn only on a terminal that may be drawn on; asked for elsewhere it is `plain`.
    """
    if quiet or kind is Progress.NONE:
        return Quiet(stream, silent=quiet)
    if kind in {Progress.AUTO, Progress.BAR} and styled(stream):
        from octavo.commands.bar import Bar  # noqa: PLC0415 - rich costs time and memory elsewhere

        return Bar(stream)
    return Plain(stream)


def plural(count: int, noun: str) -> str:
    """Return `1 call`, `2 calls`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def megabytes(count: int) -> str:
    """Return a number of bytes as people write it: `93 MB`."""
    return f"{count / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """Return a length of time as people write it: `12 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"
