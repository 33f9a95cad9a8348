"""Every kind of fault at 1 %: whether the ledger's attempts are the server's, and nothing is lost.

    python bench/faults.py [--calls 2000] [--share 0.01]

One `map` over parts of a text through the mock server, which injects each kind of fault into its
share of the requests. For each kind: how many were injected; how many of the calls that met it were
answered in the end, how many ended with it (one part of the document is then left out). Below: what
must hold, each with the numbers; the exit code is 1 when one does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import root_path
from makespan import Recorded
from mocked import mocked
from tests.support.corpus import prose
from tests.support.mock.behaviour import FAULTS

from octavo.engine.journal.runs import list_calls
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.errors import Outcome
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60, on_error: skip}
"""
GIVEN = {Outcome.OK, Outcome.CACHED, Outcome.TRUNCATED}
ANSWERS = {"length", "refusal", "context"}
"""Faults that are answers, whatever they are worth: the same request is not sent again."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        log, path = Path(directory, "log.jsonl"), Path(directory, "journal")
        os.environ["OCTAVO_JOURNAL"] = str(path)
        Path(directory, "p.yaml").write_text(PIPELINE)
        text = prose(options.calls * 272)
        arguments = ["--latency", "0.02", "--log", log, "--seed", options.seed]
        for kind in FAULTS:
            arguments += ["--fault", f"{kind}={options.share}"]
        with mocked(*arguments) as url:
            backend, result, totals = asyncio.run(_run(text, url, Path(directory, "p.yaml")))
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        with Journal(path) as journal:
            ledger = list_calls(journal, 1)
    _table(entries, ledger, backend.digests())
    if not _holds(entries, ledger, backend, result, totals, text):
        sys.exit(1)


async def _run(text, url, pipeline):
    profile = Profile(model="openai:mock", base_url=url, timeout=1.0)
    registry = Registry()
    backend = Recorded("mock", profile)
    job = Job(
        pipeline=load_pipeline(str(pipeline), registry),
        params={},
        inputs=[Document(text, "book.txt")],
        profile=profile,
        jobs=64,
        registry=registry,
        backend=backend,
    )
    results = []
    report = await execute(job, watch=Silence(), sink=results.append)
    await backend.close()
    if report.error is not None:
        raise report.error
    return backend, results[0], report.totals


def _table(entries, ledger, digests):
    met = defaultdict(set)
    for entry in entries:
        if entry["fault"]:
            met[entry["fault"]].add(entry["digest"])
    outcome = {digests[row.call]: row.outcome for row in ledger if row.call in digests}
    line = "{:<10} {:>9} {:>9} {:>7}"
    print(line.format("fault", "injected", "answered", "ended"))
    for kind in FAULTS:
        injected = sum(entry["fault"] == kind for entry in entries)
        # A call that was asked for once more, in other words, is found under those.
        ends = Counter(outcome[each] in GIVEN for each in met[kind] if each in outcome)
        print(line.format(kind, injected, ends[True], ends[False]))


def _holds(entries, ledger, backend, result, totals, text) -> bool:
    turns = defaultdict(list)
    for entry in sorted(entries, key=lambda each: (each["digest"], each["turn"])):
        turns[entry["digest"]].append(entry["fault"])
    answered = [None, *ANSWERS]
    again = sum(any(fault in answered for fault in faults[:-1]) for faults in turns.values())
    sent = sum(row.attempts for row in ledger)
    good = sum(row.outcome in GIVEN for row in ledger)
    lost = 0
    for row in ledger:
        if row.outcome not in GIVEN:
            _, start, _, end = row.node.split()
            lost += int(end) - int(start)
    covered = round(result.coverage * len(text))
    checks = {
        f"the ledger has {sent:,} attempts, the server {len(entries):,} requests":
            sent == len(entries) == totals.sent,
        f"{len(backend.requests):,} requests were made, {len(entries):,} arrived":
            len(backend.requests) == len(entries),
        f"{again} answered calls were sent again": not again,
        f"{len(ledger):,} parts: {good:,} in the result, {len(ledger) - good} left out":
            good + lost > 0 and covered == len(text) - lost,
    }  # fmt: skip
    print()
    for said, holds in checks.items():
        print(f"{'ok  ' if holds else 'FAIL'}  {said}")
    print(f"      {result.coverage:.2%} of the text covered")
    return all(checks.values())


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000, help="parts, roughly")
    parser.add_argument("--share", type=float, default=0.01, help="of requests, for each kind")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
