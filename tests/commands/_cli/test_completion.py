"""What the shell offers after TAB, as the shells themselves ask for it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cpu_seconds import BARE, completing, seconds

import octavo
from octavo.commands._cli.app import COMMANDS
from octavo.commands._cli.completion import print_completions

PIPELINE = """\
octavo: 1
about: Say it again.
params:
  tone: {type: choice, choices: [dry, warm], default: dry, about: How it sounds.}
  loud_voice: {type: boolean, default: false}
steps:
  - split: {}
  - map: {prompt: "Say {{ text }}"}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "octavo/pipelines").mkdir(parents=True)
    (tmp_path / "octavo/pipelines/zebra.yaml").write_text(PIPELINE)
    (tmp_path / "octavo.toml").write_text(
        '[profiles.lab]\nmodel = "openai:qwen"\n[profiles.cloud]\nmodel = "openai:gpt"\n'
    )
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "octavo").write_text(f'#!/bin/sh\nexec {sys.executable} -m octavo "$@"\n')
    (scripts / "octavo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{scripts}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def completed(place, monkeypatch, capsys):
    """Return what is offered at the last of some words, in this process."""

    def of(*words):
        for name, value in completing("octavo", *words).items():
            monkeypatch.setenv(name, value)
        assert print_completions("complete_bash")
        return capsys.readouterr().out.split()

    return of


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("r",), ["run", "runs"]),
        (("-C", "docs", "ver"), ["version"]),
        (("--env-f",), ["--env-file"]),
        (("run", "ze"), ["zebra"]),
        (("show", "ze"), ["zebra"]),
        (("run", "zebra", "--to"), ["--tone"]),
        (("run", "zebra", "--loud"), ["--loud-voice"]),
        (("run", "zebra", "--tone", ""), ["dry", "warm"]),
        (("plan", "zebra", "a.txt", "--timeo"), ["--timeout"]),
        (("run", "zebra", "--progress", "b"), ["bar"]),
        (("run", "zebra", "-m", ""), ["lab", "cloud", "llama:smollm2"]),
        (("split", "--by", "se"), ["semantic", "sentences"]),
        (("run", "lookup", "--by", "b"), ["bm25"]),
        (("run", "zebra", "--model", "la"), ["lab"]),
        (("run", "zebra", "-m", "llama", ":"), ["smollm2"]),
        (("run", "zebra", "-m", "llama", ":", "smo"), ["smollm2"]),
        (("run", "zebra", "--quiet", "--qui"), []),
        (("run", "zebra", "--glob", "a", "--glo"), ["--glob"]),
        (("run", "zebra", "a"), []),  # the shell offers files
        (("run", "./ze"), []),
        (("run", "nothing", "--json"), []),
        (("nothing", "x"), []),
        (("runs", "res"), ["resume"]),
        (("tokens", "--tokeni"), ["--tokenizer"]),
    ],
)
def test_what_is_offered(completed, words, offered):
    assert completed(*words) == offered


def test_every_command_is_offered(completed):
    assert set(completed("")) >= set(COMMANDS)


def test_the_numbers_of_runs_are_offered_newest_first(completed, octavo_process, place):
    (place / "rules.yaml").write_text("rules:\n  - reply: Yes.\n")
    (place / "a.txt").write_text("Text.")
    for _ in range(2):
        octavo_process("run", "zebra", "a.txt", "-m", "scripted:rules.yaml", "--fresh")
    assert completed("runs", "show", "") == ["2", "1"]


def test_what_cannot_be_read_offers_nothing_and_says_nothing(completed, place, capsys):
    (place / "octavo/pipelines/zebra.yaml").write_text("params: [\n")
    (place / "octavo.toml").write_text("[broken\n")
    assert completed("run", "zebra", "--to") == []
    assert completed("run", "zebra", "-m", "la") == []
    (place / "octavo/pipelines/zebra.yaml").write_bytes(b"\xff\xfe\x00")
    assert completed("run", "ze") == []
    assert capsys.readouterr().err == ""


def in_shell(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    return done.stdout.split("\n")


def test_bash_completes(place):
    script = (
        "source <(_OCTAVO_COMPLETE=source_bash octavo); COMP_WORDS=(octavo run zebra --to);"
        " COMP_CWORD=3; _octavo_completion octavo; echo ${COMPREPLY[@]}"
    )
    assert in_shell("bash", "--norc", "-c", script)[0] == "--tone"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_with_help(place):
    script = '_OCTAVO_COMPLETE=source_fish octavo | source; complete -C "octavo run zebra --to"'
    assert in_shell("fish", "--no-config", "-c", script)[0] == "--tone\tHow it sounds."


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("octavo run ze", '_arguments \'*: :(("zebra":"Say it again."))\''),
        ('octavo run zebra --tone "d', "_arguments '*: :((\"dry\"))'"),
        ("octavo run zebra ", "_files"),
    ],
)
def test_zsh_is_answered_in_its_form(place, monkeypatch, capsys, line, written):
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    assert print_completions("complete_zsh")
    assert capsys.readouterr().out == written


def test_a_change_of_any_module_of_the_commands_is_offered_at_the_next_tab(place):
    package = place / "cli" / "octavo"
    shutil.copytree(Path(octavo.__file__).parent, package)

    def offered(*words):
        done = subprocess.run(
            [sys.executable, "-m", "octavo"],
            env={**os.environ, "PYTHONPATH": str(package.parent), **completing("octavo", *words)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert offered("version", "--lo") == []
    with (package / "commands" / "version.py").open("a") as module:
        module.write("\n\ndef version(loud: bool = False): ...\n")
    assert offered("version", "--lo") == ["--loud"]
    with (package / "commands" / "_cli" / "app.py").open("a") as module:
        module.write("\n\ndel COMMANDS['version']\n")
    assert offered("vers") == []


def test_it_is_faster_than_a_bare_application(place):
    (place / "bare.py").write_text(BARE)
    bare = (sys.executable, "bare.py")
    ours = (sys.executable, "-m", "octavo")
    asked = completing("octavo", "run", "zebra", "--to")
    seconds(ours, **asked)  # writes the table
    pairs = [(seconds(ours, **asked), seconds(bare, **completing("bare", "he"))) for _ in range(3)]
    assert statistics.median(mine / its for mine, its in pairs) < 1.3
