"""A run's entry in the journal's list of runs: made when it begins, completed when it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import orjson

from octavo.engine.journal.store import Journal
from octavo.engine.report import Report

__all__ = ["begin_run", "find_fresh_generation", "finish_run"]

_MAX_NUMBER = 2**31
"""No generation gets there: one that does is damaged."""


def find_fresh_generation(journal: Journal) -> int:
    """Return a generation that no reply has yet."""
    rows = journal.query(
        "SELECT coalesce(max(generation), 0) + 1 FROM runs WHERE generation < ?", (_MAX_NUMBER,)
    )
    return int(rows[0][0])


def begin_run(journal: Journal, *, pipeline: str, model: str, command: Sequence[str]) -> int:
    """Enter a run in the journal; return its number."""
    return journal.execute(
        "INSERT INTO runs (generation, base, started, status, pipeline, model, command)"
        " VALUES (?, ?, ?, 'running', ?, ?, ?)",
        (
            journal.generation,
            journal.base,
            time.time(),
            pipeline,
            model,
            json.dumps(list(command)),  # in ASCII: names of files may be no UTF-8
        ),
    )


def finish_run(journal: Journal, run: int, status: str, report: Report) -> None:
    """Enter how a run ended."""
    summary = {
        "documents": report.documents,
        "failed": report.failed,
        "calls": report.totals.calls,
        "sent": report.totals.sent,
        "outcomes": {str(outcome): count for outcome, count in report.totals.outcomes.items()},
        "prompt_tokens": report.totals.prompt,
        "completion_tokens": report.totals.completion,
        "cached_tokens": report.totals.cached,
        "seconds": round(report.seconds, 3),
    }
    journal.execute(
        "UPDATE runs SET ended = ?, status = ?, summary = ? WHERE id = ?",
        (time.time(), status, orjson.dumps(summary).decode(), run),
    )
