"""How close a run comes to the bound that no scheduler can beat without seeing the future.

    python bench/makespan.py --jobs 64 --latency 0.05
    python bench/makespan.py --stragglers --hedge 2.5
    python bench/makespan.py --file book.txt --pipeline summarize --jobs 16 64

The bound B(C) is the makespan of a list scheduler without any overhead, C calls at a time, most
remaining levels first, over the same calls with the latencies that the mock server logged. The
run's makespan is measured at the server: from the arrival of the first call to the end of the
last. The server is a process of its own on the same machine. `--stragglers` is 2,000 parts and
their merges at 0.2 s, 5 % of them at 2 s. With `--hedge`, each row is followed by the same run with
hedging: its makespan over the bound of the run without, and the extra calls.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import os
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import orjson
import root_path
from mocked import mocked
from tests.support.corpus import prose

from octavo.backends.openai.backend import OpenAIBackend
from octavo.backends.transports.wire import encode_json
from octavo.engine.dispatch.key import compute_key
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document
from octavo.text.quote import to_row_id


class Recorded(OpenAIBackend):
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
            to_row_id(compute_key(request, identity=self.identity, model=self.model)): blake2b(
                encode_json(self._dialect.build_body(self._name, request)), digest_size=16
            ).hexdigest()
            for request in self.requests
        }


def main() -> None:
    options = _options()
    text = Path(options.file).read_text("utf-8") if options.file else prose(options.size)
    row = "{:>5} {:>6} {:>5} {:>8} {:>8} {:>6} {:>12} {:>11}"
    print(
        row.format("jobs", "calls", "depth", "B s", "run s", "run/B", "CPU ms/call", "extra calls")
    )
    for jobs in options.jobs:
        runs = [_measure(text, jobs, options) for _ in range(options.repeat)]
        plain = sorted(runs, key=lambda run: run.seconds / run.bound)[len(runs) // 2]
        print(row.format(jobs, *plain.cells(plain.bound), ""), flush=True)
        if options.hedge:
            runs = [_measure(text, jobs, options, options.hedge) for _ in range(options.repeat)]
            hedged = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
            extra = f"{hedged.sent / hedged.calls - 1:.1%}"
            print(row.format("hedge", *hedged.cells(plain.bound), extra), flush=True)


@dataclass(frozen=True)
class Run:
    """One run: its calls and how often they were sent, its makespan and its bound in seconds."""

    calls: int
    sent: int
    depth: int
    bound: float
    seconds: float
    cpu: float

    def cells(self, bound):
        ratio = self.seconds / bound
        each = self.cpu * 1000 / self.calls
        numbers = (f"{bound:.3f}", f"{self.seconds:.3f}", f"{ratio:.3f}", f"{each:.2f}")
        return (self.calls, self.depth, *numbers)


def _measure(text, jobs, options, hedge=None):
    with tempfile.TemporaryDirectory() as directory:
        log, path = Path(directory, "log.jsonl"), Path(directory, "journal")
        os.environ["OCTAVO_JOURNAL"] = str(path)
        arguments = ["--latency", options.latency, "--jitter", options.jitter, "--log", log]
        if options.stragglers:
            arguments += ["--stragglers", 0.05, "--straggle", 10]
        with mocked(*arguments) as url:
            backend, spent = asyncio.run(_run(text, url, jobs, options, hedge))
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        with Journal(path) as journal:
            needs = _needs(journal)
    answered = {e["digest"]: (e["arrival"], e["latency"]) for e in entries if e["status"] == 200}
    digests = backend.digests()
    times = {call: answered[digests[call]] for call in needs}
    first = min(entry["arrival"] for entry in entries)
    taken = max(arrival + latency for arrival, latency in times.values()) - first
    bound, depth = _bound(
        needs, {call: latency for call, (_, latency) in times.items()}, times, jobs
    )
    return Run(len(times), len(backend.requests), depth, bound, taken, spent)


async def _run(text, url, jobs, options, hedge):
    profile = Profile(model="openai:mock", base_url=url, window=options.window, hedge=hedge)
    registry = Registry()
    backend = Recorded("mock", profile)
    pipeline = load_pipeline(options.pipeline, registry)
    job = Job(
        pipeline=pipeline,
        params=resolve_params(pipeline.params, {}),
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
    parser.add_argument("--size", type=int, help="characters to generate")
    parser.add_argument("--pipeline", default="summarize")
    parser.add_argument("--jobs", type=int, nargs="+")
    parser.add_argument("--latency", type=float, help="seconds")
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--stragglers", action="store_true", help="5 %% take ten times as long")
    parser.add_argument("--hedge", type=float, help="times as long as usual, for a second copy")
    parser.add_argument("--window", type=int, default=None)
    parser.add_argument("--repeat", type=int, help="runs a row; the median one is shown")
    options = parser.parse_args()
    usual = (4_200_000, [16, 64, 256], 0.2, 1) if options.stragglers else (1_200_000, [64], 0.05, 5)
    for name, value in zip(("size", "jobs", "latency", "repeat"), usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
