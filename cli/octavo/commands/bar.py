"""The progress bar on a terminal, drawn with Rich and imported only there."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from octavo.commands.progress import Tally, megabytes
from octavo.commands.terminal import clean
from octavo.engine.report import Outcome, Result
from octavo.text.note import Note

__all__ = ["Bar"]

_LONGEST = 40
"""Characters of a document's path beside the bar."""

_NOTE = 200
"""Characters shown of a note."""


class Bar:
    """Calls done of calls known so far; vanishes when it is closed.

    The total grows while documents are opened, since later steps are known only then.
    """

    def __init__(self, stream: TextIO) -> None:
        self.run = ""
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[tally]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=4,
        )
        self._tally = Tally()
        self._name = ""
        self._fetch: tuple[str, int, int] | None = None
        self._stage = ""
        self._task = self._progress.add_task("", total=None, tally="")
        self._progress.start()

    def run_started(self, run: str) -> None:
        self.run = run

    def document_started(self, source: str) -> None:
        name = clean(source)
        self._name = name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]

    def document_done(self, result: Result) -> None:
        self._tally.document_done(result)

    def call_planned(self, source: str, step: str) -> None:
        del source, step
        self._tally.planned += 1

    def call_done(self, source: str, step: str, outcome: Outcome) -> None:
        del source, step
        self._tally.call_done(outcome)

    def fetching(self, name: str, done: int, total: int) -> None:
        self._fetch = None if done == total else (name, done, total)

    def waiting(self, stage: str) -> None:
        self._stage = stage

    def notice(self, message: str) -> None:
        self.line(message)

    def note(self, source: str, step: str, note: Note) -> None:
        """Write the beginning of a note, on one line, above the bar."""
        del step
        text = " ".join(note.text.split())
        text = text if len(text) <= _NOTE else text[: _NOTE - 1] + "…"
        self.line(f"{source}, characters {note.spans[0].start:,} to {note.spans[-1].end:,}: {text}")

    def line(self, text: str) -> None:
        self._progress.console.print(clean(text), soft_wrap=True, style="")

    def beat(self) -> None:
        """Bring the bar up to date: once a beat and not once a call, of which there may be many."""
        self._progress.start()
        name, done, total = self._fetch or (self._name, self._tally.calls, self._tally.planned)
        of = f"{megabytes(done)} of {megabytes(total)}" if self._fetch else str(self._tally)
        if self._stage:
            name, done, total, of = self._stage, 0, 0, ""
        self._progress.update(
            self._task, description=name, total=total or None, completed=done, tally=of
        )

    @contextmanager
    def paused(self) -> Generator[None]:
        """Take the bar away while standard output, the same terminal, is written.

        The next beat brings it back, so that many results in a row do not make it flicker.
        """
        self._progress.stop()
        yield

    def close(self) -> None:
        self._progress.stop()
