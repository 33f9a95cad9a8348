"""The machine that figures were taken on, and the processes on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["alive", "descendants", "facts", "gpu_memory"]


def facts():
    """Return the machine, the versions and the date, as the tables show them."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "gpu": _smi("name") or ["none"],
        "memory": _smi("memory.total"),
        "driver": (_smi("driver_version") or ["none"])[0],
        "python": platform.python_version(),
        "processors": len(_processors()),
        "versions": {name: _version(name) for name in ("vllm", "torch", "transformers", "octavo")},
    }


def gpu_memory():
    """Return the megabytes of each GPU that are in use."""
    return [int(value) for value in _smi("memory.used", "nounits")]


def descendants(process):
    """Return the processes below one, as pairs of their id and the time of their start."""
    children = {}
    starts = {}
    for path in Path("/proc").glob("[0-9]*"):
        if fields := _fields(path):
            children.setdefault(int(fields[1]), []).append(int(path.name))
            starts[int(path.name)] = fields[19]
    found = []
    below = list(children.get(process, ()))
    while below:
        each = below.pop()
        found.append((each, starts[each]))
        below += children.get(each, ())
    return found


def alive(processes):
    """Return those that have not ended, with the words they were started by."""
    found = {}
    for process, start in processes:
        path = Path(f"/proc/{process}")
        fields = _fields(path)
        if fields and fields[0] != "Z" and fields[19] == start:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            found[process] = line.decode("utf-8", "replace")[:120]
    return found


def _fields(path):
    """Return the fields of a process's state from the third on, or nothing if it is gone."""
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _smi(field, *extra):
    if shutil.which("nvidia-smi") is None:
        return []
    form = ",".join(["csv", "noheader", *extra])
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={field}", f"--format={form}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _processors():
    return os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1)


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "source" if name == "octavo" else None
