"""What the journal holds, and the removal of entries that are old, in excess, or of one source.

Replies are what costs money, so they are what is kept or removed; the prompts and texts that
nothing refers to any more are removed with them. Other processes may use the journal meanwhile:
what they still write stays, and at worst the text of a prompt can't be shown later.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from octavo.engine.journal.database import explain_error
from octavo.engine.journal.runs import MAX_TIME, decode_command
from octavo.engine.journal.store import DAMAGE, Journal

__all__ = ["JournalStats", "PipelineShare", "RemovedContent", "clear", "collect_stats", "prune"]


_DAY = 86_400
_TABLES = (
    *("calls", "prompts", "texts", "tables", "counts", "contacts", "vectors"),
    *("ledger", "sites", "runs"),
)
_BUSY = 2_000
"""Milliseconds to wait for other processes before the space stays in the file."""


@dataclass(frozen=True, slots=True)
class PipelineShare:
    """How many different calls the runs of one pipeline with one model asked for."""

    pipeline: str
    model: str
    runs: int
    calls: int


@dataclass(frozen=True, slots=True)
class JournalStats:
    """What a journal holds; sizes in bytes, `since` in seconds since 1970."""

    path: str
    size: int
    calls: int
    replies: int
    texts: int
    vectors: int
    runs: int
    since: float | None
    shares: tuple[PipelineShare, ...]


@dataclass(frozen=True, slots=True)
class RemovedContent:
    """What was taken out; `freed` is in bytes.

    `held` tells that others keep the file from shrinking, so that the space is used again instead.
    """

    calls: int
    texts: int
    runs: int
    freed: int
    held: bool


def collect_stats(journal: Journal) -> JournalStats:
    """Return what the journal holds."""

    def one(sql: str) -> Any:  # noqa: ANN401 - what SQLite stores
        return journal.query(sql)[0][0]

    shares = journal.query(
        "SELECT CAST(runs.pipeline AS TEXT), CAST(runs.model AS TEXT), count(DISTINCT runs.id),"
        " count(DISTINCT ledger.call)"
        " FROM runs LEFT JOIN sites ON sites.run = runs.id"
        " LEFT JOIN ledger ON ledger.site = sites.id"
        " GROUP BY runs.pipeline, runs.model ORDER BY 4 DESC, 1, 2"
    )
    return JournalStats(
        path=str(journal.path),
        size=_measure_size(journal),
        calls=one("SELECT count(*) FROM calls"),
        replies=one("SELECT coalesce(sum(length(CAST(text AS BLOB))), 0) FROM calls"),
        texts=one("SELECT count(*) FROM texts"),
        vectors=one("SELECT count(*) FROM vectors"),
        runs=one("SELECT count(*) FROM runs"),
        since=one(f"SELECT min(max(CAST(min(started) AS REAL), 0), {MAX_TIME}) FROM runs"),  # noqa: S608 - a number of ours
        shares=tuple(PipelineShare(*row) for row in shares),
    )


def prune(journal: Journal, *, days: int | None = None, size: int | None = None) -> RemovedContent:
    """Take out replies that no run has wanted for so many days, or the oldest down to a size.

    The size is in bytes. Raises JournalError when the journal cannot be written.
    """
    with _Removal(journal) as removal:
        today = int(time.time() // _DAY)
        if days is not None:
            removal.remove_unused(today - days)
        if size is not None:
            for (day,) in journal.query(
                "SELECT used FROM calls UNION SELECT used FROM vectors ORDER BY 1"
            ):
                if removal.count_used_bytes() <= size:
                    break
                removal.remove_unused(day + 1)
    return removal.removed


def clear(journal: Journal, *, source: Path | None = None) -> RemovedContent:
    """Take out everything, or what came of one file or of those below a directory.

    With a source, also what another file of the same text brought goes, so that nothing of the text
    stays; counts and chunk tables go altogether, since they cost nothing.
    """
    with _Removal(journal) as removal:
        if source is None:
            removal.remove_everything()
        else:
            removal.remove_source(source.resolve())
    return removal.removed


class _Removal:
    """One transaction, and the space given back after it."""

    removed: RemovedContent

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._connection = journal.connection

    def __enter__(self) -> Self:
        self._journal.flush()
        try:
            self._before = (*self._count_rows(), _measure_size(self._journal))
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            raise explain_error(error, self._journal.path) from error
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._undo()
            if isinstance(error, sqlite3.DatabaseError):
                raise explain_error(error, self._journal.path) from error
            return
        try:
            self._connection.execute("COMMIT")
            held = not self._shrink()
            after = (*self._count_rows(), _measure_size(self._journal))
        except sqlite3.DatabaseError as failure:
            self._undo()
            raise explain_error(failure, self._journal.path) from failure
        calls, texts, runs, size = (
            max(0, old - new) for old, new in zip(self._before, after, strict=True)
        )
        self.removed = RemovedContent(calls, texts, runs, size, held)

    def _undo(self) -> None:
        if self._connection.in_transaction:  # SQLite ends it by itself where the file is damaged
            self._connection.execute("ROLLBACK")

    def remove_everything(self) -> None:
        """Take out everything."""
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - of our own names

    def remove_unused(self, day: int) -> None:
        """Take out what no run has wanted since a day, and the runs that ended before it."""
        execute = self._connection.execute
        execute("DELETE FROM calls WHERE used < ?", (day,))
        execute("DELETE FROM vectors WHERE used < ?", (day,))
        old = "SELECT id FROM runs WHERE started < ?"
        moment = (day * _DAY,)
        sites = f"SELECT id FROM sites WHERE run IN ({old})"  # noqa: S608 - of our own text
        execute(f"DELETE FROM ledger WHERE site IN ({sites})", moment)  # noqa: S608 - the same
        execute(f"DELETE FROM sites WHERE run IN ({old})", moment)  # noqa: S608 - the same
        execute("DELETE FROM runs WHERE started < ?", moment)
        self._sweep()

    def remove_source(self, path: Path) -> None:
        """Take out what came of a file, or of the files below a directory."""
        execute = self._connection.execute
        sites = [
            (site, run)
            for site, run, name, command in self._journal.query(
                "SELECT sites.id, run, CAST(source AS TEXT), command"
                " FROM sites JOIN runs ON runs.id = sites.run"
            )
            if _is_of_source(name, decode_command(command), path)
        ]
        calls: set[int] = set()
        for site, _ in sites:
            calls.update(n for (n,) in execute("SELECT call FROM ledger WHERE site = ?", (site,)))
            execute("DELETE FROM ledger WHERE site = ?", (site,))
            execute("DELETE FROM sites WHERE id = ?", (site,))
        for run in {run for _, run in sites}:
            execute(
                "DELETE FROM runs WHERE id = ? AND NOT EXISTS (SELECT 1 FROM sites WHERE run = ?)",
                (run, run),
            )
        for call in self._find_following(calls):
            execute("DELETE FROM calls WHERE id = ?", (call,))
            execute("DELETE FROM ledger WHERE call = ?", (call,))
        self._sweep()

    def _find_following(self, calls: set[int]) -> set[int]:
        """Return calls with all others that saw the same documents, or their replies.

        One with a damaged prompt may have seen anything, so it is among them.
        """
        prompts = {
            call: _read_references(body)
            for call, body in self._connection.execute(
                "SELECT calls.id, body FROM calls JOIN prompts ON prompts.id = calls.prompt"
            )
        }
        found = calls | {call for call, seen in prompts.items() if seen is None}
        documents = {number for call in calls for number in (prompts.get(call) or ((), ()))[0]}
        while True:
            more = {
                call
                for call, seen in prompts.items()
                if seen and call not in found and (seen[0] & documents or seen[1] & found)
            }
            if not more:
                return found
            found |= more

    def _sweep(self) -> None:
        """Take out what nothing refers to any more, and what is found again at no cost."""
        execute = self._connection.execute
        execute("DELETE FROM prompts WHERE id NOT IN (SELECT prompt FROM calls)")
        execute("CREATE TEMP TABLE IF NOT EXISTS needed (id INTEGER PRIMARY KEY)")
        execute("DELETE FROM needed")
        for (body,) in execute("SELECT body FROM prompts").fetchall():
            self._connection.executemany(
                "INSERT OR IGNORE INTO needed VALUES (?)",
                ((number,) for kind, number in _read_quotes(body) or () if kind != 1),
            )
        execute("DELETE FROM texts WHERE id NOT IN (SELECT id FROM needed)")
        execute("DELETE FROM tables")
        execute("DELETE FROM counts")

    def count_used_bytes(self) -> int:
        """Return the bytes that are in use."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _shrink(self) -> bool:
        """Give the space back; return False when another process holds the file."""
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {_BUSY}")
            self._connection.execute("VACUUM")
            busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return False
        return not busy

    def _count_rows(self) -> tuple[int, int, int]:
        calls, texts, runs = (
            self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("calls", "texts", "runs")
        )
        return calls, texts, runs


