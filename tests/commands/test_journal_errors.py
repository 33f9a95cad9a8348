"""A journal that cannot be used: said before anything is asked, by every command that needs it."""

from __future__ import annotations

import os
import sqlite3

import pytest

from octavo.engine.journal.schema import VERSION

MODEL = ("-m", "scripted:rules.yaml")
COMMANDS = (
    ("run", "map", "a.txt", "--prompt", "Say it.", *MODEL),
    ("plan", "map", "a.txt", "--prompt", "Say it.", *MODEL),
    ("cache", "stats"),
    ("cache", "clear"),
    ("runs", "list"),
)


def garbage(path):
    path.write_bytes(b"This is a letter to a friend. " * 999)


def later(path):
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def torn(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"Z" * (len(whole) - len(whole) // 2))


def directory(path):
    path.unlink()
    path.mkdir()


@pytest.fixture
def place(tmp_path, monkeypatch, octavo):
    """A directory with a text, rules, and a journal with a run in it."""
    (tmp_path / "rules.yaml").write_text("default: Fine.\n")
    (tmp_path / "a.txt").write_text("A few words.")
    monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / "kept" / "j"))
    assert octavo(*COMMANDS[0]).code == 0
    return tmp_path


@pytest.mark.parametrize(
    ("spoil", "complaint", "hint"),
    [
        (garbage, "cannot be used: file is not a database", "move the file away"),
        (torn, "cannot be used: ", "move the file away"),
        (later, "was written by a later version of Octavo", "upgrade Octavo"),
        (directory, "cannot be opened: Is a directory", "set OCTAVO_JOURNAL"),
    ],
)
def test_a_journal_that_cannot_be_used_is_named_and_left_as_it_is(
    place, octavo, spoil, complaint, hint
):
    journal = place / "kept" / "j"
    spoil(journal)
    before = journal.is_file() and journal.read_bytes()
    # The list of runs may lie in the half that is whole.
    for command in COMMANDS[:-1] if spoil is torn else COMMANDS:
        done = octavo(*command)
        assert (done.code, done.stdout) == (2, b""), command
        error, help_ = done.err.splitlines()
        assert error.startswith(f"error: the journal {journal} ")
        assert complaint in error
        assert help_.startswith(f"help: {hint}")
    assert before == (journal.is_file() and journal.read_bytes())


def test_a_journal_that_may_not_be_written_is_told_and_private_does_without(
    place, octavo, monkeypatch
):
    def refused(path, *_):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("octavo.engine.journal.database.os.open", refused)
    done = octavo(*COMMANDS[0])
    assert done.code == 2
    assert done.err.splitlines()[0].endswith("cannot be opened: Permission denied")
    assert "--private" in done.err
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert octavo(*COMMANDS[0], "--private").code == 0
