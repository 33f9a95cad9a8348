"""How close a run comes to the bound that no scheduler can beat without seeing the future.

    python bench/makespan.py --jobs 64 --latency 0.05
    python bench/makespan.py --file book.txt --pipeline summarize --jobs 16 64

The bound B(C) is the makespan of a list scheduler without any overhead, C calls at a time, most
remaining levels first, over the same calls with the latencies that the mock server logged. The
run's makespan is measured at the server: from the arrival of the first call to the end of the
last. The server is a process of its own on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from hashlib import blake2b
from pathlib import Path

import orjson
from corpus import prose

from octavo.backends.openai import OpenAI
from octavo.backends.transports.wire import encode
from octavo.engine.execute import Job, execute
from octavo.engine.journal import Journal
from octavo.engine.key import key_of
from octavo.engine.report import Silence
from octavo.pipeline.params import resolve
from octavo.pipeline.reader import load
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document
from octavo.text.quote import short_id


class Recorded(OpenAI):
    """The openai backend, which also keeps the requests it was given."""

    def __init__(self, name, profile):
        super().__init__(name, profile)
        self.requests = []

    def send(self, request, started):
        self.requests.append(request)
        return super().send(request, started)

    def digests(self):
        """Return the hash of each call's body, by the id that the journal gives the call."""
        return {
            short_id(key_of(request, identity=self.identity, model=self.model)): blake2b(
                encode(self._dialect.body(self._name, request)), digest_size=16
            ).hexdigest()
            for request in self.requests
        }


def main() -> None:
    options = _options()
    text = Path(options.file).read_text("utf-8") if options.file else prose(options.size)
    row = "{:>5} {:>6} {:>5} {:>8} {:>8} {:>6} {:>12}"
    print(row.format("jobs", "calls", "depth", "B s", "run s", "run/B", "CPU ms/call"))
    for jobs in options.jobs:
        rows = sorted(_measure(text, jobs, options) for _ in range(options.repeat))
        ratio, calls, depth, bound, taken, spent = rows[len(rows) // 2]
        cells = (f"{bound:.3f}", f"{taken:.3f}", f"{ratio:.3f}", f"{spent:.2f}")
        print(row.format(jobs, calls, depth, *cells))


def _measure(text, jobs, options):
    with tempfile.TemporaryDirectory() as directory:
        log, path = Path(directory, "log.jsonl"), Path(directory, "journal")
        os.environ["OCTAVO_JOURNAL"] = str(path)
        arguments = ["--latency", str(options.latency), "--log", str(log)]
        for name in ("jitter", "stragglers", "straggle"):
            arguments += [f"--{name}", str(getattr(options, name))]
        server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("mock_server.py"), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            url = server.stdout.readline().split()[-1]
            backend, spent = asyncio.run(_run(text, url, jobs, options))
        finally:
            server.terminate()
            server.wait()
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        latencies = {e["digest"]: (e["arrival"], e["latency"]) for e in entries if e["reply"]}
        with Journal(path) as journal:
            needs = _needs(journal)
    digests = backend.digests()
    times = {call: latencies[digests[call]] for call in needs}
    first = min(arrival for arrival, _ in times.values())
    taken = max(arrival + latency for arrival, latency in times.values()) - first
    bound, depth = _bound(
        needs, {call: latency for call, (_, latency) in times.items()}, times, jobs
    )
    return taken / bound, len(times), depth, bound, taken, spent * 1000 / len(times)


async def _run(text, url, jobs, options):
    profile = Profile(model="openai:mock", base_url=url, window=options.window)
    registry = Registry()
    backend = Recorded("mock", profile)
    pipeline = load(options.pipeline, registry)
    job = Job(
        pipeline=pipeline,
        params=resolve(pipeline.params, {}),
        inputs=[Document(text, "book.txt")],
        profile=profile,
        jobs=jobs,
        registry=registry,
        backend=backend,
    )
    begun = time.process_time()
    failures = []
    await execute(job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error))
    await backend.close()
    if failures:
        raise failures[0]
    return backend, time.process_time() - begun


def _needs(journal):
    """Return, for each call, the calls whose replies its prompt shows."""
    needs = {}
    for call, body in journal.query(
        "SELECT calls.id, body FROM calls JOIN prompts ON prompts.id = calls.prompt"
    ):
        parts = [part for message in orjson.loads(body) for part in message[1:]]
        needs[call] = {part[1] for part in parts if isinstance(part, list) and part[0] == 1}
    return needs


def _bound(needs, latency, times, jobs):
    """Return the makespan of the list scheduler and the number of levels."""
    readers = defaultdict(list)
    for call, parents in needs.items():
        for parent in parents:
            readers[parent].append(call)
    levels = {}

    def level(call):
        if call not in levels:
            levels[call] = 1 + max((level(reader) for reader in readers[call]), default=0)
        return levels[call]

    missing = {call: len(parents) for call, parents in needs.items()}
    ready = [(-level(call), times[call][0], call) for call, count in missing.items() if not count]
    heapq.heapify(ready)
    flying = []
    now = 0.0
    while ready or flying:
        while ready and len(flying) < jobs:
            call = heapq.heappop(ready)[2]
            heapq.heappush(flying, (now + latency[call], call))
        now, done = heapq.heappop(flying)
        for reader in readers[done]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, (-level(reader), times[reader][0], reader))
    return now, max(levels.values())


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", help="a text of one's own instead of a generated one")
    parser.add_argument("--size", type=int, default=1_200_000, help="characters to generate")
    parser.add_argument("--pipeline", default="summarize")
    parser.add_argument("--jobs", type=int, nargs="+", default=[64])
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--stragglers", type=float, default=0.0, help="share of slow calls")
    parser.add_argument("--straggle", type=float, default=10.0, help="how much slower")
    parser.add_argument("--window", type=int, default=None)
    parser.add_argument("--repeat", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
