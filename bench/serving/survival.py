"""A server that is killed in the middle of a run, and Octavo itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.corpus import prose

from .host import alive, descendants, gpu_memory

__all__ = ["survival"]

PIPELINE = """
octavo: 1
steps:
  - split: {by: structure, tokens: 300}
  - map: {prompt: "Say what happens here.\\n\\n{{ text | fence }}", tokens: 300}
"""
REGEX = "[A-Z][a-z ,]{80,200}[.]"
"""The server ends every reply with a full stop before its last token, so that none is cut however
weak the model is: then exit 0 says that nothing was lost."""
PATIENCE = 240.0


def survival(options, serve, note, keep):
    """Kill a server, then Octavo, each in the middle of a run that started it; return the rows."""
    rows = []
    before = gpu_memory()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "p.yaml").write_text(PIPELINE)
        (place / "text.txt").write_text(prose(options.killed))
        (place / "octavo.toml").write_text(profile(options, serve))
        if "octavo" in options.kill:
            rows.append(octavo_killed(place, note, before, options.cleared))
            keep("survival", rows)
        if "server" in options.kill:
            rows.append(server_killed(place, note))
            keep("survival", rows)
    return rows


def profile(options, serve):
    """Return a profile that starts the server itself, and computes few calls at once."""
    lines = ["[profiles.own]", f'model = "vllm:{options.model}"', "parallel = 8"]
    lines += ["[profiles.own.options.structured_outputs]", f"regex = '{REGEX}'"]
    lines += ["[profiles.own.serve]"]
    for name, value in serve.items():
        lines.append(f"{name} = {list(value) if isinstance(value, (list, tuple)) else value!r}")
    return "\n".join(lines) + "\n"


def started(place, journal):
    command = [sys.executable, "-m", "octavo", "run", "p.yaml", "text.txt", "-m", "own", "--json"]
    environment = {**os.environ, "OCTAVO_JOURNAL": str(place / journal)}
    with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
        return subprocess.Popen(command, cwd=place, env=environment, stdout=out, stderr=err)


def replies(place, journal):
    """Return how many replies are in the journal; 0 where there is none yet."""
    if not (place / journal).exists():
        return 0
    try:
        with sqlite3.connect(f"file:{place / journal}?mode=ro", uri=True, timeout=5) as connection:
            return connection.execute("SELECT count(*) FROM calls").fetchone()[0]
    except sqlite3.Error:
        return 0


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def ended(place, process, journal):
    """Wait for a run's end; return its exit code, calls by outcome, and requests it sent."""
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        code = None
    with sqlite3.connect(place / journal) as connection:
        outcomes = dict(
            connection.execute(
                "SELECT outcome, count(*) FROM ledger JOIN sites ON sites.id = site"
                " WHERE run = (SELECT max(id) FROM runs) GROUP BY outcome"
            ).fetchall()
        )
        kept = connection.execute("SELECT count(*), count(DISTINCT key) FROM calls").fetchone()
    said = (place / "stderr").read_text("utf-8", "replace").strip().splitlines()
    return {"exit": code, "outcomes": outcomes, "replies": kept[0], "keys": kept[1], "said": said}


def server_killed(place, note):
    """Kill the server's processes once some calls are answered."""
    begun = time.perf_counter()
    process = started(place, "one")
    until(lambda: replies(place, "one") >= 10 or process.poll() is not None)
    if process.poll() is not None:
        note(f"the run ended before it could be killed: {(place / 'stderr').read_text()[-800:]}")
        return {"what": "server killed", "failed": (place / "stderr").read_text()[-2000:]}
    guard, *servers = by_generation(process.pid)
    had = replies(place, "one")
    for pid, _ in servers:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: again(place) or process.poll() is not None)
    seen = descendants(process.pid)
    told = ended(place, process, "one")
    told |= {
        "what": "server killed",
        "killed": len(servers),
        "replies_then": had,
        "seconds": time.perf_counter() - begun,
        "again": again(place),
        "left": alive([guard, *servers, *seen]),
        "memory": gpu_memory(),
    }
    note(
        f"server killed after {had} replies, started again: {told['again']}; exit {told['exit']},"
        f" {told['outcomes']}, {told['replies']} replies under {told['keys']} keys, processes left:"
        f" {told['left'] or 'none'} {told['said'][-1:]}"
    )
    return told


def again(place):
    return "starting it again" in (place / "stderr").read_text("utf-8", "replace")


def by_generation(process):
    """Return the processes below a run: first the guard of its server, then all others."""
    found = descendants(process)
    lines = alive(found)
    return sorted(found, key=lambda each: "vllm/guard.py" not in lines.get(each[0], ""))


def octavo_killed(place, note, before, cleared):
    """Kill Octavo once some calls are answered, look at the GPU, and run the same again.

    `cleared`, a path if any, is made once the GPU was looked at: then others may use it.
    """
    process = started(place, "two")
    until(lambda: replies(place, "two") >= 10 or process.poll() is not None)
    if process.poll() is not None:
        note(f"the run ended before it could be killed: {(place / 'stderr').read_text()[-800:]}")
        return {"what": "octavo killed", "failed": (place / "stderr").read_text()[-2000:]}
    below = descendants(process.pid)
    during = gpu_memory()
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = time.perf_counter()
    empty = until(lambda: not alive(below), 30)
    seconds = time.perf_counter() - begun
    time.sleep(1 if before else 0)  # the driver takes a moment to give memory back
    memory, left, had = gpu_memory(), alive(below), replies(place, "two")
    if cleared:
        Path(cleared).touch()
    told = ended(place, started(place, "two"), "two")
    told |= {
        "what": "octavo killed",
        "processes": len(below),
        "empty": empty,
        "empty_after": seconds,
        "left": left,
        "memory_before": before,
        "memory_during": during,
        "memory_then": memory,
        "replies_then": had,
    }
    note(
        f"octavo killed after {had} replies: of {len(below)} processes none is left {seconds:.1f} s"
        f" later: {empty} {left or ''}, GPU memory {memory} MB (during {during}, before {before});"
        f" run again: exit {told['exit']}, {told['outcomes']} {told['said'][-1:]}"
    )
    return told
