"""From a command line's arguments to documents, in an order that depends on names alone.

Finding is apart from reading: `find` walks directories and opens no file, `Input.load` reads one,
and `documents` reads each when it is asked for, so that one is in memory at a time. What cannot be
read is yielded as an InputError in its place, so that the other documents go on.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TextIO, cast

from octavo.errors import InputError, UsageError
from octavo.loaders.decode import check_encoding
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["STDIN", "Input", "documents", "find"]

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One file or standard input, found and not yet read.

    `source` is the path as given, printable whatever bytes the name has, or `-`. `relative` is
    the path below the argument that it was found under, with `/` between its parts, for a tree of
    outputs that mirrors the inputs; for a file that was named itself, its name. `path` is None for
    standard input.
    """

    source: str
    relative: str
    path: Path | None
    loader: LoaderType

    def load(self, encoding: str | None = None) -> Document:
        """Read and decode the input; raises InputError."""
        try:
            if self.path is None:
                data = _stdin().buffer.read()
            else:
                self._check_size(self.path.stat().st_size)
                data = self.path.read_bytes()
        except OSError as error:
            raise _unreadable(self.source, error) from error
        return self.loader.load(data, self.source, encoding)

    def _check_size(self, size: int) -> None:
        limit = self.loader.limit
        if limit is not None and size > limit:
            raise InputError(
                f"the file has {size:,} bytes; a {self.loader.name} file may have {limit:,}",
                source=self.source,
                hint="split the file, or turn it into text first",
            )


def documents(
    found: Iterable[Input | InputError], encoding: str | None = None
) -> Iterator[Document | InputError]:
    """Yield each input's document when it is asked for, or the error in its place.

    Raises UsageError at once for an unknown encoding.
    """
    if encoding:
        check_encoding(encoding)
    return _read(found, encoding)


def _read(
    found: Iterable[Input | InputError], encoding: str | None
) -> Iterator[Document | InputError]:
    for item in found:
        if isinstance(item, InputError):
            yield item
            continue
        try:
            yield item.load(encoding)
        except InputError as error:
            yield error


def find(
    arguments: Sequence[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    loaders: Sequence[LoaderType],
) -> Iterator[Input | InputError]:
    """Yield the inputs that the arguments name, as they are found; without arguments, stdin.

    A directory gives the files below it whose suffix a loader knows, or those that match a
    pattern of `include` when there is one, less those that match `exclude`, both as
    `.gitignore` has them and relative to the directory. A file that no loader knows is read by
    the first. They come in the order of their names' characters. Hidden files and directories
    are left out; links to directories are not followed. Named files are always taken. Raises
    UsageError for bad patterns, for `-` twice, and when standard input is a terminal and
    nothing is named.
    """
    included, excluded = _patterns(include), _patterns(exclude)
    if not arguments and _stdin().isatty():
        raise UsageError("no input", hint="name files or directories, or pipe a text in")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", hint="name it once")

    def wanted(relative: str) -> bool:
        if excluded and excluded.match_file(relative):
            return False
        if included:
            return included.match_file(relative)
        return _loader(relative, loaders) is not None

    def entered(relative: str) -> bool:
        return not (excluded and excluded.match_file(relative + "/"))

    return _found(arguments or (STDIN,), wanted, entered, loaders)


def _stdin() -> TextIO:
    if cast("object", sys.stdin) is None:
        raise UsageError("standard input is closed", hint="name files, or pipe a text in")
    return sys.stdin


def _found(
    arguments: Sequence[str],
    wanted: Callable[[str], bool],
    entered: Callable[[str], bool],
    loaders: Sequence[LoaderType],
) -> Iterator[Input | InputError]:
    for argument in arguments:
        if argument == STDIN:
            yield Input(STDIN, "stdin", None, loaders[0])
            continue
        path, source = Path(argument), _printable(argument)
        if not argument:  # an unset shell variable, not the working directory
            yield _unreadable("''", FileNotFoundError())
            continue
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            yield _unreadable(source, error)
            continue
        if not stat.S_ISDIR(mode):
            yield Input(
                source, _printable(path.name), path, _loader(path.name, loaders) or loaders[0]
            )
            continue
        empty = True
        for item in _below(path, wanted, entered, loaders):
            empty = False
            yield item
        if empty:
            hint = "--glob '*' takes every file that is not hidden"
            yield InputError("no documents in this directory", source=source, hint=hint)


def _below(
    root: Path,
    wanted: Callable[[str], bool],
    entered: Callable[[str], bool],
    loaders: Sequence[LoaderType],
) -> Iterator[Input | InputError]:
    """Yield what is wanted below a directory, with a stack so that depth is no limit."""
    stack: list[tuple[str, bool]] = [("", True)]  # relative paths, and whether directories
    while stack:
        relative, is_directory = stack.pop()
        path = root / relative
        source = _printable(str(path))
        try:
            if is_directory:
                inside = _listed(path, f"{relative}/" if relative else "", wanted, entered)
                stack.extend(reversed(inside))
            elif stat.S_ISREG(path.stat().st_mode):  # pipes and devices are no documents
                loader = _loader(relative, loaders) or loaders[0]
                yield Input(source, _printable(relative), path, loader)
        except OSError as error:
            yield _unreadable(source, error)


def _listed(
    directory: Path, prefix: str, wanted: Callable[[str], bool], entered: Callable[[str], bool]
) -> list[tuple[str, bool]]:
    """Return what of a directory is to be visited, sorted by name."""
    inside: list[tuple[str, bool]] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            relative = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entered(relative):
                    inside.append((relative, True))
            elif wanted(relative) and not _links_to_directory(entry):
                inside.append((relative, False))
    return sorted(inside)


def _links_to_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False  # a link to itself: reading it tells the user


def _loader(name: str, loaders: Sequence[LoaderType]) -> LoaderType | None:
    suffix = PurePosixPath(name).suffix.lower()
    return next((loader for loader in loaders if suffix in loader.suffixes), None)


def _patterns(lines: Sequence[str]) -> GitIgnoreSpec | None:
    if not lines:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - most runs name no patterns

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise UsageError(
            f"bad pattern: {error}", hint="patterns are those of .gitignore, such as 'drafts/**'"
        ) from error


def _unreadable(source: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("there is no such file or directory", source=source)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(f"cannot be read: {reason[:1].lower()}{reason[1:]}", source=source)


def _printable(name: str) -> str:
    """Return a file's name as text; bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
