from __future__ import annotations

import json

import pytest

from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.retention import collect_stats
from octavo.engine.journal.store import Journal

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 60}
  - map: {prompt: "Again: {{ text }}", tokens: 60}
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "again.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text("default: Fine.\n")
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("\n\n".join(f"{name} says {n}. " * 9 for n in range(12)))
    return tmp_path


def test_without_a_journal_nothing_is_kept(octavo, empty_home):
    for command in (("stats",), ("prune", "--older", "1d"), ("clear",), ()):
        done = octavo("cache", *command)
        assert (done.code, done.out, done.err) == (0, "", "nothing is kept yet\n")
    assert not (empty_home / ".local").exists()


def test_stats_are_a_table_or_an_object(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    done = octavo("cache", "stats")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("journal")
    assert lines[-1].split()[0] == "again"
    assert octavo("cache").out == done.out
    found = json.loads(octavo("cache", "stats", "--json").out)
    assert found["runs"] == 1
    assert found["shares"][0]["calls"] == found["calls"] > 5


def test_a_source_is_cleared_by_its_path(place, octavo):
    octavo("run", "again.yaml", "a.txt", "b.txt", *MODEL, "-o", "out")
    (place / "elsewhere").mkdir()
    done = octavo("-C", "elsewhere", "cache", "clear", "--source", "../a.txt")
    assert done.code == 0
    assert " freed\n" in done.err
    octavo("-C", "..", "run", "again.yaml", "a.txt", "b.txt", *MODEL, "-o", "out")
    found = json.loads(octavo("runs", "list", "-n", "1", "--json").out)
    assert done.err.startswith(f"took out {found['summary']['sent']} replies, ")
    assert octavo("cache", "clear", "--source", "c.txt").err == "nothing is kept of c.txt\n"
    assert octavo("cache", "clear").code == 0
    assert octavo("runs", "list").err == "no runs yet\n"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ((), "--older 30d, or --size 500MB"),
        (("--older", "30"), "write 30d, 8w, 6m or 1y"),
        (("--older", "soon"), "write 30d, 8w, 6m or 1y"),
        (("--size", "large"), "write 500MB or 2GB"),
    ],
)
def test_what_to_prune_must_be_said(place, octavo, options, hint):
    done = octavo("cache", "prune", *options)
    assert done.code == 2
    assert f"help: {hint}\n" in done.err


def test_part_of_a_day_takes_nothing_of_today_out(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    with Journal(find_journal_path()) as journal:
        before = collect_stats(journal)
        journal.execute("UPDATE calls SET used = used - 1")  # yesterday
    assert octavo("cache", "prune", "--older", "0.5d").code == 0
    with Journal(find_journal_path()) as journal:
        after = collect_stats(journal)
    assert before.calls == after.calls > 0


@pytest.mark.parametrize("number", ["9" * 25, "9" * 400])
def test_no_number_is_too_large(place, octavo, number):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    done = octavo("cache", "prune", "--older", f"{number}d", "--size", f"{number}GB")
    assert done.code == 0
    assert done.err.startswith("took out 0 replies, ")
    assert octavo("runs", "list", "-n", number).code == 0


def test_pruning_keeps_what_is_recent(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    done = octavo("cache", "prune", "--older", "30d", "--size", "1.5GB")
    assert done.err.startswith("took out 0 replies, ")
    assert octavo("run", "again.yaml", "a.txt", *MODEL).err.endswith("from the journal\n")
