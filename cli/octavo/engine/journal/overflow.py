"""The overflow file: disk space for replies that the journal cannot take.

A run reserves the space before its first call. When the journal can't be written any more, because
the disk is full or the file was damaged, what had been paid for goes there, and nothing more is
sent. Whoever opens the journal next takes it over.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

__all__ = ["OverflowFile"]


_SIZE = 4 * 2**20
"""Bytes set aside: the replies of some thousand calls in flight."""


class OverflowFile:
    """A file beside the journal: JSON lines, then zero bytes up to its size.

    Processes take turns with it. A line is a list of a statement and its values.
    """

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + "-spare")

    def prepare(self) -> None:
        """Set the room aside. Raises OSError when the disk has none."""
        with self._open(create=True) as file:
            if os.fstat(file.fileno()).st_size >= _SIZE:
                return
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _SIZE)
            else:
                file.seek(0, os.SEEK_END)
                file.write(bytes(_SIZE - file.tell()))

    def save(self, lines: Iterable[tuple[str, tuple[Any, ...]]]) -> int:
        """Append lines while there is room; return how many were written."""
        written = 0
        try:
            with self._open() as file:
                content = file.read()
                end = content.find(b"\0")
                position = len(content) if end < 0 else end
                for line in lines:
                    # After a line that a killed process began, another one starts in any case.
                    data = b"\n" + orjson.dumps(line, default=_to_json) + b"\n\0"
                    file.seek(position)
                    file.write(data)
                    file.flush()
                    position += len(data) - 1
                    written += 1
        except OSError:
            pass
        return written

    @contextmanager
    def take(self) -> Generator[list[tuple[str, tuple[Any, ...]]]]:
        """Give what was saved, and forget it when the block ends well."""
        try:
            with self.path.open("rb") as file:
                empty = file.read(1) in {b"", b"\0"}
        except OSError:
            empty = True
        if empty:
            yield []
            return
        with self._open() as file:
            content = file.read().partition(b"\0")[0]
            yield list(_parse_lines(content))
            file.seek(0)
            file.write(bytes(len(content)))

    @contextmanager
    def _open(self, *, create: bool = False) -> Generator[BinaryIO]:
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        with open(os.open(self.path, flags, 0o600), "r+b") as file:  # noqa: PTH123 - a descriptor
            try:
                import fcntl  # noqa: PLC0415 - not on Windows, where two processes may clash

                fcntl.flock(file, fcntl.LOCK_EX)
            except ImportError:
                pass
            yield file


def _parse_lines(content: bytes) -> Generator[tuple[str, tuple[Any, ...]]]:
    for line in content.split(b"\n"):
        try:
            sql, values = orjson.loads(line)
        except ValueError:
            continue  # empty, or begun by a process that was killed
        yield sql, tuple(map(_from_json, values))


def _to_json(value: object) -> object:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    raise TypeError


def _from_json(value: Any) -> Any:  # noqa: ANN401 - whatever SQLite stores
    if isinstance(value, dict):
        return base64.b64decode(cast("dict[str, str]", value)["bytes"])
    return value
