"""Apply `.gitignore` files as git itself reads them.

A file's patterns hold below its directory; deeper files override those above them, and within a
file the last pattern that matches decides. Inside a repository the files above the directory count
too, and `.git/info/exclude`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from octavo.errors import InputError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IgnoreRules"]


_NAME: Final = ".gitignore"
_END: Final = "\0"
"""Ends a path, with the sign of its kind behind it; no path has it within."""

_DIRECTORY: Final = "d"
_FILE: Final = "f"


class IgnoreRules:
    """The patterns that hold in one directory; `enter` gives those of one below it."""

    def __init__(self, patterns: tuple[tuple[str, GitIgnoreSpec], ...] = ()) -> None:
        """Take each directory, with a slash at its end, and its patterns, the outermost first."""
        self._patterns = patterns

    @classmethod
    def read_at(cls, root: Path) -> IgnoreRules:
        """Return the patterns that hold in a directory that was named itself.

        Patterns of a repository that leave out this very directory are none: it was asked for.
        """
        absolute = Path(os.path.abspath(root))  # noqa: PTH100 - links are not followed
        top = next(
            (each for each in (absolute, *absolute.parents) if (each / ".git").exists()), None
        )
        ignore = cls()
        if top is not None:
            above = [each for each in reversed(absolute.parents) if each.is_relative_to(top)]
            ignore = ignore.enter(str(top), ".git/info/exclude")
            for folder in above:
                ignore = ignore.enter(str(folder))
            asked = (*above[1:], absolute)
            if above and any(ignore.is_ignored(str(each), is_directory=True) for each in asked):
                ignore = cls()
        return ignore.enter(str(absolute))

    def enter(self, directory: str, name: str = _NAME) -> IgnoreRules:
        """Return the patterns that hold in a directory below; raises InputError."""
        file = Path(directory) / name
        try:
            text = file.read_text("utf-8", "surrogateescape").removeprefix("\ufeff")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return self
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", source=str(file)) from error
        from pathspec import GitIgnoreSpec  # noqa: PLC0415 - many directories have no such file

        try:
            patterns = GitIgnoreSpec.from_lines(map(_mark_end, text.split("\n")))
        except ValueError as error:
            raise InputError(f"bad pattern: {error}", source=str(file)) from error
        return IgnoreRules((*self._patterns, (f"{directory}{os.sep}", patterns)))

    def is_ignored(self, path: str, *, is_directory: bool) -> bool:
        """Return whether a file or directory, given by its absolute path, is ignored."""
        path += _END + (_DIRECTORY if is_directory else _FILE)
        for base, patterns in reversed(self._patterns):
            below = path[len(base) :].replace(os.sep, "/")
            for pattern in reversed(patterns.patterns):
                if pattern.include is not None and pattern.match_file(below):
                    return pattern.include
        return False


def _mark_end(line: str) -> str:
    r"""Return a pattern that matches what `line` does, with a mark at its end, and nothing below.

    Directories that are left out are never entered, so a match of one above a path says nothing of
    the path; taking it for one would let `!docs/` bring back what `*.md` leaves out. A line without
    a pattern, and one that ends in an incomplete escape, stays as it is.
    """
    pattern = line if line.endswith("\\ ") else line.rstrip()
    path = pattern.removeprefix("!").removesuffix("/")
    escapes = len(path) - len(path.rstrip("\\"))
    if not path or pattern.startswith("#") or escapes % 2:
        return line
    below = "/*" if path.endswith("/**") else ""
    kind = _DIRECTORY if pattern.endswith("/") else "?"
    return f"{pattern.removesuffix('/')}{below}{_END}{kind}"
