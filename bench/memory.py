"""Peak memory and time of runs over ever more documents of 100 kB, with replies that cost nothing.

    python bench/memory.py                       # up to 1,000 documents, 100 MB
    python bench/memory.py --documents 100 1000 10000

Each row is a process of its own: documents are generated as they are read, split, asked chunk by
chunk and merged; the journal is a file. Both the peak and the time a MB should stay as they are,
however many documents there are. What is loaded once is loaded before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import root_path
from tests.support.corpus import prose

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

PIPELINE = """\
octavo: 1
about: Summaries of parts, merged.
steps:
  - split: {by: structure, tokens: 4000}
  - map: {prompt: "Summarize.\\n\\n{{ text | fence }}", tokens: 100}
  - merge: {prompt: "{% for note in notes %}{{ note | fence }}{% endfor %} Merge.", tokens: 100}
"""
SIZE = 100_000


def documents(count, paragraphs):
    """Yield documents that differ in every part: paragraphs of one text in other orders."""
    for number in range(count):
        shuffle = random.Random(number)
        parts, length = [], 0
        while length < SIZE:
            part = shuffle.choice(paragraphs)
            parts.append(part)
            length += len(part) + 2
        yield Document("\n\n".join(parts), f"{number}.txt")


def answer(request):
    return f"A summary of {hash(request.messages[-1].content) % 10_000} things."


def measure(count):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "p.yaml")
        path.write_text(PIPELINE)
        paragraphs = prose(2_000_000).split("\n\n")
        fold(path, Path(directory, "warm"), documents(3, paragraphs))  # imports, the vocabulary
        journal = Path(directory, "journal")
        begun, spent = time.perf_counter(), time.process_time()
        report = fold(path, journal, documents(count, paragraphs))
        seconds, spent = time.perf_counter() - begun, time.process_time() - spent
        size = sum(each.stat().st_size for each in Path(directory).glob("journal*"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{report.totals.calls} {peak} {seconds} {spent} {size / 1e6}")


def fold(path, journal, inputs):
    os.environ["OCTAVO_JOURNAL"] = str(journal)
    registry = Registry()
    failures = []
    job = Job(
        pipeline=load_pipeline(str(path), registry),
        params={},
        inputs=inputs,
        profile=Profile(model="scripted:memory"),
        jobs=64,
        registry=registry,
        backend=ScriptedBackend(answer, identity="scripted:memory", keep_requests=False),
    )
    report = asyncio.run(
        execute(job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error))
    )
    if failures:
        raise failures[0]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        measure(options.child)
        return
    row = "{:>9} {:>7} {:>8} {:>8} {:>8} {:>10} {:>10} {:>11}"
    print(
        row.format("documents", "MB", "calls", "peak MB", "seconds", "ms a MB", "CPU ms a MB",
                   "journal MB")
    )  # fmt: skip
    for count in options.documents:
        command = [sys.executable, __file__, "--child", str(count)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        calls, peak, seconds, spent, journal = map(float, told.split())
        megabytes = count * SIZE / 1e6
        print(
            row.format(
                f"{count:,}", f"{megabytes:.0f}", f"{calls:.0f}", f"{peak:.0f}", f"{seconds:.1f}",
                f"{seconds / megabytes * 1000:.0f}", f"{spent / megabytes * 1000:.0f}",
                f"{journal:.0f}",
            ),
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
