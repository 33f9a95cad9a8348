"""Which watches a run has: the display that the options and the terminal ask for, and others.

One watch stands for several: what is shown, and what is written down.
"""

from __future__ import annotations

from typing import TextIO

from octavo.commands._cli.progress.display import Display, PlainDisplay, QuietDisplay
from octavo.commands._cli.terminal import is_drawable
from octavo.config.run_options import ProgressMode
from octavo.engine.report import CallEnded, CallWatch, DraftWatch, NoteWatch, Result, Silence, Watch
from octavo.errors import Outcome
from octavo.text.note import Note

__all__ = ["CallLogger", "combine_watches", "open_display"]


class CallLogger(Silence):
    """Writes a line for each call, as it ends."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def call_sent(self, source: str, step: str, node: str, key: bytes) -> None:
        """Print nothing; the display shows calls in flight."""

    def call_ended(self, ended: CallEnded) -> None:
        """Say what became of a call."""
        tries = f" after {ended.sent} attempts" if ended.sent > 1 else ""
        self._display.write_line(
            f"{ended.source}: {ended.step}, {ended.node}: {ended.outcome}{tries}"
        )


class _CompositeWatch:
    """Passes each event to several watches; calls and notes only to those that take them."""

    def __init__(self, *watches: Watch) -> None:
        self._all = watches
        self._calls = [each for each in watches if isinstance(each, CallWatch)]
        self._notes = [each for each in watches if isinstance(each, NoteWatch)]

    def run_started(self, run: str) -> None:
        for each in self._all:
            each.run_started(run)

    def document_started(self, source: str) -> None:
        for each in self._all:
            each.document_started(source)

    def document_done(self, result: Result) -> None:
        for each in self._all:
            each.document_done(result)

    def call_planned(self, source: str, step: str) -> None:
        for each in self._all:
            each.call_planned(source, step)

    def call_done(self, source: str, step: str, outcome: Outcome) -> None:
        for each in self._all:
            each.call_done(source, step, outcome)

    def fetching(self, name: str, done: int, total: int) -> None:
        for each in self._all:
            each.fetching(name, done, total)

    def waiting(self, stage: str) -> None:
        for each in self._all:
            each.waiting(stage)

    def notice(self, message: str) -> None:
        for each in self._all:
            each.notice(message)

    def note(self, source: str, step: str, note: Note) -> None:
        for each in self._notes:
            each.note(source, step, note)

    def call_sent(self, source: str, step: str, node: str, key: bytes) -> None:
        for each in self._calls:
            each.call_sent(source, step, node, key)

    def call_ended(self, ended: CallEnded) -> None:
        for each in self._calls:
            each.call_ended(ended)


class _DraftingCompositeWatch(_CompositeWatch):
    """Also passes drafts on. A separate class: a watch that takes drafts makes servers stream."""

    def __init__(self, first: DraftWatch, *watches: Watch) -> None:
        super().__init__(*watches)
        self.draft = first.draft


def combine_watches(display: Display, *others: Watch) -> Watch:
    """Return a watch that tells a display and others."""
    if not others:
        return display
    if isinstance(display, DraftWatch):
        return _DraftingCompositeWatch(display, display, *others)
    return _CompositeWatch(display, *others)


def open_display(kind: ProgressMode, stream: TextIO, *, quiet: bool = False) -> Display:
    """Return the display that the options and the terminal ask for.

    A bar is drawn only on a terminal that may be drawn on; asked for elsewhere it is `plain`.
    """
    if quiet or kind is ProgressMode.NONE:
        return QuietDisplay(stream, silent=quiet)
    if kind in {ProgressMode.AUTO, ProgressMode.BAR} and is_drawable(stream):
        from octavo.commands._cli.progress.bar import (  # noqa: PLC0415 - rich costs time and memory elsewhere
            BarDisplay,
        )

        return BarDisplay(stream)
    return PlainDisplay(stream)
