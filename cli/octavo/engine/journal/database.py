"""Opening the journal's database: its path, its permissions, and the files that are refused."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from contextvars import ContextVar
from pathlib import Path

from octavo.engine.journal.schema import VERSION, find_foreign_object, migrate, read_version
from octavo.errors import JournalError

__all__ = [
    "check_journal",
    "choose_journal",
    "connect",
    "explain_error",
    "find_journal_path",
    "make_no_room_error",
]


_LOCAL = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "jfs", "nilfs2"),
        *("reiserfs", "apfs", "hfs", "hfsplus", "ufs", "ntfs", "ntfs3", "fuseblk", "exfat"),
        *("vfat", "msdos", "tmpfs", "ramfs", "rootfs", "overlay", "aufs", "ecryptfs"),
        *("fuse.fuse-overlayfs", "lxfs", "wslfs"),
    )
)
"""File systems of one machine: SQLite's write-ahead log relies on their locks and shared memory.

`fuseblk` is NTFS and exFAT of a disk, `overlay` and `aufs` are those of containers, `lxfs` and
`wslfs` those of Windows' Linux.
"""

_CHECKPOINT = 4000
"""Pages of the log (64 MB) before they are copied into the file, for which all calls wait."""

_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""

_RETRY_SECONDS = 0.01
"""Seconds between two attempts where SQLite itself does not wait."""

_MAX_CHECKED_BYTES = 64 * 2**20
"""Bytes up to which a journal is looked through before a run, which takes a tenth of a second."""

_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How the system writes a space, and the like, in the name of a mount point."""

_MIN_FREE_BYTES = 2**18
"""Bytes of a disk with less than which no journal can be opened."""

_chosen_path: ContextVar[Path | None] = ContextVar("journal", default=None)


def choose_journal(path: Path) -> None:
    """Take another file for the journal, in this context."""
    _chosen_path.set(path)


def find_journal_path() -> Path:
    """Return where a user's journal lies: as chosen, OCTAVO_JOURNAL, else the state directory."""
    if (path := _chosen_path.get()) is not None:
        return path
    if chosen := os.environ.get("OCTAVO_JOURNAL"):
        return Path(chosen)
    from platformdirs import user_state_path  # noqa: PLC0415 - costs time that --help need not pay

    return user_state_path("octavo") / "journal.sqlite"


def connect(path: Path | None, *, durable: bool = False) -> sqlite3.Connection:
    """Open a journal, creating it with mode 0600; None opens one in memory.

    A committed reply survives the death of the process; with `durable` also that of the machine.
    Raises JournalError when the file cannot be created, is not a journal, has something in it that
    is no part of one, lies on a file system not known to be local, or is of a later version.
    """
    if path is not None:
        _create_file(path)
    name = ":memory:" if path is None else str(path)
    try:
        connection = sqlite3.connect(
            name,
            timeout=_PATIENCE,
            isolation_level=None,
            cached_statements=64,
            check_same_thread=False,
        )
        _restrict(connection)
        _require_journal(connection, path)
        connection.execute("PRAGMA page_size = 16384")
        _enable_write_ahead_log(connection)
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        migrate(connection)
    except UnicodeDecodeError as error:  # SQLite's message quotes a damaged definition
        raise explain_error(sqlite3.DatabaseError("the file is malformed"), path) from error
    except sqlite3.DatabaseError as error:
        raise explain_error(error, path) from error
    return connection


def _restrict(connection: sqlite3.Connection) -> None:
    """Let a file's own definitions run nothing, by all means that this Python has for it."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 0)
    if (set_config := getattr(connection, "setconfig", None)) is not None:  # from Python 3.12
        set_config(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - the same
        for refused in ("ENABLE_TRIGGER", "ENABLE_VIEW"):
            set_config(getattr(sqlite3, f"SQLITE_DBCONFIG_{refused}"), False)


def _require_journal(connection: sqlite3.Connection, path: Path | None) -> None:
    """Raise JournalError, and change nothing, where a file is no journal that is known here."""
    if path is None:
        return
    try:
        later = read_version(connection) > VERSION
        found = None if later else find_foreign_object(connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        connection.close()
        raise
    if not later and found is None:
        return
    connection.close()
    if later:
        raise JournalError(
            f"the journal {path} was written by a later version of Octavo",
            hint="upgrade Octavo, or set OCTAVO_JOURNAL to another file",
        )
    raise JournalError(
        f"the journal {path} is not used: it has {found}, which is no journal's",
        hint="move the file away, or set OCTAVO_JOURNAL to another file",
    )


def check_journal(connection: sqlite3.Connection, path: Path | None) -> None:
    """Raise JournalError for a journal that is damaged: a whole look at one that is not large."""
    if path is None or path.stat().st_size > _MAX_CHECKED_BYTES:
        return
    try:
        found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise explain_error(error, path) from error
    if found != "ok":
        error = sqlite3.DatabaseError(f"the file is malformed: {found.splitlines()[-1]}")
        raise explain_error(error, path)


def make_no_room_error(error: OSError, path: Path) -> JournalError:
    """Return the error for room that could not be set aside beside the journal."""
    return JournalError(
        f"there is no room to keep replies in {path.parent}: {error.strerror}",
        hint="make room on the disk, set OCTAVO_JOURNAL to a file on another, or use --private",
    )


def explain_error(error: sqlite3.Error, path: Path | None) -> JournalError:
    """Return the error that tells a user what SQLite's error means."""
    where = "in memory" if path is None else str(path)
    reason = str(error)
    hint = "set OCTAVO_JOURNAL to a file that can be written"
    if "I/O" in reason and path is not None and _is_full(path):
        reason = "the disk is full"  # SQLite says so of its file, but not of those beside it
    if "full" in reason:
        hint = "make room on the disk and run the same command again: what was answered is kept"
    elif "not a database" in reason or "malformed" in reason:
        hint = "move the file away, or set OCTAVO_JOURNAL to another file"
    elif "locked" in reason:
        hint = "another process holds the journal; try again when it is done"
    return JournalError(f"the journal {where} cannot be used: {reason}", hint=hint)


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _MIN_FREE_BYTES
    except OSError:
        return False


def _enable_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, which SQLite refuses at once while another process does so.

    Its own waiting leaves this change out: two that wait for each other would wait for good.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _create_file(path: Path) -> None:
    kind = _detect_file_system(path)
    if kind is not None and kind not in _LOCAL:
        raise JournalError(
            f"the journal {path} lies on a file system that is not known to be local ({kind})",
            hint="set OCTAVO_JOURNAL, or --journal, to a file on a local disk, or use --private",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be opened: {error.strerror}",
            hint="set OCTAVO_JOURNAL to a file that can be written, or use --private",
        ) from error


def _detect_file_system(path: Path) -> str | None:
    """Return the type of the file system that holds a path, where the system tells: on Linux.

    macOS and Windows do not tell it in a file, and a Linux without /proc tells nothing: there None
    is returned, every file system is taken, and the user sees to it that the journal's is local.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    place = f"{path.resolve()}/"
    longest, kind = 0, None
    for line in mounts.splitlines():
        facts, _, source = line.partition(" - ")
        mount_point = facts.split(" ")[4]
        if "\\" in mount_point:
            mount_point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), mount_point)
        mount_point = f"{mount_point.rstrip('/')}/"
        # What was mounted later over the same place hides what was there.
        if len(mount_point) >= longest and place.startswith(mount_point):
            longest, kind = len(mount_point), source.partition(" ")[0]
    return kind
