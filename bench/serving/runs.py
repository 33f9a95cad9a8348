"""Runs of Octavo in this process against a server, with what the journal says of them."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from octavo.engine.journal.prefix_reuse import measure_reuse
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document
from octavo.tokens.choose import get_counter as counter_named

__all__ = ["Ran", "documents", "fold"]


@dataclass(frozen=True)
class Ran:
    """A run: its calls, seconds in all and from the first call on, and tokens.

    `asked`, `kept` and `ideal` are of the calls in the ledger: all tokens of their prompts, those
    cached, and those that could be; `prompt` and `cached` are of every attempt.
    """

    calls: int
    sent: int
    seconds: float
    sending: float
    prompt: int
    cached: int
    completion: int
    asked: int
    kept: int
    ideal: int
    failed: int
    error: str | None

    @property
    def computed(self):
        return self.prompt - self.cached


async def fold(pipeline, params, texts, backend, profile, *, jobs=None):
    """Fold texts through a pipeline with a new journal; `backend` answers."""
    registry = Registry()
    spec = load_pipeline(str(pipeline), registry)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OCTAVO_JOURNAL"] = str(Path(folder, "journal"))
        job = Job(
            pipeline=spec,
            params=resolve_params(spec.params, params),
            inputs=[Document(text, f"{number}.txt") for number, text in enumerate(texts)],
            profile=profile,
            jobs=jobs,
            registry=registry,
            backend=backend,
            keep_going=True,
        )
        begun = time.perf_counter()
        report = await execute(
            job, watch=Silence(), sink=lambda r: r.error and failures.append(r.error)
        )
        ended = time.perf_counter()
        known = backend.known.tokenizer
        with Journal(Path(folder, "journal")) as journal:
            reuse = measure_reuse(
                journal, int(report.run), counter=counter_named(known) if known else None
            )
    totals = report.totals
    error = report.error or next(iter(failures), None)
    return Ran(
        calls=totals.calls,
        sent=totals.sent,
        seconds=ended - begun,
        sending=ended - (getattr(backend, "first", None) or begun),
        prompt=totals.prompt or 0,
        cached=totals.cached or 0,
        completion=totals.completion or 0,
        asked=reuse.prompt if reuse else 0,
        kept=reuse.cached if reuse else 0,
        ideal=reuse.ideal if reuse else 0,
        failed=report.failed,
        error=None if error is None else str(error),
    )


def documents(prose, counter, count, tokens, seed):
    """Return `count` texts of about `tokens` tokens each, the same for the same seed."""
    size = tokens * 4
    sample = prose(40_000, seed)
    size = int(tokens * len(sample) / counter.count(sample))
    return [prose(size, seed * 1000 + number) for number in range(count)]


def attached(model, server, **changes):
    """Return a profile of a server that runs."""
    return Profile(
        model=f"vllm:{model}", base_url=server.base_url, headers=server.headers, **changes
    )
