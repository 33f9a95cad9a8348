"""Running the installed command as a user does: in a process of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from dataclasses import dataclass

import pytest

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


@pytest.fixture
def octavo(tmp_path):
    """Run `octavo ARGUMENTS` in an empty directory, with its streams in pipes."""

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
