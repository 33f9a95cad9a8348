"""Where results go: standard output, one file, or a tree of files like the inputs'.

The bytes of a result are the same in all three. Between several results on standard output stands
a line `==> path <==`, as head(1) writes it; `--json` needs none, as each line names its source.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from octavo.commands._cli.output.atomic_file import AtomicFile, write_atomically
from octavo.commands._cli.terminal import clean_line, encode
from octavo.config.run_options import ResultFormat
from octavo.errors import InputError, RunFailed, UsageError
from octavo.inputs.discovery import STDIN, Input

__all__ = [
    "CombinedFile",
    "Destination",
    "MirroredTree",
    "SingleFile",
    "StandardOutput",
    "open_destination",
]


class Destination(Protocol):
    """Takes the finished documents, in the order in which they are to appear."""

    @property
    def folder(self) -> Path | None:
        """The directory that the results are written to, if it is one."""
        ...

    def reserve(self, document: Input) -> InputError | None:
        """Reserve the place of a document's result, or return an error if it has none."""
        ...

    def put(self, source: str, text: str, suffix: str) -> Path | None:
        """Write one result and return the file, if it is one.

        Raises RunFailed when it cannot be written.
        """
        ...

    def finish(self) -> None:
        """Do what is due after the last result; raises RunFailed as `put` does."""
        ...

    def discard(self) -> None:
        """Drop what is not finished; safe to call twice."""
        ...


class StandardOutput:
    """Standard output; `headed` puts a line with the source before each result."""

    def __init__(self, stream: BinaryIO, *, headed: bool = False) -> None:
        self._stream = stream
        self._headed = headed
        self._first = True
        self.folder = None

    def reserve(self, document: Input) -> None:
        del document

    def put(self, source: str, text: str, suffix: str) -> None:
        del suffix
        if self._headed:
            header = encode(f"==> {clean_line(source)} <==\n")
            self._stream.write(header if self._first else b"\n" + header)
        self._first = False
        self._stream.write(encode(text))
        self._stream.flush()

    def finish(self) -> None: ...
    def discard(self) -> None: ...


class SingleFile:
    """One file, for one document."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.parent
        _require_writable_folder(path.parent, path)

    def reserve(self, document: Input) -> InputError | None:
        return _check_own_input(self._path, document)

    def put(self, source: str, text: str, suffix: str) -> Path:
        del source, suffix
        _write_file(self._path, text)
        return self._path

    def finish(self) -> None: ...
    def discard(self) -> None: ...


class CombinedFile:
    """One file for the results of all documents, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = None
        self._partial: AtomicFile | None = None
        _require_writable_folder(path.parent, path)

    def reserve(self, document: Input) -> InputError | None:
        return _check_own_input(self._path, document)

    def put(self, source: str, text: str, suffix: str) -> Path:
        del source, suffix
        try:
            self._file.write(encode(text))
        except OSError as error:
            raise _to_write_error(self._path, error) from error
        return self._path

    def finish(self) -> None:
        try:
            self._file.finish()
        except OSError as error:
            raise _to_write_error(self._path, error) from error

    def discard(self) -> None:
        if self._partial is not None:
            self._partial.discard()

    @property
    def _file(self) -> AtomicFile:
        if self._partial is None:
            self._partial = AtomicFile(self._path)
        return self._partial


class MirroredTree:
    """A directory that mirrors the inputs: `a/b.txt` becomes `a/b.txt.md`, `a/b.md` stays.

    The input's whole name is kept, so that `parse.c` and `parse.h` have places of their own.
    """

    def __init__(self, root: Path, suffixes: Collection[str] = (".md", ".json")) -> None:
        self.root = self.folder = root
        self._suffixes = suffixes
        self._places: dict[str, str] = {}
        self._taken: set[str] = set()
        if root.exists() and not root.is_dir():
            raise UsageError(
                f"{root} is a file, and there may be several results",
                hint=f"name a directory: -o {root}.d/",
            )
        existing = next(each for each in (root, *root.absolute().parents) if each.exists())
        _require_writable_folder(existing, root)

    def reserve(self, document: Input) -> InputError | None:
        place = _confine_path(document.relative)
        taken = {_add_suffix(place, suffix) for suffix in self._suffixes}
        if not taken.isdisjoint(self._taken):
            return InputError(
                f"its result would be {self.root / min(taken)}, as another input's",
                source=document.source,
                hint="write the inputs of different directories to different places",
            )
        self._taken |= taken
        self._places[document.source] = place
        errors = (_check_own_input(self.root / name, document) for name in sorted(taken))
        return next((error for error in errors if error), None)

    def put(self, source: str, text: str, suffix: str) -> Path:
        path = self.root / _add_suffix(self._places.pop(source, _confine_path(source)), suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _to_write_error(path.parent, error) from error
        _write_file(path, text)
        return path

    def finish(self) -> None: ...
    def discard(self) -> None: ...


def open_destination(
    target: str | None,
    *,
    several: bool,
    format: ResultFormat = ResultFormat.TEXT,  # noqa: A002 - the option's name
    lines: bool = False,
) -> Destination:
    """Return the place that `-o` names.

    `several` says that there may be more than one result, `lines` that each line of it names its
    source; those in JSON, JSON Lines or CSV go into one file all the same where its name ends like
    one. Raises UsageError when nothing could be written there, before anything runs.
    """
    if target is None or target == STDIN:
        headed = several and not lines and format is ResultFormat.TEXT
        return StandardOutput(sys.stdout.buffer, headed=headed)
    path = Path(target)
    one = path.suffix and not path.is_dir() and not target.endswith(("/", os.sep))
    if format is not ResultFormat.TEXT and one:
        return CombinedFile(path)
    if several or target.endswith(("/", os.sep)) or path.is_dir():
        return MirroredTree(
            path, (".md", ".json") if format is ResultFormat.TEXT else (f".{format}",)
        )
    return SingleFile(path)


def _add_suffix(place: str, suffix: str) -> str:
    return place if place.endswith(suffix) else place + suffix


def _confine_path(relative: str) -> str:
    """Return a relative path that cannot lead out of the directory."""
    parts = PurePosixPath(relative.replace(os.sep, "/")).parts
    return "/".join(part for part in parts if part not in {"..", "/"}) or "document"


def _check_own_input(path: Path, document: Input) -> InputError | None:
    if document.path is None or not path.exists() or not path.samefile(document.path):
        return None
    return InputError(
        "its result would replace it", source=document.source, hint="write to another place with -o"
    )


def _require_writable_folder(folder: Path, path: Path) -> None:
    if not folder.is_dir():
        there = folder.exists()
        raise UsageError(
            f"{path} cannot be written: {folder} is no directory",
            hint="name another place after -o" if there else f"mkdir -p {shlex.quote(str(folder))}",
        )
    if not os.access(folder, os.W_OK) and not path.exists():
        raise UsageError(
            f"{path} cannot be written: {folder} is read-only", hint="name another place after -o"
        )


def _write_file(path: Path, text: str) -> None:
    try:
        write_atomically(path, encode(text))
    except OSError as error:
        raise _to_write_error(path, error) from error


def _to_write_error(path: Path, error: OSError) -> RunFailed:
    return RunFailed(
        f"{path} cannot be written: {error.strerror}",
        hint="run the same command again with another -o: nothing is asked twice",
    )
