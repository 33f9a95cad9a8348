"""`octavo.lock`: what results in a directory were made from, so that CI can tell stale ones.

The file stands beside the results and is meant to be committed with them. It holds hashes, no
times and no runs, one entry a result in the order of their names: the same results give the same
bytes. Paths are relative to the file. `LockRecorder` keeps what a run has written and from what,
and enters it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from octavo.commands._cli.options.run_options import RunRequest
from octavo.commands._cli.output.atomic_file import write_atomically
from octavo.commands._cli.terminal import encode
from octavo.engine.report import Result, ResultMember
from octavo.errors import RunFailed, UsageError
from octavo.inputs.discovery import STDIN
from octavo.pipeline.lookup import BUILTIN_PREFIX

if TYPE_CHECKING:
    from octavo.engine.run.job import Job

__all__ = ["LOCK_NAME", "LockEntry", "LockRecorder", "read_lock", "write_lock"]


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

    Raises UsageError when the file is not a lock of this version.
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
    whole = isinstance(sources, dict) and all(
        isinstance(fields.get(each), str) for each in _TEXT_FIELDS
    )
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


class LockRecorder:
    """Records the files that a run wrote into a directory.

    Each is entered into the lock of that directory, or where locks above it know the result
    already, into those: who makes one file of a tree anew brings the lock of the tree up to date.
    """

    def __init__(self, request: RunRequest, job: Job, folder: Path) -> None:
        self._request = request
        self._job = job
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not followed
        self._entries: dict[Path, dict[str, LockEntry]] = {}
        self._known: dict[Path, frozenset[str]] = {}

    def record(self, path: Path, text: str, result: Result) -> None:
        """Record that a result was written to a file. Pipes and devices are not recorded.

        What was read from a pipe by a name of its own could not be looked at again, so it is not
        noted.
        """
        if result.error is not None or not path.is_file():
            return
        if (
            self._request.options.stdin_filename
            and not result.members
            and not Path(result.source).is_file()
        ):
            return
        for folder in self._find_lock_folders(path) or [self._folder]:
            entries = self._entries.setdefault(folder, {})
            entries[_to_relative(path, folder)] = self._build_entry(folder, text, result)

    def save(self) -> None:
        """Write the locks, if there is anything to tell.

        Raises RunFailed when one cannot be written, UsageError when what is there is no lock.
        """
        for folder, entries in self._entries.items():
            write_lock(folder / LOCK_NAME, entries)

    def _build_entry(self, folder: Path, text: str, result: Result) -> LockEntry:
        pipeline, options = self._request.pipeline, self._request.options
        params = {name: value for name, value in self._job.params.items() if value is not None}
        built_in = pipeline.path.startswith(BUILTIN_PREFIX)
        return LockEntry(
            sources=dict(_list_sources(result, folder)),
            pipeline=pipeline.path if built_in else _to_relative(pipeline.path, folder),
            pipeline_hash=pipeline.digest,
            model=_relocate_model(self._job.profile.model, folder),
            params=dict(sorted(params.items())),
            result_hash=hashlib.sha256(encode(text)).hexdigest(),
            encoding=options.encoding,
            text_column=options.text_column,
        )

    def _find_lock_folders(self, path: Path) -> list[Path]:
        """Return the directories above a result, in its repository, whose locks know it."""
        homes: list[Path] = []
        folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - links are not followed
        for each in (folder, *folder.parents):
            if _to_relative(path, each) in self._read_known_results(each):
                homes.append(each)
            if (each / ".git").exists():
                break
        return homes

    def _read_known_results(self, folder: Path) -> frozenset[str]:
        if folder not in self._known:
            lock = folder / LOCK_NAME
            try:
                self._known[folder] = frozenset(read_lock(lock) if lock.is_file() else ())
            except UsageError:  # `octavo check` tells what is wrong with it
                self._known[folder] = frozenset()
        return self._known[folder]


def _list_sources(result: Result, folder: Path) -> Iterator[tuple[str, str]]:
    for each in result.members or (ResultMember(result.source, result.hash),):
        yield each.source if each.source == STDIN else _to_relative(each.source, folder), each.hash


def _relocate_model(model: str, folder: Path) -> str:
    """Return the model with the path of a file below the working directory told from the lock's."""
    kind, colon, name = model.partition(":")
    path = Path(name)
    below = path.is_absolute() and path.is_relative_to(Path.cwd()) and path.exists()
    return f"{kind}{colon}{_to_relative(path, folder)}" if below else model


def _to_relative(path: str | Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