def _measure_size(journal: Journal) -> int:
    """Return the bytes of the journal's files, without the room that is set aside."""
    if journal.path is None:
        return 0
    files = (journal.path, journal.path.with_name(journal.path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _is_of_source(source: str, command: Sequence[str], path: Path) -> bool:
    folder = Path(command[1]) if command[:1] == ("-C",) else Path.cwd()
    place = (folder / source).resolve()
    return place == path or path in place.parents


def _read_quotes(body: bytes) -> list[tuple[int, int]] | None:
    """Return the kind and id of what a packed prompt quotes, or None when it is damaged.

    Kind 2 is a text of its own.
    """
    found: list[tuple[int, int]] = []
    try:
        for _, *parts in orjson.loads(body):
            for part in parts:
                if isinstance(part, int):
                    found.append((2, part))
                elif not isinstance(part, str):
                    found.append((int(part[0]), int(part[1])))
    except DAMAGE:
        return None
    return found


def _read_references(body: bytes) -> tuple[frozenset[int], frozenset[int]] | None:
    """Return the documents and the replies that a packed prompt quotes, or None as above."""
    quotes = _read_quotes(body)
    if quotes is None:
        return None
    return (
        frozenset(number for kind, number in quotes if kind == 0),
        frozenset(number for kind, number in quotes if kind == 1),
    )
