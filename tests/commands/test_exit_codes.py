"""Every exit code, from the installed command: in a pipe, and on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from tests.support.serving import Behaviour, serving

INSTALLED = Path(sys.executable).with_name("octavo")
PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 60}
  - map: {prompt: "Say: {{ text }}", tokens: 60}
"""
RULES = """\
rules:
  - contains: refuse me
    fail: refusal
  - contains: reject the key
    fail: auth
  - match: '(?s).*'
    reply: "Said."
"""
SCRIPTED = ("-m", "scripted:rules.yaml")
BROKEN = """\
import octavo.commands.version as module

def broken():
    raise ZeroDivisionError("a defect")

module.version = broken
"""
ENDS = {
    0: ("run", "p.yaml", "a.md", *SCRIPTED),
    1: ("run", "p.yaml", "refused.md", *SCRIPTED),
    2: ("run", "p.yaml", "a.md", "--loud"),
    3: ("run", "p.yaml", "rejected.md", *SCRIPTED),
    4: ("run", "p.yaml", "long.md", *SCRIPTED, "--max-calls", "1", "-j", "1"),
    70: ("version",),
}
TOLD = {
    0: b"Said.",
    1: b"error: refused.md: ",
    2: b"error: No such option: --loud",
    3: b"error: ",
    4: b"error: --max-calls 1 is reached",
    70: b"error: unexpected ZeroDivisionError: a defect",
}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "a.md").write_text("One.")
    (tmp_path / "refused.md").write_text("Please refuse me.")
    (tmp_path / "rejected.md").write_text("Please reject the key.")
    parts = (f"# {n}\n\n" + f"Sentence {n} of words. " * 9 for n in range(12))
    (tmp_path / "long.md").write_text("\n\n".join(parts))
    (tmp_path / "defect").mkdir()
    (tmp_path / "defect/sitecustomize.py").write_text(BROKEN)
    return tmp_path


class Started:
    """The installed command under way, in pipes or on a terminal; `seen` is all it has written."""

    def __init__(self, place, arguments, *, terminal, stdout=None, **environment):
        command = [str(INSTALLED), *arguments]
        common = {"cwd": place, "env": {**os.environ, **environment}}
        self.seen = bytearray()
        if terminal:
            self.ours, theirs = pty.openpty()
            common["env"]["TERM"] = "xterm"
            self.process = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=stdout or theirs,
                stderr=theirs,
                start_new_session=True,
                preexec_fn=lambda: _take(theirs),  # noqa: PLW1509 - it only names a terminal
                **common,
            )
            os.close(theirs)
        else:
            self.ours, theirs = os.pipe()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout or theirs,
                stderr=theirs,
                **common,
            )
            os.close(theirs)
        self._terminal = terminal
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                block = os.read(self.ours, 65536)
            except OSError:  # how a terminal says that its other end is closed
                break
            if not block:
                break
            self.seen += block

    def interrupt(self):
        """Press Ctrl-C, where there is a keyboard."""
        if self._terminal:
            os.write(self.ours, b"\x03")
        else:
            self.process.send_signal(signal.SIGINT)

    def ended(self):
        try:
            code = self.process.wait(30)
        finally:
            self.process.kill()
        self._reader.join(10)
        os.close(self.ours)
        return code


def _take(terminal):
    """Make a terminal the one that Ctrl-C comes from."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


terminals = pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])


@terminals
@pytest.mark.parametrize("code", ENDS)
def test_a_command_ends_with(place, code, terminal):
    environment = {"PYTHONPATH": str(place / "defect")} if code == 70 else {}
    started = Started(place, ENDS[code], terminal=terminal, **environment)
    assert started.ended() == code
    assert TOLD[code] in started.seen
    assert b"Traceback" not in started.seen


@terminals
@pytest.mark.parametrize("code", [130, 143, 141])
def test_a_run_that_is_stopped_ends_with(place, code, terminal):
    first = threading.Event()

    def answer(call):
        if call.method == "POST":
            first.set()

    with serving(Behaviour(latency=0.1), answer=answer) as server:
        reader, writer = os.pipe()
        inputs = ["a.md", "long.md"] if code == 141 else ["long.md"]
        started = Started(
            place,
            ("run", "p.yaml", *inputs, "-j", "1", "-m", "openai:mock", "--progress", "none"),
            terminal=terminal,
            stdout=writer if code == 141 else None,
            OPENAI_BASE_URL=server.url,
            OPENAI_API_KEY="sk-fake-0123456789abcdef",
        )
        os.close(writer)
        if code == 141:
            os.close(reader)
        assert first.wait(20)
        if code == 130:
            started.interrupt()
        elif code == 143:
            started.process.send_signal(signal.SIGTERM)
        assert started.ended() == code
        if code != 141:
            os.close(reader)
        sent = len([call for call in server.calls if call.method == "POST"])
    assert sent < 13
    told = bytes(started.seen)
    assert b"Traceback" not in told
    assert b"error" not in told
    if code == 141:
        assert told == b""
    else:
        assert b"`octavo runs resume 1` goes on" in told
