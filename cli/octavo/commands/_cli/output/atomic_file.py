"""Files that appear complete or not at all.

A file is written beside its place under another name, then renamed over it: readers see the old
bytes or the new ones, and an interrupted run leaves the old ones. What is not a regular file (a
pipe, a device) is written directly. Hard links to the old file keep the old bytes, and a symbolic
link stays a link: the file it points to is replaced.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["AtomicFile", "write_atomically"]


_MAX_NAME = 50
"""Characters of the file's name that the other one has: names are bounded in bytes."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write the bytes as the whole content of a file; raises OSError.

    A file that has just these bytes stays as it is, its time too, for tools that look at it.
    """
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    growing = AtomicFile(path)
    try:
        growing.write(data)
        growing.finish()
    except BaseException:
        growing.discard()
        raise


class AtomicFile:
    """A file that is written piece by piece and is there when it is finished; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._target = self._temporary = path
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            self._file = path.open("wb")
            return
        self._target = Path(os.path.realpath(path))
        # By chance and not by process: in containers a killed run's number is the next one's, too.
        mark = secrets.token_hex(4)
        self._temporary = self._target.with_name(f".{self._target.name[:_MAX_NAME]}.{mark}.part")
        self._file = self._temporary.open("xb")
        if self._target.exists():
            os.chmod(self._temporary, self._target.stat().st_mode & 0o7777)  # noqa: PTH101 - by name on all systems

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(data)

    def finish(self) -> None:
        """Move the written file into place."""
        self._file.close()
        if self._temporary != self._target:
            self._temporary.replace(self._target)

    def discard(self) -> None:
        """Keep what was there before. Safe to call twice; does nothing once finished."""
        with contextlib.suppress(OSError):
            self._file.close()
        if self._temporary != self._target:
            with contextlib.suppress(OSError):
                self._temporary.unlink()
