"""How much a journal grows: bytes on disk beside the bytes of the replies and of distinct texts.

    python bench/journal.py [--size 1200000]

`beside texts` is what the journal takes apart from one compressed copy of each distinct text, over
the bytes of the replies; `allowed` the same over one and a half times those bytes and 200 a call.
An empty journal takes a quarter of a megabyte, which counts here too. `ledger B` is what the ledger
takes for each of its rows, its index included. `again` is the same run once more, all cached;
`edited` a run over the text with one word changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

import root_path
from tests.support.corpus import prose
from tests.support.mock.replies import sentences

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.journal.store import Journal, inflate
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

PARAMS = {"summarize": {}, "map": {"prompt": ["List the names."]}, "refine": {}}


def answer(request):
    number = int.from_bytes(request.messages[-1].content.encode()[-64:-8], "big")
    return sentences(number, request.max_tokens)[0]


async def run(pipeline, text):
    registry = Registry()
    spec = load_pipeline(pipeline, registry)
    failures = []
    job = Job(
        pipeline=spec,
        params=resolve_params(spec.params, PARAMS[pipeline]),
        inputs=[Document(text, "book.txt")],
        profile=Profile(model="scripted:journal"),
        jobs=64,
        registry=registry,
        backend=ScriptedBackend(answer, identity="scripted:journal", keep_requests=False),
    )
    report = await execute(
        job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error)
    )
    if failures:
        raise failures[0]
    return report.totals


def sizes(path):
    """Return the bytes of the file, of its compressed texts and of its replies."""
    with Journal(path) as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((texts,),) = journal.query("SELECT coalesce(sum(length(data)), 0) FROM texts")
        stored = journal.query("SELECT text FROM calls")
        replies = sum(len(inflate(text).encode()) for (text,) in stored)
        ((rows,),) = journal.query("SELECT count(*) FROM ledger")
        ((ledger,),) = journal.query(
            "SELECT sum(pgsize - unused) FROM dbstat WHERE name IN ('ledger', 'ledger_of_site')"
        )
    return (path.stat().st_size, texts, replies), ledger / rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_200_000, help="characters of text")
    options = parser.parse_args()
    text = prose(options.size)
    edited = text.replace("the", "a", 1)
    line = "{:<10} {:<7} {:>6} {:>6} {:>9} {:>9} {:>9} {:>13} {:>9} {:>9}"
    print(line.format("pipeline", "", "calls", "sent", "kB", "texts kB", "replies", "beside texts",
                      "allowed", "ledger B"))  # fmt: skip
    for pipeline in PARAMS:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "journal")
            os.environ["OCTAVO_JOURNAL"] = str(path)
            before = (0, 0, 0)
            for name, given in {"first": text, "again": text, "edited": edited}.items():
                totals = asyncio.run(run(pipeline, given))
                after, row = sizes(path)
                grown, texts, replies = (b - a for a, b in zip(before, after, strict=True))
                before = after
                rest = grown - texts
                cells = (totals.calls, totals.sent, f"{grown / 1000:.0f}", f"{texts / 1000:.0f}",
                         f"{replies / 1000:.0f}", f"{rest / replies:.2f}" if replies else "-",
                         f"{rest / (1.5 * replies + 200 * totals.calls):.2f}",
                         f"{row:.0f}")  # fmt: skip
                print(line.format(pipeline, name, *cells), flush=True)


if __name__ == "__main__":
    main()
