"""Every benchmark, one after the other: one table each, in under ten minutes on two cores.

just bench
just bench memory --documents 100 1000 10000     # one of them, with its own options
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

ROWS = (
    "mock_server --ceiling --seconds 2",  # what no figure below may come near
    "startup",
    "completion",
    "chunking",
    "edits",
    "transports --calls 512",
    "cpu",
    "makespan",
    "makespan --stragglers --hedge 2.5",
    "rates --calls 700",
    "journal",
    "faults --calls 300",
    "kills --times 5",
    "memory",
)


def main() -> None:
    begun = time.perf_counter()
    failed = []
    for row in ROWS:
        name, *arguments = shlex.split(row)
        print(f"\n# {row}", flush=True)
        started = time.perf_counter()
        script = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, script, *arguments], check=False).returncode:
            failed.append(row)
        print(f"# took {time.perf_counter() - started:.0f} s", flush=True)
    print(f"\n# all of it took {(time.perf_counter() - begun) / 60:.1f} minutes")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
