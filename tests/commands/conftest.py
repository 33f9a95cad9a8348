"""Running the command: in a process of its own, on a terminal, or, faster, in this process."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
from dataclasses import dataclass

import pytest

from octavo.commands._cli.main import run_command_line

COMMAND = (sys.executable, "-m", "octavo")


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and the bytes of its streams."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self):
        return self.stdout.decode()

    @property
    def err(self):
        return self.stderr.decode()


class Input(io.TextIOWrapper):
    """Standard input that holds some bytes and is no terminal."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))


@pytest.fixture
def octavo(tmp_path, monkeypatch, capfdbinary):
    """Run `octavo ARGUMENTS` in this process and the test's directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", Input(stdin))
        capfdbinary.readouterr()
        code = run_command_line([str(argument) for argument in arguments])
        return Ended(code, *capfdbinary.readouterr())

    return run


@pytest.fixture
def octavo_process(tmp_path):
    """Run `octavo ARGUMENTS` in the test's directory, with its streams in pipes."""

    def run(*arguments, stdin=b"", **environment):
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=50,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def octavo_on_terminal(tmp_path):
    """Run `octavo ARGUMENTS` with all three streams on one pseudo-terminal, and return its bytes.

    With `stdout` given, standard output goes to that file and only the others to the terminal.
    """

    def run(*arguments, stdout=None, **environment):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=theirs,
            stdout=stdout or theirs,
            stderr=theirs,
            cwd=tmp_path,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(theirs)
        seen = bytearray()
        while True:
            select.select([ours], [], [], 50)
            try:
                block = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not block:
                break
            seen += block
        os.close(ours)
        return Ended(process.wait(50), bytes(seen), b"")

    return run
