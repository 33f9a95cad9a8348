"""The overflow file: disk space for replies that the journal cannot take.

A run reserves the space before its first call. When the journal can't be written any more, because
the disk is full or the file was damaged, what had been paid for goes there, and nothing more is
sent. Whoever opens the journal next takes it over.

The file holds records and no SQL: one a line, as `1 CHECKSUM ["NAME", [VALUE, ...]]`, where 1 is
the version, CHECKSUM the CRC-32 of what follows it, and NAME one of `STATEMENTS`; then zero bytes
up to its size. An earlier version wrote `["SQL", [VALUE, ...]]`: such a line is a record when its
SQL is, letter for letter, one of the statements; what runs is the statement here, never the text
there. Any other line is put aside, into a file of its own, and never run.
"""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from octavo.engine.journal.statements import STATEMENTS

__all__ = ["OverflowFile", "OverflowRecord", "SavedRecords"]


_SIZE = 4 * 2**20
"""Bytes set aside: the replies of some thousand calls in flight."""

_VERSION = b"1"
_NAMES: Mapping[object, str] = {sql: name for name, sql in STATEMENTS.items()}
_MAX_INTEGER = 2**63

OverflowRecord = tuple[str, tuple[Any, ...]]
"""The name of a statement, and its values."""


@dataclass(eq=False, repr=False)
class SavedRecords:
    """What an overflow file has: records, each with its line, and lines that are none."""

    records: list[tuple[OverflowRecord, bytes]] = field(
        default_factory=list[tuple[OverflowRecord, bytes]]
    )
    rejected: list[bytes] = field(default_factory=list[bytes])


class OverflowFile:
    """A file beside the journal, with which processes take turns."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + "-spare")
        self.rejected_path = self.path.with_name(self.path.name + "-rejected")

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

    def save(self, records: Iterable[OverflowRecord]) -> int:
        """Append records while there is room; return how many were written."""
        written = 0
        try:
            with self._open() as file:
                content = file.read()
                end = content.find(b"\0")
                position = len(content) if end < 0 else end
                for record in records:
                    # After a line that a killed process began, another one starts in any case.
                    data = b"\n" + _encode(record) + b"\n\0"
                    file.seek(position)
                    file.write(data)
                    file.flush()
                    position += len(data) - 1
                    written += 1
        except OSError:
            pass
        return written

    @contextmanager
    def take(self) -> Generator[SavedRecords]:
        """Give what was saved, and forget it when the block ends well, but for what is rejected.

        The block may reject more of it. Raises OSError when that cannot be put aside.
        """
        saved = SavedRecords()
        try:
            with self.path.open("rb") as file:
                empty = file.read(1) in {b"", b"\0"}
        except OSError:
            empty = True
        if empty:
            yield saved
            return
        with self._open() as file:
            content = file.read().partition(b"\0")[0]
            for line in filter(None, content.split(b"\n")):
                if (record := _decode(line)) is None:
                    saved.rejected.append(line)
                else:
                    saved.records.append((record, line))
            yield saved
            self._put_aside(saved.rejected)
            file.seek(0)
            file.write(bytes(len(content)))

    def _put_aside(self, lines: list[bytes]) -> None:
        if lines:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            with open(os.open(self.rejected_path, flags, 0o600), "ab") as file:  # noqa: PTH123 - a descriptor
                file.writelines(line + b"\n" for line in lines)

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


def _encode(record: OverflowRecord) -> bytes:
    data = orjson.dumps(record, default=_to_json)
    return b"%b %08x %b" % (_VERSION, zlib.crc32(data), data)


def _decode(line: bytes) -> OverflowRecord | None:
    """Return the record of a line, or None for a damaged, torn or foreign one."""
    earlier = line.startswith(b"[")
    try:
        if not earlier:
            version, checksum, line = line.split(b" ", 2)
            if version != _VERSION or checksum != b"%08x" % zlib.crc32(line):
                return None
        name, values = orjson.loads(line)
        if earlier:
            name = _NAMES[name]
        row = tuple(map(_from_json, values))
        if STATEMENTS[name].count("?") != len(row):
            return None
    except (ValueError, TypeError, LookupError):
        return None
    return name, row


def _to_json(value: object) -> object:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    raise TypeError


def _from_json(value: Any) -> Any:  # noqa: ANN401 - whatever SQLite stores
    """Return what SQLite is given for a value; raises ValueError and others if it stores none."""
    match value:
        case dict():
            return base64.b64decode(cast("dict[str, str]", value)["bytes"], validate=True)
        case int() if value >= _MAX_INTEGER:
            raise ValueError(value)
        case None | str() | int() | float():
            return value
        case _:
            raise TypeError
