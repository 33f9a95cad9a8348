"""Settings: flag, environment, project file, user file, default; and `octavo config show`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from octavo.config.run_options import RUN_OPTIONS

KEY = "sk-fake-0123456789abcdefghij"
ONE_LINE = {
    *("inputs", "output", "model", "param", "dry_run", "fresh", "json"),
    *("changed_since", "stdin_filename", "until"),
}
"""Options that belong to one command line, or have another name in files (`model`)."""


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "octavo.toml").write_text(
        'default = "lab"\njobs = 4\nexclude = ["drafts/"]\nkeep_going = true\n'
        'journal = "kept/journal.sqlite"\n\n'
        '[profiles.lab]\nmodel = "openai:qwen"\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    return tmp_path


@pytest.fixture
def show(octavo):
    def run(*arguments):
        done = octavo("config", "show", "--json", *arguments)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


def user_file(home, text):
    path = home / ".config/octavo/octavo.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_files_may_set_every_option_that_is_not_of_one_command_line():
    assert {name for name, each in RUN_OPTIONS.items() if not each.option.in_files} == ONE_LINE


def test_the_nearer_value_wins_and_each_says_where_it_is_from(
    project, show, empty_home, monkeypatch
):
    users = user_file(empty_home, "jobs = 9\ntimeout = 5\n")
    monkeypatch.setenv("OCTAVO_EXCLUDE", "*.py *.bak")
    monkeypatch.setenv("OCTAVO_KEEP_GOING", "0")
    found = show("--encoding", "latin-1")["settings"]
    toml = project / "octavo.toml"
    assert found["encoding"] == {"value": "latin-1", "origin": "flag"}
    assert found["exclude"] == {"value": ["*.py", "*.bak"], "origin": "env OCTAVO_EXCLUDE"}
    assert found["keep_going"] == {"value": False, "origin": "env OCTAVO_KEEP_GOING"}
    assert found["jobs"] == {"value": 4, "origin": f"{toml}:2"}
    assert found["timeout"] == {"value": 5.0, "origin": f"{users}:2"}
    assert found["model"] == {"value": "lab", "origin": f"{toml}:1"}
    assert found["quiet"] == {"value": False, "origin": "default"}
    assert show("-j", "7", "--keep-going")["settings"]["jobs"]["origin"] == "flag"


def test_config_alone_shows(project, octavo):
    assert octavo("config").out == octavo("config", "show").out


def test_paths_in_a_file_are_relative_to_that_file(project, octavo, monkeypatch):
    below = project / "docs/deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    done = octavo("-C", below, "config", "show", "--json")
    found = json.loads(done.out)["settings"]
    assert found["journal"]["value"] == str(project / "kept/journal.sqlite")


def test_a_table_of_pyproject_is_a_project_file(project, octavo, show):
    (project / "octavo.toml").unlink()
    shared = project / "pyproject.toml"
    shared.write_text('[project]\nname = "x"\n\n[tool.octavo]\nmodel = "openai:a"\njobs = 3\n')
    found = show()["settings"]
    assert found["jobs"] == {"value": 3, "origin": f"{shared}:6"}
    assert found["model"] == {"value": "openai:a", "origin": f"{shared}:5"}
    shared.write_text('[project]\njobs = "x"\n[tool.octavo]\nglobs = []\n')
    done = octavo("config", "show")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{shared}:4:1: error[unknown-key]: tool.octavo has no 'globs'")
    assert "help: did you mean 'glob'?" in done.err
    shared.write_text("[tool.black]\nline-length = 'octavo'\n[broken")
    assert octavo("config", "show").code == 0  # the fault is not in our part


def test_unknown_and_wrong_keys_are_all_told_with_their_places(project, octavo):
    (project / "octavo.toml").write_text('jbos = 4\njobs = "many"\nformat = "xml"\ntimeout = 0\n')
    done = octavo("run", "summarize", "a.txt")
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if "error[" in line]
    assert [line.removeprefix(f"{project}/octavo.toml:").split(": ")[0] for line in lines] == [
        *("1:1", "2:1", "3:1", "4:1")
    ]
    assert "did you mean 'jobs'?" in done.err


def test_settings_are_used_by_the_commands(project, octavo, monkeypatch):
    (project / "rules.yaml").write_text("rules:\n  - reply: Yes.\n")
    (project / "octavo.toml").write_text(
        'model = "scripted:rules.yaml"\nexclude = ["*.txt"]\njournal = "kept/j.sqlite"\n'
    )
    docs = project / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("One.")
    (docs / "b.txt").write_text("Two.")
    monkeypatch.chdir(docs)
    done = octavo("-C", docs, "run", "map", "--prompt", "Ask", ".", "--json")
    assert [json.loads(line)["source"] for line in done.out.splitlines()] == ["a.md"]
    assert (project / "kept/j.sqlite").exists()
    assert octavo("-C", docs, "tokens", ".").out.count("\n") == 1
    monkeypatch.setenv("OCTAVO_EXCLUDE", "*.md")
    assert "b.txt" in octavo("-C", docs, "tokens", ".").out
    monkeypatch.setenv("OCTAVO_JOBS", "many")
    wrong = octavo("run", "map", "--prompt", "Ask", docs)
    assert wrong.code == 2
    assert wrong.err.startswith("error: OCTAVO_JOBS: ")


def test_what_the_command_line_has_goes_before_what_else_is_set(project, octavo, monkeypatch):
    (project / "rules.yaml").write_text("rules:\n  - reply: Yes.\n")
    (project / "octavo.toml").write_text(
        'model = "scripted:rules.yaml"\nformat = "json"\nprogress = "none"\n'
    )
    (project / "a.md").write_text("One.")
    ask = ("run", "map", "--prompt", "Ask", "a.md")
    done = octavo(*ask)
    assert json.loads(done.out)["result"] == "Yes."
    assert done.err == ""
    octavo(*ask, "-o", "out.csv")
    assert (project / "out.csv").read_text() == "source,result\na.md,Yes.\n"
    assert octavo(*ask, "--format", "text", "--progress", "plain").out == "Yes.\n"
    monkeypatch.setenv("OCTAVO_FORMAT", "csv")
    assert json.loads(octavo(*ask, "--json").out)["result"] == "Yes."
    monkeypatch.setenv("OCTAVO_MODEL", "openai:gpt-4")
    assert octavo("tokens", "--tokenizer", "estimate", "a.md").code == 0
    both = octavo("tokens", "--tokenizer", "estimate", "-m", "openai:gpt-4", "a.md")
    assert (both.code, both.out) == (2, "")


def test_a_parameter_of_a_pipeline_is_not_taken_from_a_variable_of_its_name(octavo, monkeypatch):
    monkeypatch.setenv("OCTAVO_LENGTH", "many")
    monkeypatch.setenv("OCTAVO_PARAM", "length=nonsense")
    done = octavo("run", "summarize", "-", stdin=b"x")
    assert "'nonsense'" in done.err
    assert "many" not in done.err


def test_a_key_is_never_shown(project, octavo, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("LAB_KEY", "hunter2hunter2")
    (project / "octavo.toml").write_text(
        'default = "lab"\n[profiles.lab]\nmodel = "openai:m"\napi_key_env = "LAB_KEY"\n'
        '[profiles.lab.headers]\nx-team = "hunter2hunter2"\n'
    )
    for extra in ((), ("-m", "openai:m"), ("--json",), ("-m", "openai:m", "--json")):
        done = octavo("config", "show", *extra)
        assert KEY not in done.out + done.err
        assert "hunter2" not in done.out + done.err
        assert "env OPENAI_API_KEY" in done.out or "env LAB_KEY" in done.out


def test_an_env_file_is_read_when_it_is_named_and_only_then(project, octavo_process):
    (project / ".env").write_text("OCTAVO_JOBS=11\n")
    (project / "ci.env").write_text("# for CI\nexport OCTAVO_JOBS='12'\nOCTAVO_TIMEOUT=3\n")

    def jobs(*root, **environment):
        done = octavo_process(*root, "config", "show", "--json", **environment)
        return json.loads(done.out)["settings"]["jobs"]

    assert jobs()["value"] == 4
    assert jobs("--env-file", "ci.env") == {"value": 12, "origin": "env OCTAVO_JOBS"}
    # What the environment says already goes before the file.
    assert jobs("--env-file", "ci.env", OCTAVO_JOBS="13")["value"] == 13
    (project / "bad.env").write_text(f"OCTAVO_JOBS=1\n{KEY} {KEY}\n")
    done = octavo_process("--env-file", "bad.env", "config", "show")
    assert done.code == 2
    assert done.err.startswith("error: bad.env:2:1: this line is no NAME=value\nhelp: ")
    assert KEY not in done.err
    assert octavo_process("--env-file", "gone.env", "version").code == 2


def test_a_resumed_run_reads_the_same_env_file(project, tmp_path):
    (project / "octavo.toml").unlink()
    (project / "rules.yaml").write_text("rules:\n  - reply: Yes.\n")
    (project / "a.md").write_text("One.")
    (project / "ci.env").write_text("OCTAVO_MODEL=scripted:rules.yaml\n")
    command = [sys.executable, "-m", "octavo"]
    run = ["--env-file", "ci.env", "run", "map", "--prompt", "Ask", "a.md"]
    first = subprocess.run([*command, *run], cwd=project, capture_output=True, check=True)
    again = subprocess.run(
        [*command, "runs", "resume"],
        cwd="/",
        env=os.environ,
        capture_output=True,
        check=True,
    )
    assert first.stdout == again.stdout == b"Yes.\n"
    assert b"1 from the journal" in again.stderr
