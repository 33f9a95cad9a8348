from __future__ import annotations

import io

import pytest

from octavo.commands._cli.progress.display import PlainDisplay, QuietDisplay
from octavo.commands._cli.progress.watch import open_display
from octavo.commands._cli.terminal import format_duration
from octavo.config.run_options import ProgressMode
from octavo.engine.report import DraftWatch, NoteWatch, Result, Totals
from octavo.errors import Outcome, ReplyError
from octavo.text.note import Note
from octavo.text.span import Span


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def done(source, calls=2, cached=0, error=None):
    outcomes = {Outcome.OK: calls - cached, Outcome.CACHED: cached}
    return Result(source, None if error else "text", totals=Totals(outcomes), error=error)


def test_each_finished_document_is_one_line():
    stream = io.StringIO()
    display = PlainDisplay(stream, Clock())
    display.document_started("a.txt")
    display.document_done(done("a.txt", calls=1))
    display.document_done(done("b.txt", calls=1200, cached=3))
    assert (
        stream.getvalue() == "a.txt: done, 1 call\nb.txt: done, 1,200 calls, 3 from the journal\n"
    )


def test_a_failed_document_is_left_to_the_error_that_names_it():
    stream = io.StringIO()
    display = PlainDisplay(stream, Clock())
    display.document_done(done("a.txt", error=ReplyError("empty", outcome="refused")))
    assert stream.getvalue() == ""


def test_a_heartbeat_comes_only_after_thirty_silent_seconds():
    stream, clock = io.StringIO(), Clock()
    display = PlainDisplay(stream, clock)
    for _ in range(40):
        display.call_planned("a.txt", "map")
    for _ in range(12):
        display.call_done("a.txt", "map", Outcome.OK)
    display.call_done("a.txt", "map", Outcome.CACHED)
    for _ in range(95):
        clock.now += 1
        display.refresh()
    assert stream.getvalue().splitlines() == [
        "13 of 40 calls (1 from the journal), 30 s",
        "13 of 40 calls (1 from the journal), 1 min 00 s",
        "13 of 40 calls (1 from the journal), 1 min 30 s",
    ]


def test_a_line_puts_the_heartbeat_off():
    stream, clock = io.StringIO(), Clock()
    display = PlainDisplay(stream, clock)
    clock.now += 29
    display.document_done(done("a.txt"))
    clock.now += 29
    display.refresh()
    assert stream.getvalue().count("\n") == 1
    clock.now += 1
    display.refresh()
    assert stream.getvalue().endswith("0 of 0 calls, 1 document done, 59 s\n")


def test_a_fetched_model_is_told_once_and_then_by_heartbeats():
    stream, clock = io.StringIO(), Clock()
    display = PlainDisplay(stream, clock)
    for done in (0, 0, 62_000_000):
        display.fetching("model.gguf", done, 93_000_000)
        clock.now += 20
        display.refresh()
    display.fetching("model.gguf", 93_000_000, 93_000_000)
    clock.now += 30
    display.refresh()
    assert stream.getvalue().splitlines() == [
        "fetching model.gguf, 93 MB",
        "0 MB of 93 MB, 40 s",
        "0 of 0 calls, 1 min 30 s",
    ]


def test_quiet_shows_errors_only():
    stream = io.StringIO()
    display = open_display(ProgressMode.AUTO, stream, quiet=True)
    display.notice("using the embedded model")
    display.document_done(done("a.txt"))
    display.refresh()
    display.write_line("error: no")
    assert stream.getvalue() == "error: no\n"


def test_without_progress_notices_stay():
    stream = io.StringIO()
    display = open_display(ProgressMode.NONE, stream)
    display.notice("using the embedded model")
    display.document_done(done("a.txt"))
    assert stream.getvalue() == "using the embedded model\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [ProgressMode.AUTO, ProgressMode.BAR])
def test_a_bar_is_drawn_only_on_a_terminal_that_takes_one(kind, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_display(kind, io.StringIO()), PlainDisplay)
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(open_display(kind, Terminal()), PlainDisplay)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_display(kind, Terminal()), PlainDisplay)
    assert isinstance(open_display(ProgressMode.NONE, Terminal()), QuietDisplay)


def test_the_bar_shows_names_and_errors_as_they_are_and_vanishes(monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    display = open_display(ProgressMode.AUTO, stream)
    display.document_started("docs/[bold]chapter[/bold].md")
    display.call_planned("a", "map")
    display.refresh()
    display.write_line("error: [red]no[/red] \x1b[2J")
    with display.pause():
        before = stream.getvalue()
    display.fetching("model.gguf", 31_000_000, 93_000_000)
    display.refresh()
    display.close()
    display.close()
    assert "error: [red]no[/red] \\x1b[2J" in before
    assert "docs/[bold]chapter[/bold].md" in before
    assert "0 of 1 call" in before
    assert "31 MB of 93 MB" in stream.getvalue().removeprefix(before)
    assert before.endswith("\x1b[2K")  # the line that held the bar is empty again


def test_the_bar_shows_notes_while_their_document_is_read(monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    display = open_display(ProgressMode.AUTO, stream)
    display.note(
        "a.txt", "margins", Note("She sailed\nin [May]. " + "x" * 300, (Span(1200, 3400),))
    )
    display.close()
    assert isinstance(display, NoteWatch)
    assert "a.txt, characters 1,200 to 3,400: She sailed in [May]. xxx" in stream.getvalue()
    assert "x" * 200 not in stream.getvalue()


def test_the_bar_shows_the_end_of_a_draft_and_nothing_of_it_stays(monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    display = open_display(ProgressMode.AUTO, stream)
    display.draft("a.txt", "She left. " * 100 + "[bold]End\x1b[2J")
    display.draft("b.txt", "another one")
    display.refresh()
    display._progress.refresh()
    drawn = stream.getvalue()
    assert "[bold]End\\x1b[2J" in drawn
    assert "another one" not in drawn
    assert drawn.count("She left.") < 40  # the last lines only
    display.document_done(done("a.txt"))
    display.close()
    assert isinstance(display, DraftWatch)
    assert "[bold]End" not in stream.getvalue().removeprefix(drawn)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.9, "59 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text
