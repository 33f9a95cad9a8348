"""The progress bar on a terminal, drawn with Rich and imported only there."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from octavo.commands._cli.progress.display import ProgressCounts
from octavo.commands._cli.terminal import clean, clean_line, disarm_commands, format_megabytes
from octavo.engine.report import Result
from octavo.errors import Outcome
from octavo.text.note import Note

__all__ = ["BarDisplay"]


_MAX_NAME = 40
"""Characters of a document's path beside the bar."""

_DRAFT_LINES = 4
"""Lines of a draft that are shown."""

_MAX_NOTE = 200
"""Characters shown of a note."""


class _Draft:
    """The end of the text that becomes a result, or nothing."""

    def __init__(self) -> None:
        self._source: str | None = None
        self._text = ""

    def take(self, source: str, text: str) -> None:
        if self._source in {None, source}:
            self._source, self._text = source, text

    def end(self, source: str) -> None:
        if self._source == source:
            self._source, self._text = None, ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Only the end can be shown, and wrapping a long text at each refresh would be dear.
        shown = clean(self._text[-_DRAFT_LINES * options.max_width :])
        if shown.strip():
            lines = Text(shown, style="dim").wrap(console, options.max_width)
            yield Text("\n").join(lines[-_DRAFT_LINES:])


class _ProgressBelowDraft(Progress):
    """The bar, with the draft above it."""

    def __init__(self, draft: _Draft, *columns: ProgressColumn, console: Console) -> None:
        self._above = draft
        super().__init__(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=4,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self._above
        yield from super().get_renderables()


class BarDisplay:
    """Calls done of calls known so far; vanishes when it is closed.

    The total grows while documents are opened, since later steps are known only then.
    """

    def __init__(self, stream: TextIO) -> None:
        self.run = ""
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._draft = _Draft()
        self._progress = _ProgressBelowDraft(
            self._draft,
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[tally]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._tally = ProgressCounts()
        self._name = ""
        self._fetch: tuple[str, int, int] | None = None
        self._stage = ""
        self._task = self._progress.add_task("", total=None, tally="")
        self._progress.start()

    def run_started(self, run: str) -> None:
        self.run = run

    def document_started(self, source: str) -> None:
        name = clean_line(source)
        self._name = name if len(name) <= _MAX_NAME else "…" + name[1 - _MAX_NAME :]

    def document_done(self, result: Result) -> None:
        self._draft.end(result.source)
        self._tally.document_done(result)

    def draft(self, source: str, text: str) -> None:
        """Show the end of a result while it is written; of several at once, the first."""
        self._draft.take(source, text)

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
        self.write_line(message)

    def note(self, source: str, step: str, note: Note) -> None:
        """Write the beginning of a note, on one line, above the bar."""
        del step
        text = " ".join(note.text.split())
        text = text if len(text) <= _MAX_NOTE else text[: _MAX_NOTE - 1] + "…"
        self.write_line(
            f"{source}, characters {note.spans[0].start:,} to {note.spans[-1].end:,}: {text}"
        )

    def write_line(self, text: str) -> None:
        self._progress.console.print(disarm_commands(clean(text)), soft_wrap=True, style="")

    def refresh(self) -> None:
        """Update the bar once a tick instead of once a call, since there may be many calls."""
        self._progress.start()
        name, done, total = self._fetch or (self._name, self._tally.calls, self._tally.planned)
        of = (
            f"{format_megabytes(done)} of {format_megabytes(total)}"
            if self._fetch
            else str(self._tally)
        )
        if self._stage:
            name, done, total, of = self._stage, 0, 0, ""
        self._progress.update(
            self._task, description=name, total=total or None, completed=done, tally=of
        )

    @contextmanager
    def pause(self) -> Generator[None]:
        """Take the bar away while standard output, the same terminal, is written.

        The next beat brings it back, so that many results in a row do not make it flicker.
        """
        self._progress.stop()
        yield

    def close(self) -> None:
        self._progress.stop()
