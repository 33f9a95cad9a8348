"""Processor time a call at zero latency: through the transport alone, and through a whole run.

    python bench/cpu.py [--jobs 64 256] [--size 4750000]

The transport's row posts the same bodies to the mock server, as many at once; the run's rows do
everything else as well: rendering, keys, the queue, the journal on disk, the ledger, merging. The
first run also imports, loads the vocabulary and splits; the second has other prompts over the same
chunks. All in one process; the server in another.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import root_path
from mocked import mocked
from tests.support.corpus import prose

from octavo.backends.openai.backend import OpenAIBackend
from octavo.backends.openai.dialect import Dialect
from octavo.backends.transports.aiohttp import AiohttpTransport
from octavo.config.endpoint import Endpoint
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

CHAT = "/chat/completions"
DIALECT = Dialect()


class Posting(OpenAIBackend):
    """The openai backend, which keeps the bodies that it posts."""

    bodies = None

    async def send(self, request, started):
        if self.bodies is not None:
            self.bodies.append(DIALECT.build_body("mock", request))
        return await super().send(request, started)


async def send_bodies(url, bodies, jobs):
    """Post all bodies, so many at once; return the processor and wall seconds a call."""
    transport = AiohttpTransport(Endpoint(url, timeout=600))
    post = transport.post
    left = iter(bodies)

    async def worker():
        for body in left:
            await post(CHAT, body)

    async def together():
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(worker())

    await asyncio.gather(*(post(CHAT, bodies[0]) for _ in range(jobs)))  # connections
    spent, took = [], []
    for _ in range(3):
        left = iter(bodies)
        cpu, wall = time.process_time(), time.perf_counter()
        await together()
        spent.append((time.process_time() - cpu) / len(bodies))
        took.append((time.perf_counter() - wall) / len(bodies))
    await transport.close()
    return statistics.median(spent), statistics.median(took)


async def run(url, text, jobs, length, *, kept=None):
    profile = Profile(model="openai:mock", base_url=url)
    registry = Registry()
    backend = Posting("mock", profile)
    backend.bodies = kept
    pipeline = load_pipeline("summarize", registry)
    failures = []
    job = Job(
        pipeline=pipeline,
        params=resolve_params(pipeline.params, {"length": [str(length)]}),
        inputs=[Document(text, "book.txt")],
        profile=profile,
        jobs=jobs,
        fresh=True,
        registry=registry,
        backend=backend,
    )
    cpu, wall = time.process_time(), time.perf_counter()
    report = await execute(
        job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error)
    )
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await backend.close()
    if failures:
        raise failures[0]
    return cpu / report.totals.sent, wall / report.totals.sent, report.totals.sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--size", type=int, default=4_750_000, help="characters of text")
    options = parser.parse_args()
    text = prose(options.size)
    row = "{:>5}  {:<28} {:>6} {:>12} {:>9} {:>16}"
    print(row.format("jobs", "", "calls", "CPU ms/call", "calls/s", "beyond transport"))
    with mocked() as url, tempfile.TemporaryDirectory() as directory:
        for jobs in options.jobs:
            os.environ["OCTAVO_JOURNAL"] = str(Path(directory, f"journal{jobs}"))
            bodies = []
            first = asyncio.run(run(url, text, jobs, 300))
            asyncio.run(run(url, text, jobs, 300, kept=bodies))
            again = sorted(asyncio.run(run(url, text, jobs, 300)) for _ in range(3))[1]
            floor = asyncio.run(send_bodies(url, bodies, jobs))
            floor = (*floor, len(bodies))
            for name, (cpu, wall, calls) in {
                "transport alone": floor,
                "first run": first,
                "run, chunks known": again,
            }.items():
                cells = (f"{cpu * 1000:.3f}", f"{1 / wall:.0f}", f"{(cpu - floor[0]) * 1000:+.3f}")
                print(row.format(jobs, name, calls, *cells), flush=True)


if __name__ == "__main__":
    main()
