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


@pytest.mark.parametrize("option", ["--max-cost", "--max-minutes", "--timeout", "--hedge"])
def test_what_is_no_number_bounds_nothing_and_is_refused(place, octavo, option):
    done = octavo("run", "again.yaml", "a.txt", *MODEL, option, "nan")
    assert done.code == 2
    assert done.err.startswith(f"error: {option} nan is not above ")


def test_a_model_that_runs_here_costs_nothing(place, octavo):
    assert octavo("run", "again.yaml", "a.txt", *MODEL, "--max-cost", "0.01").code == 0


def test_a_plan_says_which_budgets_would_end_the_run(place, octavo):
    def told(*budgets):
        planned = octavo("plan", "again.yaml", "a.txt", *MODEL, *budgets)
        assert planned.code == 0
        return [line for line in planned.out.splitlines() if line.startswith("--max-")]

    calls = json.loads(octavo("plan", "again.yaml", "a.txt", *MODEL, "--json").out)["sent"]["high"]
    end = "end the run before it is done; it can be resumed"
    assert told("--max-calls", calls - 1) == [f"--max-calls {calls - 1} would {end}"]
    assert told("--max-calls", calls) == [f"--max-calls {calls} may {end}"]  # some are asked again
    assert told("--max-calls", 2 * calls, "--max-cost", "0.01") == []
    assert told("--max-calls", "1", "--max-tokens", "10") == [
        f"--max-calls 1 would {end}",
        f"--max-tokens 10 would {end}",
    ]
