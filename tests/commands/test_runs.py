from __future__ import annotations

import json
import os

import pytest

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 200}
  - map: {prompt: "Again: {{ text }}", tokens: 60}
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "again.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text("default: Fine.\n")
    (tmp_path / "a.txt").write_text("Text.")
    return tmp_path


def test_without_runs_there_is_nothing_to_list(octavo, empty_home):
    done = octavo("runs", "list")
    assert (done.code, done.out, done.err) == (0, "", "no runs yet\n")
    assert octavo("runs", "list", "--json").stdout == b""
    assert not (empty_home / ".local").exists()
    assert octavo("runs", "resume").err.startswith("error: there are no runs yet\n")


def test_runs_are_listed_newest_first_with_their_commands(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    octavo("run", "again.yaml", "gone.txt", "a.txt", *MODEL, "-k")
    head, *rows = octavo("runs", "list").out.splitlines()
    columns = ["run", "started", "pipeline", "status", "documents", "calls", "command"]
    assert head.split() == columns
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert rows[0].endswith("run again.yaml gone.txt a.txt -m scripted:rules.yaml -k")
    assert "failed" in rows[0]
    assert "complete" in rows[1]
    assert octavo("runs").out.splitlines() == [head, *rows]
    assert len(octavo("runs", "list", "-n", "1").out.splitlines()) == 2


def test_the_list_as_json_is_one_object_a_line(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    [line] = octavo("runs", "list", "--json").out.splitlines()
    run = json.loads(line)
    assert run["run"] == "1"
    assert run["status"] == "complete"
    assert run["summary"]["calls"] == 1
    assert run["command"][:2] == ["-C", str(place)]


def test_a_run_shows_what_became_of_its_calls(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    octavo("run", "again.yaml", "a.txt", *MODEL)
    shown = octavo("runs", "show").out
    assert "command   run again.yaml a.txt -m scripted:rules.yaml" in shown
    assert shown.splitlines()[-1].split() == ["a.txt", "map", "cached", "1"]
    assert octavo("runs", "show", "1").out.splitlines()[-1].split() == ["a.txt", "map", "ok", "1"]
    calls = octavo("runs", "show", "1", "--calls").out.splitlines()
    assert calls[-1].split()[:2] == ["a.txt", "map"]
    ledger = json.loads(octavo("runs", "show", "1", "--json").out)["ledger"]
    assert ledger == [{"source": "a.txt", "step": "map", "outcome": "ok", "calls": 1}]


def test_an_unknown_run_is_wrong_usage(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    done = octavo("runs", "show", "7")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: there is no run 7\nhelp: `octavo runs list` lists them\n"


def test_a_resumed_run_does_the_same_from_anywhere_and_asks_nothing_twice(
    place, octavo, tmp_path_factory
):
    first = octavo("run", "again.yaml", "a.txt", *MODEL)
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = octavo("runs", "resume", "1")
    assert again.code == 0
    assert again.stdout == first.stdout
    assert "1 from the journal" in again.err
    assert [
        json.loads(line)["command"] for line in octavo("runs", "list", "--json").out.splitlines()
    ] == [["-C", str(place), "run", "again.yaml", "a.txt", *MODEL]] * 2


def test_a_fresh_run_asks_again_and_resuming_it_does_not(place, octavo):
    octavo("run", "again.yaml", "a.txt", *MODEL)
    assert octavo("run", "again.yaml", "a.txt", *MODEL, "--fresh").err == "a.txt: done, 1 call\n"
    assert "1 from the journal" in octavo("runs", "resume", "2").err


def test_a_file_whose_name_is_no_text_is_read_again_too(place, octavo):
    name = os.fsdecode(b"caf\xe9.txt")
    (place / name).write_text("A text.")
    done = octavo("run", "again.yaml", name, *MODEL, "--events", "e.jsonl")
    assert (done.code, done.err) == (0, "caf\\xe9.txt: done, 1 call\n")
    assert octavo("runs", "resume").stdout == done.stdout
    assert octavo("runs", "list").code == octavo("runs", "list", "--json").code == 0
    assert octavo("plan", "again.yaml", name, *MODEL, "--fresh").code == 0
    assert octavo("cache", "clear", "--source", "a.txt").code == 0


def test_a_parameter_that_is_no_text_is_refused_before_any_call(place, octavo):
    done = octavo("run", "ask", "a.txt", *MODEL, "--question", os.fsdecode(b"caf\xe9"))
    assert done.code == 2
    assert done.err.startswith("error: the parameter 'question' is not UTF-8 text\n")
