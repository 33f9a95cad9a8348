"""What people who live in a shell expect of every command."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections import Counter

import pytest
from tests.support.serving import Behaviour, serving

from octavo.commands._cli.app import COMMANDS, load_command

KEY = "sk-fake-0123456789abcdef"
PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 60}
  - map: {prompt: "Say: {{ text }}", tokens: 60}
  - reduce: {prompt: "Join: {% for n in notes %}{{ n }}{% endfor %}", tokens: 60}
"""
RULES = """\
rules:
  - match: '(?s)Say: (.*)'
    reply: "${1}"
  - match: '(?s).*'
    reply: "Joined."
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "one.yaml").write_text(PIPELINE.rpartition("  - reduce")[0])
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "a.md").write_text("One.")
    parts = (f"# {n}\n\n" + f"Sentence {n} of words. " * 9 for n in range(8))
    (tmp_path / "long.md").write_text("\n\n".join(parts))
    return tmp_path


def with_json():
    """Yield the words of each command that has an option `--json`."""
    pending = [((name,), load_command(name, {})) for name in COMMANDS]
    while pending:
        words, command = pending.pop()
        if any("--json" in option.opts for option in command.params):
            yield " ".join(words)
        pending += [((*words, n), inner) for n, inner in getattr(command, "commands", {}).items()]


ARGUMENTS = {
    "ls": ("ls",),
    "show": ("show", "summarize"),
    "runs list": ("runs", "list"),
    "runs show": ("runs", "show"),
    "cache stats": ("cache", "stats"),
    "config show": ("config", "show"),
    "doctor": ("doctor", *MODEL),
    "split": ("split", "a.md", "--score"),
    "run": ("run", "p.yaml", "a.md", *MODEL),
    "plan": ("plan", "p.yaml", "a.md", *MODEL),
}
"""How each command that can print JSON is asked for it."""
LINES = {"run", "runs list", "split"}
"""Those that print an object a line."""


def test_no_command_that_prints_json_is_forgotten():
    assert set(with_json()) | {"run", "plan"} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_json_is_json_before_and_after_a_run(place, octavo, name):
    for ran in (False, True):
        if ran:
            assert octavo("run", "p.yaml", "long.md", *MODEL).code == 0
        done = octavo(*ARGUMENTS[name], "--json")
        if name == "runs show" and not ran:
            assert (done.code, done.out) == (2, "")
            continue
        assert done.code == 0, done.err
        lines = done.out.splitlines()
        values = [json.loads(line) for line in lines] if name in LINES else None
        if values is None:
            json.loads(done.out)
        elif ran:
            assert values


def test_an_empty_result_is_still_json(place, octavo):
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=place, check=True)
    done = octavo("runs", "list", "--json")
    assert (done.code, done.out) == (0, "")
    failed = octavo("run", "p.yaml", "gone.md", "--json", *MODEL)
    assert failed.code == 2
    assert json.loads(failed.out)["result"] is None


STYLES = [
    {"NO_COLOR": "1", "TERM": "xterm"},
    {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm", "GITHUB_ACTIONS": "true"},
    {"TERM": "dumb", "NO_COLOR": "", "FORCE_COLOR": "1"},
]
COMMAND_LINES = [
    ("run", "p.yaml", "long.md", *MODEL, "-v"),
    ("run", "p.yaml", "--help"),
    ("run", "p.yaml", "--loud"),
]


@pytest.mark.parametrize(
    ("line", "style"),
    [
        *((COMMAND_LINES[0], style) for style in STYLES),
        *((line, STYLES[1]) for line in COMMAND_LINES[1:]),
    ],
)
def test_without_colour_no_escape_is_written_on_a_terminal(
    place, octavo_on_terminal, monkeypatch, line, style
):
    done = octavo_on_terminal(*line, **style)
    assert done.stdout
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("line", COMMAND_LINES, ids=["run", "help", "usage"])
def test_what_is_piped_has_no_escape_and_no_carriage_return(place, octavo_process, line):
    done = octavo_process(*line, FORCE_COLOR="1", GITHUB_ACTIONS="true", TERM="xterm", NO_COLOR="")
    assert not re.search(rb"[\x1b\r]", done.stdout + done.stderr)


def test_a_narrower_window_is_not_written_over(place, monkeypatch):
    """The bar is drawn to the width that the terminal has now."""
    monkeypatch.delenv("COLUMNS")
    monkeypatch.delenv("NO_COLOR")

    def resize(columns):
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    ours, theirs = pty.openpty()
    resize(100)
    line = [sys.executable, "-m", "octavo", "run", "one.yaml", "long.md", "-m", "openai:mock"]
    with serving(Behaviour(latency=0.6)) as server:
        process = subprocess.Popen(
            line,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=place,
            env={
                **os.environ,
                "TERM": "xterm",
                "OPENAI_BASE_URL": server.url,
                "OPENAI_API_KEY": KEY,
            },
        )
        os.close(theirs)
        seen = b""
        while b"of 8 calls" not in seen and b"calls" not in seen:
            seen += os.read(ours, 65536)
        resize(40)
        process.send_signal(signal.SIGWINCH)
        later = b""
        while True:
            try:
                later += os.read(ours, 65536)
            except OSError:
                break
        os.close(ours)
        assert process.wait(20) == 0
    frames = [frame for frame in re.split(rb"\r|\n", later) if b"\xe2\x94\x81" in frame]
    widths = [len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", f.decode())) for f in frames]
    assert widths
    assert max(widths[1:], default=0) <= 40


def test_a_killed_command_goes_on_and_repeats_only_what_was_in_flight(place):
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    line = [sys.executable, "-m", "octavo", "run", "p.yaml", "long.md", "-m", "openai:mock"]
    asked = []

    def answer(call):
        if call.method == "POST":
            asked.append(call.digest)
            if len(asked) == 4:
                process.kill()

    with serving(Behaviour(latency=0.05), answer=answer) as server:
        environment["OPENAI_BASE_URL"] = server.url
        run = {"cwd": place, "env": environment, "stderr": subprocess.PIPE}
        process = subprocess.Popen([*line, "-j", "1"], stdout=subprocess.PIPE, **run)
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (-signal.SIGKILL, b"")
        again = subprocess.run([*line, "-j", "1"], stdout=subprocess.PIPE, check=True, **run)
        assert again.stdout
        assert sum(Counter(asked).values()) - len(set(asked)) <= 1
        total = len(asked)
        third = subprocess.run(line, stdout=subprocess.PIPE, check=True, **run)
    assert third.stdout == again.stdout
    assert len(asked) == total  # a complete run is repeated without a call


WRONG = [
    ("run", "p.yaml", "long.md", "--loud"),
    ("run", "p.yaml", "gone.md"),
    ("run", "bad.yaml", "long.md"),
    ("run", "p.yaml", "long.md", "-p", "colour=red"),
    ("run", "p.yaml", "long.md", "-o", "no/where.md"),
    ("run", "p.yaml", "long.md", "--encoding", "utf-9"),
    ("run", "p.yaml", "long.md", "-j", "0"),
    ("run", "p.yaml", "long.md", "--changed-since", "main"),
    ("run", "p.yaml", "long.md", "--events", "-"),
    ("run", "p.yaml", "long.md", "--json", "--format", "csv"),
    ("run", "big.yaml", "long.md"),
]


def test_wrong_usage_ends_with_two_and_no_call(place, octavo, monkeypatch):
    (place / "bad.yaml").write_text("octavo: 1\nsteps:\n  - mapp: {}\n")
    (place / "big.yaml").write_text(PIPELINE.replace("tokens: 60}", "tokens: 9000}"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Behaviour(window=4096)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        for line in WRONG:
            done = octavo(*line, "-m", "openai:mock")
            assert done.code == 2, (line, done.err)
            assert done.stdout == b"", line
        assert [call for call in server.calls if call.method == "POST"] == []


@pytest.mark.parametrize(
    ("encoding", "option"),
    [("latin-1", ("--encoding", "latin-1")), ("utf-16", ()), ("utf-8-sig", ())],
)
def test_texts_in_other_encodings_are_read(place, octavo, encoding, option):
    (place / "e.txt").write_bytes("Un caf\u00e9 cr\u00e8me.".encode(encoding))
    done = octavo("run", "one.yaml", "e.txt", *option, *MODEL)
    assert done.out == "Un caf\u00e9 cr\u00e8me.\n"
    if option:
        wrong = octavo("run", "one.yaml", "e.txt", *MODEL)
        assert wrong.code == 2
        assert "offset 6" in wrong.err
        assert "--encoding latin-1" in wrong.err


def test_the_plan_says_what_the_run_then_does_and_why(place, octavo):
    def counted(done):
        return json.loads(done.out)

    octavo("run", "p.yaml", "long.md", *MODEL)
    text = (place / "long.md").read_text()
    (place / "long.md").write_text(text.replace("Sentence 3 of", "Sentence three of", 1))
    planned = counted(octavo("run", "p.yaml", "long.md", *MODEL, "-n", "--json"))
    ran = counted(octavo("run", "p.yaml", "long.md", *MODEL, "--json"))
    outcomes = ran["usage"]["outcomes"]
    assert planned["calls"]["cached"] == outcomes["cached"]
    assert planned["calls"]["high"] - planned["calls"]["cached"] >= outcomes.get("ok", 0) > 0
    again = counted(octavo("run", "p.yaml", "long.md", *MODEL, "-n", "--json"))
    assert again["calls"]["cached"] == again["calls"]["high"]


def test_a_changed_prompt_asks_again_only_what_depends_on_it(place, octavo):
    def outcomes():
        done = octavo("run", "p.yaml", "long.md", *MODEL, "--events", "e.jsonl")
        assert done.code == 0, done.err
        rows = map(json.loads, (place / "e.jsonl").read_text().splitlines())
        ended = [(row["step"], row["outcome"]) for row in rows if row["event"] == "call_done"]
        return {step: {o for s, o in ended if s == step} for step, _ in ended}

    outcomes()
    (place / "p.yaml").write_text(PIPELINE.replace("Join: ", "Merge: "))
    assert outcomes() == {"map": {"cached"}, "reduce": {"ok"}}
    (place / "p.yaml").write_text(PIPELINE.replace("Say: ", "Say again: "))
    assert outcomes()["map"] == {"ok"}


def test_what_fits_is_asked_once_and_the_plan_says_so(place, octavo):
    planned = json.loads(octavo("plan", "summarize", "a.md", *MODEL, "--json").out)
    assert planned["calls"]["high"] == 1
    done = octavo("run", "summarize", "a.md", *MODEL, "--json")
    assert json.loads(done.out)["usage"]["calls"] == 1


def test_a_private_run_leaves_nothing_but_its_result(place, octavo, empty_home):
    def files(root):
        return {path for path in root.rglob("*") if path.is_file()}

    before = files(place)
    done = octavo("run", "p.yaml", "long.md", "--private", "-o", "out.md", *MODEL)
    assert done.code == 0, done.err
    assert files(place) - before == {place / "out.md"}
    assert files(empty_home) == set()
