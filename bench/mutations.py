"""Mutated pipelines: each gives a pipeline, or errors with their places, and never a traceback.

    python bench/mutations.py [--number 10000] [--seed 1]

The built-in pipelines and the examples are changed by lines, by words and by characters, once to
five times. What comes out of the reader is counted; anything but the two is printed and fails.
"""

from __future__ import annotations

import argparse
import sys
import time

import root_path
from tests.support.mutations import mutate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.process_time()
    tally = mutate(options.number, options.seed)
    rows = [
        ("mutations", f"{options.number:,}"),
        ("valid pipelines", f"{tally.pipelines:,}"),
        ("refused", f"{tally.refused:,} with {tally.errors:,} errors"),
        ("kinds of errors", f"{len(tally.codes)}"),
        ("tracebacks", f"{len(tally.crashes)}"),
        ("slowest", f"{tally.slowest * 1000:.0f} ms"),
        ("all", f"{time.process_time() - begun:.0f} s of processor time"),
    ]
    for name, value in rows:
        print(f"{name:18}{value}")
    for path, text, what in tally.crashes[:5]:
        print(f"\n{path}: {what}\n{text}")
    if tally.crashes:
        sys.exit(1)


if __name__ == "__main__":
    main()
