"""Find the inputs that a command line's arguments name, in an order that depends on names alone.

Finding is separate from reading: `find_inputs` walks directories and opens no document, `reading`
reads one at a time. What cannot be read is yielded as an InputError in its place, so that the other
documents go on.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from octavo.errors import InputError, UsageError
from octavo.inputs.changed_files import ChangedFiles
from octavo.inputs.gitignore import IgnoreRules
from octavo.inputs.standard_input import LOADER as PIPED
from octavo.protocols.sources import LoaderType

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["STDIN", "Input", "InputSelection", "can_be_many", "find_inputs", "to_input_error"]


STDIN: Final = "-"
_WILDCARD: Final = re.compile(r"[*?\[]")


class Input(NamedTuple):
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

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the input for reading; standard input stays open.

        Raises OSError, InputError for a file over its format's limit, UsageError for a closed
        stdin.
        """
        if self.path is None:
            return nullcontext(_get_standard_input())
        limit, size = self.loader.limit, self.path.stat().st_size
        if limit is not None and size > limit:
            raise InputError(
                f"the file has {size:,} bytes; a {self.loader.name} file may have {limit:,}",
                source=self.source,
                hint="split the file, or turn it into text first",
            )
        return self.path.open("rb")


class InputSelection(NamedTuple):
    """Which files of directories are selected; files that are named themselves always are.

    With `include`, those that match one of its patterns, else those whose suffix a loader knows;
    less those that match `exclude`, those that `.gitignore` files leave out unless `gitignore` is
    off, and what is inside the directory `leave_out`. `changed` also holds for named files.
    `stdin_name` is the name by whose suffix standard input is read; without one it is a
    whole HTML page, Markdown or plain text.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    gitignore: bool = True
    changed: ChangedFiles | None = None
    stdin_name: str | None = None
    leave_out: Path | None = None


def find_inputs(
    arguments: Sequence[str],
    selection: InputSelection | None = None,
    *,
    loaders: Sequence[LoaderType],
) -> Iterator[Input | InputError]:
    """Yield the inputs that the arguments name, as they are found; without arguments, stdin.

    A directory gives the files below it that the selection takes; an argument with `*`, `?` or
    `[...]` that is no file itself gives what matches it, `**` any directories between. Files whose
    suffix no loader knows are read by the last loader. Hidden files, links to directories and
    what is neither file nor directory are skipped.

    Raises UsageError at once for a bad pattern, and for nothing to read on a terminal.
    """
    selection = selection or InputSelection()
    included, excluded = _compile_patterns(selection.include), _compile_patterns(selection.exclude)
    if not arguments and _get_standard_input() and sys.stdin.isatty():
        raise UsageError("no input", hint="name files or directories, or pipe a text in")
    if list(arguments).count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", hint="name it once")
    return _find_all(arguments or (STDIN,), _Finder(selection, included, excluded, loaders))


def can_be_many(argument: str, loaders: Sequence[LoaderType], column: str | None = None) -> bool:
    """Tell whether an argument may give several documents, by its name and kind alone.

    `column` is that of the text of tables, if somebody names one.
    """
    if argument == STDIN:
        return False
    path = Path(argument)
    table = (loader := _find_loader(argument, loaders)) is not None and loader.is_table(column)
    return table or path.is_dir() or _is_pattern(argument, path)


def _get_standard_input() -> BinaryIO:
    if cast("object", sys.stdin) is None:
        raise UsageError("standard input is closed", hint="name files, or pipe a text in")
    return sys.stdin.buffer


@dataclass(slots=True, eq=False, repr=False)
class _Finder:
    """Decides what is taken."""

    selection: InputSelection
    included: GitIgnoreSpec | None
    excluded: GitIgnoreSpec | None
    loaders: Sequence[LoaderType]

    def accepts(self, relative: str) -> bool:
        if self.excluded and self.excluded.match_file(relative):
            return False
        if self.included:
            return self.included.match_file(relative)
        return _find_loader(relative, self.loaders) is not None

    def is_entered(self, relative: str) -> bool:
        return not (self.excluded and self.excluded.match_file(relative + "/"))

    def has_changed(self, path: Path) -> bool:
        changed = self.selection.changed
        return changed is None or changed.contains(path)

    def get_loader(self, name: str) -> LoaderType:
        return _find_loader(name, self.loaders) or self.loaders[-1]

    def with_pattern(self, pattern: str) -> _Finder:
        """Return a finder that takes what a pattern of the command line matches."""
        return _Finder(self.selection, _compile_patterns([pattern]), self.excluded, self.loaders)


def _find_all(arguments: Sequence[str], finder: _Finder) -> Iterator[Input | InputError]:
    for argument in arguments:
        path, source = Path(argument), _to_printable(argument)
        if argument == STDIN:
            name = finder.selection.stdin_name
            loader = finder.get_loader(name) if name else PIPED
            yield Input(name or STDIN, PurePosixPath(name or "stdin").name, None, loader)
        elif not argument:  # an unset shell variable, not the working directory
            yield to_input_error("''", FileNotFoundError())
        elif _is_pattern(argument, path):
            yield from _find_matching(argument, finder)
        else:
            yield from _find_named(path, source, finder)


def _find_named(path: Path, source: str, finder: _Finder) -> Iterator[Input | InputError]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        yield to_input_error(source, error)
        return
    if stat.S_ISDIR(mode):
        yield from _find_in_directory(path, source, finder, *_explain_nothing(finder.selection))
    elif finder.has_changed(path):
        yield Input(source, _to_printable(path.name), path, finder.get_loader(path.name))


def _explain_nothing(selection: InputSelection) -> tuple[str, str]:
    """Return the message and the hint for a directory in which no file is selected."""
    if selection.include:
        patterns = ", ".join(map(repr, selection.include))
        return (
            f"no file in this directory matches {patterns}",
            "patterns are those of .gitignore: '*.md' is at any depth, '/*.md' at its top only",
        )
    return "no documents in this directory", "--glob '*' takes every file that is not hidden"


def _is_pattern(argument: str, path: Path) -> bool:
    return bool(_WILDCARD.search(argument)) and not os.path.lexists(path)


def _find_matching(argument: str, finder: _Finder) -> Iterator[Input | InputError]:
    """Yield what a pattern matches: of `docs/*.md`, what `/*.md` matches below `docs`."""
    parts = Path(argument).parts
    wildcards = [number for number, part in enumerate(parts) if _WILDCARD.search(part)]
    # A directory may have such signs in its name: the `[slug]` of a web site's sources.
    first = next(
        (at for at in wildcards if not os.path.lexists(Path(*parts[: at + 1]))), wildcards[-1]
    )
    root = Path(*parts[:first]) if first else Path()
    only = finder.with_pattern("/" + "/".join(parts[first:]))
    hint = "quotes around a pattern keep the shell from changing it; `**` crosses directories"
    if root.is_dir():
        yield from _find_in_directory(root, _to_printable(argument), only, "nothing matches", hint)
    else:
        yield InputError("nothing matches", source=_to_printable(argument), hint=hint)


def _find_in_directory(
    root: Path, source: str, finder: _Finder, message: str, hint: str
) -> Iterator[Input | InputError]:
    empty = True
    if finder.selection.changed is not None:
        finder.selection.changed.find_repository(root)
        empty = False  # that nothing has changed is no error
    for item in _walk_directory(root, finder):
        empty = False
        yield item
    if empty:
        yield InputError(message, source=source, hint=hint)


def _walk_directory(root: Path, finder: _Finder) -> Iterator[Input | InputError]:
    """Yield what is wanted below a directory, with a stack so that depth is no limit."""
    absolute = os.path.abspath(root)  # noqa: PTH100 - links are not followed
    left_out = finder.selection.leave_out
    skipped = os.path.abspath(left_out) if left_out else None  # noqa: PTH100 - the same
    ignore = IgnoreRules.read_at(root) if finder.selection.gitignore else None
    # Relative paths, and for directories what is ignored in them.
    stack: list[tuple[str, bool, IgnoreRules | None]] = [("", True, ignore)]
    while stack:
        relative, is_directory, ignore = stack.pop()
        path = root / relative
        source = _to_printable(str(path))
        try:
            if is_directory:
                directory_path = os.path.join(absolute, relative) if relative else absolute  # noqa: PTH118 - of text, for many files
                if directory_path != skipped:
                    below = ignore.enter(directory_path) if ignore and relative else ignore
                    inside = _list_directory(
                        path, directory_path, f"{relative}/" if relative else "", finder, below
                    )
                    stack.extend((name, directory, below) for name, directory in reversed(inside))
            elif stat.S_ISREG(path.stat().st_mode) and finder.has_changed(path):
                # Pipes and devices are no documents.
                yield Input(source, _to_printable(relative), path, finder.get_loader(relative))
        except OSError as error:
            yield to_input_error(source, error)
        except InputError as error:
            yield error


def _list_directory(
    directory: Path, directory_path: str, prefix: str, finder: _Finder, ignore: IgnoreRules | None
) -> list[tuple[str, bool]]:
    """Return what of a directory is to be visited, sorted by name."""
    inside: list[tuple[str, bool]] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            relative = prefix + entry.name
            if entry.name.startswith("."):
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
            taken = (
                finder.is_entered(relative)
                if is_directory
                else finder.accepts(relative) and not _is_directory_link(entry)
            )
            if taken and not (
                ignore
                and ignore.is_ignored(
                    f"{directory_path}{os.sep}{entry.name}", is_directory=is_directory
                )
            ):
                inside.append((relative, is_directory))
    return sorted(inside)


def _is_directory_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:
        return False  # a link to itself: reading it tells the user


def _find_loader(name: str, loaders: Sequence[LoaderType]) -> LoaderType | None:
    suffix = PurePosixPath(name).suffix.lower()
    return next((loader for loader in loaders if suffix in loader.suffixes), None)


def _compile_patterns(lines: Sequence[str]) -> GitIgnoreSpec | None:
    if not lines:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - most runs name no patterns

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise UsageError(
            f"bad pattern: {error}", hint="patterns are those of .gitignore, such as 'drafts/**'"
        ) from error


def to_input_error(source: str, error: OSError | ValueError) -> InputError:
    """Return the error that tells why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError("there is no such file or directory", source=source)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(f"cannot be read: {reason[:1].lower()}{reason[1:]}", source=source)


def _to_printable(name: str) -> str:
    """Return a file's name as text; bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
