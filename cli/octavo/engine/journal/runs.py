"""The journal's list of runs, and the calls of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

import orjson

from octavo.engine.journal.store import Journal

__all__ = ["MAX_TIME", "LedgerRow", "RunRow", "decode_command", "list_calls", "list_runs"]


_TIMES = ("started", "ended")
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
