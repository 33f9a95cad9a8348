"""The same job through Octavo and through its peers: a question for each part, one answer of all.

    python bench/peers.py                                    # Octavo alone
    python bench/peers.py --peers langchain llamaindex docetl --python /path/to/env/bin/python

Peers are no dependencies of Octavo: install langchain-openai, llama-index-llms-openai-like or
docetl by hand, best in an environment of their own, and name its interpreter. Each takes the way
that its documentation shows for many calls at once, with the same prompts, parts and number of
calls in flight. `wall` is from the arrival of the first call at the mock server to the end of the
last, `bound` what the latencies alone would take; `times ours` compares the walls.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAP = "Sum up the text in a sentence.\n\n{text}"
REDUCE = "Write one summary of these notes.\n\n{notes}"
TOKENS = 60, 300


# The peers run in their own interpreter, which may not have Octavo.


async def langchain(url, texts, jobs):
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    def chain(prompt, tokens):
        model = ChatOpenAI(
            model="mock", base_url=url, api_key="none", max_tokens=tokens, temperature=0
        )
        return ChatPromptTemplate.from_messages([("user", prompt)]) | model

    notes = await chain(MAP, TOKENS[0]).abatch(
        [{"text": text} for text in texts], {"max_concurrency": jobs}
    )
    joined = "\n\n".join(note.content for note in notes)
    await chain(REDUCE, TOKENS[1]).ainvoke({"notes": joined})


async def llamaindex(url, texts, jobs):
    from llama_index.core.async_utils import run_jobs
    from llama_index.llms.openai_like import OpenAILike

    def model(tokens):
        return OpenAILike(
            model="mock", api_base=url, api_key="none", is_chat_model=True, max_tokens=tokens,
            context_window=1_000_000, temperature=0,
        )  # fmt: skip

    leaf = model(TOKENS[0])
    notes = await run_jobs([leaf.acomplete(MAP.format(text=text)) for text in texts], workers=jobs)
    joined = "\n\n".join(note.text for note in notes)
    await model(TOKENS[1]).acomplete(REDUCE.format(notes=joined))


async def docetl(url, texts, jobs):
    await asyncio.to_thread(_docetl, url, texts, jobs)


class _Words:
    """Counts words where tiktoken cannot fetch its vocabulary, which DocETL counts prompts with."""

    def encode(self, text, **_):
        return text.split()


def _docetl(url, texts, jobs):
    import tiktoken
    from docetl.runner import DSLRunner

    try:
        tiktoken.get_encoding("o200k_base")
    except OSError:
        tiktoken.get_encoding = tiktoken.encoding_for_model = lambda *_: _Words()
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": url, "OPENAI_BASE_URL": url}
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory, "data.json")
        data.write_text(json.dumps([{"text": text} for text in texts]))
        model = {"model": "openai/mock", "output": {"schema": {"note": "string"}}}
        steps = {"name": "all", "input": "parts", "operations": ["each", "one"]}
        config = {
            "default_model": "openai/mock",
            "bypass_cache": True,
            "datasets": {"parts": {"type": "file", "path": str(data)}},
            "operations": [
                {"name": "each", "type": "map", "prompt": MAP.replace("{text}", "{{ input.text }}"),
                 **model},
                {"name": "one", "type": "reduce", "reduce_key": "_all",
                 "prompt": REDUCE.replace(
                     "{notes}", "{% for each in inputs %}{{ each.note }} {% endfor %}"),
                 **model},
            ],
            "pipeline": {
                "steps": [steps],
                "output": {"type": "file", "path": str(Path(directory, "out.json"))},
            },
        }  # fmt: skip
        DSLRunner(config, max_threads=jobs).load_run_save()


PEERS = {"langchain": langchain, "llamaindex": llamaindex, "docetl": docetl}


def child(name, url, path, jobs):
    texts = json.loads(Path(path).read_text())
    begun = time.process_time()
    asyncio.run(PEERS[name](url, texts, jobs))
    spent = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nMEASURED {spent} {peak}")


def octavo(url, path, jobs):
    from octavo.backends.openai.backend import OpenAIBackend
    from octavo.engine.report import Silence
    from octavo.engine.run.execute import execute
    from octavo.engine.run.job import Job
    from octavo.pipeline.reader import load_pipeline
    from octavo.pipeline.registry import Registry
    from octavo.protocols import Profile
    from octavo.text.document import Document

    text, pipeline = Path(path).with_name("book.txt").read_text(), Path(path).with_name("p.yaml")
    profile = Profile(model="openai:mock", base_url=url, tokenizer="o200k_base")
    registry = Registry()
    os.environ["OCTAVO_JOURNAL"] = str(Path(path).with_name(f"journal{jobs}"))
    failures = []

    async def run():
        backend = OpenAIBackend("mock", profile)
        job = Job(
            pipeline=load_pipeline(str(pipeline), registry), params={},
            inputs=[Document(text, "book.txt")], profile=profile, jobs=jobs, registry=registry,
            backend=backend,
        )  # fmt: skip
        await execute(job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error))
        await backend.close()

    begun = time.process_time()
    asyncio.run(run())
    if failures:
        raise failures[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nMEASURED {time.process_time() - begun} {peak}")


def prepare(directory, count):
    """Write the text, its parts and the pipeline; return the number of parts."""
    from tests.support.corpus import prose

    import octavo

    text = prose(count * 2450)
    parts = [text[chunk.span.start : chunk.span.end] for chunk in octavo.split(
        octavo.Document(text, "book.txt"), tokens=1000)]  # fmt: skip
    Path(directory, "book.txt").write_text(text)
    Path(directory, "texts.json").write_text(json.dumps(parts))
    each = json.dumps(MAP.replace("{text}", "{{ text }}"))
    one = json.dumps(REDUCE.replace("{notes}", "{% for note in notes %}{{ note }}\n\n{% endfor %}"))
    Path(directory, "p.yaml").write_text(
        "octavo: 1\nsteps:\n  - split: {by: structure, tokens: 1000}\n"
        f"  - map: {{prompt: {each}, tokens: {TOKENS[0]}}}\n"
        f"  - reduce: {{prompt: {one}, tokens: {TOKENS[1]}, room: 1000000}}\n"
    )
    return len(parts)


def measure(name, python, directory, jobs, latency):
    from mocked import mocked

    log = Path(directory, "log")
    log.unlink(missing_ok=True)
    with mocked("--latency", latency, "--log", log) as url:
        command = [python, __file__, "--child", name, url, str(Path(directory, "texts.json"))]
        done = subprocess.run([*command, str(jobs)], capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:90]
    spent, peak = map(float, done.stdout.rpartition("MEASURED ")[2].split())
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    first = min(entry["arrival"] for entry in entries)
    wall = max(entry["arrival"] + entry["latency"] for entry in entries) - first
    return len(entries), wall, spent * 1000 / len(entries), peak


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        _, _, name, url, path, jobs = sys.argv
        if name == "octavo":
            octavo(url, path, int(jobs))
        else:
            child(name, url, path, int(jobs))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=[])
    parser.add_argument("--python", default=sys.executable, help="the peers' interpreter")
    parser.add_argument("--parts", type=int, default=500)
    parser.add_argument("--jobs", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    options = parser.parse_args()
    row = "{:>5}  {:<11} {:>6} {:>8} {:>8} {:>11} {:>12} {:>8}"
    names = ("calls", "wall s", "bound s", "times ours", "CPU ms/call", "peak MB")
    print(row.format("jobs", "", *names))
    with tempfile.TemporaryDirectory() as directory:
        parts = prepare(directory, options.parts)
        for jobs in options.jobs:
            bound = (math.ceil(parts / jobs) + 1) * options.latency
            ours = None
            for name in ("octavo", *options.peers):
                python = sys.executable if name == "octavo" else options.python
                found = measure(name, python, directory, jobs, options.latency)
                if isinstance(found, str):
                    print(f"{jobs:>5}  {name:<11} could not run: {found}", flush=True)
                    continue
                calls, wall, cpu, peak = found
                ours = ours or wall
                cells = (f"{wall:.2f}", f"{bound:.2f}", f"{wall / ours:.2f}", f"{cpu:.2f}")
                print(row.format(jobs, name, calls, *cells, f"{peak:.0f}"), flush=True)


if __name__ == "__main__":
    main()
