"""Runs a server and ends all its processes when Octavo ends; run as a script.

    python guard.py COMMAND ARGUMENT...

A model server is several processes, and one that is left behind holds the GPU. So Octavo starts
this one, which starts the server in a session of its own, adopts whatever that leaves orphaned, and
ends all of it when its standard input does: when Octavo closes it, or when Octavo is gone, however
it ended. Its first line of output is the server's process id; its exit code is the server's. It
imports nothing of Octavo.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_SHUTDOWN_TIMEOUT = 8.0
"""Seconds that the server has to end by itself."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    """Run the server until it ends or nobody wants it any more; return its exit code."""
    _set_process_attribute(_PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(  # noqa: S603 - the command is the user's own
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=2,  # what the server prints goes to the log
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - there is no other thread yet
    )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()

    def terminate_server(number: int, frame: object) -> None:
        del number, frame
        _signal_group(server.pid, signal.SIGTERM)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, terminate_server)
    threading.Thread(target=_stop_when_input_ends, args=(server,), daemon=True).start()
    code = server.wait()
    _kill_all(server.pid)
    return code if code >= 0 else 128 - code


def _stop_when_input_ends(server: subprocess.Popen[bytes]) -> None:
    """Wait until standard input ends; then ask the server to end, and make it."""
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    _signal_group(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(_SHUTDOWN_TIMEOUT)
        return
    _signal_group(server.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill_all(group: int) -> None:
    """Kill what is left of the server's processes, those in other sessions too, and wait."""
    _signal_group(group, signal.SIGKILL)
    until = time.monotonic() + _SHUTDOWN_TIMEOUT
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        left = _list_children()
        if not left:
            return
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _list_children() -> list[int]:
    """Return the children that this process has, adopted ones too; none where that isn't told."""
    me = os.getpid()
    try:
        tasks = Path(f"/proc/{me}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:
        return []


def _die_with_parent() -> None:
    _set_process_attribute(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _set_process_attribute(option: int, value: int) -> None:
    """Set an attribute of this process where there is such a thing (Linux)."""
    with suppress(OSError, AttributeError):
        call: Callable[..., object] = ctypes.CDLL(None).prctl
        call(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
