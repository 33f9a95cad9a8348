"""How much of an allowed rate a run reaches, and how much of it the server refuses (status 429).

    python bench/rates.py [--rate 6000] [--calls 1500] [--latency 0.2]

The server allows so many calls a minute, a second's worth at once. `told` is a server that tells
the limit in the headers of its replies, as OpenAI's do; `untold` one that only refuses; `stated`
such a one with `requests_per_minute` in the profile. Rates are of the answered calls, from the
first arrival to the last answer, less the second's worth that may come at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import root_path
from mocked import mocked
from tests.support.corpus import prose

from octavo.backends.openai.backend import OpenAIBackend
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

PIPELINE = """\
octavo: 1
about: A question for each part.
steps:
  - split: {by: structure, tokens: 200}
  - map: {prompt: "Sum up in a sentence.\\n\\n{{ text | fence }}", tokens: 60}
"""
ROWS = (
    ("told", 64, {}, ()),
    ("told", 32, {}, ()),
    ("told, -j adapts", None, {}, ()),
    ("tokens told", 64, {}, ("--tokens",)),
    ("untold", 64, {}, ("--untold",)),
    ("stated", 64, {"requests_per_minute": None}, ("--untold",)),
)


async def run(url, text, path, jobs, limits):
    profile = Profile(model="openai:mock", base_url=url, **limits)
    registry = Registry()
    backend = OpenAIBackend("mock", profile)
    failures = []
    job = Job(
        pipeline=load_pipeline(str(path), registry),
        params={},
        inputs=[Document(text, "book.txt")],
        profile=profile,
        jobs=jobs,
        private=True,
        registry=registry,
        backend=backend,
    )
    await execute(job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error))
    await backend.close()
    if failures:
        raise failures[0]


def measure(options, text, row):
    _, jobs, limits, flags = row
    limits = dict.fromkeys(limits, options.rate)
    arguments = ["--latency", options.latency, "--rate", options.rate]
    if "--tokens" in flags:  # about 300 tokens a call, as the server counts them
        arguments = ["--latency", options.latency, "--token-rate", options.rate * 300]
    arguments += [flag for flag in flags if flag != "--tokens"]
    with tempfile.TemporaryDirectory() as directory:
        log, path = Path(directory, "log"), Path(directory, "p.yaml")
        path.write_text(PIPELINE)
        with mocked(*arguments, "--log", log) as url:
            asyncio.run(run(url, text, path, jobs, limits))
        entries = [json.loads(line) for line in log.read_text().splitlines()]
    answered = [entry for entry in entries if entry["status"] == 200]
    refused = sum(entry["status"] == 429 for entry in entries)
    first = min(entry["arrival"] for entry in entries)
    last = max(entry["arrival"] for entry in answered)
    burst, allowed, done = options.rate / 60, options.rate / 60, float(len(answered))
    if "--tokens" in flags:
        burst, allowed = burst * 300, allowed * 300
        done = sum(entry["prompt"] + 60 for entry in answered)
    return len(answered), (done - burst) / (last - first) / allowed, refused / len(entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=6000, help="calls a minute")
    parser.add_argument("--calls", type=int, default=1500, help="about so many")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    options = parser.parse_args()
    text = prose(options.calls * 600)
    line = "{:<18} {:>5} {:>6} {:>16} {:>9} {:>6}"
    print(line.format("server", "jobs", "calls", "of allowed rate", "refused", "s"))
    for row in ROWS:
        begun = time.perf_counter()
        calls, reached, refused = measure(options, text, row)
        seconds = time.perf_counter() - begun
        cells = (f"{reached:.3f}", f"{refused:.2%}", f"{seconds:.0f}")
        print(line.format(row[0], row[1] or "auto", calls, *cells), flush=True)


if __name__ == "__main__":
    main()
