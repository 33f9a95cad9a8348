"""The journal's list of runs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from octavo.engine.journal.store import Journal
from octavo.engine.report import Report

__all__ = [
    "MAX_TIME",
    "LedgerRow",
    "RunRow",
    "begin_run",
    "decode_command",
    "find_fresh_generation",
    "finish_run",
    "list_calls",
    "list_runs",
]


_TIMES = ("started", "ended")
_MAX_NUMBER = 2**31
"""No generation gets there: one that does is damaged."""

MAX_TIME = 253_370_764_800
"""Seconds from 1970 to the year 9999, the last one that a date can tell."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run: what it could see, when it was, and how it ended.

    It wrote to its generation and saw those from `base` on. Times are in seconds since 1970.
    `status` is `running` (or killed), `complete`, `partial`, `failed`, `stopped`, or the class of
    the error.
    """

    id: int
    generation: int
    base: int
    started: float
    ended: float | None
    status: str
    pipeline: str
    model: str
    command: tuple[str, ...]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One call of a run: where it was asked, how it ended, and after how many attempts."""

    source: str
    step: str
    node: str
    call: int
    outcome: str
    attempts: int


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


def list_runs(journal: Journal, *, last: int | None = None) -> list[RunRow]:
    """Return the runs, newest first; at most `last` of them."""
    started, ended = (f"min(max(CAST({name} AS REAL), 0), {MAX_TIME})" for name in _TIMES)
    status, pipeline, model = map(_read_as_text, ("status", "pipeline", "model"))
    rows = journal.query(
        f"SELECT id, generation, base, coalesce({started}, 0), {ended}, {status}, {pipeline},"  # noqa: S608 - of our own names
        f" {model}, command, summary FROM runs ORDER BY id DESC LIMIT ?",
        (-1 if last is None else last,),
    )
    return [
        RunRow(*facts, command=decode_command(command), summary=_decode_summary(summary))
        for *facts, command, summary in rows
    ]


def list_calls(journal: Journal, run: int) -> list[LedgerRow]:
    """Return a run's calls in the order in which they ended."""
    source, step, node, outcome = map(_read_as_text, ("source", "step", "node", "outcome"))
    rows = journal.query(
        f"SELECT {source}, {step}, {node}, CAST(call AS INTEGER), {outcome},"  # noqa: S608 - of our own names
        " CAST(attempts AS INTEGER) FROM ledger"
        " JOIN sites ON sites.id = ledger.site WHERE sites.run = ? ORDER BY ledger.rowid",
        (run,),
    )
    return [LedgerRow(*row) for row in rows]


def decode_command(stored: object) -> tuple[str, ...]:
    """Return a run's command line, or an empty one where it is damaged."""
    try:
        found: object = json.loads(stored)  # pyright: ignore[reportArgumentType] - as stored
    except (ValueError, TypeError):
        return ()
    command = cast("list[object]", found) if isinstance(found, list) else []
    return tuple(part for part in command if isinstance(part, str))


def _decode_summary(stored: object) -> dict[str, Any]:
    try:
        found: object = orjson.loads(stored or "{}")  # pyright: ignore[reportArgumentType] - same
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _read_as_text(column: str) -> str:
    """Return the SQL that reads a column as text, whatever damage has made of it."""
    return f"coalesce(CAST({column} AS TEXT), '')"
