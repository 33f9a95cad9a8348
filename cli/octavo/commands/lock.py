"""`octavo.lock`: what results in a directory were made from, so that CI can tell stale ones.

The file stands beside the results and is meant to be committed with them. It holds hashes, no
times and no runs, one entry a result in the order of their names: the same results give the same
bytes. Paths are relative to the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from octavo.commands.atomic import write_atomically
from octavo.commands.render import encode
from octavo.errors import RunFailed, UsageError

__all__ = ["LOCK_NAME", "LockEntry", "read_lock", "write_lock"]

LOCK_NAME = "octavo.lock"
_VERSION = 1
_TEXT_FIELDS = ("pipeline", "pipeline_hash", "model", "result_hash")
_READING_FIELDS = ("encoding", "text_column")


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What one result was made from.

    `sources` has the hash of each document's text; these, `pipeline` and a model that is a file
    of the project are told by paths relative to the lock's directory. A pipeline that is built in
    is `builtin:NAME`, standard input is `-`. Hashes are SHA-256: of texts, of what the pipeline
    does, and of the result's bytes.
    """

    sources: Mapping[str, str]
    pipeline: str
    pipeline_hash: str
    model: str
    params: Mapping[str, Any]
    result_hash: str
    encoding: str | None = None
    """What the source is read in, where it was named."""
    text_column: str | None = None
    """The column of tables whose rows are the sources, where it was named."""


def read_lock(path: Path) -> dict[str, LockEntry]:
    """Return the entries by the result's path, relative to the lock's directory.

    Raises UsageError when the file is no lock of this version.
    """
    try:
        data: object = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(
            f"{path} is no JSON: {error}",
            hint="resolve the conflict in it, or remove it and run the pipeline again",
        ) from error
    top = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if top.get("version") != _VERSION or not isinstance(top.get("results"), dict):
        raise UsageError(
            f"{path} is not what this Octavo writes (version {_VERSION})",
            hint="remove it and run the pipeline again: what was answered is not asked again",
        )
    return {name: _parse_entry(path, name, row) for name, row in top["results"].items()}


def write_lock(path: Path, entries: Mapping[str, LockEntry]) -> None:
    """Add entries to a lock, or replace those of the same results; drops those without a result.

    Raises RunFailed when the file cannot be written, UsageError when what is there is no lock.
    """
    kept = read_lock(path) if path.exists() else {}
    kept.update(entries)
    kept = {name: entry for name, entry in kept.items() if (path.parent / name).exists()}
    rows = {name: _as_row(kept[name]) for name in sorted(kept)}
    text = json.dumps({"version": _VERSION, "results": rows}, ensure_ascii=False, indent=2)
    try:
        write_atomically(path, encode(text + "\n"))
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror}") from error


def _as_row(entry: LockEntry) -> dict[str, Any]:
    row: dict[str, Any] = {"sources": dict(entry.sources)}
    row |= {name: getattr(entry, name) for name in _TEXT_FIELDS}
    if entry.params:
        row["params"] = dict(entry.params)
    for name in _READING_FIELDS:
        if value := getattr(entry, name):
            row[name] = value
    return row


def _parse_entry(path: Path, name: str, row: object) -> LockEntry:
    fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    sources = fields.get("sources")
    whole = isinstance(sources, dict) and all(isinstance(fields.get(each), str) for each in _TEXT_FIELDS)
    if not whole:
        raise UsageError(
            f"{path}: the entry of {name} is incomplete",
            hint="run its pipeline again: what was answered is not asked again",
        )
    return LockEntry(
        sources=cast("dict[str, str]", sources),
        **{each: fields[each] for each in _TEXT_FIELDS},
        params=fields.get("params", {}),
        encoding=fields.get("encoding"),
        text_column=fields.get("text_column"),
    )
