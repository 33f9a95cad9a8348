"""Where results go: standard output, one file, or a tree of files like the inputs'.

The bytes of a result are the same in all three. Between several results on standard output stands
a line `==> path <==`, as head(1) writes it; `--json` needs none, as each line names its source.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from octavo.commands.atomic import write_whole
from octavo.commands.render import encode
from octavo.commands.terminal import clean
from octavo.errors import InputError, RunFailed, UsageError
from octavo.loaders.inputs import STDIN, Input

__all__ = ["File", "Output", "Stream", "Tree", "open_output"]


class Output(Protocol):
    """Takes the finished documents, in the order in which they are to appear."""

    @property
    def folder(self) -> Path | None:
        """The directory that the results are written to, if it is one."""
        ...

    def expect(self, document: Input) -> InputError | None:
        """Prepare for a document; returns an error when its result has no place of its own."""
        ...

    def put(self, source: str, text: str, suffix: str) -> Path | None:
        """Write one result and return the file, if it is one.

        Raises RunFailed when it cannot be written.
        """
        ...


class Stream:
    """Standard output; `headed` puts a line with the source before each result."""

    def __init__(self, stream: BinaryIO, *, headed: bool = False) -> None:
        self._stream = stream
        self._headed = headed
        self._first = True
        self.folder = None

    def expect(self, document: Input) -> None:
        del document

    def put(self, source: str, text: str, suffix: str) -> None:
        del suffix
        if self._headed:
            header = encode(f"==> {clean(source)} <==\n")
            self._stream.write(header if self._first else b"\n" + header)
        self._first = False
        self._stream.write(encode(text))
        self._stream.flush()


class File:
    """One file, for one document."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.parent
        _check_folder(path.parent, path)

    def expect(self, document: Input) -> InputError | None:
        return _own_input(self._path, document)

    def put(self, source: str, text: str, suffix: str) -> Path:
        del source, suffix
        _write(self._path, text)
        return self._path


class Tree:
    """A directory that mirrors the inputs: `a/b.txt` becomes `a/b.txt.md`, `a/b.md` stays.

    The input's whole name is kept, so that `parse.c` and `parse.h` have places of their own.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root
        self._places: dict[str, str] = {}
        self._taken: set[str] = set()
        if root.exists() and not root.is_dir():
            raise UsageError(
                f"{root} is a file, and there may be several results",
                hint=f"name a directory: -o {root}.d/",
            )
        existing = next(each for each in (root, *root.absolute().parents) if each.exists())
        _check_folder(existing, root)

    def expect(self, document: Input) -> InputError | None:
        place = _inside(document.relative)
        taken = {_named(place, suffix) for suffix in (".md", ".json")}
        if not taken.isdisjoint(self._taken):
            return InputError(
                f"its result would be {self._root / min(taken)}, as another input's",
                source=document.source,
                hint="write the inputs of different directories to different places",
            )
        self._taken |= taken
        self._places[document.source] = place
        errors = (_own_input(self._root / name, document) for name in sorted(taken))
        return next((error for error in errors if error), None)

    def put(self, source: str, text: str, suffix: str) -> Path:
        path = self._root / _named(self._places.pop(source, _inside(source)), suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        _write(path, text)
        return path


def open_output(target: str | None, *, several: bool, lines: bool) -> Output:
    """Return the place that `-o` names.

    `several` says that there may be more than one result, `lines` that each line of it names its
    source. Raises UsageError when nothing could be
    written there, before anything runs.
    """
    if target is None or target == STDIN:
        return Stream(sys.stdout.buffer, headed=several and not lines)
    path = Path(target)
    if several or target.endswith(("/", os.sep)) or path.is_dir():
        return Tree(path)
    return File(path)


def _named(place: str, suffix: str) -> str:
    return place if place.endswith(suffix) else place + suffix


def _inside(relative: str) -> str:
    """Return a relative path that cannot lead out of the directory."""
    parts = PurePosixPath(relative.replace(os.sep, "/")).parts
    return "/".join(part for part in parts if part not in {"..", "/"}) or "document"


def _own_input(path: Path, document: Input) -> InputError | None:
    if document.path is None or not path.exists() or not path.samefile(document.path):
        return None
    return InputError(
        "its result would replace it", source=document.source, hint="write to another place with -o"
    )


def _check_folder(folder: Path, path: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{path} cannot be written: {folder} is no directory", hint="create it")
    if not os.access(folder, os.W_OK) and not path.exists():
        raise UsageError(
            f"{path} cannot be written: {folder} is read-only", hint="name another place after -o"
        )


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, encode(text))
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RunFailed:
    return RunFailed(
        f"{path} cannot be written: {error.strerror}",
        hint="run the same command again with another -o: nothing is asked twice",
    )
