"""Apply `.gitignore` files as git itself reads them.

A file's patterns hold below its directory; deeper files override those above them, and within a
file the last pattern that matches decides. Inside a repository the files above the directory count
too, and `.git/info/exclude`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from octavo.errors import InputError

if TYPE_CHECKING:
    import re

    from pathspec import GitIgnoreSpec, RegexPattern

__all__ = ["IgnoreRules"]


_NAME: Final = ".gitignore"


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
            patterns = GitIgnoreSpec.from_lines(text.split("\n"))
        except ValueError as error:
            raise InputError(f"bad pattern: {error}", source=str(file)) from error
        return IgnoreRules((*self._patterns, (f"{directory}{os.sep}", patterns)))

    def is_ignored(self, path: str, *, is_directory: bool) -> bool:
        """Return whether a file or directory, given by its absolute path, is ignored."""
        path += "/" if is_directory else ""
        for base, patterns in reversed(self._patterns):
            below = path[len(base) :].replace(os.sep, "/")
            for pattern in reversed(patterns.patterns):
                if pattern.include is not None and _matches_path(pattern, below):
                    return pattern.include
        return False


def _matches_path(pattern: RegexPattern, path: str) -> bool:
    """Tell whether a pattern matches this very path, and not only a directory above it.

    Directories that are left out are never entered, so a match of one above says nothing here;
    taking it for one would let `!docs/` bring back what `*.md` leaves out.
    """
    regex = cast("re.Pattern[str] | None", pattern.regex)  # pyright: ignore[reportUnknownMemberType]
    match = regex.match(path) if regex else None
    if match is None:
        return False
    if match.groupdict().get("ps_d") is not None:
        return match.end("ps_d") == len(path)
    return match.end() < len(path) or not path.endswith("/")  # `src/**` leaves src itself
