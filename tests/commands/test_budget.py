from __future__ import annotations

import json

import pytest

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
    (tmp_path / "a.txt").write_text("\n\n".join(f"Sentence {n} of words. " * 9 for n in range(12)))
    return tmp_path


def test_a_budget_ends_a_run_with_its_own_code_and_says_how_to_go_on(place, octavo):
    done = octavo("run", "again.yaml", "a.txt", *MODEL, "--max-calls", "3", "-j", "1")
    assert (done.code, done.out) == (4, "")
    assert "error: --max-calls 3 is reached; so far 3 calls sent\n" in done.err
    assert "help: raise it to go on: what was answered is kept\n" in done.err
    assert "`octavo runs resume 1` goes on" in done.err
    assert octavo("runs", "resume", "--max-calls", "1").code == 4  # of the last run
    again = octavo("runs", "resume", "1", "--max-calls", "100")
    assert again.code == 0
    calls = again.out.count("Fine.")
    assert calls > 9
    assert octavo("runs", "resume", "first").err.startswith("error: 'first' is no number of a run")
    [last] = octavo("runs", "list", "-n", "1", "--json").out.splitlines()
    assert json.loads(last)["summary"]["sent"] == calls - 4


def test_a_budget_must_be_above_nothing(place, octavo):
    done = octavo("run", "again.yaml", "a.txt", *MODEL, "--max-minutes", "0")
    assert done.code == 2
    assert done.err.startswith("error: --max-minutes 0.0 is not above 0\n")


def test_a_model_that_runs_here_costs_nothing(place, octavo):
    assert octavo("run", "again.yaml", "a.txt", *MODEL, "--max-cost", "0.01").code == 0
