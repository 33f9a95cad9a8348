"""What a run has written and from what, for the lock beside its results."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.commands.lock import LOCK_NAME, LockEntry, read_lock, write_lock
from octavo.commands.order import RunOptions
from octavo.commands.render import encode
from octavo.engine.report import ResultMember, Result
from octavo.errors import UsageError
from octavo.loaders.inputs import STDIN
from octavo.pipeline.lookup import BUILTIN_PREFIX

if TYPE_CHECKING:
    from octavo.engine.execute import Job

__all__ = ["LockRecorder"]


class LockRecorder:
    """The files that a run wrote into a directory.

    Each is entered into the lock of that directory, or where locks above it know the result
    already, into those: who makes one file of a tree anew brings the lock of the tree up to date.
    """

    def __init__(self, order: RunOptions, job: Job, folder: Path) -> None:
        self._order = order
        self._job = job
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not followed
        self._entries: dict[Path, dict[str, LockEntry]] = {}
        self._known: dict[Path, frozenset[str]] = {}

    def record(self, path: Path, text: str, result: Result) -> None:
        """Note that a result was written to a file; a pipe or a device is none.

        What was read from a pipe by a name of its own could not be looked at again, so it is not
        noted.
        """
        if result.error is not None or not path.is_file():
            return
        if self._order.stdin_filename and not result.members and not Path(result.source).is_file():
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
        order = self._order
        params = {name: value for name, value in self._job.params.items() if value is not None}
        built_in = order.pipeline.path.startswith(BUILTIN_PREFIX)
        return LockEntry(
            sources=dict(_list_sources(result, folder)),
            pipeline=order.pipeline.path if built_in else _to_relative(order.pipeline.path, folder),
            pipeline_hash=order.pipeline.digest,
            model=_relocate_model(self._job.profile.model, folder),
            params=dict(sorted(params.items())),
            result_hash=hashlib.sha256(encode(text)).hexdigest(),
            encoding=order.encoding,
            text_column=order.text_column,
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
