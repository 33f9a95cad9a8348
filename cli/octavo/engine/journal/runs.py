"""The journal's list of runs, and the calls of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from octavo.engine.journal.store import Journal

__all__ = ["LedgerRow", "RunRow", "list_calls", "list_runs"]


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


def list_runs(journal: Journal, *, last: int | None = None) -> list[RunRow]:
    """Return the runs, newest first; at most `last` of them."""
    rows = journal.query(
        "SELECT id, generation, base, started, ended, status, pipeline, model, command, summary"
        " FROM runs ORDER BY id DESC LIMIT ?",
        (-1 if last is None else last,),
    )
    return [
        RunRow(*facts, command=tuple(json.loads(command)), summary=orjson.loads(summary or "{}"))
        for *facts, command, summary in rows
    ]


def list_calls(journal: Journal, run: int) -> list[LedgerRow]:
    """Return a run's calls in the order in which they ended."""
    rows = journal.query(
        "SELECT source, step, node, call, outcome, attempts FROM ledger"
        " JOIN sites ON sites.id = ledger.site WHERE sites.run = ? ORDER BY ledger.rowid",
        (run,),
    )
    return [LedgerRow(*row) for row in rows]
